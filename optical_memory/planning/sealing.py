"""Moving loose turns to pages: which turns stand on no page yet, which of them stay text, and the sealing of the rest."""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import takewhile

from ..archive.page_archive import PageArchive, PageRun, PagesLost
from ..errors import RenderError
from ..stores.base import Readable, SessionId
from ..turns.exchanges import starts_exchange
from ..turns.turn import Turn

__all__ = ["Sealing"]


class Sealing:
    """The pages and the loose turns of a session during one re-plan.

    Args:
        archive: the session's pages; called only when pages are at stake, since it may have to look for a browser.
        length: the log's length when the plan was asked for; newer turns are not read, unless they are on pages already.
        draws: False for a reader that is better given text; nothing is sealed for it.

    Attributes:
        length: of the log as far as it is planned.
        runs: runs of pages, in order.
        loose: turns that are on no page, oldest first.
    """

    def __init__(self, store: Readable, session: SessionId, archive: Callable[[], PageArchive], *, length: int, draws: bool) -> None:
        self._archive, self._draws = archive, draws
        self.runs = archive().runs() if store.names(session, "run/") else []
        self.length = max(length, self.end)  # another process may have sealed newer turns meanwhile
        self.loose = _loose_turns(store, session, self.runs, self.length)

    @property
    def end(self) -> int:
        """Number of the last turn on a page; 0 for no page."""
        return self.runs[-1].last if self.runs else 0

    def tail(self) -> list[Turn]:
        """Loose turns after all pages."""
        return [turn for turn in self.loose if turn.number > self.end]

    def kept_off_pages(self) -> set[int]:
        """Turns that stay text wherever they stand: the system's opening words and the request being worked on."""
        opening = takewhile(lambda pair: pair[1].number == pair[0] and pair[1].role in ("system", "developer"), enumerate(self.loose, 1))
        request = [turn.number for turn in self.loose if starts_exchange(turn)][-1:]
        return {turn.number for _, turn in opening}.union(request)

    def seal_before(self, start: int, *, partial: bool) -> None:
        """Move loose turns before `start` to pages.

        What is loose between pages (their record was lost, or a turn among them erased) is sealed whole. After all pages, the last,
        unfinished one stays open unless `partial`.
        """
        if not self._draws:
            return
        end, groups = self.end, self._groups(start)
        last = next((turn for turn in reversed(self.loose) if turn.number < start), None)
        for group in groups:
            open_ended = group is groups[-1] and group[-1].number > end and group[-1] is last
            self._seal(group, seal_last=partial or not open_ended)
        if groups and self._draws:
            self.runs = self._archive().runs()
            self.loose = [turn for turn in self.loose if not _is_covered(turn.number, self.runs)]

    def _groups(self, start: int) -> list[list[Turn]]:
        """Loose turns before `start`, apart where pages or turns that stay text come between."""
        kept, ends = self.kept_off_pages(), [run.first for run in self.runs]
        groups: list[list[Turn]] = []
        previous_kept = True
        for turn in (turn for turn in self.loose if turn.number < start):
            if turn.number in kept:
                previous_kept = True
                continue
            if previous_kept or any(groups[-1][-1].number < end <= turn.number for end in ends):
                groups.append([])
            groups[-1].append(turn)
            previous_kept = False
        return groups

    def _seal(self, turns: Sequence[Turn], *, seal_last: bool) -> None:
        if not self._draws:
            return
        try:
            self._archive().seal(turns, seal_last=seal_last)
        except PagesLost:
            raise
        except RenderError as exc:
            self._draws = False
            warnings.warn(f"turns from #{turns[0].number} on stay text: {exc}", RuntimeWarning, stacklevel=2)


def _loose_turns(store: Readable, session: SessionId, runs: Sequence[PageRun], length: int) -> list[Turn]:
    """The turns up to `length` that no run covers, oldest first."""
    loose: list[Turn] = []
    start = 1
    for run in runs:
        if run.first > start:
            loose += store.read(session, start, run.first)
        start = max(start, run.last + 1)
    return loose + store.read(session, start, length + 1)


def _is_covered(number: int, runs: Sequence[PageRun]) -> bool:
    """Whether a turn stands on a page; runs are in order and do not overlap."""
    place = bisect_right(runs, number, key=lambda run: run.first)
    return place > 0 and number <= runs[place - 1].last
