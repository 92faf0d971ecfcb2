from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")

from optical_memory.deepseek_ocr.kv_cache import KVCache
from optical_memory.deepseek_ocr.prefixes import PrefixCache, chain_of

from .mirror import DECODER, Mirror


@given(st.lists(st.text(max_size=3), max_size=6), st.lists(st.text(max_size=3), max_size=6))
def test_links_are_equal_as_far_as_segments_are(one: list[str], other: list[str]) -> None:
    common = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    first, second = chain_of("model", one), chain_of("model", other)
    assert first[:common] == second[:common]
    assert not set(first[common:]) & set(second[common:])
    assert not set(chain_of("another model", one)) & set(first)


def test_the_longest_known_beginning() -> None:
    prefixes = PrefixCache()
    cache = Mirror(KVCache(DECODER, torch.float32), [])
    cache.say([1.0] * 30)
    prefixes.keep(chain_of("m", ["a", "b", "c"]), [10, 20, 30], cache.cache)
    found = prefixes.longest(chain_of("m", ["a", "b", "x", "y"]))
    assert found is not None
    assert (found[0], found[1].length) == (2, 20)
    assert prefixes.longest(chain_of("m", ["b"])) is None


def test_a_longer_chain_takes_the_place_of_its_beginning() -> None:
    prefixes = PrefixCache()
    cache = Mirror(KVCache(DECODER, torch.float32), [])
    for end in range(1, 5):
        cache.say([1.0] * 10)
        prefixes.keep(chain_of("m", list("abcd"))[:end], [10 * place for place in range(1, end + 1)], cache.cache)
        assert len(prefixes) == 1


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 400)), max_size=12), st.integers(0, 60_000))
def test_prefixes_keep_to_their_limit(chains: list[tuple[int, int]], limit: int) -> None:
    prefixes = PrefixCache(limit)
    for name, length in chains:
        cache = Mirror(KVCache(DECODER, torch.float32, capacity=length), [])
        cache.say([1.0] * length)
        prefixes.keep(chain_of("m", [f"chain {name}", str(length)]), [1, length], cache.cache)
        assert prefixes.nbytes <= limit
