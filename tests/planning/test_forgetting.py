from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory import ByAge, PageAge, Tier

ages = st.builds(PageAge, pages=st.integers(0, 500), turns=st.integers(0, 5_000), hours=st.floats(0, 9_000), importance=st.floats(0, 1))


def at(pages: int, importance: float = 0.5) -> PageAge:
    return PageAge(pages, 0, 0.0, importance)


def test_the_default_ladder() -> None:
    steps = [ByAge().tier(at(pages)) for pages in (0, 1, 2, 3, 6, 7, 22, 23, 86, 87)]
    g, large, b, s, t = Tier.GUNDAM, Tier.LARGE, Tier.BASE, Tier.SMALL, Tier.TINY
    assert steps == [g, large, large, b, b, s, s, t, t, None]


def test_importance_bends_age() -> None:
    assert ByAge().tier(at(4, importance=1.0)) is Tier.LARGE
    assert ByAge().tier(at(4, importance=0.0)) is Tier.SMALL


def test_ages_in_turns_and_hours() -> None:
    by_turns = ByAge(gundam=5, large=10, base=20, small=40, tiny=80, unit="turns")
    assert by_turns.tier(PageAge(pages=400, turns=7, hours=0)) is Tier.LARGE
    by_hours = ByAge(gundam=1, large=24, base=72, small=168, tiny=720, unit="hours")
    assert by_hours.tier(PageAge(pages=0, turns=0, hours=100)) is Tier.SMALL


@given(ages, st.integers(1, 100))
def test_nothing_gets_sharper_with_age(age: PageAge, more: int) -> None:
    older = PageAge(age.pages + more, age.turns + more, age.hours + more, age.importance)
    for unit in ("pages", "turns", "hours"):
        policy = ByAge(unit=unit)  # type: ignore[arg-type]
        assert (policy.tier(older) or 0) <= (policy.tier(age) or 0)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="must not fall"):
        ByAge(gundam=9, large=3)
    with pytest.raises(ValueError, match="'days'"):
        ByAge(unit="days")  # type: ignore[arg-type]
