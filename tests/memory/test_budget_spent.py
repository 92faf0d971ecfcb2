"""How the default spends a budget on a whole conversation, and what it is without one."""

from __future__ import annotations

from typing import Any

import pytest

from optical_memory import BestUse, ByAge, Context, OpticalMemory, Tier
from optical_memory.demo import conversation
from tests.support import RuledRenderer

TALK = conversation().messages[:400]  # about 41,700 tokens
BUDGETS = (3_000, 4_000, 6_000)


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
