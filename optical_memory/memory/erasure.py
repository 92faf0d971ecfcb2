"""Erase turns or a whole session, and prove it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..archive.codec import decode_pages
from ..archive.page_runs import discard_runs, runs_named, runs_with
from ..archive.undrawn import PREFIX as UNDRAWN
from ..archive.undrawn import decode_undrawn, encode_undrawn, with_erased
from ..errors import SessionCorrupted, StoreError, StoreUnavailable
from ..pages.page import referents_of
from ..stores.base import SessionId, Store, Trace
from ..stores.intact import intact
from ..text.plurals import counted
from .plan_history import PREFIX as PAST_PLANS

__all__ = ["Erasure", "ErasureProof", "ErasureReport"]


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What an erasure removed: the numbers of the turns, and how many pages with all their images."""

    turns: tuple[int, ...]
    pages: int


@dataclass(frozen=True, slots=True)
class ErasureProof:
    """Places searched for erased turns, with results. Holds none of their text.

    Attributes:
        session, tenant: the session searched.
        turns: the turn numbers; None for the whole session.
        at: time of the search (UTC).
        traces: one for each place. `clean` is None where the place could not be searched or the result is unknown.
    """

    session: str
    tenant: str
    turns: tuple[int, ...] | None
    at: datetime
    traces: tuple[Trace, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every place was searched and is clean."""
        return all(trace.clean for trace in self.traces)


class Erasure:
    """Erases from one session of a store."""

    def __init__(self, store: Store, session: SessionId) -> None:
        self._store, self._session = store, session

    def erase_turns(self, numbers: Sequence[int]) -> ErasureReport:
        """Remove turns and the pages that hold them.

        Raises `SessionCorrupted` if damage keeps some from being removed; the others, and all pages, are gone then.
        """
        # Pages first: if this is interrupted, the log still has the turns, and a second call finishes the erasure.
        pages = 0
        with suppress(SessionCorrupted):  # told by the second look, when the turns are gone
            pages = self._discard_pages(numbers)
        sizes: dict[str, bytes] = {}
        with suppress(SessionCorrupted):
            sizes = intact(self._store, self._session, self._store.names(self._session, UNDRAWN))
        if sizes:  # not known while turns go; an interruption costs measuring the log again
            self._store.put(self._session, dict.fromkeys(sizes, encode_undrawn([])))
        erased = self._store.erase(self._session, numbers)
        if sizes:
            length = self._store.length(self._session)
            left = {name: with_erased(decode_undrawn(data, length), erased) for name, data in sizes.items()}
            self._store.put(self._session, {name: encode_undrawn(ranges) for name, ranges in left.items()})
        return ErasureReport(tuple(erased), pages + self._discard_pages(numbers))  # others may have drawn some meanwhile

    def erase_session(self) -> ErasureReport:
        """Remove everything."""
        pages = 0
        with suppress(SessionCorrupted):  # it goes as a whole, whatever it holds
            pages = sum(run.pages for run in runs_named(self._store.names(self._session, "run/")))
        return ErasureReport(tuple(self._store.erase(self._session, None)), pages)

    def prove(self, numbers: Sequence[int] | None) -> ErasureProof:
        """Search the log, the cache and the store's files for erased turns."""
        found = (*self._in_log(numbers), *self._in_cache(numbers), *self._in_store(numbers))
        turns = None if numbers is None else tuple(sorted(set(numbers)))
        return ErasureProof(self._session.name, self._session.tenant, turns, datetime.now(UTC), found)

    def _discard_pages(self, numbers: Sequence[int]) -> int:
        """Discard the pages that hold one of the turns, and all plans; return the number of pages."""
        plans = [name for prefix in ("plan/", PAST_PLANS) for name in self._store.names(self._session, prefix)]
        runs = runs_with(self._store, self._session, numbers)
        return discard_runs(self._store, self._session, runs, also=plans) if runs or plans else 0

    def _in_log(self, numbers: Sequence[int] | None) -> Iterator[Trace]:
        try:
            if numbers is None:
                length = self._store.length(self._session)
                yield Trace("log", length == 0, f"the session has {counted(length, 'turn')}" if length else "no such session")
                return
            left = [number for number in sorted(set(numbers)) if self._store.read(self._session, number, number + 1)]
            there = f"still there: {', '.join(f'#{number}' for number in left)}"
            gone = f"{counted(len(set(numbers)), 'turn')} {'is' if len(set(numbers)) == 1 else 'are'} gone"
            yield Trace("log", not left, there if left else gone)
        except StoreUnavailable:
            raise
        except StoreError as exc:  # damaged, sealed with a lost key, or of a newer release: it is there
            yield Trace("log", None, str(exc))

    def _in_cache(self, numbers: Sequence[int] | None) -> Iterator[Trace]:
        if numbers is None:
            left = self._store.names(self._session)
            yield Trace(
                "pages",
                not left,
                f"still there: {counted(len(left), 'entry')}" if left else "no page, plan or picture is left",
            )
            return
        # A run may be sealed anew over the gap that an erased turn left: what counts is which turns its pages show.
        around = runs_with(self._store, self._session, numbers)
        showing, unreadable = self._showing(around, set(numbers))
        if showing or not unreadable:
            yield Trace("pages", not showing, f"shown on {counted(showing, 'run')} of pages" if showing else "no page shows them")
        else:
            yield Trace("pages", None, f"cannot be read around them: {counted(unreadable, 'record')} of pages")

    def _showing(self, runs: Sequence[str], numbers: set[int]) -> tuple[int, int]:
        """How many of `runs` have a page that shows one of the turns, or refers to it, and how many cannot be read."""
        showing = unreadable = 0
        for record in intact(self._store, self._session, runs).values():
            try:
                pages = decode_pages(record)
            except SessionCorrupted:
                unreadable += 1
                continue
            told = {segment.turn for page in pages for segment in page.segments} | set(referents_of(pages).values())
            showing += not numbers.isdisjoint(told)
        return showing, unreadable

    def _in_store(self, numbers: Sequence[int] | None) -> Iterator[Trace]:
        traces: Any = getattr(self._store, "traces", None)
        if traces is None:
            yield Trace("store", None, f"{self._store.url} does not say what its files hold")
        else:
            yield from traces(self._session, numbers)
