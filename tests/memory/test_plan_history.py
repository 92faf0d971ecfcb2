"""The last plans of a session are kept: some, of each reader, and none of them after erasing."""

from __future__ import annotations

import zlib

import pytest

from optical_memory import OpticalMemory
from optical_memory.context.plan import Plan
from optical_memory.memory.plan_history import KEPT, PREFIX, keep_plan, past_plans
from optical_memory.stores.base import SessionId, Store, open_store

SESSION = SessionId("s")


def plan(epoch: int) -> Plan:
    return Plan(epoch=epoch, basis="b", budget=None, high_water=1, reason="grown")


def names(store: Store) -> list[str]:
    return store.names(SESSION, PREFIX)


def test_the_last_plans_are_kept_in_order() -> None:
    store = open_store("memory://")
    for epoch in range(1, KEPT + 10):
        keep_plan(store, SESSION, "claude", plan(epoch))
    assert [past.plan.epoch for past in past_plans(store, SESSION, "claude")] == list(range(10, KEPT + 10))
    assert not past_plans(store, SESSION, "gpt-5")


@pytest.mark.parametrize(
    "damage", [b"", b"plain", zlib.compress(b"{}"), zlib.compress(b'{"made": 3, "plan": {}}'), zlib.compress(b"[" * 99_999)]
)
def test_what_is_damaged_is_absent(damage: bytes) -> None:
    store = open_store("memory://")
    for epoch in (1, 2, 3):
        keep_plan(store, SESSION, "claude", plan(epoch))
    store.put(SESSION, {names(store)[1]: damage})
    assert [past.plan.epoch for past in past_plans(store, SESSION, "claude")] == [1, 3]


def test_plans_of_a_session_are_kept_and_erased_with_its_turns() -> None:
    with OpticalMemory("s", store=open_store("memory://"), renderer="pillow") as memory:
        for at in range(60):
            memory.append(("user" if at % 2 == 0 else "assistant", f"Turn {at} of a talk. " * 30))
            memory.context(3_000)
        kept = past_plans(memory._store, SESSION, "deepseek-ocr")
        assert len(kept) == memory.stats().replans > 2
        assert kept[-1].plan == memory.context(3_000).plan
        memory.erase(4)
        assert not names(memory._store)
        memory.context(3_000)
        assert len(names(memory._store)) == 1
