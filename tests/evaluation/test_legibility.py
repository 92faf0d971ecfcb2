"""The yardstick of legibility: errors are counted right, and the default page keeps its promise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._reading import LEAST_COVERED, faults, has_reader, score
from benchmarks._samples import KINDS
from benchmarks.legibility import Cell, measure, renderers
from optical_memory.pages.tiers import Tier
from tests.sampling import mostly_slow


def distances(truth: str, reading: str) -> list[int]:
    """Edit distances of `reading` to every beginning of `truth`, by the textbook."""
    row = list(range(len(truth) + 1))
    for count, char in enumerate(reading, start=1):
        diagonal, row[0] = row[0], count
        for at, wanted in enumerate(truth, start=1):
            diagonal, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, diagonal + (wanted != char))
    return row


@given(st.text("abc", min_size=1, max_size=20), st.text("abc", max_size=20))
def test_the_fewest_errors_are_counted(truth: str, reading: str) -> None:
    least = min(len(truth), max(1, int(LEAST_COVERED * len(reading))))
    assert sum(faults(truth, reading)) == min(distances(truth, reading)[least:])


def test_heads_and_marks_are_counted_apart() -> None:
    found = score("#17 user Pay 12.50 now↵and go", "#11 user Pay 12.50 now J and go", spaces=True)
    assert (found.errors, found.numbers, found.numbers_right) == (0, 1, 0)
    assert (found.words, found.words_right) == (1, 1)


def test_what_stands_on_the_next_page_is_no_error() -> None:
    assert score("#1 user one two three four five six", "#1 user one two three four", spaces=True).errors == 0


def test_a_wrong_digit_spoils_its_word() -> None:
    found = score("#1 tool order 77419 of 2024-05-01", "#1 tool order 77479 of 2024-05-01", spaces=True)
    assert (found.errors, found.words, found.words_right) == (1, 2, 1)


@pytest.mark.skipif(not has_reader(), reason="no Tesseract with English here: apt install tesseract-ocr")
@pytest.mark.parametrize("renderer", mostly_slow(renderers(), quick=["pillow"]))
def test_prose_is_read_at_small_with_one_error_in_a_hundred(renderer: str) -> None:
    found = measure(Cell(KINDS["prose"], Tier.SMALL, renderer), pages=1)
    assert found.tokens > 1_500
    assert found.score.error_rate <= 0.01
    assert found.score.numbers_right == found.score.numbers > 0
