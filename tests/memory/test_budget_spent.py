"""How the default spends a budget on a whole conversation, and what it is without one."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from optical_memory import BestUse, ByAge, Context, OpticalMemory, Tier, Turn
from optical_memory.demo import conversation
from optical_memory.profiles.registry import known_readers
from optical_memory.readers import profile_of
from optical_memory.turns.exchanges import units_of
from tests.sampling import mostly_slow
from tests.support import RuledRenderer

TALK = conversation().messages[:400]  # about 41,700 tokens
BUDGETS = (3_000, 4_000, 6_000)


@cache
def context_at(budget: int | None, **options: Any) -> Context:
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=6_500), **options)
    memory.extend(TALK)
    return memory.context(budget)


def tiers(context: Context) -> list[Tier]:
    return [part.tier for part in context.pages]


def test_without_a_budget_the_default_goes_by_age() -> None:
    plain, aged = context_at(None), context_at(None, forgetting=ByAge())
    assert tiers(plain) == tiers(aged) and plain.usage == aged.usage
    assert {Tier.GUNDAM, Tier.LARGE, Tier.BASE, Tier.SMALL} <= set(tiers(plain))


@pytest.mark.parametrize("budget", BUDGETS)
def test_nearly_all_of_a_budget_is_spent_and_more_of_the_past_is_shown_than_by_age(budget: int) -> None:
    best, aged = context_at(budget), context_at(budget, forgetting=ByAge())
    assert best.usage.turns_left_out <= aged.usage.turns_left_out
    assert 0.95 * budget <= best.usage.prompt_tokens <= budget or not best.usage.turns_left_out
    assert max(tiers(best)) <= Tier.BASE and tiers(best) == sorted(tiers(best))


def test_room_is_left_where_a_reader_has_prices_of_cached_tokens() -> None:
    assert context_at(6_000, reader="claude").usage.prompt_tokens <= 0.9 * 6_000


READERS = [name for name in known_readers() if (profile_of(name).ladder and profile_of(name).cache.read is not None) or name == "qwen3-vl"]


@pytest.mark.parametrize("reader", mostly_slow(READERS, quick=("claude", "gemini-2.5", "gpt-5.4", "qwen3-vl"), daily=READERS[::3]))
def test_room_stays_unspent_only_where_nothing_more_fits(reader: str) -> None:
    """Readers with large pages: one more page, or where none fits the next turn as text, would go beyond what a re-plan fills."""
    wide, high = profile_of(reader).page_style().cell
    side = profile_of(reader).page_style().pixel_size
    rows = int(0.85 * side[0] * side[1] / (wide * high))  # a page holds as much text as one of prose
    for budget in (2_000, 4_000):
        memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=rows), reader=reader)
        memory.extend(TALK)
        context = memory.context(budget)
        first = min((item.first for item in context.plan.items), default=context.plan.tail_from)
        assert context.usage.prompt_tokens <= budget and first > 1
        sealed = [page.tokens(min(profile_of(reader).ladder)) for page in memory.pages() if page.last_turn < first]
        page = max(profile_of(reader).page_tokens(*side, min(profile_of(reader).ladder)), *sealed, 0) + 120  # its label and exact strings
        unit = sum(turn_tokens(memory, turn) for turn in units_of(memory.turns(1, first))[-1])
        assert 0.8 * budget - context.usage.prompt_tokens <= (page if context.pages else min(page, unit + 60))
        assert context.pages or context.usage.prompt_tokens > turn_tokens(memory, *memory.turns(context.plan.tail_from))


def turn_tokens(memory: OpticalMemory, *turns: Turn) -> int:
    return memory._builder.pricing.total(turns)


@pytest.mark.parametrize("smaller", BUDGETS[:-1])
def test_a_larger_budget_leaves_no_more_out(smaller: int) -> None:
    larger = BUDGETS[BUDGETS.index(smaller) + 1]
    assert context_at(larger).usage.turns_left_out <= context_at(smaller).usage.turns_left_out


def test_text_does_not_wait_for_a_page_to_fill_where_the_marks_are_closer_than_a_page() -> None:
    chat = [("assistant" if n % 2 else "user", f"{n}: it was 14:30 when the train left, and nobody knew. " * 3) for n in range(201)]
    tails: list[int] = []
    for policy in (BestUse(), ByAge()):
        memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=6_500), forgetting=policy)
        memory.extend(chat)
        context = memory.context(2_000)
        tails.append(context.usage.prompt_tokens - context.plan.prefix_tokens)
    assert tails[0] <= 2_000 // 2 // 4 < tails[1], "the low mark, and what fills no page"


def test_a_schedule_of_ones_own_is_followed_without_a_budget() -> None:
    own = BestUse(unbounded=ByAge(gundam=0, large=0, base=0, small=0, tiny=100))
    assert set(tiers(context_at(None, forgetting=own))) == {Tier.TINY}


@pytest.mark.filterwarnings("ignore:turns from #:RuntimeWarning")
@pytest.mark.parametrize(("words", "budget"), [(10, 770), (10, 940), (40, 1_960), (40, 2_810), (90, 3_320), (90, 3_490)])
def test_where_nothing_can_be_drawn_the_names_of_turns_left_out_fit_too(words: int, budget: int) -> None:
    """The framing text grows with what it names, and what it takes may leave out more."""
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(broken=True))
    memory.extend([(("user", "assistant")[place % 2], f"{place}: ACME-7391-8264-5502 " + "words " * words) for place in range(60)])
    usage = memory.context(budget).usage
    assert usage.prompt_tokens <= budget and usage.turns_left_out and not usage.pages_by_tier
