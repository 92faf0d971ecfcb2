"""A re-plan rehearsed: the next context is made over what a session holds and what may be said next, and nothing of it is stored.

Which turns leave the text next, and which pages are shown fainter then, follows from the log and from what comes. What comes is guessed
from what was said before: its words do not matter, only how many they are. A wrong guess costs time, never a wrong page: what was drawn is
found by the hash of what is on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

from ..archive.drawn_ahead import Abandoned
from ..profiles.pricing import Pricing
from ..stores.base import Readable, SessionId
from ..stores.claims import claimed_if_free
from ..turns.exchanges import starts_exchange
from ..turns.turn import Role, Turn
from .context_builder import ContextBuilder

__all__ = ["Gate", "Rehearsed", "rehearse", "what_may_come"]

USUAL = 40  # tokens of a message where none was said before
WORD = "and "  # one token in every encoding, about


@dataclass(slots=True)
class Gate:
    """Lets a rehearsal look at the store until it is shut. Shutting waits for the look that is going on, not for the rehearsal."""

    lock: Lock = field(default_factory=Lock)
    is_shut: bool = False

    def shut(self) -> None:
        """Let nothing through any more."""
        with self.lock:
            self.is_shut = True

    def check(self) -> None:
        """Raises `Abandoned` once it is shut."""
        if self.is_shut:
            raise Abandoned


class Rehearsed:
    """A session as a rehearsal sees it: its turns up to a length, those that may come, and a cache whose changes are dropped at the end.

    Raises `Abandoned` once `gate` is shut.
    """

    def __init__(self, store: Readable, length: int, coming: Sequence[Turn], gate: Gate) -> None:
        self._store, self._length, self._coming, self._gate = store, length, coming, gate
        self._changed: dict[str, bytes | None] = {}  # None: discarded

    def read(self, session: SessionId, start: int = 1, stop: int | None = None) -> list[Turn]:
        """See `TurnHistory`."""
        end = self._length + len(self._coming) + 1 if stop is None else stop
        told = [turn for turn in self._coming if start <= turn.number < end]
        if start > self._length:
            return told
        with self._gate.lock:
            self._gate.check()
            return [*self._store.read(session, start, min(end, self._length + 1)), *told]

    def length(self, session: SessionId) -> int:
        """See `TurnHistory`."""
        return self._length + len(self._coming)

    def pinned(self, session: SessionId) -> list[int]:
        """See `TurnHistory`."""
        with self._gate.lock:
            self._gate.check()
            return self._store.pinned(session)

    def get(self, session: SessionId, names: Sequence[str]) -> dict[str, bytes]:
        """See `DerivedCache`."""
        found = {name: data for name in names if (data := self._changed.get(name)) is not None}
        others = [name for name in names if name not in self._changed]
        with self._gate.lock:
            self._gate.check()
            return found | (self._store.get(session, others) if others else {})

    def put(self, session: SessionId, items: dict[str, bytes]) -> None:
        """See `DerivedCache`."""
        self._changed.update(items)

    def names(self, session: SessionId, prefix: str = "") -> list[str]:
        """See `DerivedCache`."""
        with self._gate.lock:
            self._gate.check()
            stored = self._store.names(session, prefix)
        kept = [name for name in stored if name not in self._changed]
        return sorted([*kept, *(name for name, data in self._changed.items() if data is not None and name.startswith(prefix))])

    def discard(self, session: SessionId, names: Sequence[str]) -> None:
        """See `DerivedCache`."""
        self._changed.update(dict.fromkeys(names))


def rehearse(builder: ContextBuilder, store: Readable, session: SessionId, gate: Gate, go_on: Callable[[], None]) -> None:
    """Draw what the next re-plan of a session will need, if one may be due after what comes next. Raises `Abandoned`.

    Args:
        builder: makes the session's contexts.
        go_on: called before each drawing.
    """
    if builder.settings.verifier or not builder.settings.profile.ladder:  # a verifier would be asked twice
        return
    with gate.lock:
        gate.check()
        length = store.length(session)
    now = builder.rehearsing(Rehearsed(store, length, (), gate), go_on).outlook(builder.asked)
    cuts = set[int]()
    for coming in what_may_come(now.said, length, builder.pricing):
        cut = now.begins_text(coming)
        if cut is None or cut in cuts:
            continue
        cuts.add(cut)
        trial = builder.rehearsing(Rehearsed(store, length, coming, gate), go_on)
        with claimed_if_free(store, session, "ahead", lasts=lambda: not gate.is_shut) as free:
            if free:
                trial.prepare(builder.asked)


def what_may_come(turns: Sequence[Turn], length: int, pricing: Pricing) -> Iterator[list[Turn]]:
    """Yield what may be said after `turns`, up to the next user's turn, after which a re-plan may be due: the likeliest first.

    As long as what was said before: the median, then the longest and the shortest.

    Args:
        length: number of the last turn.
    """
    if not turns:
        return
    waits = turns[-1].role == "assistant"
    asked = sorted(pricing.cost(turn) for turn in turns if starts_exchange(turn)) or [USUAL]
    answered = sorted(pricing.cost(turn) for turn in turns if turn.role == "assistant" and not turn.tool_calls) or [USUAL]
    for place in (0.5, 1.0, 0.0):
        answer = [] if waits else [_imagined("assistant", _at(answered, place), length + 1, turns[-1])]
        yield [*answer, _imagined("user", _at(asked, place), length + len(answer) + 1, turns[-1])]


def _at(ordered: Sequence[int], place: float) -> int:
    return ordered[round(place * (len(ordered) - 1))]


def _imagined(role: Role, tokens: int, number: int, after: Turn) -> Turn:
    """Return a turn of about so many tokens, said right `after` another. Its id is that of its words, since prices are kept by id."""
    return Turn(number=number, id=f"imagined {role} {tokens}", role=role, content=WORD * tokens, created_at=after.created_at)
