"""Scores: known values, and laws that hold for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.calibration.scoring import Answered, Score, edits, normal, score, wilson

texts = st.text(max_size=24)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3: the Wilson score interval
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_as_published(hits: int, trials: int, low: float, high: float) -> None:
    assert wilson(hits, trials) == pytest.approx((low, high), abs=5e-5)


def test_wilsons_interval_at_its_ends() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(73, 73)[0] >= 0.95 > wilson(72, 72)[0], "73 of 73 is the least that shows 95 %"
    with pytest.raises(ValueError, match="cannot be"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson(1, 2, 1.0)


@given(st.integers(1, 400).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilsons_interval_holds_the_rate_and_mirrors(counts: tuple[int, int]) -> None:
    hits, trials = counts
    low, high = wilson(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1
    assert (1 - high, 1 - low) == pytest.approx(wilson(trials - hits, trials))


def test_edits_of_known_words() -> None:
    assert (edits("kitten", "sitting"), edits("", "abc"), edits("abc", ""), edits("flaw", "lawn")) == (3, 3, 3, 2)


@given(texts, texts, texts)
def test_edits_are_a_distance(one: str, other: str, third: str) -> None:
    assert edits(one, other) == edits(other, one)
    assert (edits(one, other) == 0) == (one == other)
    assert abs(len(one) - len(other)) <= edits(one, other) <= max(len(one), len(other))
    assert edits(one, third) <= edits(one, other) + edits(other, third)


@given(st.lists(st.builds(Answered, st.integers(1, 99), texts.filter(str.strip), st.none() | texts), max_size=12))
def test_every_text_is_exact_wrong_or_abstained(answers: list[Answered]) -> None:
    found = score(answers)
    assert found.probes == len(answers) == found.exact + found.wrong + found.abstained
    assert found.abstained == sum(item.answer is None for item in answers)
    assert (found.edits == 0) == (found.wrong == 0)
    assert sum((score([item]) for item in answers), Score()) == found


def test_what_counts_as_the_same() -> None:
    assert Answered(1, "a  b", "a\nb").is_exact
    assert not Answered(1, "ab", "a b").is_exact
    assert Answered(1, "f(0xab)", "f(0x ab)", spaced=False).is_exact
    assert normal("e\u0301 – “x”") == 'é - "x"'
    assert not Answered(1, "9f3a", "9F3A").is_exact


def test_silence_is_no_character_error() -> None:
    found = score([Answered(1, "abcd", None), Answered(2, "abcd", "abxd")])
    assert (found.error_rate, found.wrong, found.abstained) == (0.25, 1, 1)
