from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")

from optical_memory.deepseek_ocr.kv_cache import KVCache, storage_bytes
from tests.sampling import examples

from .mirror import DECODER, Mirror


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["say", "fork", "cut", "drop", "reserve"]), st.integers(1, 70)), max_size=30))
def test_branches_never_see_each_other(steps: list[tuple[int, str, int]]) -> None:
    branches = [Mirror(KVCache(DECODER, torch.float32, capacity=8), [])]
    count = 0.0
    for which, action, size in steps:
        branch = branches[which % len(branches)]
        if action == "say":
            branch.say([count + place for place in range(size)])
            count += size
        elif action == "fork":
            branches.append(Mirror(branch.cache.fork(), branch.tokens))
        elif action == "cut":
            length = branch.cache.length * size // 70
            branch.cache.truncate(length)
            branch.tokens = branch.tokens[:length]
        elif action == "reserve":
            branch.cache.reserve(size)
        elif len(branches) > 1:
            branches.remove(branch)
    for branch in branches:
        branch.say([-1.0])


def test_a_fork_costs_nothing_until_both_go_on() -> None:
    first = Mirror(KVCache(DECODER, torch.float32, capacity=100), [])
    first.say([1.0] * 50)
    second = Mirror(first.cache.fork(), first.tokens)
    assert second.cache.shares_storage(first.cache)
    assert storage_bytes([first.cache, second.cache]) == first.cache.nbytes
    second.say([2.0])
    assert second.cache.shares_storage(first.cache), "nobody else has written there"
    first.say([3.0])
    assert not second.cache.shares_storage(first.cache)
    assert storage_bytes([first.cache, second.cache]) == first.cache.nbytes + second.cache.nbytes


def test_the_room_of_a_gone_branch_is_written_again() -> None:
    first = Mirror(KVCache(DECODER, torch.float32, capacity=100), [])
    first.say([1.0] * 50)
    second = Mirror(first.cache.fork(), first.tokens)
    second.say([2.0] * 10)
    storage = first.cache._storage
    del second
    first.say([3.0])
    assert first.cache._storage is storage
