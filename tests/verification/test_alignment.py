"""Where in a reading a text stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optical_memory.verification.alignment import best_match


def distance(one: str, other: str, *, anywhere: bool = False) -> int:
    """Edit distance by the textbook; to the nearest part of `other` if `anywhere`."""
    row = [0] * (len(other) + 1) if anywhere else list(range(len(other) + 1))
    for count, char in enumerate(one, start=1):
        diagonal, row[0] = row[0], count
        for at, wanted in enumerate(other, start=1):
            diagonal, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, diagonal + (wanted != char))
    return min(row) if anywhere else row[-1]


@given(st.text("abc", max_size=10), st.text("abc", max_size=30))
def test_no_part_of_a_text_is_nearer(pattern: str, text: str) -> None:
    start, end = best_match(pattern, text)
    assert 0 <= start <= end <= len(text)
    assert distance(pattern, text[start:end]) == distance(pattern, text, anywhere=True)
