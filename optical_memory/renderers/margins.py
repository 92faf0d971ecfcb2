"""What stands beside the columns of a page: hairlines between them, and the marks of the turns' heads.

A mark is a short black bar before the line that a turn begins with. What a turn says stays within its column, pictures included, whatever
it holds; so a bar beside the column is this library's word that a turn begins here, and a text that only looks like a head has none. Both
renderers draw the margins last, over all that content draws.

A bar is as high as its line and stands off the text: a lower or nearer one is read as a digit of the turn's number (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from PIL import Image

from .geometry import Canvas
from .greys import COLUMN_RULE

__all__ = ["HeadMark", "draw_margins"]

BLACK, WHITE = 0, 255


class HeadMark(NamedTuple):
    """The line that a turn begins with.

    Attributes:
        column: of the page, from 0.
        top: of the line, in pixels from the column's top.
        at_right: whether the line runs from right to left, and so begins at its right end.
    """

    column: int
    top: int
    at_right: bool = False


def draw_margins(image: Image.Image, columns: int, heads: Iterable[HeadMark], canvas: Canvas) -> None:
    """Clear what is beside the columns of a page, and draw the hairlines between `columns` of them and the marks of `heads`."""
    lefts = [canvas.left + column * canvas.pitch for column in range(canvas.style.columns)]
    right = 0
    for left in lefts:
        image.paste(WHITE, (right, 0, left, image.height))
        right = left + canvas.text_width
    image.paste(WHITE, (right, 0, image.width, image.height))
    for left in lefts[: max(0, columns - 1)]:
        rule = left + canvas.text_width + canvas.right_lane
        image.paste(COLUMN_RULE, (rule, canvas.margin, rule + canvas.hair, canvas.margin + canvas.height))
    for head in heads:
        edge = lefts[head.column] + (canvas.text_width + canvas.right_lane - canvas.bar if head.at_right else -canvas.lane)
        top = canvas.margin + max(0, head.top)
        image.paste(BLACK, (edge, top, edge + canvas.bar, min(top + canvas.line, canvas.margin + canvas.height)))
