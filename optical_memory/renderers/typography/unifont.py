"""Last-resort glyphs: 16-pixel bitmaps of GNU Unifont for nearly every assigned character, and a hex box for the rest.

They complete a page on a machine without a font of a script. They neither join nor reorder, so Arabic and the Indic scripts appear as
separate letters; install a font for those (`optical-memory doctor` says which).
"""

from __future__ import annotations

import lzma
import struct
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from PIL import Image

__all__ = ["GLYPH_HEIGHT", "bitmap_covers", "bitmap_glyph", "hex_box"]

GLYPH_HEIGHT = 16  # pixels; Unifont's cell
GLYPH_BASELINE = 14  # pixels from the top of the cell to the baseline (the font's own ascent)
PACKED = Path(__file__).parents[1] / "fonts" / "lastresort.xz"

# Hex digits of 3 x 5 pixels, one octal digit per row: the smallest legible size.
_SHAPES = "75557 26227 71747 71717 55711 74717 74757 71222 75757 75717 25755 65656 34443 65556 74647 74644"
HEX_DIGITS = dict(zip("0123456789ABCDEF", _SHAPES.split(), strict=True))


class _Packed:
    """The unpacked file: see tools/pack_bitmaps.py for its format."""

    def __init__(self, path: Path) -> None:
        data = lzma.decompress(path.read_bytes())
        (count,) = struct.unpack_from("<I", data)
        runs = list(struct.iter_unpack("<III", data[4 : 4 + 12 * count]))
        self._first = [run[0] for run in runs]
        self._length = [run[1] for run in runs]
        self._kind = [run[2] for run in runs]
        sizes = (length * glyph_size(kind) for _, length, kind in runs)
        self._start = list(accumulate(sizes, initial=4 + 12 * count))
        self._data = data

    def run_of(self, code: int) -> int | None:
        """Return the index of the run that holds `code`."""
        run = bisect_right(self._first, code) - 1
        return run if run >= 0 and code < self._first[run] + self._length[run] else None

    def find(self, code: int) -> tuple[int, bytes] | None:
        """Return kind and rows of a glyph."""
        run = self.run_of(code)
        if run is None:
            return None
        kind = self._kind[run]
        start = self._start[run] + (code - self._first[run]) * glyph_size(kind)
        return kind, self._data[start : start + glyph_size(kind)]


def glyph_size(kind: int) -> int:
    """Return the bytes of a glyph of `kind` pixels width; a mark (0) takes 16."""
    return (kind or 16) * GLYPH_HEIGHT // 8


@lru_cache(maxsize=1)
def _packed() -> _Packed:
    return _Packed(PACKED)


def bitmap_covers(code: int) -> bool:
    """Whether there is a bitmap for a code point."""
    return _packed().run_of(code) is not None


def bitmap_glyph(code: int, size: float) -> tuple[int, int, int, Image.Image] | None:
    """Return a glyph for a font of `size` pixels.

    Returns advance, left edge relative to the pen, top relative to the baseline (in pixels), and a mask of mode L; None if there is none.
    Scales by whole numbers, for crisp pixels; below 14 px, where a cell would not fit the line, the glyph is shrunk.
    """
    found = _packed().find(code)
    if found is None:
        return None
    kind, rows = found
    mask = Image.frombytes("1", (kind or 16, GLYPH_HEIGHT), rows).convert("L")
    scale = max(1, round(size / GLYPH_HEIGHT)) if size >= GLYPH_BASELINE else size / GLYPH_HEIGHT
    if scale != 1:
        resample = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BICUBIC
        mask = mask.resize((max(1, round(mask.width * scale)), max(1, round(GLYPH_HEIGHT * scale))), resample)
    return (mask.width if kind else 0), (0 if kind else -mask.width), -round(GLYPH_BASELINE * scale), mask


def hex_box(code: int, size: float) -> Image.Image:
    """Draw a box of about `size` pixels with the code point in hexadecimal, as a mask of mode L, for a character without a glyph."""
    digits = f"{code:04X}" if code < 0x10000 else f"{code:06X}"
    columns = len(digits) // 2
    pixel = max(1, int(size) // 15)
    cell = Image.new("L", (4 * columns + 5, 15), 0)
    _frame(cell)
    for index, digit in enumerate(digits):
        left, top = 3 + 4 * (index % columns), 2 + 6 * (index // columns)
        for y, row in enumerate(HEX_DIGITS[digit]):
            for x in range(3):
                if int(row, 8) >> (2 - x) & 1:
                    cell.putpixel((left + x, top + y), 255)
    return cell if pixel == 1 else cell.resize((cell.width * pixel, cell.height * pixel), Image.Resampling.NEAREST)


def _frame(cell: Image.Image) -> None:
    right, bottom = cell.width - 2, cell.height - 1
    for x in range(1, right + 1):
        cell.putpixel((x, 0), 255)
        cell.putpixel((x, bottom), 255)
    for y in range(bottom + 1):
        cell.putpixel((1, y), 255)
        cell.putpixel((right, y), 255)
