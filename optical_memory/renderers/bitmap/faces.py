"""Pixel faces: letters of a fixed number of pixels, one cell each, drawn without greys and never scaled but by whole numbers."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from ..geometry import Canvas

__all__ = ["PixelFace", "face_for", "pixel_faces"]

PACKED = Path(__file__).parents[1] / "fonts" / "faces.xz"  # see tools/pack_faces.py for its format
TILES_KEPT = 20_000  # words of about half a kilobyte each
INK, PAPER = b"\0", b"\xff"

Tile = tuple[bytes, ...]
"""A word's rows of pixels, from the top, a byte a pixel."""


class _Glyphs(dict[str, Tile]):
    """The letters that were asked for so far, by what they are; the others are read from the packed rows when they are."""

    def __init__(self, size: tuple[int, int], codes: Sequence[int], rows: bytes) -> None:
        super().__init__()
        self._size, self._rows = size, rows
        self.places = {chr(code): place for place, code in enumerate(codes)}

    def __missing__(self, letter: str) -> Tile:
        width, height = self._size
        stride = (width + 7) // 8
        start = self.places[letter] * stride * height
        found = self[letter] = tuple(_pixels(self._rows[start + y * stride : start + (y + 1) * stride], width) for y in range(height))
        return found


class PixelFace:
    """The letters of one size.

    Args:
        glyphs: rows of each letter, a byte a pixel.
        factor: how many times larger than those it is drawn.
    """

    def __init__(self, size: tuple[int, int], glyphs: _Glyphs, factor: int = 1) -> None:
        self.width, self.height = size[0] * factor, size[1] * factor
        self._size, self._glyphs, self._factor = size, glyphs, factor
        self._tiles: dict[str, Tile] = {}

    def draws(self, text: str) -> bool:
        """Whether the face has every letter of `text`."""
        return self._glyphs.places.keys() >= set(text)

    def tile(self, word: str) -> Tile:
        """Return the pixels of a word, which has only letters that the face draws."""
        found = self._tiles.get(word)
        if found is None:
            if len(self._tiles) >= TILES_KEPT:
                self._tiles.clear()
            rows = map(b"".join, zip(*[self._glyphs[letter] for letter in word], strict=True))
            found = self._tiles[word] = tuple(rows if self._factor == 1 else _enlarged(rows, self._factor))
        return found

    def row(self, text: str) -> bytes:
        """Return the pixels of a line, row by row: `len(text) * width` times `height` bytes."""
        *words, last = text.split(" ")
        tiles = [self.tile(f"{word} ") for word in words]
        if last:
            tiles.append(self.tile(last))
        return b"".join([tile[y] for y in range(self.height) for tile in tiles])

    def enlarged(self, factor: int) -> PixelFace:
        """Return the face at a whole multiple of its size."""
        return PixelFace(self._size, self._glyphs, factor)


def _enlarged(rows: Iterable[bytes], factor: int) -> Iterator[bytes]:
    for row in rows:
        wide = b"".join(bytes([pixel]) * factor for pixel in row)
        yield from [wide] * factor


@lru_cache(maxsize=1)
def pixel_faces() -> tuple[PixelFace, ...]:
    """Read the faces that the package carries, from the smallest."""
    data, place, found = lzma.decompress(PACKED.read_bytes()), 0, list[PixelFace]()
    while place < len(data):
        width, height, count = struct.unpack_from("<3I", data, place)
        codes = struct.unpack_from(f"<{count}I", data, place + 12)
        place += 12 + 4 * count
        size = (width + 7) // 8 * height * count
        found.append(PixelFace((width, height), _Glyphs((width, height), codes, data[place : place + size])))
        place += size
    return tuple(found)


@lru_cache(maxsize=4096)
def _pixels(row: bytes, width: int) -> bytes:
    bits = f"{int.from_bytes(row, 'big'):0{8 * len(row)}b}"[:width]
    return b"".join(INK if bit == "1" else PAPER for bit in bits)


@lru_cache(maxsize=32)
def _sized(place: int, factor: int) -> PixelFace:
    return pixel_faces()[place].enlarged(factor)


def face_for(canvas: Canvas) -> PixelFace:
    """Return the largest face whose cell is no wider than a mean letter of the canvas and no higher than its line.

    The smallest one where none is that small.
    """
    wide, high = round(canvas.style.cell[0], 3), canvas.line
    sizes = []
    for place, face in enumerate(pixel_faces()):
        factor = min(int(wide // face.width), high // face.height)
        if factor:
            sizes.append((face.width * factor, face.height * factor, place, factor))
    return _sized(*max(sizes)[2:]) if sizes else _sized(0, 1)
