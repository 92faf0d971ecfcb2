"""Move loose turns (on no page yet) to pages, except those that stay text."""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import takewhile

from ..archive.page_archive import PageArchive
from ..archive.page_runs import PageRun, PagesLost
from ..errors import RenderError
from ..stores.base import Readable, SessionId
from ..text.excerpts import said
from ..turns.exchanges import starts_exchange
from ..turns.turn import Turn

__all__ = ["Sealing"]


class Sealing:
    """The pages and the loose turns of a session during one re-plan.

    Args:
        archive: opens the session's pages; called only when needed, since it may start a browser.
        length: the log's length when the re-plan began; newer turns are read only if they are on pages already.
        draws: False for a reader without usable tiers; nothing is sealed for it.

    Attributes:
        length: length of the log that the plan covers.
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
        """Number of the last turn on a page; 0 without pages."""
        return self.runs[-1].last if self.runs else 0

    def tail(self) -> list[Turn]:
        """Loose turns after all pages."""
        return [turn for turn in self.loose if turn.number > self.end]

    def kept_off_pages(self) -> set[int]:
        """Numbers of turns that always stay text: the opening system turns and the current request."""
        opening = takewhile(lambda pair: pair[1].number == pair[0] and pair[1].role in ("system", "developer"), enumerate(self.loose, 1))
        request = [turn.number for turn in self.loose if starts_exchange(turn)][-1:]
        return {turn.number for _, turn in opening}.union(request)

    def seal_before(self, start: int, *, partial: bool) -> None:
        """Move loose turns before `start` to pages.

        Loose turns between pages (a record was lost, or a turn erased) are all sealed. After the last page, turns that do not fill a page
        stay loose unless `partial`.
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
        """Group loose turns before `start`, split at pages and at turns that stay text."""
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
            warnings.warn(f"turns from #{turns[0].number} on stay text: {said(exc)}", RuntimeWarning, stacklevel=2)


def _loose_turns(store: Readable, session: SessionId, runs: Sequence[PageRun], length: int) -> list[Turn]:
    """Read the turns up to `length` that no run covers, oldest first."""
    loose: list[Turn] = []
    start = 1
    for run in runs:
        if run.first > start:
            loose += store.read(session, start, run.first)
        start = max(start, run.last + 1)
    return loose + store.read(session, start, length + 1)


def _is_covered(number: int, runs: Sequence[PageRun]) -> bool:
    """Whether a turn is on a page; runs must be sorted and disjoint."""
    place = bisect_right(runs, number, key=lambda run: run.first)
    return place > 0 and number <= runs[place - 1].last
