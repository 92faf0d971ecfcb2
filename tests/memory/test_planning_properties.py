"""What the planner promises for every conversation, every budget and every order of calls."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, currently_in_test_context, event, given, settings
from hypothesis import strategies as st

from optical_memory import BestUse, ByAge, Context, Forgetting, OpticalMemory, PagePart, TextPart, WaterMarks
from optical_memory.context.messages.openai_anthropic import to_anthropic, to_openai
from optical_memory.errors import BudgetTooSmall
from optical_memory.profiles.registry import shipped_profiles
from optical_memory.turns.exchanges import units_of
from tests.histories import histories
from tests.sampling import EXAMPLES, mostly_slow
from tests.support import RuledRenderer

quick = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
fewer = settings(quick, max_examples=max(4, EXAMPLES // 2))  # where a context is made at every message
budgets = st.one_of(st.none(), st.integers(min_value=150, max_value=3_000))
POLICIES: tuple[Forgetting, ...] = (ByAge(), BestUse())
MARKS = WaterMarks(high=400, low=100)  # low, so that short histories already turn into pages


def memory_of(renderer: RuledRenderer | None = None, **options: Any) -> OpticalMemory:
    chosen = {"store": "memory://", "marks": MARKS, "shape": (), **options}
    return OpticalMemory("s", renderer=renderer or RuledRenderer(rows=700), **chosen)


def context_or_none(memory: OpticalMemory, budget: int | None) -> Context | None:
    try:
        return memory.context(budget)
    except BudgetTooSmall as error:
        assert budget is not None and error.needed > budget
        return None


def shown_on_pages(context: Context) -> list[int]:
    return [segment.turn for part in context.pages for segment in part.page.segments]


def check(memory: OpticalMemory, context: Context, budget: int | None, *, pairs: bool = True) -> None:
    """Every promise that a single context makes."""
    if currently_in_test_context():
        event(f"pages: {min(len(context.pages), 5)}")
        event(f"left out: {bool(context.usage.turns_left_out)}")
        event(f"made because of: {context.plan.reason}")
    everything = [turn.number for turn in memory.turns()]
    as_text = [turn.number for turn in context.turns]
    on_pages = shown_on_pages(context)
    assert context.usage.prompt_tokens == sum(part.tokens for part in context.parts) + (
        context.usage.stable_prefix_tokens - sum(part.tokens for part in context.parts[: _prefix_parts(context)])
    )
    if budget is not None:
        assert context.usage.prompt_tokens <= budget
    assert len(as_text) == len(set(as_text)), "no turn is text twice"
    assert not set(as_text) & set(on_pages), "no turn is both text and picture"
    left_out = set(everything) - set(as_text) - set(on_pages)
    assert len(left_out) == context.usage.turns_left_out
    assert left_out == {number for number in everything if any(a <= number <= b for a, b in context.plan.left_out)} - set(on_pages)
    order = [number for part in context.parts for number in _numbers(part)]
    assert order == sorted(order), "oldest first"
    for unit in units_of(memory.turns()) if pairs else ():
        kinds = {turn.number in set(as_text) for turn in unit}
        assert len(kinds) == 1, "a tool call and its results are text together or not at all"
    for run in _runs(context):
        assert sum(part.tokens for part in run) < sum(part.page.text_tokens for part in run), "pictures cost less than their text"
    if not context.usage.turns_left_out and not context.plan.squeezed:
        assert context.usage.prompt_tokens <= context.usage.text_tokens, "never dearer than text, framing and labels included"
    assert context.turns == tuple(turn for turn in memory.turns() if turn.number in set(as_text)), "texts are untouched"


def _runs(context: Context) -> list[list[PagePart]]:
    """Pages that are text or pictures as one: their keys differ in the last number alone."""
    return [list(run) for _, run in itertools.groupby(context.pages, key=lambda part: part.page.key.rpartition("-")[0])]


def _prefix_parts(context: Context) -> int:
    tail = context.plan.tail_from
    return sum(1 for part in context.parts if isinstance(part, PagePart) or part.turns[0].number < tail)


def _numbers(part: TextPart | PagePart) -> list[int]:
    return [segment.turn for segment in part.page.segments] if isinstance(part, PagePart) else [turn.number for turn in part.turns]


@quick
@given(histories(), budgets, st.data())
def test_every_context_keeps_every_promise(history: list[dict[str, Any]], budget: int | None, data: st.DataObject) -> None:
    memory = memory_of(forgetting=data.draw(st.sampled_from(POLICIES)))
    ask = data.draw(st.sets(st.integers(0, len(history) - 1), max_size=6)) | {len(history) - 1}
    for place, message in enumerate(history):
        memory.append(message)
        if place in ask and (context := context_or_none(memory, budget)) is not None:
            check(memory, context, budget)


@quick
@given(histories(), budgets)
def test_two_calls_without_new_turns_are_identical(history: list[dict[str, Any]], budget: int | None) -> None:
    memory = memory_of()
    memory.extend(history)
    first = context_or_none(memory, budget)
    again = context_or_none(memory, budget)
    other = OpticalMemory("s", store=memory._store, renderer=RuledRenderer(rows=700), marks=MARKS, shape=())
    assert first == again
    assert context_or_none(other, budget) == first, "another process, the same store"
    if first is not None:
        assert to_openai(first) == to_openai(again)


@fewer
@given(histories(max_steps=40), budgets)
def test_within_an_epoch_a_new_turn_leaves_the_prefix_alone(history: list[dict[str, Any]], budget: int | None) -> None:
    memory = memory_of()
    before: Context | None = None
    for message in history:
        memory.append(message)
        after = context_or_none(memory, budget)
        if before is not None and after is not None and after.plan.epoch == before.plan.epoch:
            assert after.plan == before.plan
            old, new = to_openai(before), to_openai(after)
            settled = [m for m in old if m["role"] != "tool" and "tool_calls" not in m]  # an open call may still get its results
            assert [m for m in new if m in settled][: len(settled)] == settled
            assert after.parts[: _prefix_parts(before)] == before.parts[: _prefix_parts(before)]
        before = after


@quick
@given(histories(), st.integers(100, 3_000))
def test_the_need_that_an_error_names_is_enough(history: list[dict[str, Any]], budget: int) -> None:
    memory = memory_of()
    memory.extend(history)
    try:
        memory.context(budget)
    except BudgetTooSmall as error:
        check(memory, memory.context(error.needed), error.needed)


@fewer
@given(histories(), budgets)
def test_requests_never_hold_half_a_tool_pair(history: list[dict[str, Any]], budget: int | None) -> None:
    memory = memory_of()
    for message in history:
        memory.append(message)
        if (context := context_or_none(memory, budget)) is None:
            continue
        _check_openai_pairs(to_openai(context))
        _check_anthropic_pairs(to_anthropic(context))


def _check_openai_pairs(messages: list[dict[str, Any]]) -> None:
    waiting: list[str] = []
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting, "a result directly after its call"
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting, f"calls {waiting} have no result before message {place}"
        waiting = [call["id"] for call in message.get("tool_calls", ())]


def _check_anthropic_pairs(messages: list[dict[str, Any]]) -> None:
    roles = [message["role"] for message in messages]
    assert all(a != b for a, b in itertools.pairwise(roles)), "roles alternate"
    waiting: set[str] = set()
    for message in messages:
        results = {block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"}
        assert results == waiting or (results < waiting and message is messages[-1])  # the last calls may still be open
        waiting = {block["id"] for block in message["content"] if block["type"] == "tool_use"}


@quick
@given(histories(max_steps=40), st.data())
def test_pinned_pages_stay_and_stay_legible(history: list[dict[str, Any]], data: st.DataObject) -> None:
    memory = memory_of(forgetting=ByAge(gundam=0, large=0, base=0, small=1, tiny=2))
    memory.extend(history)
    pinned = data.draw(st.integers(1, len(history)))
    memory.pin(pinned)
    context = memory.context()
    tiers = [part.tier for part in context.pages if pinned in shown_on_pages_of(part)]
    assert tiers or pinned in {turn.number for turn in context.turns}
    assert all(tier >= memory.profile.floor for tier in tiers)
    memory.unpin(pinned)
    assert memory.context().plan.pins == ()


def shown_on_pages_of(part: PagePart) -> set[int]:
    return {segment.turn for segment in part.page.segments}


@quick
@given(histories(max_steps=40), st.integers(400, 4_000), st.sampled_from(POLICIES))
def test_older_pages_are_never_sharper(history: list[dict[str, Any]], budget: int, policy: Forgetting) -> None:
    memory = memory_of(forgetting=policy)
    memory.extend([{**message, "importance": 0.5} for message in history])
    if (context := context_or_none(memory, budget)) is None:
        return
    full = [part.tier for part in context.pages if part.page.text_tokens > 800]  # a page with less may be demoted for money alone
    assert full == sorted(full)


@quick
@given(histories(), budgets)
def test_a_renderer_that_fails_costs_no_turn(history: list[dict[str, Any]], budget: int | None) -> None:
    memory = memory_of(RuledRenderer(broken=True))
    memory.extend(history)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        context = context_or_none(memory, budget)
    if context is not None:
        check(memory, context, budget)
        assert context.pages == ()


@quick
@given(histories(max_steps=40), st.data())
def test_erasing_any_turns_leaves_a_memory_that_works(history: list[dict[str, Any]], data: st.DataObject) -> None:
    memory = memory_of()
    memory.extend(history)
    memory.context()
    doomed = data.draw(st.lists(st.integers(1, len(history)), min_size=1, max_size=4, unique=True))
    assert set(memory.erase(doomed).turns) == set(doomed)
    context = memory.context()
    check(memory, context, None, pairs=False)  # an erased call leaves its result alone
    assert not set(doomed) & set(shown_on_pages(context))
    _check_openai_pairs(to_openai(context))


QUICK = ("deepseek-ocr", "claude", "gemini-2.5")


@pytest.mark.parametrize("reader", mostly_slow(shipped_profiles(), quick=QUICK, daily=sorted(shipped_profiles())[::3]))
@settings(quick, max_examples=max(4, EXAMPLES // 8))
@given(history=histories(), budget=budgets, limit=st.sampled_from([None, 1, 2, 3]), pin=st.booleans())
def test_every_reader_pays_no_more_than_text_and_gets_no_more_pictures_than_it_takes(
    reader: str, history: list[dict[str, Any]], budget: int | None, limit: int | None, pin: bool
) -> None:
    profile = shipped_profiles()[reader] if limit is None else shipped_profiles()[reader].limited(max_pictures=limit)
    memory = memory_of(RuledRenderer(rows=6_000), reader=profile)
    memory.extend(history)
    if pin:
        memory.pin(1 + len(history) // 2)
    if (context := context_or_none(memory, budget)) is not None:
        check(memory, context, budget)
        assert len(context.pages) <= profile.page_limit
        assert {part.tier for part in context.pages} <= set(profile.ladder) or pin


@pytest.mark.parametrize("reader", mostly_slow(shipped_profiles(), quick=QUICK, daily=sorted(shipped_profiles())[::3]))
def test_every_reader_that_pays_for_pages_gets_some(reader: str) -> None:
    profile = shipped_profiles()[reader]
    for limit in (100, 3):
        memory = memory_of(RuledRenderer(rows=12_000), reader=profile.limited(max_pictures=limit))
        memory.extend([("user" if n % 2 else "assistant", f"word {n} " * 400) for n in range(30)])
        context = memory.context()
        assert context.usage.prompt_tokens <= context.usage.text_tokens
        assert 0 < len(context.pages) <= limit if profile.ladder else not context.pages
        assert context.usage.turns_left_out == 0, "what is over the limit is text"


@pytest.mark.parametrize("budget", [600, 900, 1_400, 2_000, 3_000])
def test_a_smaller_budget_demotes_and_then_leaves_out_the_oldest(budget: int) -> None:
    memory = memory_of(RuledRenderer(rows=700))
    memory.extend([("user" if n % 2 else "assistant", f"word {n} " * 60) for n in range(80)])
    context = memory.context(budget)
    tiers = [part.tier for part in context.pages]
    assert tiers == sorted(tiers)
    assert [part.page.index for part in context.pages] == sorted(part.page.index for part in context.pages)
    newest = memory.pages()[-1].index
    assert context.pages[-1].page.index == newest, "what is left out is the oldest"
