"""Packs pixel faces of the X11 fonts "misc-fixed" into `optical_memory/renderers/fonts/faces.xz`. Run by hand.

    apt-get download xfonts-base && dpkg-deb -x xfonts-base_*.deb x
    python tools/pack_faces.py x/usr/share/fonts/X11/misc

The fonts are in the public domain. Two letters are drawn anew in each face, for no two signs may look alike: a 0 with a stroke through it,
and an l that is a stem with a foot to the right; so are the marks of a line end and of a cut. Characters that need shaping, marks on others
or an order from right to left are left out: the renderer sets them in another face.

The format, inside the xz container, little endian: for each face its width, height and number of glyphs (4 bytes each), their code points
in order (4 bytes each), and their rows, each of whole bytes, most significant bit leftmost.
"""

from __future__ import annotations

import gzip
import lzma
import struct
import sys
import unicodedata
from pathlib import Path
from typing import NamedTuple

TARGET = Path(__file__).parent.parent / "optical_memory" / "renderers" / "fonts" / "faces.xz"
FACES = ("5x8", "6x10", "6x12", "7x13", "8x13", "9x15", "9x18", "10x20")
METRICS, BITMAPS, ENCODINGS, ACCELERATORS = 4, 8, 32, 2  # tables of the PCF format (X.Org, libXfont, pcf.h)
COMPRESSED, BIG_ENDIAN, MSB_FIRST = 0x100, 4, 8
Cell = list[list[int]]


class Table(NamedTuple):
    """A table of a PCF file: its format, its byte order for `struct`, and where its data begins."""

    format: int
    order: str
    start: int


class Glyph(NamedTuple):
    """A glyph: its left edge, its height above the baseline, and its rows of bits."""

    left: int
    ascent: int
    rows: Cell


def tables(data: bytes) -> dict[int, Table]:
    """Return the tables of a PCF file by kind."""
    found = {}
    for place in range(struct.unpack_from("<I", data, 4)[0]):
        kind, _, _, start = struct.unpack_from("<IIII", data, 8 + 16 * place)
        form = struct.unpack_from("<I", data, start)[0]
        found[kind] = Table(form, ">" if form & BIG_ENDIAN else "<", start + 4)
    return found


def metrics(data: bytes, table: Table) -> list[tuple[int, ...]]:
    """Return left, right, advance, ascent and descent of each glyph."""
    if table.format & COMPRESSED:
        count = struct.unpack_from(f"{table.order}H", data, table.start)[0]
        return [tuple(value - 128 for value in data[at : at + 5]) for at in range(table.start + 2, table.start + 2 + 5 * count, 5)]
    count = struct.unpack_from(f"{table.order}I", data, table.start)[0]
    return [struct.unpack_from(f"{table.order}5h", data, table.start + 4 + 12 * place) for place in range(count)]


