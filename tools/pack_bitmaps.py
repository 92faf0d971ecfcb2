"""Packs the glyphs of GNU Unifont into `optical_memory/renderers/fonts/lastresort.xz`. Run by hand, when Unifont moves on.

    python tools/pack_bitmaps.py unifont.otf unifont_upper.otf

The format, inside the xz container, little endian: the number of runs (4 bytes); for each run of code points its first one, its length
and its kind (4 bytes each; kind 8 or 16: that many pixels wide; kind 0: a mark, 16 pixels wide, that ends where the pen is); then the
glyphs in the same order, 16 rows each, most significant bit leftmost.
"""

from __future__ import annotations

import lzma
import struct
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from PIL import Image, ImageDraw, ImageFont

TARGET = Path(__file__).parent.parent / "optical_memory" / "renderers" / "fonts" / "lastresort.xz"
HEIGHT = 16
BMP_END = 0x10000


def is_wanted(code: int) -> bool:
    """Whether a glyph is a character's own: Unifont draws boxes for controls, and in the first plane for what is unassigned."""
    category = unicodedata.category(chr(code))
    return category not in ("Cc", "Cf", "Cs", "Co") and not (category == "Cn" and code < BMP_END)


def glyphs(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Code point, kind and bitmap of each glyph of a font, in order."""
    font = ImageFont.truetype(path, HEIGHT, layout_engine=ImageFont.Layout.BASIC)
    for code in sorted(TTFont(path, lazy=True).getBestCmap()):
        if not is_wanted(code):
            continue
        kind = round(font.getlength(chr(code)))
        left, _, right, _ = font.getbbox(chr(code))
        pen = 0 if kind else 16 if left < 0 else max(0, 16 - int(right))
        cell = Image.new("1", (kind or 16, HEIGHT))
        ImageDraw.Draw(cell).text((pen, 0), chr(code), fill=1, font=font)
        yield code, kind, cell.tobytes()


def pack(paths: list[Path]) -> bytes:
    """The packed file of the glyphs of `paths`; an earlier font wins."""
    found = {code: (kind, bitmap) for path in reversed(paths) for code, kind, bitmap in glyphs(path)}
    runs: list[list[int]] = []
    for code, (kind, _) in sorted(found.items()):
        if not runs or runs[-1][0] + runs[-1][1] != code or runs[-1][2] != kind:
            runs.append([code, 0, kind])
        runs[-1][1] += 1
    bitmaps = [bitmap for _, (_, bitmap) in sorted(found.items())]
    index = b"".join(struct.pack("<III", *run) for run in runs)
    return lzma.compress(struct.pack("<I", len(runs)) + index + b"".join(bitmaps), preset=9 | lzma.PRESET_EXTREME)


if __name__ == "__main__":
    TARGET.write_bytes(pack([Path(argument) for argument in sys.argv[1:]]))
