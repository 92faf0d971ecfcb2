"""Make the pages' sans faces out of DejaVu Sans 2.37: the same letters, but I, l and 0 look like no other sign. Run by hand.

    python tools/make_fonts.py FOLDER [--out FOLDER] [--zero plain|dot|slash]

The first folder holds DejaVuSans.ttf and DejaVuSans-Bold.ttf (Debian: /usr/share/fonts/truetype/dejavu). The same input gives the same
bytes.

I gets bars at its head and foot, l a tail, and zero a mark in its counter (docs/experiments.md has why it is a small dot). The glyphs are
drawn here and hinted in the manner of DejaVu's own, by its control values (the distances that it rounds alike: stems, bars, heights), so
that they stand on whole pixels as their neighbours do. Accented letters follow; Ы, the IJ ligature and Roman numerals, which have an I
beside other strokes, stay as they are.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from fontTools.ttLib.tables import ttProgram  # type: ignore[import-untyped]
from fontTools.ttLib.tables._g_l_y_f import Glyph, GlyphCoordinates  # type: ignore[import-untyped]

FAMILY = "Optical Memory Sans"  # the licence forbids the names of its makers in that of a changed font
TARGET = Path(__file__).parent.parent / "optical_memory" / "renderers" / "fonts"
CAP, ASCENDER = 1493, 1556  # 1/2048 em: heights of I and of l
Point = tuple[int, int, bool]  # x, y in 1/2048 em; whether the outline goes through it
NAMES = {1: "{family}", 3: "{whole} 2.37", 4: "{whole}", 6: "{file}", 16: "{family}"}  # of the name table, see its specification


@dataclass(frozen=True, slots=True)
class Face:
    """What the letters of a face measure, in 1/2048 em, and the control values by which it rounds that.

    Attributes:
        stem, bar: thickness of upright and level strokes of capitals.
        side, serif: white beside I; how far its bars stand out to either side of the stem.
        small_stem, tail, tail_bar: of l: its stem, how far its tail goes beyond, how thick it is.
        small_left: white before l.
        mark: thickness of the mark in zero.
        controls: indices of the control values for stem, bar, CAP, small_stem, tail_bar and ASCENDER.
    """

    source: str
    target: str
    stem: int
    bar: int
    side: int
    serif: int
    small_stem: int
    small_left: int
    tail: int
    tail_bar: int
    mark: int
    controls: tuple[int, int, int, int, int, int]


FACES = (
    Face("DejaVuSans.ttf", "OpticalMemorySans.ttf", 202, 170, 110, 230, 184, 193, 210, 154, 110, (28, 149, 175, 8, 169, 151)),
    Face("DejaVuSans-Bold.ttf", "OpticalMemorySans-Bold.ttf", 385, 266, 100, 230, 358, 172, 220, 256, 110, (22, 174, 193, 13, 161, 163)),
)


def barred_i(face: Face) -> tuple[Glyph, int]:
    """Capital I with a bar at its head and foot, and its advance."""
    left, inner = face.side, face.side + face.serif
    outer, right = inner + face.stem, inner + face.stem + face.serif
    top, bottom = CAP - face.bar, face.bar
    points = [(left, CAP), (right, CAP), (right, top), (outer, top), (outer, bottom), (right, bottom)]
    points += [(right, 0), (left, 0), (left, bottom), (inner, bottom), (inner, top), (left, top)]
    stem, bar, cap, *_ = face.controls
    program = f"""
        PUSHB[] 12 SRP0[] PUSHB[] 7 MDRP[10100] PUSHB[] 7 SRP2[] PUSHB[] 0 SHP[0]
        PUSHB[] 9 MDRP[10100] PUSHB[] 3 {stem} MIRP[11100]
        PUSHB[] 6 MDRP[10100] PUSHB[] 6 SRP2[] PUSHB[] 1 SHP[0] PUSHB[] 13 MDRP[00100]
        IUP[1] SVTCA[0]
        PUSHB[] 6 MDAP[1] PUSHB[] 4 {bar} MIRP[01100] PUSHB[] 8 SHP[0]
        PUSHB[] 0 {cap} MIRP[10100] PUSHB[] 2 {bar} MIRP[01100] PUSHB[] 10 SHP[0]
        IUP[0]"""
    return glyph_of([[(x, y, True) for x, y in points]], program), right + face.side


def tailed_l(face: Face) -> tuple[Glyph, int]:
    """Small l whose foot bends to the right as that of t does, and its advance. The stem stays where it was, and accents above it right."""
    left, right, bar = face.small_left, face.small_left + face.small_stem, face.tail_bar
    end = right + face.tail
    contour: list[Point] = [(left, ASCENDER, True), (right, ASCENDER, True), (right, 369, True), (right, 232, False)]
    contour += [(right + 75, bar, False), (right + 150, bar, True), (end, bar, True), (end, 0, True), (right + 110, 0, True)]
    contour += [(left + 120, 0, False), (left, 159, False), (left, 369, True)]
    *_, stem, thick, ascender = face.controls
    program = f"""
        PUSHB[] 12 SRP0[] PUSHB[] 0 MDRP[10100] PUSHB[] 2 {stem} MIRP[11100] PUSHB[] 6 MDRP[10100] PUSHB[] 13 MDRP[00100]
        PUSHB[] 6 2 SRP1[] SRP2[] PUSHB[] 5 IP[]
        IUP[1] SVTCA[0]
        PUSHB[] 7 MDAP[1] PUSHB[] 5 {thick} MIRP[01100] PUSHB[] 0 {ascender} MIRP[01100]
        IUP[0]"""
    return glyph_of([contour], program), end + 60


def marked_zero(zero: Glyph, mark: str, thick: int) -> Glyph:
    """Zero with a slash or a dot in its counter, which keeps its place between the hinted edges of the counter."""
    points = [(x, y, bool(flag & 1)) for (x, y), flag in zip(zero.coordinates, zero.flags, strict=True)]
    counter = [(x, y, number) for number, (x, y, _) in enumerate(points[:12])]
    left, right = min(counter), max(counter)
    bottom, top = min(counter, key=lambda point: point[1]), max(counter, key=lambda point: point[1])
    x, y = (left[0] + right[0]) // 2, (bottom[1] + top[1]) // 2
    wide, low, high = (thick // 2, 3 * thick // 4, 3 * thick // 4) if mark == "dot" else ((right[0] - left[0]) // 2 - 10, -288, 512)
    corners = [(x - wide, y - (low if mark == "dot" else high)), (x - wide, y + (high if mark == "dot" else low))]
    corners += [(x + wide, y + high), (x + wide, y - low)]
    lines = ["28" if line == "24" else line for line in zero.program.getAssembly()]  # the origin: the first number after the last point
    for first, last, end in ((left[2], right[2], "IUP[1]"), (bottom[2], top[2], "IUP[0]")):
        at = next(number for number, line in enumerate(lines) if line.startswith(end))
        lines[at:at] = [f"PUSHB[] {first} {last}", "SRP1[]", "SRP2[]", "PUSHB[] 24 25 26 27", "IP[]", "IP[]", "IP[]", "IP[]"]
    return glyph_of([points[:12], points[12:], [(x, y, True) for x, y in corners]], lines)


def glyph_of(contours: list[list[Point]], program: str | list[str]) -> Glyph:
    """A glyph with its instructions."""
    glyph = Glyph()
    points = [point for contour in contours for point in contour]
    glyph.numberOfContours = len(contours)
    glyph.coordinates = GlyphCoordinates([(x, y) for x, y, _ in points])
    glyph.flags = bytearray(on for _, _, on in points)
    glyph.endPtsOfContours = [sum(map(len, contours[: number + 1])) - 1 for number in range(len(contours))]
    glyph.program = ttProgram.Program()
    glyph.program.fromAssembly(program)
    return glyph


def replace(font: TTFont, name: str, glyph: Glyph, advance: int, shift: int) -> None:
    """Put a glyph in another's place.

    What is as wide as the old one is it with accents: it becomes as wide as the new one, and its accents move by `shift`. Where the old one
    stands beside other strokes, it goes on as `name.plain`.
    """
    table, widths = font["glyf"], font["hmtx"].metrics
    before, plain = widths[name][0], f"{name}.plain"
    font.setGlyphOrder([*font.getGlyphOrder(), plain])
    table.glyphOrder = font.getGlyphOrder()
    table.glyphs[plain], widths[plain] = copy.deepcopy(table[name]), widths[name]
    glyph.recalcBounds(table)
    table[name], widths[name] = glyph, (advance, glyph.xMin)
    alike = {name}  # and what is nothing but it: a Greek Iota, a Cyrillic I
    for other in accented_last(table):
        parts = table[other].components
        theirs = [part for part in parts if part.glyphName in alike]
        if not theirs:
            continue
        if follows := len(theirs) == 1 and widths[other][0] == before:
            for part in parts:
                part.x += 0 if part in theirs else shift
            alike |= {other} if len(parts) == 1 else set()
        else:
            for part in theirs:
                part.glyphName = plain
        table[other].recalcBounds(table)
        widths[other] = (advance if follows else widths[other][0], table[other].xMin)
    move_anchors(font, name, shift)


def accented_last(table: Any) -> list[str]:
    """Composite glyphs, those of one part first."""
    composites = [name for name in table.glyphOrder if table[name].isComposite()]
    return sorted(composites, key=lambda name: len(table[name].components) > 1)


def move_anchors(font: TTFont, name: str, shift: int) -> None:
    """Where combining marks are put on a glyph."""
    subtables: list[Any] = [subtable for lookup in font["GPOS"].table.LookupList.Lookup for subtable in lookup.SubTable]
    for subtable in subtables:
        subtable = getattr(subtable, "ExtSubTable", subtable)
        if subtable.LookupType == 4 and name in subtable.BaseCoverage.glyphs:  # mark to base
            record = subtable.BaseArray.BaseRecord[subtable.BaseCoverage.glyphs.index(name)]
            for anchor in filter(None, record.BaseAnchor):
                anchor.XCoordinate += shift


def rename(font: TTFont, file: str) -> None:
    """A name of its own, and no time stamp of the tool that made the original."""
    style = "" if font["name"].getDebugName(2) == "Book" else f" {font['name'].getDebugName(2)}"
    for record in font["name"].names:
        if record.nameID in NAMES:
            record.string = NAMES[record.nameID].format(family=FAMILY, whole=FAMILY + style, file=Path(file).stem)
    del font["FFTM"]


def make(face: Face, folder: Path, zero: str = "dot") -> TTFont:
    """A face, ready to be saved."""
    font = TTFont(folder / face.source, recalcTimestamp=False)
    before = font["hmtx"]["I"][0]
    barred, advance = barred_i(face)
    replace(font, "I", barred, advance, (advance - before) // 2)
    replace(font, "l", *tailed_l(face), 0)
    if zero != "plain":
        replace(font, "zero", marked_zero(font["glyf"]["zero"], zero, face.mark), font["hmtx"]["zero"][0], 0)
    rename(font, face.target)
    return font


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--zero", choices=["plain", "dot", "slash"], default="dot")
    arguments = parser.parse_args()
    for face in FACES:
        make(face, arguments.folder, arguments.zero).save(arguments.out / face.target)


if __name__ == "__main__":
    main()
