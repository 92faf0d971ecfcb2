"""The lint for confusable strings: what is in doubt, what the spelling decides, and that hostile text costs no more than any other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.text.confusables import HOMOGLYPHS, doubt
from optical_memory.text.exact_strings import exact_strings, sidecar_of
from optical_memory.text.token_count import open_counter
from tests.sampling import mostly_slow

COUNT = open_counter().count


@pytest.mark.parametrize("string", ["AI", "API", "III", "OpenAI", "Il1O0", "lO0k", "lIl", "O0", "iOS", "NO6JO3", "x_1l", "S5B8Z2", "10rn"])
def test_signs_that_the_spelling_does_not_decide_are_in_doubt(string: str) -> None:
    assert doubt(string) > 0


@pytest.mark.parametrize("string", ["Illinois", "ill", "modern", "clean", "In", "OK", "USA", "BOOLEAN", "getUserList", "McIlroy"])
def test_words_are_not(string: str) -> None:
    assert doubt(string) == 0


@pytest.mark.parametrize("string", ["2015", "1,001.50", "Привет", "Ελλάδα", "μm", "Δx", ""])
def test_numbers_and_words_of_one_script_are_not(string: str) -> None:
    assert doubt(string) == 0


@pytest.mark.parametrize(("string", "bits"), [("AI", 2.0), ("lO0k", 4.0), ("Il1O0", 8.0)])
def test_doubt_is_the_bits_that_twins_leave_open(string: str, bits: float) -> None:
    assert doubt(string) == bits


@given(st.sampled_from(sorted(HOMOGLYPHS)), st.text(alphabet="bcdefghij", min_size=1, max_size=9))
def test_a_letter_of_another_script_among_latin_ones_is_always_found(foreign: str, latin: str) -> None:
    word = latin + foreign
    assert doubt(word) > 0
    assert exact_strings(f"It said {word} here.") == [word]
    assert exact_strings(f"It said {latin + HOMOGLYPHS[foreign]} here.") != [word]


def test_a_foreign_homoglyph_looks_like_its_letter() -> None:
    assert all(letter.isascii() and letter.isalpha() and not foreign.isascii() for foreign, letter in HOMOGLYPHS.items())


def test_confusable_strings_go_to_the_sidecar_even_if_they_are_words() -> None:
    strings = sidecar_of(["The AI of pаypal, with a Cyrillic letter, said lIl and O0l to Illinois."], max_tokens=64, count=COUNT)
    assert set(strings) == {"AI", "pаypal", "lIl", "O0l"}


def test_an_identifier_that_nobody_guesses_comes_before_an_abbreviation() -> None:
    assert sidecar_of(["the AI of OpenAI in booking QX-77419"], max_tokens=64, count=COUNT)[0] == "QX-77419"


def test_of_two_as_hard_to_guess_the_one_with_twins_comes_first() -> None:
    assert sidecar_of(["codes KMRTXW34 and KOIlSB34"], max_tokens=64, count=COUNT)[0] == "KOIlSB34"


def test_what_stands_again_and_again_needs_no_place() -> None:
    assert sidecar_of(["AI " * 9 + "and lIl"], max_tokens=64, count=COUNT) == ("lIl",)


def test_a_word_of_two_scripts_needs_one_however_often_it_stands() -> None:
    assert sidecar_of(["pаypal " * 50], max_tokens=64, count=COUNT) == ("pаypal",)


@given(st.lists(st.text(alphabet="IlO01rnaе -", max_size=80), max_size=4), st.integers(0, 64))
def test_a_flood_of_confusable_strings_never_goes_over_the_budget(texts: list[str], budget: int) -> None:
    strings = sidecar_of(texts, max_tokens=budget, count=COUNT)
    assert sum(COUNT(string) + 1 for string in strings) <= budget
    assert all(any(string in text for text in texts) for string in strings)


@given(st.text(max_size=200), st.text(max_size=200))
def test_doubt_is_never_negative_and_adds_up_over_words(one: str, other: str) -> None:
    assert doubt(one) >= 0
    assert doubt(f"{one} {other}") == pytest.approx(doubt(one) + doubt(other))


@pytest.mark.parametrize("unit", mostly_slow(["I", "Il", "aA", "rn", "1l ", "аa", "aB1", "IL_", "\u0300a"], quick=["Il", "rn", "аa"]))
def test_hostile_text_is_looked_at_once(unit: str) -> None:
    """In time that grows with the square of the text's length this would not end within the suite's limit."""
    text = unit * (300_000 // len(unit))
    assert 0 <= doubt(text) <= 2 * len(text) + 16
    assert all(string in text for string in exact_strings(text[:200_000]))
