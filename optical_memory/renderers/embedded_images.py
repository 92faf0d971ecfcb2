"""Prepare images inside turns for a page: decode within limits, convert to grey, and scale to the column."""

from __future__ import annotations

import base64
import io
import logging
from functools import lru_cache

from PIL import Image, ImageOps

from ..text.excerpts import said
from .png import encode_grey, to_grey

__all__ = ["fit_picture", "picture_html"]

MOST_PIXELS = 50_000_000  # limit for decoding; 200 MB as RGBA. A decompression bomb of a few kB can claim billions
FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_log = logging.getLogger(__name__)


def fit_picture(data: bytes, width: int, height: int, scale: float = 1.0) -> Image.Image | None:
    """Return the first frame of an image in grey, at `scale` times its size but at most `width` x `height` pixels.

    None if it is not a valid PNG, JPEG, GIF or WebP image, or has more than `MOST_PIXELS` pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:  # reads the header only
            if image.width * image.height > MOST_PIXELS:
                return None
            natural = image.size
            image.draft("L", (width, height))  # decodes a JPEG at a half, quarter or eighth if that is enough
            upright = ImageOps.exif_transpose(image)
            grey = to_grey(upright)
    except Exception as exc:  # decoders raise many types on broken or hostile bytes; the caller shows a note instead
        _log.warning("a picture of %d bytes could not be decoded: %s: %s", len(data), type(exc).__name__, said(exc))
        return None
    if (upright.width < upright.height) != (natural[0] < natural[1]):
        natural = natural[::-1]  # rotated by its EXIF orientation
    factor = min(scale, width / natural[0], height / natural[1])
    size = (max(1, int(natural[0] * factor)), max(1, int(natural[1] * factor)))
    return grey.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


@lru_cache(maxsize=32)
def picture_html(data: bytes, width: int, height: int, scale: float) -> str:
    """Return an `<img>` with the image as a data URL, or an empty string if it cannot be drawn."""
    image = fit_picture(data, width, height, scale)
    if image is None:
        return ""
    address = base64.b64encode(encode_grey(image, 256)).decode("ascii")
    return f'<img width="{image.width}" height="{image.height}" src="data:image/png;base64,{address}">'
