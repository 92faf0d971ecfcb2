"""Erasing, and the proof of it: whatever is stored can be erased, and the proof goes by what pages show."""

from __future__ import annotations

import gc

import pytest

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.stores import open_store
from optical_memory.stores.base import Store
from optical_memory.turns.turn import Turn
from tests.support import RuledRenderer

MARKS = WaterMarks(high=300, low=60)


def opened(store: Store, verify: str | None = None) -> OpticalMemory:
    memory = OpticalMemory("s", store=store, renderer=RuledRenderer(rows=900), marks=MARKS, verify=verify)
    memory.extend([("assistant" if n % 2 else "user", f"turn {n + 1} " + "word " * 40) for n in range(60)])
    memory.context(2_000)
    return memory


@pytest.fixture
def local_store(tmp_path: object, request: pytest.FixtureRequest) -> Store:
    return open_store(request.param.format(tmp_path))


LOCAL = pytest.mark.parametrize("local_store", ["memory://", "sqlite:///{}/s.db"], indirect=True)


@LOCAL
@pytest.mark.parametrize("number", [1, 17, 30])
def test_the_proof_is_complete_after_pages_were_sealed_over_the_gap(local_store: Store, number: int) -> None:
    memory = opened(local_store)
    assert memory.erase(number).pages >= 1
    memory.context(2_000)
    proof = memory.prove_erased(number)
    assert proof.is_complete, proof.traces
    assert {trace.place for trace in proof.traces} >= {"log", "pages"}


@LOCAL
def test_a_page_that_shows_an_erased_turn_is_found(local_store: Store) -> None:
    """The pages of an earlier layout come back from a backup, say."""
    memory = opened(local_store)
    kept = {name: local_store.get(memory.session, [name])[name] for name in local_store.names(memory.session, "run/")}
    memory.erase(17)
    assert memory.prove_erased(17).is_complete
    local_store.put(memory.session, kept)
    pages = next(trace for trace in memory.prove_erased(17).traces if trace.place == "pages")
    assert pages.clean is False and "on 1 run of pages" in pages.details
    memory.erase()
    assert memory.prove_erased().is_complete


MALFORMED = ["run/x", "run/", "run/abc/1-2-3", "run/abc/nine-10-1-2-3", "run/abc/000000005-000000001-1-2-3", "run/x/1-9-1-1-1" + "9" * 30]
MALFORMED += [
    "run//1-20-1-1-1",
    "run/\ud800/1-20-1-1-1",
    "plan/x",
    "plan/",
    "undrawn/x",
    "undrawn/",
    "picture/",
    "picture/x",
    "picture/x/y/z",
]
MALFORMED += ["verified/", "verified/x", "verified/a/b/c/d/e", "/", "x" * 5_000]


@LOCAL
@pytest.mark.parametrize("names", [MALFORMED, *(pytest.param([name], marks=[pytest.mark.slow, pytest.mark.nightly]) for name in MALFORMED)])
def test_malformed_names_in_the_cache_stop_neither_contexts_nor_erasing(local_store: Store, names: list[str]) -> None:
    memory = opened(local_store, verify="density")
    own = next(iter(local_store.names(memory.session, "verified/"))).split("/")[2]
    malformed = dict.fromkeys(names, b"whatever")
    local_store.put(memory.session, {**malformed, f"verified/x/{own}/wide/passed": b"", f"verified/x/{own}/{'9' * 5000}/passed": b""})
    assert memory.context(1_900).usage.prompt_tokens <= 1_900
    assert memory.erase(17).turns == (17,)
    assert memory.prove_erased(17).is_complete
    assert len(memory.erase().turns) == 59
    assert local_store.names(memory.session) == []


def test_no_erased_turn_is_held_by_the_process_once_it_is_erased() -> None:
    """As a page, and as text: an agent's process may live for weeks."""
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=900), marks=MARKS)
    memory.extend([("assistant" if n % 2 else "user", f"zebra {n + 1} crosses " + "word " * 40) for n in range(60)])
    for number in (60, 17, 3):
        words = f"zebra {number} crosses"
        assert memory.context(2_000)
        memory.erase(number)
        gc.collect()
        held = [each for each in gc.get_objects() if type(each) is Turn and each.text.startswith(words)]
        assert not held
