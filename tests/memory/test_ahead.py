"""Pages drawn ahead: contexts are the same, fewer of them draw, and nothing of it outlives an erasure, a close or a fork."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.errors import BudgetTooSmall
from optical_memory.memory.ahead import settled
from optical_memory.memory.message_list import MessageListMemory
from optical_memory.planning.settings import ViewSettings
from optical_memory.profiles.registry import profile_of
from optical_memory.renderers.base import open_renderer
from optical_memory.renderers.chromium.finding import find_browser
from optical_memory.stores import open_store
from optical_memory.stores.base import Store
from tests.histories import histories
from tests.renderers.chromium.test_chromium import browsers
from tests.sampling import examples
from tests.support import RuledRenderer

MARKS = WaterMarks(high=600, low=120)
PATIENCE = 60.0
WORDS = "the ferry to Ostrava leaves platform nine at noon with booking QX-77419 "


@dataclass
class Watched(RuledRenderer):
    """Tells which thread draws, and makes the thread that draws ahead wait while `free` is cleared."""

    ahead: int = 0
    begun: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.free.set()

    def render(self, *arguments: Any, **options: Any) -> Any:
        if threading.current_thread().name == "optical-memory-ahead":
            self.ahead += 1
            self.begun.set()
            assert self.free.wait(PATIENCE)
        return super().render(*arguments, **options)


def opened(store: str | Store = "memory://", *, ahead: bool = True, renderer: RuledRenderer | None = None, **options: Any) -> OpticalMemory:
    known: dict[str, Any] = {"shape": (), **options}
    return OpticalMemory("s", store=store, renderer=renderer or Watched(rows=900), marks=MARKS, ahead=ahead, **known)


def talk(exchanges: int, seed: int = 0) -> Iterator[tuple[str, str]]:
    chance = random.Random(seed)
    for place in range(exchanges):
        yield "user", f"question {place} {WORDS * chance.choice([1, 1, 2, 8])}"
        yield "assistant", f"answer {place} {WORDS * chance.choice([1, 2, 5])}"


def sent(memory: OpticalMemory, budget: int | None = None) -> str:
    """The hash of all that a context sends: words and images."""
    return hashlib.sha256(json.dumps(memory.messages(budget), default=str).encode()).hexdigest()


def wait() -> None:
    assert settled(PATIENCE)


def outcome(memory: OpticalMemory, budget: int | None) -> str:
    try:
        return sent(memory, budget)
    except BudgetTooSmall as exc:
        return str(exc)


def kept(store: Store, memory: OpticalMemory) -> dict[str, bytes]:
    """What is stored beside the turns, without the times at which plans were made."""
    names = [name for name in store.names(memory.session) if not name.startswith("past-plan/")]
    return store.get(memory.session, names)


@settings(max_examples=examples(12), deadline=None)
@given(histories(40), st.sampled_from([None, None, 700, 2_000]), st.booleans(), st.booleans(), st.sampled_from(["claude", "gpt-5"]))
def test_contexts_and_what_is_stored_are_the_same_with_pages_drawn_ahead_and_without(
    history: list[dict[str, Any]], budget: int | None, redact: bool, screen: bool, reader: str
) -> None:
    stores = [open_store("memory://"), open_store("memory://")]
    options: dict[str, Any] = {"redact": redact, "screen": screen, "reader": reader, "shape": "auto"}
    memories = [opened(store, ahead=ahead, **options) for store, ahead in zip(stores, (True, False), strict=True)]
    for place, message in enumerate(history):
        wait()
        if message["role"] == "assistant":
            assert len({outcome(memory, budget) for memory in memories}) == 1
        for memory in memories:
            memory.append({**message, "id": f"turn-{place}"})
    wait()
    assert kept(stores[0], memories[0]) == kept(stores[1], memories[1])


def test_most_plans_find_their_pages_drawn() -> None:
    renderer = Watched(rows=900)
    memory = opened(renderer=renderer)
    waited: list[int] = []
    epoch = 0
    for role, words in talk(50):
        wait()
        if role == "assistant":
            drawn = len(renderer.calls)
            plan = memory.context().plan
            if plan.epoch > epoch and plan.pages:
                waited.append(len(renderer.calls) - drawn)
            epoch = plan.epoch
        memory.append((role, words))
    assert len(waited) >= 5 and waited.count(0) >= 0.8 * len(waited)


def test_a_rehearsal_changes_nothing_that_is_stored() -> None:
    store, renderer = open_store("memory://"), Watched(rows=900)
    memory = opened(store, renderer=renderer)
    turns = list(talk(40))
    memory.extend(turns[:30])
    memory.context()
    before = store.get(memory.session, store.names(memory.session))
    memory.extend(turns[30:])
    wait()
    assert renderer.ahead and store.get(memory.session, store.names(memory.session)) == before


def grown(store: str | Store, renderer: Watched) -> OpticalMemory:
    """A session whose next re-plan is being drawn ahead: the drawing has begun and waits."""
    memory = opened(store, renderer=renderer)
    turns = list(talk(40))
    memory.extend(turns[:30])
    memory.context()
    wait()
    renderer.free.clear()
    renderer.begun.clear()
    memory.extend(turns[30:])
    assert renderer.begun.wait(PATIENCE)
    return memory


def test_nothing_erased_comes_back_from_a_drawing_that_began_before(tmp_path: Path) -> None:
    renderer, url = Watched(rows=900), f"sqlite:///{tmp_path}/memory.db"
    memory = grown(url, renderer)
    numbers = list(range(1, 80, 2))
    memory.erase(numbers)
    renderer.free.set()
    wait()
    assert memory._builder.ahead is not None and memory._builder.ahead.is_empty
    assert not (names := memory._store.names(memory.session, "picture/")), names
    assert memory.prove_erased(numbers).is_complete
    assert "question" not in json.dumps(memory.messages())


def test_a_memory_is_closed_and_its_process_goes_on_while_a_page_is_drawn(tmp_path: Path) -> None:
    renderer = Watched(rows=900)
    memory = grown(f"sqlite:///{tmp_path}/memory.db", renderer)
    memory.close()
    assert not renderer.free.is_set()  # it did not wait
    renderer.free.set()
    wait()
    with opened(f"sqlite:///{tmp_path}/memory.db", ahead=False) as again:
        assert again.context().pages


def test_a_context_takes_what_is_being_drawn() -> None:
    renderer = Watched(rows=900)
    memory = grown("memory://", renderer)
    memory.append(("user", f"question 40 {WORDS}"))
    threading.Timer(0.2, renderer.free.set).start()
    drawn = renderer.ahead
    memory.context()
    assert renderer.ahead == drawn and len(renderer.calls) == len(set(renderer.calls))
    wait()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_forked_child_draws_for_itself(tmp_path: Path) -> None:
    renderer = Watched(rows=900)
    memory = grown(f"sqlite:///{tmp_path}/memory.db", renderer)
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    child = fork.Process(target=_in_child, args=(memory, results))
    child.start()
    try:
        assert results.get(timeout=PATIENCE) == "drawn"
    finally:
        renderer.free.set()
        child.join(PATIENCE)
    wait()


def _in_child(memory: OpticalMemory, results: Any) -> None:
    free = threading.Event()
    free.set()
    memory._builder.renderer().free = free  # type: ignore[attr-defined]  # the parent's is cleared for good here
    memory.append(("user", "and now?"))
    memory.context()
    memory.append(("assistant", WORDS * 90))
    results.put("drawn" if settled(PATIENCE) else "stuck")


def test_what_cannot_be_drawn_ahead_is_told_by_the_context_alone(recwarn: pytest.WarningsRecorder) -> None:
    renderer = Watched(rows=900)
    memory = opened(renderer=renderer)
    turns = list(talk(40))
    memory.extend(turns[:30])
    memory.context()
    wait()
    renderer.broken = True
    memory.extend(turns[30:])
    wait()
    assert renderer.ahead and not recwarn.list
    renderer.broken = False
    memory.append(("user", "and now?"))
    assert memory.context().pages and memory.stats().render_failures == 0


def test_one_process_draws_ahead_at_a_time() -> None:
    store, renderer = open_store("memory://"), Watched(rows=900)
    memory = opened(store, renderer=renderer)
    turns = list(talk(40))
    memory.extend(turns[:30])
    memory.context()
    wait()
    drawn = renderer.ahead
    assert store.claims.claim(memory.session, "ahead", "another process", PATIENCE)  # type: ignore[attr-defined]
    memory.extend(turns[30:])
    wait()
    assert renderer.ahead == drawn


def test_it_is_on_within_a_with_block_and_off_elsewhere() -> None:
    for keeps in (True, False):
        renderer = Watched(rows=900)
        memory = OpticalMemory("s", store="memory://", renderer=renderer, marks=MARKS)
        with memory if keeps else threading.Lock():
            turns = list(talk(40))
            memory.extend(turns[:30])
            memory.context()
            memory.extend(turns[30:])
            wait()
        assert bool(renderer.ahead) is keeps


def test_a_list_of_messages_is_drawn_ahead_while_its_model_answers() -> None:
    views = [ViewSettings.of(profile_of("claude"), renderer=Watched(rows=900), marks=MARKS) for _ in range(2)]
    memories = [
        MessageListMemory[tuple[str, str]](view, open_store("memory://"), key=lambda each: each, turn=lambda each: each, ahead=ahead)
        for view, ahead in zip(views, (True, False), strict=True)
    ]
    states: list[dict[str, Any] | None] = [None, None]
    messages = list(talk(30))
    for length in range(1, len(messages), 2):
        found = [memory.context(messages[:length], state) for memory, state in zip(memories, states, strict=True)]
        states = [each.state for each in found]
        assert states[0] == states[1]
        shown = [[(part.page.key, part.image()) for part in each.context.pages] for each in found]
        assert shown[0] == shown[1]
        wait()
    ahead, plain = (view.renderer for view in views)
    assert isinstance(ahead, Watched) and isinstance(plain, Watched)
    assert ahead.ahead and len(ahead.calls) - ahead.ahead < len(plain.calls) and not plain.ahead


ENDING = """
import sys
from optical_memory import OpticalMemory, WaterMarks
memory = OpticalMemory("s", store=sys.argv[1], renderer=sys.argv[2], marks=WaterMarks(high=600, low=120), ahead=True)
words = "the ferry to Ostrava leaves platform nine at noon "
said = [turn for n in range(20) for turn in (("user", f"{n} " + words * 4), ("assistant", f"{n} " + words * 9))]
memory.extend(said[:20])
memory.context()
memory.extend(said[20:])
print("done")
"""


@pytest.mark.parametrize("renderer", ["pillow", pytest.param("chromium", marks=pytest.mark.slow)])
def test_a_process_ends_while_pages_are_drawn_ahead(tmp_path: Path, renderer: str) -> None:
    arguments = [sys.executable, "-c", ENDING, f"sqlite:///{tmp_path}/memory.db", renderer]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", ""), ended.stderr
    with OpticalMemory("s", store=f"sqlite:///{tmp_path}/memory.db", renderer="pillow") as memory:
        assert len(memory) == 40


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_process_killed_while_it_draws_ahead_leaves_all_as_it_was(tmp_path: Path) -> None:
    url, turns = f"sqlite:///{tmp_path}/memory.db", list(talk(40))
    fork = multiprocessing.get_context("fork")
    begun = fork.Event()
    child = fork.Process(target=_draw_for_ever, args=(url, begun))
    child.start()
    assert begun.wait(PATIENCE)
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    child.join(PATIENCE)
    with opened(url, ahead=False) as memory, opened(ahead=False) as other:
        other.extend(turns[:30])
        other.context()
        other.extend(turns[30:])
        assert [turn.text for turn in memory.turns()] == [text for _, text in turns]
        assert sent(memory) == sent(other), "as if nothing had been begun"
        memory.erase([1])
        assert not any(trace.clean is False for trace in memory.prove_erased([1]).traces)


def _draw_for_ever(url: str, begun: Any) -> None:
    grown(url, Watched(rows=900))
    begun.set()
    threading.Event().wait(PATIENCE)


class KillingItsBrowser:
    """Chromium's renderer, whose browser is killed before it first draws ahead."""

    name = "chromium"

    def __init__(self) -> None:
        self.killed: list[int] = []
        self._renderer = open_renderer("chromium")

    @property
    def fingerprint(self) -> str:
        return self._renderer.fingerprint

    def render(self, *arguments: Any, **options: Any) -> Any:
        if threading.current_thread().name == "optical-memory-ahead" and not self.killed:
            self.killed = browsers()
            for process in self.killed:
                os.kill(process, signal.SIGKILL)
        return self._renderer.render(*arguments, **options)

    def close(self) -> None:
        self._renderer.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or find_browser() is None, reason="looks for Chromium's processes in /proc")
def test_a_browser_that_dies_while_pages_are_drawn_ahead_is_started_again(recwarn: pytest.WarningsRecorder) -> None:
    renderer, results = KillingItsBrowser(), []
    for ahead in (True, False):
        with opened(renderer=renderer, ahead=ahead) as memory:  # type: ignore[arg-type]
            turns = list(talk(60))
            memory.extend(turns[:60])
            memory.context()
            memory.extend(turns[60:])
            wait()
            results.append(sent(memory))
    renderer.close()
    assert renderer.killed and results[0] == results[1]
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]
