from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from benchmarks.replay import Piece, pieces
from optical_memory import OpticalMemory, WaterMarks
from optical_memory.context.context import Context
from optical_memory.context.plan import PageItem, Plan, TextItem
from optical_memory.pages.tiers import Tier
from optical_memory.planning.cache_cost import billed, calls_to_come, known_tokens
from optical_memory.planning.settings import SHAPED
from optical_memory.profiles.profile import CachePrices
from optical_memory.profiles.registry import profile_of
from tests.sampling import examples
from tests.support import RuledRenderer

PRICES = CachePrices(write=1.25, read=0.1)


def plan(*items: PageItem | TextItem, tail_from: int = 90, left_out: tuple[tuple[int, int], ...] = ()) -> Plan:
    tokens = sum(item.tokens for item in items) + 50  # of the framing text
    return Plan(
        epoch=1, basis="b", budget=None, items=items, tail_from=tail_from, left_out=left_out, prefix_tokens=tokens, high_water=1, reason="r"
    )


def page(index: int, tier: Tier = Tier.BASE, tokens: int = 300) -> PageItem:
    return PageItem(key=f"k{index}", index=index, first=index * 10, last=index * 10 + 9, tier=tier, tokens=tokens)


def text(first: int, last: int, tokens: int = 100) -> TextItem:
    return TextItem(first=first, last=last, tokens=tokens)


@pytest.mark.parametrize(
    ("new", "known"),
    [
        (plan(page(1), page(2)), 650),
        (plan(page(1), page(2), page(3)), 650),
        (plan(page(1, Tier.SMALL, 100), page(2)), 50),
        (plan(page(1), page(2, Tier.SMALL, 100)), 350),
        (plan(page(1), page(3)), 350),
        (plan(page(1), page(2), text(30, 35), tail_from=36), 750),
        (plan(page(1), page(2), text(31, 35), tail_from=36), 650),
        (plan(page(1), page(2), left_out=((1, 9),)), 0),
        (plan(text(10, 19), page(2)), 50),
    ],
)
def test_what_is_known_ends_at_the_first_change(new: Plan, known: int) -> None:
    assert known_tokens(new, plan(page(1), page(2), tail_from=30)) == known


def test_text_that_has_grown_or_moved_is_not_known() -> None:
    last = plan(text(1, 5), page(2))
    assert known_tokens(plan(text(1, 5), page(2)), last) == 450
    assert known_tokens(plan(text(1, 4, 80), page(2)), last) == 130
    assert known_tokens(plan(text(1, 6, 120), page(2)), last) == 50
    assert known_tokens(plan(text(2, 5, 80), page(2)), last) == 50


def test_the_published_example_pays_after_fourteen_calls() -> None:
    """Anthropic's prices: 20,000 cached text tokens become 7,000 of pages with 10,000 tokens of text after them."""
    as_text = plan(page(1, tokens=0), tail_from=10)
    as_pages = plan(page(1, tokens=0), page(2, tokens=7_000), tail_from=60)

    def dearer(calls: int) -> bool:
        waiting = billed(as_text, as_text, 30_000, prices=PRICES, calls=calls)
        return billed(as_pages, as_text, 10_000, prices=PRICES, calls=calls) > waiting

    pays_from = next(calls for calls in range(1, 100) if not dearer(calls))
    once, each = 1.25 * (7_000 + 10_000) - 0.1 * 30_000, 0.1 * (20_000 - 7_000)
    assert 14 < once / each < 15
    assert pays_from - 1 == 15, "the first call pays, each of the others saves"


def test_few_calls_are_counted_on() -> None:
    assert [calls_to_come(length) for length in (0, 7, 80, 800)] == [1, 1, 10, 100]


def request(memory: OpticalMemory, context: Context) -> list[Piece]:
    framing = context.plan.prefix_tokens - sum(item.tokens for item in context.plan.items)
    return pieces(context, memory._builder.pricing.cost, framing)


def common(first: Sequence[Piece], second: Sequence[Piece]) -> int:
    return sum(a[1] for a, _ in itertools.takewhile(lambda pair: pair[0][0] == pair[1][0], zip(first, second, strict=False)))


@given(
    sizes=st.lists(st.integers(1, 60), min_size=8, max_size=60),
    reader=st.sampled_from(["claude", "gpt-5", "gpt-5.4", "gemini-3"]),
    budget=st.one_of(st.none(), st.integers(1_200, 4_000)),
)
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_more_is_counted_as_known_than_the_request_before_began_with(sizes: list[int], reader: str, budget: int | None) -> None:
    marks = WaterMarks(high=600, low=100)
    with OpticalMemory("s", store="memory://", reader=profile_of(reader), renderer=RuledRenderer(rows=900), marks=marks) as memory:
        last: Context | None = None
        for number, size in enumerate(sizes):
            memory.append(("assistant" if number % 2 else "user", f"turn {number} says " + "QX-7741 " * size))
            now = memory.context(budget)
            if last is not None and now.plan is not last.plan:
                before, after = request(memory, last), request(memory, now)
                event(f"pages kept: {bool(last.plan.pages) and last.plan.pages == now.plan.pages[: len(last.plan.pages)]}")
                assert known_tokens(now.plan, last.plan, SHAPED) <= common(after, before)
            assert sum(item.tokens for item in now.plan.items) <= now.plan.prefix_tokens
            last = now
