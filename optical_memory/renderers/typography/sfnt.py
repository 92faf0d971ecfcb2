"""Read a font file's coverage: its table names, family name and character map only, so that 300 fonts take tens of milliseconds and a CJK
collection of 20 MB no more than others.

Layouts are those of the OpenType specification: `ttcf` header, table directory, `name` version 0, `cmap` formats 4, 6, 12 and 13.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["Coverage", "FaceInfo", "read_faces"]

TTC_TAG = b"ttcf"
UNICODE_SUBTABLES = ((3, 10), (0, 6), (0, 4), (3, 1), (0, 3), (0, 2), (0, 1), (0, 0))  # platform and encoding, the largest repertoire first
FAMILY_NAME = 1
OUTLINES = {b"glyf", b"CFF ", b"CFF2"}
STRIKES = {b"CBDT", b"sbix"}


class Coverage:
    """The code points of a font, as sorted ranges."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        merged: list[list[int]] = []
        for first, last in sorted(ranges):
            if merged and first <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], last)
            else:
                merged.append([first, last])
        self._first = array("I", (pair[0] for pair in merged))
        self._last = array("I", (pair[1] for pair in merged))

    def __contains__(self, code: int) -> bool:
        index = bisect_right(self._first, code) - 1
        return index >= 0 and code <= self._last[index]

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in zip(self._first, self._last, strict=True))


@dataclass(frozen=True, slots=True)
class FaceInfo:
    """One face of a font file.

    Attributes:
        index: its index in a collection, 0 in a plain file.
        family: its family name; empty if missing.
        coverage: the characters that it maps.
        has_strikes: whether its glyphs are bitmaps of fixed sizes (colour emoji), not outlines.
    """

    index: int
    family: str
    coverage: Coverage
    has_strikes: bool


def read_faces(path: Path) -> list[FaceInfo]:
    """Return the faces of a font file that FreeType can draw; none if it is not a valid font."""
    try:
        with path.open("rb") as file:
            faces = [_read_face(file, index, offset) for index, offset in enumerate(_face_offsets(file))]
    except (OSError, struct.error, IndexError, ValueError):
        return []
    return [face for face in faces if face is not None]


def _face_offsets(file: BinaryIO) -> list[int]:
    if file.read(4) != TTC_TAG:
        return [0]
    _, count = struct.unpack(">II", file.read(8))
    return list(struct.unpack(f">{count}I", file.read(4 * count)))


def _read_face(file: BinaryIO, index: int, offset: int) -> FaceInfo | None:
    tables = _table_directory(file, offset)
    has_strikes = bool(STRIKES & tables.keys())
    if b"cmap" not in tables or not (has_strikes or OUTLINES & tables.keys()) or _has_layered_paint(file, tables):
        return None
    coverage = Coverage(_mapped_ranges(_read(file, tables[b"cmap"])))
    return FaceInfo(index, _family(_read(file, tables[b"name"])) if b"name" in tables else "", coverage, has_strikes)


def _table_directory(file: BinaryIO, offset: int) -> dict[bytes, tuple[int, int]]:
    file.seek(offset)
    (count,) = struct.unpack(">4xH6x", file.read(12))
    rows = struct.iter_unpack(">4s4xII", file.read(16 * count))
    return {tag: (start, length) for tag, start, length in rows}


def _read(file: BinaryIO, place: tuple[int, int]) -> bytes:
    file.seek(place[0])
    return file.read(place[1])


def _has_layered_paint(file: BinaryIO, tables: dict[bytes, tuple[int, int]]) -> bool:
    """Whether a font uses COLR version 1: its plain outlines are empty, and FreeType alone does not paint the layers."""
    if b"COLR" not in tables or STRIKES & tables.keys():
        return False
    return _read(file, (tables[b"COLR"][0], 2)) == b"\0\1"


def _family(table: bytes) -> str:
    count, storage = struct.unpack_from(">2xHH", table)
    for platform, _, _, name, length, offset in struct.iter_unpack(">6H", table[6 : 6 + 12 * count]):
        if name == FAMILY_NAME and platform in (0, 3):
            return table[storage + offset : storage + offset + length].decode("utf-16-be", "replace")
    return ""


def _mapped_ranges(cmap: bytes) -> list[tuple[int, int]]:
    (count,) = struct.unpack_from(">2xH", cmap)
    subtables = {(platform, encoding): offset for platform, encoding, offset in struct.iter_unpack(">HHI", cmap[4 : 4 + 8 * count])}
    for key in UNICODE_SUBTABLES:
        if key in subtables:
            return _subtable_ranges(cmap, subtables[key])
    return []


def _subtable_ranges(cmap: bytes, start: int) -> list[tuple[int, int]]:
    (form,) = struct.unpack_from(">H", cmap, start)
    if form in (12, 13):
        (groups,) = struct.unpack_from(">12xI", cmap, start)
        return [(first, last) for first, last, _ in struct.iter_unpack(">III", cmap[start + 16 : start + 16 + 12 * groups])]
    if form == 6:
        first, entries = struct.unpack_from(">6xHH", cmap, start)
        return [(first, first + entries - 1)] if entries else []
    return _segment_ranges(cmap, start) if form == 4 else []


def _segment_ranges(cmap: bytes, start: int) -> list[tuple[int, int]]:
    """Return the ranges of format 4. Segments with a glyph array may have holes, so their glyphs are checked one by one."""
    (doubled,) = struct.unpack_from(">6xH", cmap, start)
    count = doubled // 2
    ends, starts, offsets_at = start + 14, start + 16 + doubled, start + 16 + 3 * doubled
    found: list[tuple[int, int]] = []
    for segment in range(count):
        (last,) = struct.unpack_from(">H", cmap, ends + 2 * segment)
        (first,) = struct.unpack_from(">H", cmap, starts + 2 * segment)
        (offset,) = struct.unpack_from(">H", cmap, offsets_at + 2 * segment)
        if first == 0xFFFF:  # the closing segment maps nothing
            continue
        if not offset:
            found.append((first, last))
            continue
        place = offsets_at + 2 * segment + offset
        glyphs = struct.unpack_from(f">{last - first + 1}H", cmap, place)
        found += [(first + index, first + index) for index, glyph in enumerate(glyphs) if glyph]
    return found
