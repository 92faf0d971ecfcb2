"""The table of the paper, as a judge: dense pages stay high, sparse ones may fall."""

from __future__ import annotations

import pytest

from optical_memory.pages.page import Box, Page, Segment
from optical_memory.pages.tiers import Tier
from optical_memory.verification.density import FOX_SMALL, FOX_TINY, ByDensity


def page(tokens: int, width: int = 1024, height: int = 1024) -> Page:
    return Page("k-0", 1, (Segment(1, (Box(0, 0, width, height),)),), tokens, (), width, height)


@pytest.mark.parametrize(("tier", "rows"), [(Tier.TINY, FOX_TINY), (Tier.SMALL, FOX_SMALL)])
def test_at_a_ratio_of_the_table_the_table_is_given_back(tier: Tier, rows: tuple[tuple[float, float], ...]) -> None:
    for ratio, precision in rows:
        found = ByDensity().verify(page(round(ratio * tier.vision_tokens)), [], tier)
        assert found.score == pytest.approx(precision, abs=0.02), ratio
        assert found.error_rate == pytest.approx(1 - found.score)


def test_slides_pass_at_tiny_books_at_base_and_newspapers_at_none_below() -> None:
    faintest = {tokens: next(tier for tier in Tier if ByDensity().verify(page(tokens), [], tier).passed) for tokens in (300, 1_500, 3_500)}
    assert faintest == {300: Tier.TINY, 1_500: Tier.BASE, 3_500: Tier.LARGE}


def test_what_passes_at_a_tier_passes_at_every_sharper_one() -> None:
    for tokens in range(50, 6_000, 50):
        verdicts = [ByDensity().verify(page(tokens), [], tier).passed for tier in Tier]
        assert verdicts == sorted(verdicts), tokens


def test_a_lower_precision_passes_more_and_is_another_verifier() -> None:
    lax = ByDensity(0.8)
    assert lax.verify(page(1_000), [], Tier.TINY).passed and not ByDensity().verify(page(1_000), [], Tier.TINY).passed
    assert lax.fingerprint != ByDensity().fingerprint == ByDensity(0.96).fingerprint
    with pytest.raises(ValueError, match=r"a share from 0 to 1; got 96"):
        ByDensity(96)


def test_half_a_page_has_half_the_tokens_to_be_read_with() -> None:
    assert ByDensity().verify(page(600), [], Tier.TINY).passed
    assert not ByDensity().verify(page(600, height=512), [], Tier.TINY).passed
