"""The canvas: a page style in whole device pixels."""

from __future__ import annotations

from dataclasses import dataclass

from ..pages.page import PageStyle

__all__ = ["Canvas"]

MONO_ADVANCE = 0.602  # em; width of a DejaVu Sans Mono character


@dataclass(frozen=True, slots=True)
class Canvas:
    """A page style in device pixels, the unit of every length here.

    Columns are whole pixels wide, so every page of a run is drawn at the same sub-pixel phase.
    """

    style: PageStyle

    @property
    def scale(self) -> float:
        """Device pixels a layout pixel."""
        return self.style.scale

    @property
    def page_size(self) -> tuple[int, int]:
        """Width and height."""
        return self.style.pixel_size

    @property
    def margin(self) -> int:
        """Blank margin on each of the four sides."""
        return round(self.style.margin * self.scale)

    @property
    def gutter(self) -> int:
        """Blank space between two columns, with a hairline in its middle."""
        return max(1, round(self.style.gutter * self.scale))

    @property
    def column_width(self) -> int:
        """Width of a column of text; the remainder of the division stays blank at the right."""
        inner = self.page_size[0] - 2 * self.margin - (self.style.columns - 1) * self.gutter
        return inner // self.style.columns

    @property
    def pitch(self) -> int:
        """Distance between the left edges of adjacent columns."""
        return self.column_width + self.gutter

    @property
    def height(self) -> int:
        """Height of a column."""
        return self.page_size[1] - 2 * self.margin

    @property
    def line(self) -> int:
        """Height of a line of prose. A whole number, so that all lines have the same vertical phase."""
        return max(1, round(self.style.font_size * self.style.line_height * self.scale))

    @property
    def code_line(self) -> int:
        """Height of a line of code, a whole number as well."""
        return max(1, round(self.style.code_size * self.style.line_height * self.scale))

    @property
    def capacity(self) -> float:
        """Column height that a page surely holds: a column may lose up to a line at its end, since lines are not cut."""
        return float(self.style.columns * (self.height - self.line))

    @property
    def row_width(self) -> int:
        """Characters of code in a row of a column."""
        return max(10, int(self.column_width / (self.style.code_size * self.scale * MONO_ADVANCE)))

    @property
    def picture_height(self) -> int:
        """Greatest height of an image inside a turn: half of a column."""
        return self.height // 2

    def check(self) -> None:
        """Raise `ValueError` if there is no room for text."""
        if self.style.columns < 1 or self.column_width < 4 * self.line or self.height < 4 * self.line:
            raise ValueError(f"{self.style!r} leaves no room for text; use a larger page, fewer columns or a smaller font")
