"""Fonts: what they cover is read right, and the right one is asked."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from PIL import ImageFont

from optical_memory.renderers.typography.fonts import BUNDLED, FontBook, find_system_fonts
from optical_memory.renderers.typography.sfnt import Coverage, read_faces
from optical_memory.renderers.typography.unifont import bitmap_covers, bitmap_glyph, hex_box

SYSTEM = find_system_fonts()
CJK = [path for path in SYSTEM if path.suffix == ".ttc" and "CJK" in path.name][:1]


def face_name(text: str, *, style: str = "sans", book: FontBook | None = None) -> str:
    face = (book or FontBook()).face_for([ord(char) for char in text], style)
    assert face is not None
    return face.path.name


@pytest.mark.parametrize("path", [*BUNDLED.values(), *SYSTEM[:: max(1, len(SYSTEM) // 8)]], ids=lambda path: path.name)
def test_coverage_is_what_another_reader_finds(path: Path) -> None:
    fonttools = pytest.importorskip("fontTools.ttLib", reason="fontTools is the yardstick here")
    for face in read_faces(path):
        mapped = fonttools.TTFont(path, lazy=True, fontNumber=face.index).getBestCmap()
        assert len(face.coverage) == len(mapped)
        assert all(code in face.coverage for code in mapped)


def test_a_file_that_is_no_font_has_no_faces(tmp_path: Path) -> None:
    whole = BUNDLED["mono"].read_bytes()
    for name, data in {
        "empty.ttf": b"",
        "text.ttf": b"not a font " * 50,
        "cut.ttf": whole[:200],
        "ttc.ttc": b"ttcf" + b"\xff" * 40,
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert read_faces(path) == []
    assert read_faces(tmp_path / "absent.ttf") == []


def test_ranges_are_merged() -> None:
    coverage = Coverage([(10, 12), (1, 3), (4, 5), (11, 20)])
    assert [code for code in range(25) if code in coverage] == [1, 2, 3, 4, 5, *range(10, 21)]
    assert len(coverage) == 16


def test_the_bundled_faces_come_first() -> None:
    assert face_name("a") == "OpticalMemorySans.ttf"
    assert face_name("a", style="bold") == "OpticalMemorySans-Bold.ttf"
    assert face_name("a", style="mono") == "DejaVuSansMono.ttf"
    assert face_name("ש", style="mono", book=FontBook(())) == "OpticalMemorySans.ttf"


def test_what_no_font_covers_has_no_face() -> None:
    assert FontBook(()).face_for([0x4E2D], "sans") is None
    assert FontBook(()).face_for([0xE000], "sans") is None


@pytest.mark.skipif(not CJK, reason="no CJK collection on this machine")
def test_east_asian_signs_come_from_one_font() -> None:
    names = {face_name(char) for char in "中、。「漢かカ한，"}
    assert names == {CJK[0].name.replace("Bold", "Regular").replace("Serif", "Sans")}
    assert "Bold" in face_name("中", style="bold")


def test_the_identity_follows_the_fonts(tmp_path: Path) -> None:
    font = tmp_path / "Some-Regular.ttf"
    font.write_bytes(BUNDLED["sans"].read_bytes())
    alone, with_font = FontBook(()).identity, FontBook([font]).identity
    assert alone == FontBook(()).identity != with_font
    font.write_bytes(BUNDLED["bold"].read_bytes())
    assert FontBook([font]).identity != with_font


def test_system_fonts_are_files_and_sorted() -> None:
    assert list(SYSTEM) == sorted(SYSTEM)
    assert all(path.is_file() for path in SYSTEM)
    assert not any("unifont" in path.name.lower() for path in SYSTEM)


def test_last_resort_covers_nearly_every_assigned_character() -> None:
    assigned = [code for code in range(0x21, 0xFFFE) if unicodedata.category(chr(code)) not in ("Cc", "Cf", "Cn", "Co", "Cs")]
    covered = [code for code in assigned if bitmap_covers(code)]
    assert len(covered) > 0.999 * len(assigned)
    assert not bitmap_covers(0xE000) and not bitmap_covers(0xD800) and not bitmap_covers(0x0378)
    assert bitmap_covers(0x1F600)


@pytest.mark.parametrize(("char", "width"), [("A", 8), ("中", 16), ("\u0300", 0)])
def test_bitmaps_have_their_widths(char: str, width: int) -> None:
    glyph = bitmap_glyph(ord(char), 16.0)
    assert glyph is not None
    advance, _, _, mask = glyph
    assert advance == width and mask.getbbox() is not None


def test_bitmaps_scale_by_whole_numbers_above_their_size() -> None:
    heights = {size: glyph[3].height for size in (9.0, 16.0, 20.0, 33.0) if (glyph := bitmap_glyph(0x4E2D, size))}
    assert heights == {9.0: 9, 16.0: 16, 20.0: 16, 33.0: 32}


def test_hex_boxes_differ_by_code_point() -> None:
    assert hex_box(0xE000, 16).tobytes() != hex_box(0xE001, 16).tobytes()
    assert hex_box(0x10FFFF, 16).width > hex_box(0xE000, 16).width


def test_licences_lie_beside_the_fonts() -> None:
    folder = BUNDLED["sans"].parent
    assert "Bitstream Vera" in (folder / "LICENSE-DejaVu.txt").read_text("utf-8")
    assert "SIL OPEN FONT LICENSE" in (folder / "LICENSE-Unifont.txt").read_text("utf-8")
    names = {style: str(ImageFont.truetype(path, 14).getname()[0]) for style, path in BUNDLED.items()}
    assert names == {style: "DejaVu Sans Mono" if "mono" in style else "Optical Memory Sans" for style in BUNDLED}
