"""The pixel renderer: its faces, where its rows break, and what it does with what a face lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from optical_memory.pages.page import PageStyle
from optical_memory.profiles.registry import profile_of
from optical_memory.renderers.bitmap.faces import PixelFace, face_for, pixel_faces
from optical_memory.renderers.bitmap.renderer import BitmapRenderer
from optical_memory.renderers.bitmap.rows import rows_of
from optical_memory.renderers.geometry import Canvas
from optical_memory.renderers.png import decode_grey
from optical_memory.turns.exchanges import exchanges_of
from optical_memory.turns.turn import Turn

DENSE = profile_of("claude-fable-5").page_style(pixels=True)
ALIKE = ["Il1|", "O0oQD", "S5", "B8", "Z2", "G6C", "g9q", "HK", "uv", "ce", "mn", ".,", ":;", "5S", "3B8", "4A"]
FACES = [pytest.param(face, id=f"{face.width}x{face.height}") for face in pixel_faces()]


@pytest.fixture(scope="module")
def renderer() -> Iterator[BitmapRenderer]:
    opened = BitmapRenderer()
    yield opened
    opened.close()


def pixels(face: PixelFace, text: str) -> Image.Image:
    return Image.frombytes("L", (len(text) * face.width, face.height), face.row(text))


def differing(face: PixelFace, one: str, other: str) -> int:
    """Pixels in which two letters differ."""
    return sum(a != b for a, b in zip(face.row(one), face.row(other), strict=True))


def said(*texts: str) -> list[Turn]:
    return [Turn(role=("user", "assistant")[place % 2], content=text, number=place + 1) for place, text in enumerate(texts)]


@pytest.mark.parametrize("face", FACES)
def test_letters_that_are_often_confused_are_not_twins(face: PixelFace) -> None:
    pairs = [pair for group in ALIKE for pair in combinations(group, 2)]
    assert {pair: differing(face, *pair) for pair in pairs if differing(face, *pair) < 2} == {}
    assert min(differing(face, *pair) for pair in combinations("Il1|O0", 2)) >= 2


@pytest.mark.parametrize("face", FACES)
def test_every_face_draws_its_marks_and_western_letters_and_each_differs(face: PixelFace) -> None:
    letters = "".join(map(chr, range(0x21, 0x7F))) + "↵⇢éßñüøåçÆ€–—’“”…•αβγΩабвЖ"
    assert face.draws(letters)
    assert all(face.tile(letter) != face.tile(" ") for letter in letters)
    typed = letters[: letters.index("é")]
    assert len({b"".join(face.tile(letter)) for letter in typed}) == len(typed)


def test_no_letter_touches_the_next_one_on_the_right() -> None:
    """At 5 x 8 px the last column stays white for letters and digits but m, w and the like, which fill their cell."""
    face = pixel_faces()[0]
    wide = {letter for letter in ascii_letters + digits if any(row[4] == 0 for row in face.tile(letter))}
    assert wide <= set("mwWMYVTvy")


def test_the_face_follows_the_canvas() -> None:
    assert [(face.width, face.height) for face in (face_for(Canvas(DENSE)), face_for(Canvas(replace(DENSE, scale=2.0))))] == [
        (5, 8),
        (10, 16),
    ]
    assert face_for(Canvas(PageStyle())).width == 7


def test_an_enlarged_face_has_larger_pixels() -> None:
    face = pixel_faces()[0]
    assert pixels(face.enlarged(3), "Ab").tobytes() == pixels(face, "Ab").resize((30, 24), Image.Resampling.NEAREST).tobytes()


def test_a_page_shows_exactly_the_letters_of_its_face(renderer: BitmapRenderer) -> None:
    (page,) = renderer.render(exchanges_of(said("The hash is 0f3aIl1O0.")), DENSE)
    canvas = Canvas(DENSE)
    expected = pixels(pixel_faces()[0], "#1 user The hash is 0f3aIl1O0.")
    box = page.segments[0].box
    top = box.top
    found = decode_grey(page.png).crop((canvas.left, top, canvas.left + expected.width, top + expected.height))
    assert found.tobytes() == expected.tobytes()


def test_what_the_face_lacks_is_set_in_the_sans_face_in_lines_of_its_own(renderer: BitmapRenderer) -> None:
    plain, mixed = ["before and after"], ["before\n我们去北京 🚆\nafter"]
    (one,), (other,) = renderer.render(exchanges_of(said(*plain)), DENSE), renderer.render(exchanges_of(said(*mixed)), DENSE)
    assert one.missing_glyphs == other.missing_glyphs == 0
    assert other.segments[0].box.height >= one.segments[0].box.height + 16 + 8  # a line of 14 px, and the last one


def test_a_line_end_is_a_mark_and_a_mark_of_the_text_is_drawn_twice(renderer: BitmapRenderer) -> None:
    face = pixel_faces()[0]
    (page,) = renderer.render(exchanges_of(said("one\ntwo ↵ three")), DENSE)
    canvas, expected = Canvas(DENSE), pixels(face, "#1 user one↵two ↵↵ three")
    top = page.segments[0].box.top
    found = decode_grey(page.png).crop((canvas.left, top, canvas.left + expected.width, top + expected.height))
    assert found.tobytes() == expected.tobytes()


def test_rows_break_at_spaces_and_keep_words_whole() -> None:
    assert list(rows_of("the quick brown fox jumps", 10)) == ["the quick", "brown fox", "jumps"]
    assert list(rows_of("see 0123456789abcdef", 12)) == ["see", "0123456789a⇢", "bcdef"]
    assert list(rows_of("a↵b", 2)) == ["a↵", "b"]


def test_indentation_after_a_line_end_goes_to_the_next_row() -> None:
    assert list(rows_of("if x:↵    return", 10)) == ["if x:↵", "    return"]


@given(text=st.text(alphabet='ab01 ,:{}"_-↵/.', max_size=400), width=st.integers(4, 40))
def test_rows_hold_every_letter_in_order_and_fit(text: str, width: int) -> None:
    rows = list(rows_of(text, width))
    assert all(len(row) <= width for row in rows)
    whole = "".join(row[:-1] if row.endswith("⇢") else row for row in rows)
    assert whole.replace(" ", "") == text.replace(" ", "")


def test_readers_of_whole_pixels_get_this_renderer_and_others_do_not() -> None:
    assert profile_of("claude-fable-5").renderer == profile_of("gemini-3.6-flash").renderer == "bitmap"
    assert {profile_of(name).renderer for name in ("claude-fable-5-1", "claude-opus-5", "gemini-3.5-pro", "gpt-5.6", "qwen3.5")} == {"auto"}
