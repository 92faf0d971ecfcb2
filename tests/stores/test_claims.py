"""Work that many processes could do is done once, and nobody waits long for one that died."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.stores import SessionId, open_store
from optical_memory.stores.claims import LEASE, claimed, claims_of
from optical_memory.stores.redis import RedisStore
from tests.support import RuledRenderer

redis = pytest.importorskip("redis", reason="needs the redis extra")

ALICE = SessionId("alice")
MARKS = WaterMarks(high=300, low=60)
DRAWER = """
import hashlib, json, sys
sys.path.insert(0, {root!r})
from tests.stores.test_claims import SlowRenderer, MARKS
from optical_memory import OpticalMemory
memory = OpticalMemory("alice", store={url!r}, renderer=SlowRenderer(rows=900), marks=MARKS)
len(memory)
print("ready", flush=True)
sys.stdin.readline()
context = memory.context()
pictures = [hashlib.sha256(part.image()).hexdigest() for part in context.pages]
stats = memory.stats()
print(json.dumps([stats.pages_sealed, stats.replans, context.plan.model_dump_json(), pictures, stats.pages_redrawn]))
"""


class SlowRenderer(RuledRenderer):
    """Long enough at work that all others arrive meanwhile."""

    def render(self, *args: Any, **kwargs: Any) -> Any:
        time.sleep(0.3)
        return super().render(*args, **kwargs)


def fill(url: str) -> OpticalMemory:
    memory = OpticalMemory("alice", store=url, renderer=RuledRenderer(rows=900), marks=MARKS)
    memory.extend([("user" if n % 2 else "assistant", f"turn {n} " + "word " * 40) for n in range(60)])
    return memory


def draw_at_once(url: str, processes: int) -> list[list[Any]]:
    """What each of some processes did that asked for the context at the same moment."""
    program = DRAWER.format(root=str(Path(__file__).parents[2]), url=url)
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * processes
    return [json.loads(output) for output in outputs]


at_once = pytest.mark.parametrize("processes", [4, pytest.param(10, marks=pytest.mark.endurance)])


@at_once
def test_processes_draw_each_page_once(clean_redis: str, processes: int) -> None:
    memory = fill(clean_redis)
    done = draw_at_once(clean_redis, processes)
    pages = len(memory.pages())
    assert pages > 5
    assert sorted(sealed for sealed, *_ in done) == [0] * (processes - 1) + [pages]
    assert sorted(replans for _, replans, *_ in done) == [0] * (processes - 1) + [1]
    assert len({plan for *_, plan, _, _ in done}) == 1 and len({tuple(pictures) for *_, pictures, _ in done}) == 1


@pytest.mark.slow
@at_once
def test_processes_draw_an_evicted_picture_once(clean_redis: str, processes: int) -> None:
    memory = fill(clean_redis)
    shown = memory.context().pages
    store = open_store(clean_redis)
    store.discard(ALICE, [name for name in store.names(ALICE) if name.startswith("picture/")])
    done = draw_at_once(clean_redis, processes)
    assert sum(redrawn for *_, redrawn in done) <= len(memory.pages())
    assert {len(pictures) for *_, pictures, _ in done} == {len(shown)}


def _hold(url: str, ready: Any) -> None:
    with claimed(open_store(url), ALICE, "work"):
        ready.set()
        time.sleep(600)


@pytest.mark.endurance
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_holder_that_died_or_hangs_delays_nobody_for_long(clean_redis: str, end: signal.Signals) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(clean_redis, ready))
    holder.start()
    assert ready.wait(60)
    time.sleep(LEASE * 1.2)  # it is alive, so its claim outlives the lease
    store = open_store(clean_redis)
    claims = claims_of(store)
    assert claims is not None and not claims.claim(ALICE, "work", "me", 1)
    assert holder.pid is not None
    os.kill(holder.pid, end)
    began = time.monotonic()
    with claimed(store, ALICE, "work"):
        waited = time.monotonic() - began
    holder.kill()
    holder.join()
    assert waited < LEASE + 2


def test_a_claim_excludes_others_and_is_given_back(store_url: str) -> None:
    store, inside, most = open_store(store_url), 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with claimed(store, ALICE, "work") as shared:
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.01)
            with lock:
                inside -= 1
            assert shared

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    with contextlib.suppress(ZeroDivisionError), claimed(store, ALICE, "work"):
        raise ZeroDivisionError
    if isinstance(store, RedisStore):
        assert store.wire.scan("*claim*") == []
    claims = claims_of(store)
    assert claims is not None and claims.claim(ALICE, "work", "me", 1), "a claim is given back where the work failed"


def test_a_claim_that_was_lost_is_not_given_back_for_another(store_url: str) -> None:
    claims = claims_of(open_store(store_url))
    assert claims is not None
    assert claims.claim(ALICE, "work", "first", 0.05)
    time.sleep(0.1)
    assert claims.claim(ALICE, "work", "second", 10)
    claims.release(ALICE, "work", "first")
    assert not claims.claim(ALICE, "work", "third", 10)
    assert claims.claim(SessionId("bob"), "work", "third", 10) and claims.claim(ALICE, "other work", "third", 10)


def test_a_plan_is_put_in_place_of_the_one_that_was_read(store_url: str) -> None:
    claims, store = claims_of(open_store(store_url)), open_store(store_url)
    assert claims is not None
    assert claims.swap(ALICE, "plan", None, b"1") and not claims.swap(ALICE, "plan", None, b"2")
    assert claims.swap(ALICE, "plan", b"1", b"2") and not claims.swap(ALICE, "plan", b"1", b"3")
    store.discard(ALICE, ["plan"])
    assert not claims.swap(ALICE, "plan", b"2", b"3")
    assert store.get(ALICE, ["plan"]) == {}


def test_a_session_replanned_by_two_at_once_has_one_plan(store_url: str) -> None:
    """One whose claim was lost, since it hung, must not put its old plan over the newer one."""
    slow, quick = fill(store_url), OpticalMemory("alice", store=store_url, renderer=RuledRenderer(rows=900), marks=MARKS)
    builder: Any = slow._builder
    moment = builder._read_state(None)  # where it stood when it hung
    newer = quick.context().plan
    for n in range(60, 120):
        quick.append(("user" if n % 2 else "assistant", f"turn {n} " + "word " * 40))
    newest = quick.context().plan
    assert newest.epoch > newer.epoch
    assert builder._replanned(moment, None).plan.epoch >= newest.epoch
    assert builder._read_plan().epoch >= newest.epoch


def test_a_page_is_encoded_once_for_all_that_share_a_store(clean_redis: str) -> None:
    """Each cache stands for a process: its own memory and lock, and a store of its own."""
    torch = pytest.importorskip("torch", reason="needs the deepseek extra")
    from optical_memory.readers.vision_cache import PageKey, StoreShelf, VisionCache

    keys = [PageKey(f"page {n}", "small", "encoder") for n in range(3)]
    caches = [VisionCache(shelf=StoreShelf(open_store(clean_redis), ALICE)) for _ in range(6)]
    encoded: list[int] = []

    def encode(places: Any) -> list[Any]:
        time.sleep(0.1)
        encoded.extend(places)
        return [{"rows": torch.full((2, 2), float(place))} for place in places]

    def ask(cache: VisionCache) -> None:
        assert [float(payload["rows"][0, 0]) for payload in cache.get_or_encode(keys, encode)] == [0, 1, 2]

    threads = [threading.Thread(target=ask, args=(cache,)) for cache in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(encoded) == [0, 1, 2]


def test_a_store_without_claims_is_worked_on_at_once() -> None:
    with claimed(object(), ALICE, "work") as shared:
        assert shared is False
