"""Images inside turns: what they take of a request's image limits when the turns are sent as text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

from .attached import picture_sizes
from .turn import ImageContent, Turn

__all__ = ["NO_IMAGES", "ImageLoad", "image_load", "image_size"]

DRAWN_BYTES = 200_000  # of a page of a document as a picture, in base64: a page of text takes half of it, a photograph ten times as much
UNKNOWN_PICTURE = (1024, 1024)  # px assumed for an image that is only a URL, or unreadable


@dataclass(frozen=True, slots=True)
class ImageLoad:
    """Images of turns.

    Attributes:
        count: number of images.
        bytes: their size as base64 in a request; 0 for one that is only a URL.
        side: the longest side of any, in pixels; 0 without images.
    """

    count: int = 0
    bytes: int = 0
    side: int = 0

    def __add__(self, other: ImageLoad) -> ImageLoad:
        return ImageLoad(self.count + other.count, self.bytes + other.bytes, max(self.side, other.side))


NO_IMAGES = ImageLoad()


def image_load(turns: Iterable[Turn]) -> ImageLoad:
    """Sum up the images of `turns`, sent unchanged, and the pages of their documents that are sent as pictures."""
    load = NO_IMAGES
    for turn in turns:
        load = sum((ImageLoad(1, len(image.data), max(image_size(image))) for image in turn.images), load)
        load = sum((ImageLoad(1, DRAWN_BYTES, max(size)) for size in picture_sizes(turn)), load)
    return load


def image_size(image: ImageContent) -> tuple[int, int]:
    """Return width and height in pixels; `UNKNOWN_PICTURE` if they cannot be read."""
    from PIL import Image  # few turns have images, and Pillow is slow to import

    try:
        with Image.open(io.BytesIO(image.decode())) as opened:
            return opened.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return UNKNOWN_PICTURE
