"""Distribute rows over pages: fill columns from the top, and find where a run of pages ends.

A *run* is everything from one forced page start to the next. It does not depend on what comes after it, so a run drawn alone from its own
turns has the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...pages.page import Box, Segment
from ...pages.pagination import Measured, page_starts
from ..geometry import Canvas
from ..margins import HeadMark
from .typesetting import Row

__all__ = ["Draft", "TurnRows", "UnitRows", "drafts_of"]

WINDOW = 64  # units searched for a run's end; doubled until it is found
ROUNDS = 4  # rounds of measuring a run's units as laid out; two are enough without images


@dataclass(frozen=True, slots=True)
class TurnRows:
    """A turn's rows, and the gap before them, dropped at a column's top."""

    number: int
    gap: Row
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class UnitRows:
    """The turns of a unit, its exchange, and whether that begins a page in any case."""

    exchange: int
    turns: list[TurnRows]
    fresh: bool = False

    @property
    def height(self) -> int:
        """Height in pixels with gaps, as in one endless column."""
        return sum(turn.gap.height + sum(row.height for row in turn.rows) for turn in self.turns)


class Placed(NamedTuple):
    """A row in its column; columns are counted from the run's first one."""

    turn: int
    row: Row
    column: int
    top: int


@dataclass(slots=True)
class Draft:
    """A page laid out, but not drawn: rows with their positions, columns counted from the page's first one."""

    rows: list[Placed] = field(default_factory=list)
    segments: tuple[Segment, ...] = ()
    heads: list[HeadMark] = field(default_factory=list)
    fill: float = 0.0


def drafts_of(units: Sequence[UnitRows], canvas: Canvas) -> Iterator[list[Draft]]:
    """Yield the runs of pages that `units` fill, each as a list of pages."""
    begin = 0
    while begin < len(units):
        end, placed = _run(units, begin, canvas)
        yield _pages(placed, canvas)
        begin = end


def _run(units: Sequence[UnitRows], begin: int, canvas: Canvas) -> tuple[int, list[Placed]]:
    """Return the end of the run that starts at `begin`, and its rows.

    The first decision uses plain heights. Rows kept together leave blank space at a column's end, so the units are then measured as laid
    out, until the decision is stable.
    """
    taken: list[int] = []
    end = begin
    for _ in range(ROUNDS):
        before, end = end, _run_end(units, begin, taken, canvas)
        if end == before:
            break
        placed, taken = _fill(units[begin:end], canvas)
    return end, placed if end == before else _fill(units[begin:end], canvas)[0]


def _run_end(units: Sequence[UnitRows], begin: int, taken: Sequence[int], canvas: Canvas) -> int:
    capacity = float(canvas.style.columns * canvas.height)
    window = WINDOW
    while True:
        stop = _exchange_end(units, min(len(units), begin + window))
        heights = [*taken, *(unit.height for unit in units[begin + len(taken) : stop])]
        measured = [Measured(float(height), unit.exchange, unit.fresh) for height, unit in zip(heights, units[begin:stop], strict=False)]
        starts = page_starts(measured, capacity)
        if len(starts) > 1:
            return begin + starts[1]
        if stop == len(units):
            return stop
        window *= 2


def _exchange_end(units: Sequence[UnitRows], stop: int) -> int:
    """Extend `stop` to the end of its exchange, since a page's end depends on the whole exchange."""
    while 0 < stop < len(units) and units[stop].exchange == units[stop - 1].exchange:
        stop += 1
    return stop


def _fill(units: Sequence[UnitRows], canvas: Canvas) -> tuple[list[Placed], list[int]]:
    """Place rows in columns; return them and each unit's height, with the blank space at column ends."""
    placed: list[Placed] = []
    taken: list[int] = []
    column, top, before, deepest = 0, 0, 0, canvas.height
    for unit in units:
        for turn in unit.turns:
            for group in _groups([turn.gap, *turn.rows]):
                tall = sum(row.height for row in group)
                if top and top + tall > deepest and tall <= deepest:
                    column, top = column + 1, 0
                for row in group:
                    if row.space and (not top or top + row.height > deepest):
                        continue
                    if top + row.height > deepest:
                        column, top = column + 1, 0
                    placed.append(Placed(turn.number, row, column, top))
                    top += row.height
        now = column * deepest + top
        taken.append(now - before)
        before = now
    return placed, taken


def _groups(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield groups of rows that stay in one column: a row and the rows before it that are kept with it."""
    group: list[Row] = []
    for row in rows:
        group.append(row)
        if not row.keep:
            yield group
            group = []
    if group:
        yield group


def _pages(placed: Sequence[Placed], canvas: Canvas) -> list[Draft]:
    columns = canvas.style.columns
    drafts: list[Draft] = []
    for entry in placed:
        page, column = divmod(entry.column, columns)
        while len(drafts) <= page:
            drafts.append(Draft())
        drafts[page].rows.append(entry._replace(column=column))
    last_page = {entry.turn: entry.column // columns for entry in placed}
    first_page: dict[int, int] = {}
    for entry in placed:
        if not entry.row.space and entry.turn not in first_page:
            first_page[entry.turn] = page = entry.column // columns
            drafts[page].heads.append(HeadMark(entry.column % columns, entry.top, entry.row.rtl))
    for page, draft in enumerate(drafts):
        boxes = _boxes(draft.rows, canvas)
        draft.segments = tuple(
            Segment(turn, found, continued=first_page[turn] < page, continues=page < last_page[turn]) for turn, found in boxes.items()
        )
        draft.fill = _fill_share(draft.rows, canvas)
    return drafts


def _boxes(rows: Sequence[Placed], canvas: Canvas) -> dict[int, tuple[Box, ...]]:
    """Return the boxes of each turn, one per column, in pixels of the page."""
    spans: dict[tuple[int, int], list[int]] = {}
    for turn, row, column, top in rows:
        if row.space:
            continue
        span = spans.setdefault((turn, column), [top, top])
        span[1] = top + row.height
    found: dict[int, tuple[Box, ...]] = {}
    for (turn, column), (top, bottom) in spans.items():
        box = Box(canvas.left - canvas.lane + column * canvas.pitch, canvas.margin + top, canvas.column_width, bottom - top)
        found[turn] = (*found.get(turn, ()), box)
    return found


def _fill_share(rows: Sequence[Placed], canvas: Canvas) -> float:
    bottoms: dict[int, int] = {}
    for _, row, column, top in rows:
        bottoms[column] = max(bottoms.get(column, 0), top + row.height)
    return sum(bottoms.values()) / (canvas.style.columns * canvas.height)
