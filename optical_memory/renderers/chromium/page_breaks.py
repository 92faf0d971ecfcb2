"""Runs of pages that are drawn together: planned from heights, and corrected by the browser's layout.

A *run* is everything from one forced page start to the next: one page, or several if a unit is longer than a page. Every decision depends
only on what is between the run's start and the current unit, so a run drawn alone has the same pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ...pages.page import Box, Segment
from ...pages.pagination import Measured, page_starts
from ..geometry import Canvas
from ..margins import HeadMark

__all__ = ["Fragment", "PageDraft", "Plan", "drafts_of", "fragments_of", "head_mark"]


@dataclass(frozen=True, slots=True)
class Fragment:
    """The part of a turn in one column, in pixels from the upper left corner of its slot's first column."""

    column: int
    left: float
    top: float
    right: float
    bottom: float


Turns = Sequence[Sequence[Fragment]]  # the fragments of each turn of one unit


@dataclass(slots=True)
class Plan:
    """Where pages start among `units`, and corrections from laying them out."""

    units: Sequence[Measured]
    canvas: Canvas
    forced: set[int] = field(default_factory=set)
    heights: dict[int, float] = field(default_factory=dict)

    def starts(self) -> list[int]:
        """Return the indices of the units that begin a page. Each decision is made as if its run were alone."""
        units = [unit._replace(height=self.heights.get(index, unit.height)) for index, unit in enumerate(self.units)]
        starts = [0]
        while starts[-1] < len(units):
            begin = starts[-1]
            decided = [begin + offset for offset in page_starts(units[begin:], self.canvas.capacity)[1:2]]
            starts.append(min([*decided, *(index for index in self.forced if index > begin), len(units)]))
        return starts[:-1]

    def correct(self, starts: Sequence[int], laid_out: Sequence[Turns]) -> bool:
        """Compare the plan with the layout, and correct it. True if it changed, so that it must be laid out again.

        A unit that was planned for a page but spilled begins a page of its own; so does one that happens to be at a page's top. A unit that
        cannot be moved counts with its actual height.
        """
        return any(self._correct_run(begin, end, laid_out) for begin, end in pairwise([*starts, len(self.units)]))

    def _correct_run(self, begin: int, end: int, laid_out: Sequence[Turns]) -> bool:
        columns = self.canvas.style.columns
        base, used, last = laid_out[begin][0][0].column, 0.0, 0
        for index in range(begin, end):
            height = self.heights.get(index, self.units[index].height)
            used += height
            fragments = [fragment for turn in laid_out[index] for fragment in turn]
            first, before, last = (fragments[0].column - base) // columns, last, (fragments[-1].column - base) // columns
            spilled = last > max(0, math.ceil(used / self.canvas.capacity) - 1)
            if index > begin and (first > before or (spilled and first < last and height <= self.canvas.capacity)):
                self.forced.add(index)
                return True
            if spilled:
                self.heights[index] = height + self._really_used(fragments[-1], base) - used
                return True
        return False

    def _really_used(self, last: Fragment, base: int) -> float:
        share = self.canvas.capacity / self.canvas.style.columns
        return (last.column - base) * share + max(1.0, min(share, last.bottom))


@dataclass(frozen=True, slots=True)
class PageDraft:
    """A page laid out, but not captured: its columns of the slot, and its content."""

    first_column: int
    columns: int
    segments: tuple[Segment, ...]
    fill: float
    heads: tuple[HeadMark, ...] = ()
    missing: int = 0  # characters that no font can draw
    piece: int = 0  # place of the piece that it belongs to, among those drawn together


def fragments_of(rects: Sequence[float], canvas: Canvas) -> list[Fragment]:
    """Convert the browser's flat list of rectangles of a turn to fragments."""
    quads = [rects[at : at + 4] for at in range(0, len(rects), 4)]
    drawn = [quad for quad in quads if quad[3] - quad[1] > 0.5] or quads[:1]
    return [Fragment(max(0, math.floor((left + 1) / canvas.pitch)), left, top, right, bottom) for left, top, right, bottom in drawn]


def head_mark(rect: Sequence[float], canvas: Canvas) -> HeadMark:
    """Return the mark for the browser's rectangle of a head. Its column is counted from the first of the slot."""
    left, top, right, bottom = rect
    column = max(0, math.floor((left + 1) / canvas.pitch))
    before, after = left - column * canvas.pitch, column * canvas.pitch + canvas.text_width - right
    return HeadMark(column, round((top + bottom - canvas.line) / 2), at_right=after < before)


def drafts_of(numbers: Sequence[int], turns: Turns, heads: Sequence[HeadMark], canvas: Canvas) -> list[PageDraft]:
    """Return the pages of a run, from the numbers of its turns, their fragments and the marks of their heads."""
    per_page = canvas.style.columns
    base = turns[0][0].column
    pages: dict[int, list[tuple[int, list[Fragment], int, int]]] = {}
    for number, fragments in zip(numbers, turns, strict=True):
        first, last = (fragments[0].column - base) // per_page, (fragments[-1].column - base) // per_page
        for page in range(first, last + 1):
            here = [fragment for fragment in fragments if (fragment.column - base) // per_page == page]
            pages.setdefault(page, []).append((number, here, first, last))
    return [_draft(base + page * per_page, page, entries, heads, canvas) for page, entries in sorted(pages.items())]


def _draft(
    origin: int, page: int, entries: Sequence[tuple[int, list[Fragment], int, int]], heads: Sequence[HeadMark], canvas: Canvas
) -> PageDraft:
    segments = tuple(
        Segment(number, tuple(_box(fragment, origin, canvas) for fragment in here), continued=first < page, continues=page < last)
        for number, here, first, last in entries
    )
    bottoms: dict[int, float] = {}
    for _, here, _, _ in entries:
        for fragment in here:
            column = fragment.column - origin
            bottoms[column] = max(bottoms.get(column, 0.0), min(fragment.bottom, canvas.height))
    fill = sum(bottoms.values()) / (canvas.style.columns * canvas.height)
    columns = range(origin, origin + canvas.style.columns)
    marks = tuple(head._replace(column=head.column - origin) for head in heads if head.column in columns)
    return PageDraft(origin, max(bottoms) + 1, segments, min(1.0, fill), marks)


def _box(fragment: Fragment, origin: int, canvas: Canvas) -> Box:
    """Return a fragment's box in whole pixels of the page, rounded outwards, within its column and the page."""
    left = max(0, math.floor(fragment.left - origin * canvas.pitch)) - canvas.lane
    edge = (canvas.style.columns - 1) * canvas.pitch + canvas.text_width
    right = min(math.ceil(fragment.right - origin * canvas.pitch), edge) + canvas.right_lane
    top, bottom = max(0, math.floor(fragment.top)), min(math.ceil(fragment.bottom), canvas.height)
    top = min(top, canvas.height - 1)
    return Box(left + canvas.left, top + canvas.margin, max(1, right - left), max(1, bottom - top))
