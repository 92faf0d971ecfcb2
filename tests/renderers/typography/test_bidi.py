"""Levels and visual order of text in both directions, against Unicode's own cases."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optical_memory.renderers.typography.bidi import base_level, has_rtl, levels_of, mirrored, visual_order

CASES = Path(__file__).parents[2] / "data" / "BidiCharacterTest.txt"
ANY_TEXT = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("אבا١1(2)[f],.% \t\n\u202e\u2067\u2069\u200f\ud800"), max_size=120
)


def shown(text: str, base: int | None = None) -> str:
    """The text as one line from left to right, brackets turned round where it runs right to left."""
    levels = levels_of(text, base_level(text) if base is None else base)
    return "".join(visual_order([mirrored(char) if level & 1 else char for char, level in zip(text, levels, strict=True)], levels))


def test_unicodes_own_cases() -> None:
    lines = [line.split(";") for line in CASES.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 400
    for points, asked, paragraph, resolved, order in lines:
        text, base = "".join(chr(int(point, 16)) for point in points.split()), int(paragraph)
        assert asked != "2" or base_level(text) == base, points
        levels = levels_of(text, base)
        kept = [index for index, level in enumerate(resolved.split()) if level != "x"]  # rule X9 takes the others away
        assert [str(levels[index]) for index in kept] == [level for level in resolved.split() if level != "x"], points
        assert visual_order(kept, [levels[index] for index in kept]) == [int(index) for index in order.split()], points


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("abc", "abc"),
        ("אבג", "גבא"),
        ("abc אבג 12", "abc 12 גבא"),
        ("אבג abc דה", "הד abc גבא"),
        ("אב 1,234.5 גד", "דג 1,234.5 בא"),
        ("אב 12.5% -3 גד", "דג 3- 12.5% בא"),
        ("اب 12-13 جد", "دج 13-12 با"),  # after Arabic letters digits are Arabic numbers, and a hyphen does not join those
        ("אב 12-13 גד", "דג 12-13 בא"),
        ("ab (אב) cd", "ab (בא) cd"),
        ("ال f(n) و", "و f(n) لا"),
        ("ال f(g(n), h[i]) و", "و f(g(n), h[i]) لا"),
        ("אב [a (b)] גד", "דג [a (b)] בא"),
        ("אב ((ג) a) דה", "הד (a (ג)) בא"),
        ("אב (12) [3] גד", "דג [3] (12) בא"),
        ("ab (גד 12) ef", "ab (12 דג) ef"),
        ("אב a) (b גד", "דג a) (b בא"),  # no pairs
        ("אב <b>גד</b>", "<b/>דג<b> בא"),  # angle signs are mirrored, and are no brackets
    ],
)
def test_texts_from_left_to_right(text: str, line: str) -> None:
    assert shown(text) == line


@pytest.mark.parametrize("mark", [*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", "\ud800"])
def test_explicit_formats_count_as_nothing(mark: str) -> None:
    plain = "abc (אב) 12 def"
    text = plain.replace(" ", f"{mark} ")
    kept = [level for char, level in zip(text, levels_of(text, 0), strict=True) if char != mark]
    assert kept == levels_of(plain, 0)
    assert base_level(f"{mark}אב") == 1 and base_level(f"{mark}ab{mark}אב") == 0


def test_a_paragraphs_direction_is_its_first_letters() -> None:
    assert [base_level(text) for text in ("", "12 (", "\n\nאב", "a\nאב", "12 اب a", "\u2067a\u2069אב")] == [0, 0, 1, 0, 1, 0]


def test_each_line_of_a_paragraph_begins_anew() -> None:
    assert levels_of("אב\n12", 0) == [1, 1, 0, 0, 0], "a number is not drawn along by the line above"
    assert levels_of("אב\tגד", 0) == [1, 1, 0, 1, 1], "a tab parts columns"


@given(ANY_TEXT, st.sampled_from([0, 1]))
@example("    levels: [\n        Level(\n            9,\n        ),\n    ],\nא", 0)  # as what the levels are read from spells them
@example('"א\\', 1)
def test_every_character_has_a_level_and_a_place(text: str, base: int) -> None:
    levels = levels_of(text, base)
    assert len(levels) == len(text) and all(base <= level <= base + 2 for level in levels)
    assert sorted(visual_order(list(text), levels)) == sorted(text)
    if not base and not has_rtl(text):
        assert visual_order(list(text), levels) == list(text)


@given(st.text(st.sampled_from("abאבابت12 ([)].,"), max_size=60), st.sampled_from([0, 1]))
def test_letters_of_a_run_share_its_level(text: str, base: int) -> None:
    """Each letter twice changes no level: what is resolved once for a run of letters holds for all of them."""
    doubled = "".join(char * 2 if char.isalpha() else char for char in text)
    once = [level for char, level in zip(text, levels_of(text, base), strict=True) for _ in range(2 if char.isalpha() else 1)]
    assert levels_of(doubled, base) == once
