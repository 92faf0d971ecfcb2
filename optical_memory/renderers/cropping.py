"""Crop the blank part of a page that is not full, for readers that bill by area."""

from __future__ import annotations

from dataclasses import replace

from ..pages.page import PageStyle
from .base import RenderedPage
from .geometry import Canvas
from .png import decode_grey, encode_grey

__all__ = ["cropped"]


def cropped(page: RenderedPage, style: PageStyle) -> RenderedPage:
    """Crop `page` to its content. Boxes stay valid: nothing is cut off above or at the left."""
    canvas = Canvas(style)
    margin = canvas.margin
    boxes = [box for segment in page.segments for box in segment.boxes]
    width = min(page.width, max(box.left + box.width for box in boxes) - canvas.right_lane + canvas.right_margin)
    height = min(page.height, max(box.top + box.height for box in boxes) + margin)
    if (width, height) == (page.width, page.height):
        return page
    picture = decode_grey(page.png).crop((0, 0, width, height))
    return replace(page, png=encode_grey(picture, style.grey_levels), width=width, height=height, canvas=max(page.width, page.height))
