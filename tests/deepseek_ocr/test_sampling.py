from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")

from optical_memory.deepseek_ocr.sampling import NGramGuard, Sampler, Sampling
from tests.sampling import examples


@settings(max_examples=examples(50))
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
