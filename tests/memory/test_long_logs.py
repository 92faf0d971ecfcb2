"""A long log: only the pages that a context shows are drawn, the rest is planned from its size and drawn when it is wanted."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory import ByAge, Context, OpticalMemory, WaterMarks
from optical_memory.archive.page_runs import PageRun
from optical_memory.archive.undrawn import Undrawn, decode_undrawn, encode_undrawn, merged, with_erased, without
from optical_memory.errors import BudgetTooSmall
from optical_memory.memory.message_list import MessageListMemory
from optical_memory.planning.settings import ViewSettings
from optical_memory.profiles.registry import profile_of
from optical_memory.stores.base import open_store
from optical_memory.stores.transfer import export_session, import_session
from optical_memory.turns.turn import Turn
from tests.memory.test_planning_properties import check
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


@pytest.mark.parametrize("rows", [700, 2_000, 9_000])
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
    weighty.extend([Turn(role=role, content=text, importance=1.0 if 420 <= at < 430 else 0.5) for at, (role, text) in enumerate(said(600))])
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


def test_an_erased_turn_is_nowhere_and_the_others_are_as_they_were(tmp_path: Path) -> None:
    memory = long_memory(600, f"sqlite:///{tmp_path}/s.db")
    before = memory.context(2_000)
    memory.erase([50, 51, 200])
    after = memory.context(2_000)
    assert after.usage.turns_left_out == before.usage.turns_left_out - 3
    assert numbers_of(after) == numbers_of(before)
    pages = memory.pages(draw=True)
    assert not {50, 51, 200} & {segment.turn for page in pages for segment in page.segments}
    check(memory, memory.context(2_000), 2_000)
    assert memory.prove_erased([50, 51, 200]).is_complete


def test_turns_are_erased_on_both_sides_of_what_is_drawn() -> None:
    memory = long_memory(300)
    memory.context(2_000)
    choice = random.Random(3)
    for _ in range(12):
        left = [turn.number for turn in memory.turns()]
        memory.erase(choice.sample(left, 3))
        check(memory, memory.context(2_000), 2_000)
    memory.erase()
    assert memory._store.names(memory.session) == [] and memory.context(2_000).parts == ()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_session_goes_on_in_another_memory(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    url = f"sqlite:///{tmp_path}/s.db" if kind == "sqlite" else str(request.getfixturevalue("clean_redis"))
    first = long_memory(600, url)
    before = first.context(2_000)
    again = memory_of(url)
    assert again.context(2_000).parts == before.parts and again.stats().pages_sealed == 0
    larger = again.context(6_000)
    assert numbers_of(before).items() <= numbers_of(larger).items()
    assert again.stats().pages_redrawn == 0 and again.stats().pages == again.stats().pages_sealed + first.stats().pages_sealed


def memory_pages(context: Context) -> set[str]:
    return {part.page.key for part in context.pages}


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
def test_a_process_that_ends_while_it_plans_leaves_nothing_wrong(tmp_path: Path, fails_at: int) -> None:
    """Ended at each write in turn: what is stored is sound, and numbers that were sent stay."""
    url = f"sqlite:///{tmp_path}/s.db"
    known = numbers_of(long_memory(600, url).context(2_000))
    code = (
        "import os, sys\n"
        "from optical_memory.stores.sqlite import SqliteStore\n"
        "from tests.memory.test_long_logs import memory_of\n"
        "put, left = SqliteStore.put, [int(sys.argv[2])]\n"
        "def counted(self, session, items):\n"
        "    left[0] -= 1\n"
        "    if not left[0]: os._exit(9)\n"
        "    put(self, session, items)\n"
        "SqliteStore.put = counted\n"
        "memory_of(sys.argv[1]).context(6_000)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, url, str(fails_at)], check=False).returncode == 9
    memory = memory_of(url)
    context = memory.context(6_000)
    check(memory, context, 6_000)
    assert known.items() <= numbers_of(context).items()


def test_a_lost_record_of_sizes_is_measured_again() -> None:
    memory = long_memory()
    before = memory.context(2_000)
    memory._store.put(memory.session, dict.fromkeys(memory._store.names(memory.session, "undrawn/"), b"\x00damaged"))
    context = memory.context(3_000)
    check(memory, context, 3_000)
    assert memory_pages(before) <= memory_pages(context)


def test_lost_pages_are_drawn_again_with_their_numbers() -> None:
    memory = long_memory()
    before = memory.context(3_000)
    names = memory._store.names(memory.session, "run/")
    memory._store.discard(memory.session, [names[0], names[len(names) // 2], *memory._store.names(memory.session, "picture/")])
    memory._builder.forget()
    after = memory.context(3_000)
    assert numbers_of(after) == numbers_of(before)


def test_a_session_drawn_whole_by_an_earlier_release_goes_on() -> None:
    """Its runs cover all of the log, and no sizes are known."""
    memory = long_memory()
    memory.context(2_000)
    pages = memory.pages(draw=True)
    memory._store.discard(memory.session, memory._store.names(memory.session, "undrawn/"))
    fresh = OpticalMemory("s", store=memory._store, renderer=RuledRenderer(rows=2_000), shape=())
    for number in range(601, 640):
        fresh.append(said(1, start=number)[0])
        check(fresh, fresh.context(2_000), 2_000)
    assert [page.index for page in fresh.pages()][: len(pages)] == list(range(1, len(pages) + 1))
    assert {page.key for page in pages} <= {page.key for page in fresh.pages()}


def test_two_readers_share_what_either_draws() -> None:
    memory = long_memory()
    drawn = memory.context(2_000)
    style = memory._builder.settings.style
    other = OpticalMemory("s", store=memory._store, reader="unlimited-ocr", renderer=RuledRenderer(rows=2_000), shape=(), style=style)
    context = other.context(6_000)
    check(other, context, 6_000)
    check(memory, memory.context(2_000), 2_000)
    assert numbers_of(drawn) == numbers_of(memory.context(2_000))


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_two_writers(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> None:
    """Two threads with memories of their own append, plan and enlarge budgets at once."""
    url = f"sqlite:///{tmp_path}/s.db" if kind == "sqlite" else str(request.getfixturevalue("clean_redis"))
    long_memory(300, url)
    errors: list[BaseException] = []

    def work(place: int) -> None:
        memory = memory_of(url)
        try:
            for step in range(8):
                memory.append({"role": "user" if step % 2 else "assistant", "content": f"{place} {step} " + WORDS * 10})
                budget = 1_500 + 700 * ((step + place) % 5)
                assert memory.context(budget).usage.prompt_tokens <= budget
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    memory = memory_of(url)
    check(memory, memory.context(3_000), 3_000)
    runs = memory._builder._open_archive().runs()
    assert all(one.last < other.first for one, other in itertools.pairwise(runs))


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


def test_an_export_carries_what_is_not_drawn() -> None:
    memory = long_memory()
    context = memory.context(2_000)
    target = open_store("memory://")
    import_session(target, export_session(memory._store, memory.session, pages=True))
    copied = memory_of(target)
    assert copied.context(2_000).parts == context.parts and copied.stats().pages_sealed == 0
    assert numbers_of(context).items() <= numbers_of(copied.context(4_000)).items()


def test_a_list_of_messages_is_drawn_where_it_is_shown() -> None:
    renderer = RuledRenderer(rows=2_000)
    options = ViewSettings.of(profile_of("deepseek-ocr"), renderer=renderer, shape=())
    cache = open_store("memory://")
    messages = [{"role": role, "content": text} for role, text in said(600)]
    memory = MessageListMemory(options, cache, key=json.dumps, turn=lambda message: message)
    first = memory.context(messages, budget=2_000)
    state = json.loads(json.dumps(first.state))
    fresh = MessageListMemory(options, cache, key=json.dumps, turn=lambda message: message)
    again = fresh.context(messages, state, budget=2_000)
    assert memory_pages(again.context) == memory_pages(first.context) and len(memory_pages(first.context)) + 4 >= len(renderer.calls)
    larger = fresh.context(messages, again.state, budget=5_000)
    assert numbers_of(first.context).items() <= numbers_of(larger.context).items()
    edited = [{"role": "user", "content": "something else entirely"}, *messages[1:]]
    changed = fresh.context(edited, larger.state, budget=5_000)
    assert changed.context.usage.prompt_tokens <= 5_000
    assert changed.context.usage.turns_left_out == larger.context.usage.turns_left_out or changed.context.pages


TURNS = st.lists(
    st.tuples(st.sampled_from(["user", "assistant"]), st.integers(0, 60), st.sampled_from([0.0, 0.5, 0.5, 0.5, 1.0])),
    min_size=1,
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    pattern=TURNS,
    times=st.integers(1, 30),
    steps=st.lists(st.tuples(st.sampled_from(["context", "append", "pin", "erase", "reopen"]), st.integers(0, 10**6)), max_size=8),
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


# -- ranges --------------------------------------------------------------------------------------------------------------------------


def test_ranges_add_up() -> None:
    whole = Undrawn(1, 1_000, 990, 200, 130.0, 50_000, 0.5)
    runs = [PageRun(100, 119, 4, 20, 1_000), PageRun(981, 1_000, 3, 20, 1_000)]
    left = without([whole], runs)
    assert [(each.first, each.last) for each in left] == [(1, 99), (120, 980)]
    assert sum(each.turns for each in left) == 950 and all(each.turns <= each.last - each.first + 1 for each in left)
    assert sum(each.pages for each in left) == 193 and abs(sum(each.text_tokens for each in left) - 48_000) <= 1
    assert without(left, runs) == left and without([whole], [PageRun(1, 1_000, 9, 990, 50_000)]) == []
    assert sum(each.turns for each in with_erased(left, [1, 2, 500, 990])) == 947
    assert merged([left[1], left[0]]) == left and len(merged([Undrawn(1, 4, 4, 1, 1.0, 9), Undrawn(5, 9, 5, 1, 1.0, 9)])) == 1
    kept = decode_undrawn(encode_undrawn(left), 1_000)
    assert decode_undrawn(encode_undrawn(kept), 1_000) == kept and decode_undrawn(encode_undrawn(kept), 979) == kept[:1]
    assert [(each.first, each.turns, each.pages) for each in kept] == [(each.first, each.turns, each.pages) for each in left]


@pytest.mark.parametrize(
    "record",
    [
        b"", b"{}", b"[]", b"\xff", b'{"v":1}', b'{"v":2,"ranges":[]}', b'{"v":1,"ranges":[[1]]}',
        b'{"v":1,"ranges":[[5,1,1,1,1,1,0.5,null,null]]}', b'{"v":1,"ranges":[[1,5,9,1,1,1,0.5,null,null]]}',
        b'{"v":1,"ranges":[[1,5,5,1e400,1,1,0.5,null,null]]}', b'{"v":1,"ranges":[[1,5,5,1,NaN,1,0.5,null,null]]}',
        b'{"v":1,"ranges":[[1,5,5,1,1,1,0.5,null,null],[4,9,5,1,1,1,0.5,null,null]]}',
        b'{"v":1,"ranges":[[1,5,5,1,1,1,0.5,"yesterday",null]]}', b'{"v":1,"ranges":[[1,5,5,99999999999999999999,1,1,0.5,null,null]]}',
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_right_is_no_record(record: bytes) -> None:
    assert decode_undrawn(record, 100) == []
