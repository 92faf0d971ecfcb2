"""A renderer for tests of planning: real pages with real boxes, set from characters alone, fast enough for thousands of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from PIL import Image

from optical_memory.errors import RenderError
from optical_memory.pages.page import Box, PageStyle, Segment
from optical_memory.pages.pagination import Measured, page_starts
from optical_memory.renderers.base import RenderedPage
from optical_memory.renderers.png import encode_grey
from optical_memory.turns.exchanges import Exchange


@cache
def _white(width: int, height: int) -> bytes:
    return encode_grey(Image.new("L", (width, height), 255), 16)


@dataclass
class RuledRenderer:
    """Every character takes one row of a one-column page of `rows` rows; pictures are white."""

    rows: int = 4_000
    broken: bool = False
    calls: list[tuple[int, int]] = field(default_factory=list)

    name = "ruled"

    @property
    def fingerprint(self) -> str:
        return f"ruled-{self.rows}"

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        units = [(unit, place) for place, exchange in enumerate(exchanges) for unit in exchange]
        self.calls.append((units[0][0][0].number, units[-1][0][-1].number))
        if self.broken:
            raise RenderError("the test broke this renderer")
        heights = [Measured(sum(max(1, len(turn.text)) for turn in unit), place) for unit, place in units]
        starts = set(page_starts(heights, self.rows))
        pages: list[list[tuple[int, int, int, int]]] = []  # per page: turn, first row, rows, rows of the turn before this page
        row = self.rows
        for place, (unit, _) in enumerate(units):
            row = self.rows if place in starts else row
            for turn in unit:
                left, done = max(1, len(turn.text)), 0
                while left:
                    if row >= self.rows:
                        pages.append([])
                        row = 0
                    taken = min(left, self.rows - row)
                    pages[-1].append((turn.number, row, taken, done))
                    row, left, done = row + taken, left - taken, done + taken
        closed = pages if seal_last else pages[:-1]
        sizes = {turn.number: max(1, len(turn.text)) for unit, _ in units for turn in unit}
        return [self._draw(page, sizes, *style.pixel_size) for page in closed]

    def close(self) -> None:
        return None

    def _draw(self, page: list[tuple[int, int, int, int]], sizes: dict[int, int], width: int, height: int) -> RenderedPage:
        segments = []
        for number, row, taken, done in page:
            top, bottom = row * height // self.rows, max(row * height // self.rows + 1, (row + taken) * height // self.rows)
            segments.append(
                Segment(number, (Box(0, top, width, bottom - top),), continued=done > 0, continues=done + taken < sizes[number])
            )
        fill = sum(taken for _, _, taken, _ in page) / self.rows
        return RenderedPage(_white(width, height), width, height, tuple(segments), fill)
