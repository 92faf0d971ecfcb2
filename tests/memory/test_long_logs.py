"""A long log: only the pages that a context shows are drawn, the rest is planned from its size and drawn when it is wanted."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from optical_memory import ByAge, Context, OpticalMemory, WaterMarks
from optical_memory.errors import BudgetTooSmall
from optical_memory.stores.base import open_store
from optical_memory.turns.turn import Turn
from tests.memory.test_planning_properties import check
from tests.sampling import examples, mostly_slow
from tests.support import RuledRenderer

WORDS = "lorem ipsum dolor sit amet "
MARKS = WaterMarks(high=400, low=100)


def said(count: int, *, start: int = 1, words: int = 10) -> list[tuple[str, str]]:
    return [("user" if number % 2 else "assistant", f"{number} " + WORDS * words) for number in range(start, start + count)]


def memory_of(store: Any = "memory://", *, rows: int = 2_000, **options: Any) -> OpticalMemory:
    return OpticalMemory("s", store=store, renderer=RuledRenderer(rows=rows), **{"shape": (), **options})


def long_memory(count: int = 600, store: Any = "memory://", **options: Any) -> OpticalMemory:
    memory = memory_of(store, **options)
    memory.extend(said(count))
    return memory


def numbers_of(context: Context) -> dict[str, int]:
    """The pages shown: number by key."""
    return {part.page.key: part.page.index for part in context.pages}


@pytest.mark.parametrize("rows", mostly_slow([700, 2_000, 9_000], quick=[2_000], daily=[]))
@pytest.mark.parametrize("budget", [800, 1_500, 4_000])
@pytest.mark.parametrize("words", [2, 10, 40])
def test_about_as_many_pages_are_drawn_as_are_shown(rows: int, budget: int, words: int) -> None:
    memory = memory_of(rows=rows)
    memory.extend(said(1_500, words=words))
    context = memory.context(budget)
    in_one_row = max(run.pages for run in memory._builder._open_archive().runs())  # a long turn's pages are drawn as one
    assert memory.stats().pages_sealed == memory.stats().pages == len(memory.pages()) <= 2 * len(context.pages) + 4 + in_one_row
    check(memory, context, budget)


def test_with_the_real_renderer_too() -> None:
    memory = OpticalMemory("s", store="memory://", renderer="pillow")
    memory.extend(said(700, words=40))
    context = memory.context(4_000)
    assert len(context.pages) > 8 and memory.stats().pages_sealed <= len(context.pages) + 4
    assert all(part.image() for part in context.pages)


def test_without_a_budget_the_policy_decides_what_is_drawn() -> None:
    memory = long_memory(2_000, forgetting=ByAge(1, 2, 3, 5, 8))
    context = memory.context()
    assert len(context.pages) == 8 and memory.stats().pages_sealed <= 8 + 4
    check(memory, context, None)


@pytest.mark.parametrize("budget", [None, 10**9])
def test_where_all_is_shown_all_is_drawn_from_the_first_turn_on(budget: int | None) -> None:
    """As ever: one row of pages, each full before the next begins."""
    memory = long_memory(400)
    context = memory.context(budget)
    assert context.usage.turns_left_out == 0 and context.pages[0].page.first_turn == 1
    assert [part.page.index for part in context.pages] == list(range(1, len(context.pages) + 1))
    assert all(part.page.fill > 0.8 for part in context.pages[:-1])
    again = long_memory(400)
    again.context(budget)
    assert [page.key for page in again.pages()] == [page.key for page in memory.pages()]


def test_a_larger_budget_shows_more_and_leaves_what_was_shown_as_it_was() -> None:
    memory = long_memory()
    small = memory.context(1_500)
    known = numbers_of(small)
    drawn = memory.stats().pages_sealed
    for budget in (3_000, 6_000, 12_000):
        context = memory.context(budget)
        check(memory, context, budget)
        assert known.items() <= numbers_of(context).items(), "the pages shown before keep their keys and numbers"
        assert len(context.pages) > len(known) and memory.stats().pages_sealed > drawn
        known, drawn = numbers_of(context), memory.stats().pages_sealed
    assert memory.stats().pages_redrawn == 0
    whole = memory.context()
    assert known.items() <= numbers_of(whole).items()
    shown = {segment.turn for part in whole.pages for segment in part.page.segments} | {turn.number for turn in whole.turns}
    assert len(shown) + whole.usage.turns_left_out == 600
    assert numbers_of(memory.context(1_500)).items() <= known.items(), "and a smaller one draws nothing"
    assert memory.stats().pages_sealed == len(memory.pages())


def test_numbers_ascend_and_none_is_given_twice() -> None:
    memory = long_memory()
    memory.context(1_500)
    memory.pin(200)
    memory.context(1_500)
    memory.context(4_000)
    numbers = [page.index for page in memory.pages()]
    assert numbers == sorted(set(numbers)) and numbers[0] >= 1
    assert [page.first_turn for page in memory.pages()] == sorted(page.first_turn for page in memory.pages())


def test_the_prefix_stays_until_a_replan() -> None:
    memory = long_memory()
    first = memory.context(4_000)
    for number in range(601, 640):
        memory.append(said(1, start=number)[0])
        context = memory.context(4_000)
        if context.plan.epoch == first.plan.epoch:
            assert context.parts[: len(first.plan.items)] == first.parts[: len(first.plan.items)] and context.framing == first.framing
        else:
            common = numbers_of(first).keys() & numbers_of(context).keys()
            assert common and all(numbers_of(first)[key] == numbers_of(context)[key] for key in common)
        first = context


def test_a_pinned_turn_is_drawn_with_its_surroundings_alone() -> None:
    memory = long_memory(1_500)
    memory.context(2_000)
    drawn = memory.stats().pages_sealed
    memory.pin(300)
    context = memory.context(2_000)
    on_pages = {segment.turn for part in context.pages for segment in part.page.segments}
    assert 300 in on_pages and memory.stats().pages_sealed <= drawn + 3
    check(memory, context, 2_000)
    memory.unpin(300)
    assert 300 not in {segment.turn for part in memory.context(2_000).pages for segment in part.page.segments}


def test_a_turn_pinned_before_the_first_context() -> None:
    memory = long_memory(1_500)
    memory.pin(5)
    memory.pin(700)
    context = memory.context(2_000)
    assert {5, 700} <= {segment.turn for part in context.pages for segment in part.page.segments}
    assert memory.stats().pages_sealed <= 2 * len(context.pages) + 4
    check(memory, context, 2_000)


def test_importance_reaches_further_back() -> None:
    plain, weighty = memory_of(), memory_of()
    plain.extend(said(600))
    weighty.extend([Turn(role=role, content=text, importance=1.0 if 330 <= at < 340 else 0.5) for at, (role, text) in enumerate(said(600))])
    on_pages = [{segment.turn for part in memory.context(4_000).pages for segment in part.page.segments} for memory in (plain, weighty)]
    assert min(on_pages[1]) < min(on_pages[0]), "important turns stay where plain ones of their age are left out"
    assert weighty.stats().pages_sealed <= 3 * len(on_pages[1])


def test_every_turn_can_be_recalled_and_its_exact_strings_are_on_its_page() -> None:
    memory = memory_of()
    memory.extend([(role, f"{text} order W{number:07d}X") for number, (role, text) in enumerate(said(600), 1)])
    context = memory.context(2_000)
    assert [turn.number for turn in memory.recall("W0000123X")] == [123] and memory.recall(7)[0].number == 7
    assert all(part.page.sidecar for part in context.pages)
    pages = memory.pages(draw=True)
    assert {segment.turn for page in pages for segment in page.segments} >= set(range(1, context.plan.tail_from))
    assert all(page.sidecar for page in pages)
    assert numbers_of(context).items() <= {page.key: page.index for page in pages}.items()


def memory_pages(context: Context) -> set[str]:
    return {part.page.key for part in context.pages}


def test_a_renderer_that_fails_leaves_text() -> None:
    renderer = RuledRenderer(rows=2_000, broken=True)
    memory = OpticalMemory("s", store="memory://", renderer=renderer, shape=())
    memory.extend(said(600))
    memory.pin(100)
    with pytest.warns(RuntimeWarning, match="stay text"):
        context = memory.context(4_000)
    assert not context.pages and 100 in {turn.number for turn in context.turns} and context.usage.prompt_tokens > 2_000
    check(memory, context, 4_000)
    renderer.broken = False
    memory.extend(said(40, start=601))
    healed = memory.context(4_000)
    assert healed.pages
    check(memory, healed, 4_000)
    with pytest.warns(RuntimeWarning, match="stay text"):
        renderer.broken = True
        assert len(long_memory_of(renderer).context().turns) == 600


def long_memory_of(renderer: RuledRenderer) -> OpticalMemory:
    memory = OpticalMemory("s", store="memory://", renderer=renderer, shape=())
    memory.extend(said(600))
    return memory


def test_one_request_that_never_ends() -> None:
    """An agent at work for 800 turns: its request stays text, what it did first is not drawn."""
    turns: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Please mend the build."}]
    for number in range(400):
        call = {"id": f"c{number}", "type": "function", "function": {"name": "run", "arguments": json.dumps({"command": f"make {number}"})}}
        turns.append({"role": "assistant", "content": "", "tool_calls": [call]})
        turns.append({"role": "tool", "tool_call_id": f"c{number}", "content": f"{number}: " + WORDS * 10})
    memory = memory_of()
    memory.extend(turns)
    context = memory.context(3_000)
    check(memory, context, 3_000)
    assert {1, 2} <= {turn.number for turn in context.turns}
    assert memory.stats().pages_sealed <= 2 * len(context.pages) + 4
    check(memory, memory.context(6_000), 6_000)


def test_a_call_answered_long_after_is_never_parted_from_its_result() -> None:
    memory = memory_of()
    late = {"id": "late", "type": "function", "function": {"name": "wait", "arguments": "{}"}}
    memory.extend(said(300))
    memory.append({"role": "assistant", "content": "", "tool_calls": [late]})
    memory.extend(said(350, start=302))
    memory.append({"role": "tool", "tool_call_id": "late", "content": "done " + WORDS * 10})
    memory.extend(said(60, start=653))
    for budget in (2_000, 4_000, 12_000):
        with_or_without(memory, budget)


def with_or_without(memory: OpticalMemory, budget: int) -> None:
    try:
        context = memory.context(budget)
    except BudgetTooSmall:
        return
    check(memory, context, budget)


TURNS = st.lists(
    st.tuples(st.sampled_from(["user", "assistant"]), st.integers(0, 60), st.sampled_from([0.0, 0.5, 0.5, 0.5, 1.0])),
    min_size=1,
    max_size=40,
)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    pattern=TURNS,
    times=st.integers(1, 30),
    steps=st.lists(st.tuples(st.sampled_from(["context", "append", "pin", "erase", "reopen"]), st.integers(0, 10**6)), max_size=8),
)
@example(  # an erased number alone between two runs of pages
    pattern=[("user", words, 1.0 if words == 59 else 0.0) for words in (53, 46, 46, 43, 59, 56, 47, 17)],
    times=16,
    steps=[("erase", 69), ("context", 3_959), ("context", 6_785), ("context", 1_069)],
)
def test_every_promise_holds_for_every_order_of_calls(
    pattern: list[tuple[str, int, float]], times: int, steps: Sequence[tuple[str, int]]
) -> None:
    turns = [
        Turn(role=role, content=f"{at} " + WORDS * words, importance=weight) for at, (role, words, weight) in enumerate(pattern * times)
    ]
    store = open_store("memory://")
    memory = memory_of(store, rows=1_500, marks=MARKS)
    memory.extend(turns)
    for step, value in [("context", 0), *steps, ("context", 1)]:
        numbers = [turn.number for turn in memory.turns()]
        if step == "append":
            memory.extend([Turn(role="user", content=WORDS * (value % 50)), Turn(role="assistant", content=WORDS * (value % 30))])
        elif step == "pin" and numbers:
            memory.pin(numbers[value % len(numbers)])
        elif step == "erase" and numbers:
            memory.erase(numbers[value % len(numbers)])
        elif step == "reopen":
            memory = memory_of(store, rows=1_500, marks=MARKS)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with_or_without(memory, 1_200 + value % 8_000)


@pytest.mark.parametrize("turns", mostly_slow([400, 1_000, 10_000], quick=[1_000]))
def test_a_small_budget_shows_many_pages_however_long_the_log_is(turns: int) -> None:
    """Little text is left over beside the newest page, and squeezing leaves no room for a page unused."""
    memory = OpticalMemory("s", store="memory://", renderer="pillow")
    memory.extend([(("user", "assistant")[n % 2], f"{n} " + "lorem ipsum dolor sit amet " * 40) for n in range(turns)])
    context = memory.context(4_000)
    assert len(context.pages) >= 13
    assert memory.stats().pages_sealed <= len(context.pages) + 3
    assert 0.75 * 4_000 <= context.usage.prompt_tokens <= 4_000
