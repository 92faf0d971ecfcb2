from __future__ import annotations

import pytest

from optical_memory.pages.tiers import Tier, gundam_grid, gundam_sequence_length, sequence_length


@pytest.mark.parametrize(
    ("tier", "side", "round_count", "length"),
    [(Tier.TINY, 512, 64, 73), (Tier.SMALL, 640, 100, 111), (Tier.BASE, 1024, 256, 273), (Tier.LARGE, 1280, 400, 421)],
)
def test_the_papers_tiers(tier: Tier, side: int, round_count: int, length: int) -> None:
    assert (tier.side, tier.vision_tokens, tier.sequence_length) == (side, round_count, length)


@pytest.mark.parametrize(
    ("size", "grid", "length"),
    [
        ((900, 1200), (2, 3), 903),
        ((1024, 1024), (2, 2), 693),
        ((1600, 900), (2, 1), 483),
        ((1240, 1754), (2, 3), 903),
        ((640, 640), (0, 0), 273),
    ],
)
def test_gundam_cuts_pages_as_the_published_code_does(size: tuple[int, int], grid: tuple[int, int], length: int) -> None:
    assert gundam_grid(*size) == grid
    assert gundam_sequence_length(*size) == length


def test_gundam_has_the_grid_that_max_tiles_allows() -> None:
    assert gundam_grid(640, 6_400, max_tiles=9) == (1, 9)
    assert gundam_grid(640, 6_400, max_tiles=6) == (1, 6)


def test_tiers_are_ordered_by_what_they_cost() -> None:
    costs = [tier.sequence_length for tier in Tier]
    assert costs == sorted(costs)
    assert sequence_length(1024) == Tier.BASE.sequence_length


def test_a_tier_by_name() -> None:
    assert Tier.parse("Small") is Tier.SMALL
    with pytest.raises(ValueError, match=r"'huge'.*tiny, small, base, large, gundam"):
        Tier.parse("huge")
