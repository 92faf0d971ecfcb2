"""Providers that bill a whole request at a higher price above a length: the plan stays below where that pays."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from benchmarks.replay import Bill, pieces
from optical_memory import OpticalMemory, WaterMarks
from optical_memory.context.context import Context
from optical_memory.pages.tiers import Tier
from optical_memory.planning.triggers import replan_reason
from optical_memory.profiles.profile import LengthCliff, ReaderProfile
from optical_memory.profiles.registry import profile_of
from tests.sampling import examples
from tests.support import RuledRenderer

MARKS = WaterMarks(high=600, low=100)


def reader(above: int | None, factor: float = 2.0, name: str = "claude") -> ReaderProfile:
    plain = profile_of(name)
    cliff = LengthCliff(above=above, factor=factor) if above else None
    return plain.model_copy(update={"cache": plain.cache.model_copy(update={"cliff": cliff, "minimum": None})})


def memory_of(profile: ReaderProfile) -> OpticalMemory:
    return OpticalMemory("s", store="memory://", reader=profile, renderer=RuledRenderer(rows=12_000), marks=MARKS)


def said(sizes: Sequence[int]) -> list[tuple[str, str]]:
    return [("assistant" if number % 2 else "user", f"turn {number} says " + "and so on, " * size) for number, size in enumerate(sizes)]


def context_of(profile: ReaderProfile, sizes: Sequence[int], budget: int | None = None) -> Context:
    with memory_of(profile) as memory:
        memory.extend(said(sizes))
        return memory.context(budget)


def price(context: Context) -> float:
    return context.usage.prompt_tokens * context.usage.price_factor


@given(
    sizes=st.lists(st.integers(1, 600), min_size=8, max_size=30),
    share=st.floats(0.5, 1.1),
    factor=st.sampled_from([1.5, 2.0, 5.0]),
    name=st.sampled_from(["claude", "gpt-6", "claude-haiku-5.5"]),
    budget=st.one_of(st.none(), st.integers(8_000, 30_000)),
)
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_crossing_is_never_dearer_nor_shows_less(sizes: list[int], share: float, factor: float, name: str, budget: int | None) -> None:
    unknowing = context_of(reader(None, name=name), sizes, budget)
    above = max(1, int(share * unknowing.usage.prompt_tokens))
    knowing = context_of(reader(above, factor, name), sizes, budget)
    crosses = unknowing.usage.prompt_tokens > above
    event(f"crosses: {crosses}, avoided: {crosses and knowing.usage.price_factor == 1}")
    assert price(knowing) <= unknowing.usage.prompt_tokens * (factor if crosses else 1)
    assert price(knowing) <= max(1.0, reader(above, factor).cache.factor(knowing.usage.text_tokens)) * knowing.usage.text_tokens
    assert knowing.usage.turns_left_out <= unknowing.usage.turns_left_out
    assert knowing.plan.crosses == (knowing.usage.price_factor > 1) == (knowing.usage.prompt_tokens > above)


def test_pages_are_fainter_below_the_length_and_all_are_there() -> None:
    sizes = [300] * 80
    free = context_of(reader(None), sizes)
    above = free.usage.prompt_tokens - 500
    kept = context_of(reader(above), sizes)
    assert kept.usage.prompt_tokens <= above < free.usage.prompt_tokens
    assert kept.usage.turns_left_out == free.usage.turns_left_out == 0
    assert kept.usage.pages_by_tier[Tier.SMALL] > free.usage.pages_by_tier.get(Tier.SMALL, 0)
    assert (kept.usage.price_factor, kept.plan.budget, kept.plan.squeezed) == (1.0, None, False)


def test_where_only_leaving_out_would_stay_below_the_context_says_what_it_costs() -> None:
    sizes = [300] * 80
    crossing = context_of(reader(4_000), sizes)
    assert crossing.plan.crosses and crossing.usage.price_factor == 2
    assert "billed at 2 times the price for its length" in str(crossing.usage)
    budgeted = context_of(reader(4_000), sizes, 4_000)
    assert budgeted.usage.prompt_tokens <= 4_000 and budgeted.usage.turns_left_out > 0
    assert "billed at" not in str(budgeted.usage)


@pytest.mark.slow
def test_a_plan_that_crosses_is_not_made_again_for_each_turn() -> None:
    with memory_of(reader(4_000)) as memory:
        epochs = []
        for role, words in said([150] * 60):
            memory.append((role, words))
            epochs.append(memory.context().plan.epoch)
    unknowing = []
    with memory_of(reader(None)) as memory:
        for role, words in said([150] * 60):
            memory.append((role, words))
            unknowing.append(memory.context().plan.epoch)
    assert epochs[-1] <= unknowing[-1] + 3


def billed_over_a_conversation(planned: ReaderProfile, billed: ReaderProfile, sizes: Sequence[int]) -> float:
    """Input bill of a request before each answer, in tokens."""
    bill = Bill(billed.cache)
    with memory_of(planned) as memory:
        pricing = memory._builder.pricing
        for role, words in said(sizes):
            if role == "assistant":
                context = memory.context()
                framing = pricing.count(context.framing) + planned.message_tokens
                bill.ask(pieces(context, pricing.cost, framing), lapsed=False)
            memory.append((role, words))
    return bill.total


@pytest.mark.slow
def test_a_conversation_costs_less_where_the_plan_knows_the_length() -> None:
    sizes = [300] * 80
    free = context_of(reader(None), sizes)
    profile = reader(free.usage.prompt_tokens - 2_500, 5.0)
    assert billed_over_a_conversation(profile, profile, sizes) < billed_over_a_conversation(reader(None), profile, sizes)


def test_the_length_is_a_reason_between_exchanges_until_a_plan_crosses() -> None:
    plan = context_of(reader(None), [300] * 20).plan
    due = {"basis": plan.basis, "budget": None, "pins": (), "cache_seconds": 300.0, "marks": MARKS}

    def reason(tokens: int, cliff: int | None, crosses: bool) -> str | None:
        return replan_reason(plan.model_copy(update={"crosses": crosses, "high_water": 900}), [], tokens, cliff=cliff, **due)  # type: ignore[arg-type]

    length = plan.prefix_tokens + 500
    assert reason(501, length, False) == "price step"
    assert reason(500, length, False) is None
    assert reason(501, length, True) is None
    assert reason(501, None, False) is None
