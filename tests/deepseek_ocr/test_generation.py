from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")

from optical_memory.deepseek_ocr.configuration import DecoderConfig
from optical_memory.deepseek_ocr.generation import StopWatch
from optical_memory.deepseek_ocr.kv_cache import KVCache, storage_bytes
from optical_memory.deepseek_ocr.prefixes import PrefixCache, chain_of
from optical_memory.deepseek_ocr.sampling import NGramGuard, Sampler, Sampling

DECODER = DecoderConfig(hidden_size=4, num_attention_heads=2, num_key_value_heads=2, num_hidden_layers=2)


# -- what is said -------------------------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "", "c\n", "STOP", "ST"]), max_size=20),
    st.lists(st.sampled_from(["ab", "STOP", "bc", "\n"]), max_size=3),
)
def test_nothing_of_a_stop_string_is_said(pieces: list[str], stops: list[str]) -> None:
    watch = StopWatch(stops)
    said = "".join(watch.push(piece) for piece in pieces) + watch.rest()
    whole = "".join(pieces)
    first = min((place for stop in stops if (place := whole.find(stop)) >= 0), default=None)
    if first is None:
        assert (said, watch.stopped) == (whole, False)
    else:
        assert watch.stopped
        assert whole.startswith(said)
        assert not any(stop in said for stop in stops)
        assert len(said) <= first + max(map(len, stops))


def test_text_is_held_back_no_longer_than_it_must() -> None:
    watch = StopWatch(["END"])
    assert [watch.push(piece) for piece in ("ab", "E", "N", "o", "EN")] == ["ab", "", "", "ENo", ""]
    assert watch.rest() == "EN"


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(2, 5), st.integers(5, 12), st.sets(st.integers(0, 3), max_size=1))
def test_no_run_is_said_twice_within_the_window(favourites: list[int], size: int, window: int, whitelist: set[int]) -> None:
    """A model that only wants to loop, under the guard: every repetition within the window ends with a token that may repeat."""
    sampler = Sampler(Sampling(ngram_size=size, ngram_window=window, ngram_whitelist=frozenset(whitelist)))
    said: list[int] = []
    for step in range(60):
        scores = torch.zeros(8)
        scores[favourites[step % len(favourites)]] = 5
        said.append(sampler.next(scores))
    for end in range(size, len(said) + 1):
        seen = said[max(0, end - 1 - window) : end - 1]
        run = said[end - size : end]
        repeated = any(seen[at : at + size] == run for at in range(len(seen) - size + 1))
        assert not repeated or run[-1] in whitelist


def test_without_the_guard_it_loops() -> None:
    sampler = Sampler(Sampling(ngram_size=0))
    scores = torch.tensor([0.0, 1.0])
    assert [sampler.next(scores) for _ in range(9)] == [1] * 9
    guard = NGramGuard(2, 5)
    for token in (1, 1):
        guard.push(token)
    assert guard.banned() == {1}


def drawn(scores: Iterable[float], **options: float) -> set[int]:
    sampler = Sampler(Sampling(temperature=1.0, ngram_size=0, **options))  # type: ignore[arg-type]
    return {sampler.next(torch.tensor(list(scores))) for _ in range(200)}


def test_top_k_and_top_p() -> None:
    scores = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().tolist()
    assert drawn(scores) == {0, 1, 2, 3}
    assert drawn(scores, top_k=2) == {0, 1}
    assert drawn(scores, top_p=0.5) == {0}
    assert drawn(scores, top_p=0.6) == {0, 1}


@pytest.mark.parametrize(
    "wrong",
    [{"max_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"top_k": -1}, {"ngram_size": 9, "ngram_window": 3}, {"stop": ("",)}],
)
def test_sampling_that_makes_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0]):
        Sampling(**wrong)  # type: ignore[arg-type]


# -- keys and values ----------------------------------------------------------------------------------------------------------------------


class Mirror:
    """A cache, and what it should hold."""

    def __init__(self, cache: KVCache, tokens: list[float]) -> None:
        self.cache, self.tokens = cache, tokens

    def say(self, tokens: list[float]) -> None:
        new = torch.tensor(tokens)[None, None, :, None].expand(1, 2, len(tokens), 2)
        self.tokens = self.tokens + tokens
        for layer in range(2):
            keys, values = self.cache.update(layer, new + layer, -new)
            assert keys[0, 1, :, 0].tolist() == [token + layer for token in self.tokens]
            assert values[0, 0, :, 1].tolist() == [-token for token in self.tokens]
        self.cache.advance(len(tokens))


@settings(max_examples=150, deadline=None)
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


# -- prefixes -----------------------------------------------------------------------------------------------------------------------------


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
