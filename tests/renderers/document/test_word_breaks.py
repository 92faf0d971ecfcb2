"""Where words may break: after separators, never inside a name or a number that fits a row."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.renderers.document.word_breaks import NUMBER, WHOLE, cuttable, parts_of

SIGNS = st.sampled_from(list(",;:=/&?|)]}._-@+#%~<>([{*!$^\"'`\\↵⇢aB7é0"))


@given(st.text(SIGNS, min_size=1, max_size=120), st.booleans())
def test_parts_put_together_are_the_word(word: str, eager: bool) -> None:
    parts = parts_of(word, eager=eager)
    assert "".join(parts) == word
    assert all(parts)


@given(st.text(SIGNS, min_size=1, max_size=WHOLE).filter(lambda word: "↵" not in word))
def test_short_words_are_whole(word: str) -> None:
    assert parts_of(word) == (word,)


@given(st.text(SIGNS, min_size=WHOLE + 1, max_size=120), st.booleans())
def test_no_break_between_letters_and_digits(word: str, eager: bool) -> None:
    parts = parts_of(word, eager=eager)
    assert not any(before[-1].isalnum() and after[0].isalnum() for before, after in pairwise(parts))


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("./django/core/files/uploadedfile.py", ["./django/", "core/", "files/", "uploadedfile.py"]),
        ("self.assertEqual(actual,expected)", ["self.assertEqual(actual,", "expected)"]),
        (
            "https://example.com/a?from=2024-05-20&to=2024-06-01",
            ["https://", "example.com/", "a?", "from=", "2024-05-20&", "to=", "2024-06-01"],
        ),
        ("test_file_upload_default_permissions", ["test_", "file_", "upload_", "default_", "permissions"]),
        ("US122000000121212121212US122000000121212121212", ["US122000000121212121212US122000000121212121212"]),
        ("2024-05-20T12:30:11.123456+00:00", ["2024-05-20T12:30:11.123456+", "00:00"]),
        ("import↵os↵", ["import↵", "os↵"]),
        ("a↵↵b", ["a↵↵b"]),
    ],
)
def test_breaks_of_long_words(word: str, parts: list[str]) -> None:
    assert list(parts_of(word)) == parts


def test_json_breaks_after_separators_even_in_short_words() -> None:
    row = '{"flight":"HAT136","seats":{"economy":12},"at":"07:30"}'
    assert parts_of(row, eager=True) == ('{"flight":', '"HAT136",', '"seats":', '{"economy":', "12},", '"at":', '"07:30"}')


def test_long_lists_of_numbers_break() -> None:
    word = "1,22,333," * 8 + "4"
    assert len(word) > NUMBER
    assert parts_of(word)[:3] == ("1,", "22,", "333,")


@given(st.text(SIGNS, min_size=1, max_size=60))
def test_what_must_be_cut_is_not_cut_inside_a_pair_of_marks(part: str) -> None:
    pieces = cuttable(part)
    assert "".join(pieces) == part
    assert not any(piece[0] in "⇢↵" for piece in pieces[1:])
