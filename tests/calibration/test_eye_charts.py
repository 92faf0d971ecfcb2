"""Charts: the same for a seed, never twice the same text, drawn as pages are."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache

import pytest

from optical_memory.calibration.eye_charts import FILLS, KINDS, Chart, ChartName, draw, text_of
from optical_memory.pages.tiers import Tier
from optical_memory.readers import profile_of
from optical_memory.renderers.base import open_renderer

RENDERER = open_renderer("pillow")
PLAIN = profile_of("tesseract")


@cache
def chart(kind: str = "hex", tier: Tier = Tier.BASE, size: float = 14.0, at: int = 0, *, seed: int = 7) -> Chart:
    try:
        return draw(ChartName(kind, tier, size, at), RENDERER, PLAIN, seed=seed, probes=12)
    except ValueError as exc:
        pytest.skip(str(exc))


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_chart(kind: str) -> None:
    one, again, other = chart(kind), chart.__wrapped__(kind), chart(kind, seed=8)
    assert (one.probes, one.page.image(Tier.BASE)) == (again.probes, again.page.image(Tier.BASE))
    assert not {probe.text for probe in one.probes} & {probe.text for probe in other.probes}


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_comes_twice(kind: str) -> None:
    texts = [
        probe.text
        for tier in (Tier.TINY, Tier.BASE)
        for size in (11.0, 18.0)
        for at in range(2)
        for probe in chart(kind, tier, size, at).probes
    ]
    assert len(texts) == 8 * 12 == len(set(texts))


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_too_random_to_be_guessed(kind: str) -> None:
    rng = random.Random(1)
    assert len({text_of(kind, rng) for _ in range(2000)}) >= 1999
    letters = Counter(text_of("hex", rng)[0] for _ in range(3200))
    assert len(letters) == 16 and min(letters.values()) > 120, "each digit about as often"


def test_positions_and_fill_vary() -> None:
    charts = [chart(at=at) for at in range(3)]
    for drawn, wanted in zip(charts, FILLS, strict=True):
        assert drawn.fill == pytest.approx(wanted, abs=0.15)
    columns = {segment.box.left > 500 for segment in charts[0].page.segments if segment.turn in {p.number for p in charts[0].probes}}
    assert columns == {True, False}
    steps = {after.number - before.number for after, before in zip(charts[0].probes[1:], charts[0].probes, strict=False)}
    assert len(steps) > 2, "the numbers cannot be counted on"


@pytest.mark.parametrize("tier", list(Tier))
def test_a_chart_is_shown_at_every_rung(tier: Tier) -> None:
    drawn = chart(tier=tier)
    assert drawn.page.size(tier) == (tier.side, tier.side)
    assert drawn.page.image(tier).startswith(b"\x89PNG")


def test_probes_stand_whole_on_the_page() -> None:
    drawn = draw(ChartName("prose", Tier.BASE, 40.0, 0), RENDERER, PLAIN, seed=1, probes=60)
    whole = {segment.turn for segment in drawn.page.segments if not segment.continued and not segment.continues}
    assert 5 < len(drawn.probes) < 60
    assert {probe.number for probe in drawn.probes} <= whole
