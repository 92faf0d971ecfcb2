"""The canvas: a page style in whole device pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..pages.page import PageStyle

__all__ = ["Canvas"]

BAR, BEFORE_TEXT, AFTER_TEXT = 1 / 7, 2 / 7, 3 / 14  # em; a bar nearer to a number than that is read as a digit of it at the smallest tier
MONO_ADVANCE = 0.602  # em; width of a DejaVu Sans Mono character


@dataclass(frozen=True)
class Canvas:
    """A page style in device pixels, the unit of every length here.

    Columns are whole pixels wide, so every page of a run is drawn at the same sub-pixel phase.
    """

    style: PageStyle

    @cached_property
    def scale(self) -> float:
        """Device pixels a layout pixel."""
        return self.style.scale

    @cached_property
    def page_size(self) -> tuple[int, int]:
        """Width and height."""
        return self.style.pixel_size

    @cached_property
    def margin(self) -> int:
        """Blank margin at the top and the bottom."""
        return round(self.style.margin * self.scale)

    @cached_property
    def hair(self) -> int:
        """Thickness of a hairline."""
        return max(1, round(self.scale))

    @cached_property
    def bar(self) -> int:
        """Width of the mark of a head. Even: at half size a mark of three pixels would blur into the number beside it."""
        return _even(BAR * self.style.font_size * self.scale)

    @cached_property
    def lane(self) -> int:
        """Width of the lane before a column's text: the mark of a head, and white between it and the text."""
        return self.bar + _even(BEFORE_TEXT * self.style.font_size * self.scale)

    @cached_property
    def right_lane(self) -> int:
        """Width of the lane after a column's text, for the marks of heads in lines that run from right to left."""
        return max(1, round(AFTER_TEXT * self.style.font_size * self.scale)) + self.bar

    @cached_property
    def left(self) -> int:
        """Left edge of the first column's text; its lane and a little white before it."""
        return max(self.margin, self.lane + 2 * self.hair)

    @cached_property
    def right_margin(self) -> int:
        """Space after the last column's text; the remainder of the division into columns is blank too."""
        return max(self.margin, self.right_lane + self.hair)

    @cached_property
    def gutter(self) -> int:
        """Space between a column's lane and that of the next: a hairline, and white."""
        return max(round(self.style.gutter * self.scale) - self.lane - self.right_lane, 3 * self.hair)

    @cached_property
    def gap(self) -> int:
        """Space between the texts of two columns."""
        return self.right_lane + self.gutter + self.lane

    @cached_property
    def text_width(self) -> int:
        """Width of a column's text."""
        columns = self.style.columns
        width = (self.page_size[0] - self.left - self.right_margin - (columns - 1) * self.gap) // columns
        return width - (columns > 1 and (width + self.gap) % 2)  # at half size too, the bars of every column stand on whole pixels

    @cached_property
    def column_width(self) -> int:
        """Width of a column: its text and its lanes."""
        return self.lane + self.text_width + self.right_lane

    @cached_property
    def pitch(self) -> int:
        """Distance between the left edges of adjacent columns."""
        return self.text_width + self.gap

    @cached_property
    def height(self) -> int:
        """Height of a column."""
        return self.page_size[1] - 2 * self.margin

    @cached_property
    def line(self) -> int:
        """Height of a line of prose. A whole number, so that all lines have the same vertical phase."""
        return max(1, round(self.style.font_size * self.style.line_height * self.scale))

    @cached_property
    def code_line(self) -> int:
        """Height of a line of code, a whole number as well."""
        return max(1, round(self.style.code_size * self.style.line_height * self.scale))

    @cached_property
    def capacity(self) -> float:
        """Column height that a page surely holds: a column may lose up to a line at its end, since lines are not cut."""
        return float(self.style.columns * (self.height - self.line))

    @cached_property
    def row_width(self) -> int:
        """Characters of code in a row of a column."""
        return max(10, int(self.text_width / (self.style.code_size * self.scale * MONO_ADVANCE)))

    @cached_property
    def picture_height(self) -> int:
        """Greatest height of an image inside a turn: half of a column."""
        return self.height // 2

    @classmethod
    def with_room(cls, style: PageStyle) -> Canvas:
        """Return the canvas of a style. Raises `ValueError` if there is no room for text."""
        canvas = cls(style)
        if style.columns < 1 or canvas.text_width < 4 * canvas.line or canvas.height < 4 * canvas.line:
            raise ValueError(f"{style!r} leaves no room for text; use a larger page, fewer columns or a smaller font")
        return canvas


def _even(pixels: float) -> int:
    """Round to a whole pixel of half the size, at least one."""
    return 2 * max(1, round(pixels / 2))
