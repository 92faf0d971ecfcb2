"""Grey PNGs of few bits: encode a page, and scale it to another tier.

Two bits of grey are enough for hinted letters as they are drawn, four for smaller ones made from them (docs/experiments.md). Pillow
writes grey at eight bits only, and its `optimize` is ten times too slow, so the chunks are put together here; the packing and the deflate
are still C.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import lru_cache

from PIL import Image

from ..text.excerpts import excerpt

__all__ = ["decode_grey", "encode_colour", "encode_grey", "resize"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREYSCALE = 0  # colour type of the PNG specification, section 11.2.2
PACKERS = {1: "P;1", 2: "P;2", 4: "P;4", 8: "P"}  # Pillow's raw modes: samples of that many bits, rows padded to a byte
DEFLATE_LEVEL = 4  # level 4 takes a quarter of level 9's time for 6 % more bytes on pages of text


def encode_grey(image: Image.Image, levels: int) -> bytes:
    """Encode `image` as a PNG of `levels` evenly spaced greys, at the fewest of 1, 2, 4 or 8 bits per pixel.

    Deterministic. Accepts any mode; transparency is put on white. Raises `ValueError` unless 2 <= levels <= 256.
    """
    depth = _depth(levels)
    indexed = to_grey(image).point(_quantiser(levels, depth))
    indexed.putpalette(bytes(768))  # sets mode P without changing a pixel; only P packs below eight bits
    packed = indexed.tobytes("raw", PACKERS[depth])
    width, height = image.size
    stride = (width * depth + 7) // 8
    rows = b"".join(b"\0" + packed[start : start + stride] for start in range(0, stride * height, stride))
    header = struct.pack(">IIBBBBB", width, height, depth, GREYSCALE, 0, 0, 0)
    body = zlib.compress(rows, DEFLATE_LEVEL)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def encode_colour(image: Image.Image) -> bytes:
    """Encode `image` as a PNG in colour, eight bits a channel. Deterministic."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG", compress_level=DEFLATE_LEVEL)
    return buffer.getvalue()


def decode_grey(png: bytes) -> Image.Image:
    """Decode a PNG as eight-bit grey."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        return to_grey(image)


def resize(png: bytes, side: int | tuple[int, int], levels: int) -> bytes:
    """Scale the PNG of a page to another size.

    Bicubic without sharpening: a box filter causes an OCR reader three times the errors, and so does sharpening (docs/experiments.md).

    Args:
        png: the sealed page; one in colour stays in colour.
        side: the longer side in pixels, keeping the aspect ratio; or width and height.
        levels: greys of the result.
    """
    if min((side,) if isinstance(side, int) else side) < 1:
        raise ValueError(f"a picture cannot have side={excerpt(side)}; pass positive pixels")
    with Image.open(io.BytesIO(png), formats=("PNG",)) as opened:
        image = opened.convert("RGB") if opened.mode == "RGB" else to_grey(opened)
    size = _fit(image.size, side) if isinstance(side, int) else side
    if image.mode == "RGB":  # of a document's page in colour
        return png if size == image.size else encode_colour(image.resize(size, Image.Resampling.BICUBIC))
    if size == image.size:
        return encode_grey(image, levels)
    return encode_grey(image.resize(size, Image.Resampling.BICUBIC), levels)


def to_grey(image: Image.Image) -> Image.Image:
    """Convert `image` to mode L; transparency becomes white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("L")
    return image.convert("L")


def _depth(levels: int) -> int:
    if not 2 <= levels <= 256:
        raise ValueError(f"levels={excerpt(levels)} is not a number of greys; pass 2 to 256")
    return next(depth for depth in PACKERS if 2**depth >= levels)


@lru_cache(maxsize=8)
def _quantiser(levels: int, depth: int) -> list[int]:
    """Return a table from grey value to sample: the nearest of `levels` greys, scaled to `depth` bits."""
    top = 2**depth - 1
    return [round(round(value * (levels - 1) / 255) * top / (levels - 1)) for value in range(256)]


def _fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    longest = max(size)
    return max(1, round(size[0] * side / longest)), max(1, round(size[1] * side / longest))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
