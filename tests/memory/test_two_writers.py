"""Several at work on one session: every context is within its budget, no page stands twice, and what was written broken heals."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.archive.codec import decode_pages, encode_pages
from optical_memory.archive.page_runs import PageRun
from optical_memory.errors import BudgetTooSmall
from optical_memory.stores import open_store
from optical_memory.stores.base import Store
from optical_memory.worker_threads import in_thread
from tests.sampling import mostly_slow
from tests.stores.conftest import BACK_ENDS
from tests.support import RuledRenderer

BUDGET = 1_500
MARKS = WaterMarks(high=300, low=60)
SOME_BACK_ENDS = pytest.mark.parametrize("store_url", mostly_slow(BACK_ENDS, quick=["sqlite", "redis"]), indirect=True)


def opened(store: str | Store) -> OpticalMemory:
    return OpticalMemory("s", store=store, renderer=RuledRenderer(rows=900), marks=MARKS)


def talk(url: str, who: int, turns: int) -> Counter[str]:
    """Append turns and ask for contexts; what went wrong, by name."""
    seen: Counter[str] = Counter()
    with opened(url) as memory:
        for n in range(turns):
            memory.append({"role": "user", "content": f"writer {who} turn {n} " + "lorem ipsum dolor " * 20, "id": f"{who}-{n}"})
            if n % 3 == 2:
                try:
                    seen["over budget"] += memory.context(BUDGET).usage.prompt_tokens > BUDGET
                    seen["contexts"] += 1
                except Exception as exc:
                    seen[type(exc).__name__] += 1
    return seen


def report(url: str, who: int, turns: int, results: Any) -> None:
    results.put(dict(talk(url, who, turns)))


def assert_sound(store: str | Store) -> None:
    """One who comes afterwards finds runs that do not overlap, every turn in the log, and a context within the budget."""
    with opened(store) as memory:
        context = memory.context(BUDGET)
        assert context.usage.prompt_tokens <= BUDGET
        memory.pages()
        runs = sorted(PageRun.parse(name) for name in memory._store.names(memory.session, "run/"))
        assert all(a.last < b.first for a, b in itertools.pairwise(runs)), runs
        assert [turn.number for turn in memory.turns()] == list(range(1, len(memory) + 1))


@pytest.mark.slow
@pytest.mark.parametrize("back_end", ["sqlite", pytest.param("redis", marks=pytest.mark.endurance)])
def test_processes(back_end: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path}/s.db" if back_end == "sqlite" else str(request.getfixturevalue("clean_redis"))
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    workers = [spawn.Process(target=report, args=(url, who, 45, results)) for who in range(3)]
    for worker in workers:
        worker.start()
    seen = [results.get(timeout=200) for _ in workers]
    for worker in workers:
        worker.join()
    assert all(set(each) == {"contexts", "over budget"} and each["over budget"] == 0 for each in seen), seen
    assert_sound(url)


@SOME_BACK_ENDS
def test_threads(store_url: str) -> None:
    seen: list[Counter[str]] = []
    threads = [threading.Thread(target=lambda who=who: seen.append(talk(store_url, who, 30))) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4 and all(set(each) == {"contexts", "over budget"} and each["over budget"] == 0 for each in seen), seen
    assert_sound(store_url)


@SOME_BACK_ENDS
def test_tasks(store_url: str) -> None:
    async def work(who: int) -> None:
        memory = opened(store_url)
        for n in range(24):
            await memory.aappend({"role": "user", "content": f"writer {who} turn {n} " + "lorem ipsum dolor " * 20, "id": f"{who}-{n}"})
            if n % 3 == 2:
                assert (await memory.acontext(BUDGET)).usage.prompt_tokens <= BUDGET

    async def all_of_them() -> None:
        await asyncio.wait_for(asyncio.gather(*(work(who) for who in range(4))), 200)

    asyncio.run(all_of_them())
    assert_sound(store_url)


@pytest.mark.endurance
@pytest.mark.parametrize("after", [0.3, 1.0])
def test_a_writer_that_is_killed_leaves_a_sound_session(tmp_path: Path, after: float) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    spawn = multiprocessing.get_context("spawn")
    ready, results = spawn.Event(), spawn.Queue()
    doomed = spawn.Process(target=_until_killed, args=(url, ready))
    doomed.start()
    other = spawn.Process(target=report, args=(url, 1, 30, results))
    other.start()
    assert ready.wait(100)
    doomed.join(after)
    assert doomed.pid is not None
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.join()
    seen = results.get(timeout=200)
    other.join()
    assert set(seen) == {"contexts", "over budget"} and seen["over budget"] == 0, seen
    assert_sound(url)


def _until_killed(url: str, ready: Any) -> None:
    ready.set()
    for who in range(100, 10_000):
        talk(url, who, 30)


@SOME_BACK_ENDS
@pytest.mark.parametrize("longer_first", [False, True])
def test_overlapping_runs_of_an_earlier_version_heal(store_url: str, longer_first: bool) -> None:
    """Two processes sealed the same turns: both records stayed, and one run ends where the other goes on."""
    store = open_store(store_url)
    with opened(store) as memory:
        memory.extend([("assistant" if n % 2 else "user", f"turn {n + 1} " + "word " * 40) for n in range(60)])
        memory.context(BUDGET)
        name = sorted(store.names(memory.session, "run/"))[1]
        run, pages = PageRun.parse(name), decode_pages(store.get(memory.session, [name])[name])
        layout = name.split("/")[1]
        other = PageRun(run.first, run.last + 1, 1, run.turns + 1, run.text_tokens + 9)
        if longer_first:
            other = PageRun(run.first - 1, run.first, 1, 2, 99)
        store.put(memory.session, {other.name(layout): encode_pages(pages[:1])})
    assert_sound(store)
    with opened(store) as memory:
        for budget in (400, 800, None):
            memory.append(("user", "go on " * 100))
            try:
                context = memory.context(budget)
            except BudgetTooSmall:
                continue
            assert [part.image()[:4] for part in context.pages] == [b"\x89PNG"] * len(context.pages)
    assert_sound(store)


def test_no_exception_leaves_an_await_hanging() -> None:
    def ends() -> None:
        next(iter(()))

    async def ask() -> None:
        await asyncio.wait_for(in_thread(ends), 20)

    with pytest.raises(RuntimeError, match="raised StopIteration"):
        asyncio.run(ask())
