"""The pictures that turns bring along: what they take of a request's limits where the turns are sent as text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

from .turn import ImageContent, Turn

__all__ = ["NO_IMAGES", "ImageLoad", "image_load", "image_size"]

UNKNOWN_PICTURE = (1024, 1024)  # px assumed for a picture that is only an address, or unreadable


@dataclass(frozen=True, slots=True)
class ImageLoad:
    """Pictures of turns.

    Attributes:
        count: how many.
        bytes: as base64 in a request; 0 for one that is only an address.
        side: the longest side of any, in pixels; 0 for none.
    """

    count: int = 0
    bytes: int = 0
    side: int = 0

    def __add__(self, other: ImageLoad) -> ImageLoad:
        return ImageLoad(self.count + other.count, self.bytes + other.bytes, max(self.side, other.side))


NO_IMAGES = ImageLoad()


def image_load(turns: Iterable[Turn]) -> ImageLoad:
    """The pictures of `turns`, sent as they are."""
    images = (image for turn in turns for image in turn.images)
    return sum((ImageLoad(1, len(image.data), max(image_size(image))) for image in images), NO_IMAGES)


def image_size(image: ImageContent) -> tuple[int, int]:
    """Width and height in pixels; `UNKNOWN_PICTURE` where they cannot be read."""
    from PIL import Image  # a turn with a picture is rare, and Pillow is slow to import

    try:
        with Image.open(io.BytesIO(image.decode())) as opened:
            return opened.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return UNKNOWN_PICTURE
