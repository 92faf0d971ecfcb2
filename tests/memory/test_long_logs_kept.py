"""What is known of a long log outlives processes, erasures, losses, copies and other writers."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from optical_memory import OpticalMemory
from optical_memory.memory.message_list import MessageListMemory
from optical_memory.planning.settings import ViewSettings
from optical_memory.profiles.registry import profile_of
from optical_memory.stores.base import open_store
from optical_memory.stores.transfer import export_session, import_session
from tests.memory.test_long_logs import WORDS, long_memory, memory_of, memory_pages, numbers_of, said
from tests.memory.test_planning_properties import check
from tests.sampling import mostly_slow
from tests.support import RuledRenderer


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


@pytest.mark.endurance
@pytest.mark.parametrize("fails_at", mostly_slow([1, 2, 3, 4], quick=[1, 3], daily=[]))
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