def encodings(data: bytes, table: Table) -> dict[int, int]:
    """Return the glyph of each code point."""
    low, high, first, last, _ = struct.unpack_from(f"{table.order}5H", data, table.start)
    span = high - low + 1
    glyphs = struct.unpack_from(f"{table.order}{span * (last - first + 1)}H", data, table.start + 10)
    return {(first + place // span) * 256 + low + place % span: glyph for place, glyph in enumerate(glyphs) if glyph != 0xFFFF}


def glyphs(data: bytes) -> dict[int, Glyph]:
    """Return the glyphs of a PCF file by code point."""
    found, table = tables(data), tables(data)[BITMAPS]
    sizes = metrics(data, found[METRICS])
    count = struct.unpack_from(f"{table.order}I", data, table.start)[0]
    offsets = struct.unpack_from(f"{table.order}{count}I", data, table.start + 4)
    start, pad = table.start + 4 + 4 * count + 16, 1 << (table.format & 3)
    result = {}
    for code, place in encodings(data, found[ENCODINGS]).items():
        left, right, _, ascent, descent = sizes[place][:5]
        stride = -(-((right - left + 7) // 8) // pad) * pad
        begin = start + offsets[place]
        rows = [data[begin + y * stride : begin + (y + 1) * stride] for y in range(ascent + descent)]
        bits = [[_bit(row, x, msb=bool(table.format & MSB_FIRST)) for x in range(right - left)] for row in rows]
        result[code] = Glyph(left, ascent, bits)
    return result


def _bit(row: bytes, x: int, *, msb: bool) -> int:
    return row[x // 8] >> (7 - x % 8 if msb else x % 8) & 1


def cell_of(glyph: Glyph, size: tuple[int, int], baseline: int) -> Cell:
    """Return a glyph in its cell."""
    width, height = size
    cell = [[0] * width for _ in range(height)]
    for y, row in enumerate(glyph.rows, start=baseline - glyph.ascent):
        for x, bit in enumerate(row, start=glyph.left):
            if bit and 0 <= y < height and 0 <= x < width:
                cell[y][x] = 1
    return cell


def is_wanted(code: int) -> bool:
    """Whether a character is drawn alone, from left to right."""
    char = chr(code)
    plain = unicodedata.category(char)[0] not in "CM" and unicodedata.category(char) not in ("Zs", "Zl", "Zp")
    return code == 0x20 or (plain and unicodedata.bidirectional(char) not in ("R", "AL", "AN") and code < 0xFFF0)


def with_stroke(zero: Cell) -> Cell:
    """Return a 0 with a stroke inside, from the lower left to the upper right."""
    rows = [y for y, row in enumerate(zero) if any(row)]
    left = min(x for row in zero for x, bit in enumerate(row) if bit)
    right = max(x for row in zero for x, bit in enumerate(row) if bit)
    inside, high = list(range(left + 1, right)), rows[2:-2]
    for place, y in enumerate(high):
        zero[y][inside[(len(high) - 1 - place) * len(inside) // len(high)]] = 1
    return zero


def with_foot(letter: Cell) -> Cell:
    """Return an l as a stem with a foot to the right."""
    rows = [y for y, row in enumerate(letter) if any(row)]
    stem = max(range(len(letter[0])), key=lambda x: sum(row[x] for row in letter))
    stem = min(stem, len(letter[0]) - 4)  # the last column stays white
    for y in rows[:-1]:
        letter[y] = [int(x == stem) for x in range(len(letter[0]))]
    letter[rows[-1]] = [int(x in (stem + 1, stem + 2)) for x in range(len(letter[0]))]
    return letter


def join_mark(width: int, height: int, baseline: int) -> Cell:
    """Draw the mark of a line end, an arrow that goes down and to the left."""
    cell, middle, right = [[0] * width for _ in range(height)], baseline - max(2, height // 5), width - 2
    for y in range(middle - max(2, height // 4), middle + 1):
        cell[y][right] = 1
    cell[middle] = [int(x <= right) for x in range(width)]
    for step in range(1, max(1, width // 4) + 1):
        cell[middle - step][step] = cell[middle + step][step] = 1
    return cell


def cut_mark(width: int, height: int, baseline: int) -> Cell:
    """Draw the mark of a cut, a dashed arrow to the right."""
    cell, middle = [[0] * width for _ in range(height)], baseline - max(2, height // 4)
    cell[middle] = [int(x % 3 != 1 and x < width - 1) for x in range(width)]
    for step in range(1, max(1, width // 4) + 1):
        cell[middle - step][width - 2 - step] = cell[middle + step][width - 2 - step] = 1
    cell[middle][width - 2] = cell[middle][width - 3] = 1
    return cell


# Too small for a rule: the 0 of 5 x 8 px is drawn by hand, as wide as the O.
SMALL_ZERO = [[int(bit) for bit in row] for row in ["00000", "01100", "10010", "10110", "11010", "10010", "01100", "00000"]]


def face(path: Path, name: str) -> bytes:
    """Return one face, packed."""
    data = gzip.decompress(path.read_bytes())
    table = tables(data)[ACCELERATORS]
    baseline = struct.unpack_from(f"{table.order}i", data, table.start + 8)[0]
    width, height = map(int, name.split("x"))
    cells = {code: cell_of(glyph, (width, height), baseline) for code, glyph in sorted(glyphs(data).items()) if is_wanted(code)}
    cells[ord("0")] = SMALL_ZERO if name == "5x8" else with_stroke(cells[ord("0")])
    cells[ord("l")] = with_foot(cells[ord("l")])
    cells[ord("↵")] = join_mark(width, height, baseline)
    cells[ord("⇢")] = cut_mark(width, height, baseline)
    cells = dict(sorted(cells.items()))
    kept = {code: cell for code, cell in cells.items() if code == 0x20 or any(map(any, cell))}
    rows = b"".join(_packed(row) for cell in kept.values() for row in cell)
    return struct.pack(f"<3I{len(kept)}I", width, height, len(kept), *kept) + rows


def _packed(row: list[int]) -> bytes:
    size = (len(row) + 7) // 8
    return (int("".join(map(str, row)), 2) << (8 * size - len(row))).to_bytes(size, "big")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    packed = b"".join(face(folder / f"{name}.pcf.gz", name) for name in FACES)
    TARGET.write_bytes(lzma.compress(packed, preset=9 | lzma.PRESET_EXTREME))
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
