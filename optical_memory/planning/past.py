"""A session cut in two for a re-plan: what may be shown of it, and the text that stays after that."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..archive.page_archive import Span
from ..pages.page import Page
from ..turns.attachments import PictureLoad
from ..turns.turn import Turn
from .candidates import PageView, Show, TextView

__all__ = ["Past", "chunks", "hours_between", "is_covered", "ranges_left_out"]


@dataclass(frozen=True, slots=True)
class Past:
    """A session cut in two: what stands before the tail, and the tail.

    Attributes:
        views: what may be shown, oldest first.
        faded: runs too old for the policy; nobody needs to look at them.
        text_tokens: of everything before the tail, as plain text.
        pictures: of the turns of the tail.
    """

    views: Sequence[PageView | TextView]
    faded: Sequence[Span]
    text_tokens: int
    tail: Sequence[Turn]
    tail_tokens: int
    pictures: PictureLoad


def ranges_left_out(past: Past, shows: Sequence[Show]) -> tuple[tuple[tuple[int, int], ...], int]:
    """Ranges of turns that nothing shows, and how many turns those are."""
    shown = {number for show in shows if show.shown for number in show.view.turns}
    out = sorted({number for show in shows if not show.shown for number in show.view.turns} - shown)
    ranges = [(span.first, span.last) for span in past.faded] + [(number, number) for number in out]
    return tuple(_merged(ranges)), len(out) + sum(span.turns for span in past.faded)


def is_covered(number: int, spans: Sequence[Span]) -> bool:
    """Whether a turn stands on a page; spans are in order and do not overlap."""
    place = bisect_right(spans, number, key=lambda span: span.first)
    return place > 0 and number <= spans[place - 1].last


def chunks(spans: Sequence[Span], size: int) -> Iterator[Sequence[Span]]:
    """`spans` by so many."""
    for start in range(0, len(spans), size):
        yield spans[start : start + size]


def hours_between(page: Page, newest: Turn | None) -> float:
    """Hours from the last turn of a page to the newest turn; 0 where one has no time."""
    if newest is None or newest.created_at is None or page.last_said is None:
        return 0.0
    return max(0.0, (newest.created_at - page.last_said).total_seconds() / 3600)


def _merged(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ranges of numbers, first to last, in order; those that touch are one."""
    current: tuple[int, int] | None = None
    for first, last in sorted(ranges):
        if current and first <= current[1] + 1:
            current = (current[0], max(current[1], last))
            continue
        if current:
            yield current
        current = (first, last)
    if current:
        yield current
