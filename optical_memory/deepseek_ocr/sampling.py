"""Choose the next token: greedily or at random, without loops."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["NGramGuard", "Sampler", "Sampling"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is generated.

    Attributes:
        max_tokens: most tokens of the answer.
        temperature: 0 takes the likeliest token, as in the published recipe.
        top_p: only the likeliest tokens that together have this probability.
        top_k: only this many of the likeliest tokens; 0 for all.
        seed: random seed; the same seed gives the same answer.
        stop: strings that end the answer; they are not part of it.
        ngram_size: an n-gram of this size is not repeated within `ngram_window` tokens; 0 for no limit. DeepSeek-OCR loops without a
            limit (vLLM's recipe: 30 within 90).
        ngram_whitelist: tokens that may repeat: the cells of a table.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop: tuple[str, ...] = ()
    ngram_size: int = 30
    ngram_window: int = 90
    ngram_whitelist: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        for name, fine in (
            ("max_tokens", self.max_tokens >= 1),
            ("temperature", self.temperature >= 0),
            ("top_p", 0 < self.top_p <= 1),
            ("top_k", self.top_k >= 0),
            ("ngram_size", self.ngram_size >= 0),
            ("ngram_window", not self.ngram_size or self.ngram_window >= self.ngram_size),
            ("stop", all(self.stop)),
        ):
            if not fine:
                raise ValueError(f"{name}={getattr(self, name)!r} makes no sense; see Sampling for what it may be")


class NGramGuard:
    """Bans tokens that would repeat an n-gram of `size` tokens within the last `window` tokens."""

    def __init__(self, size: int, window: int, whitelist: Collection[int] = ()) -> None:
        self._size, self._whitelist = size, frozenset(whitelist)
        self._said: deque[int] = deque(maxlen=window)

    def push(self, token: int) -> None:
        """Add a generated token."""
        if self._size:
            self._said.append(token)

    def banned(self) -> set[int]:
        """Return the banned next tokens."""
        size, said = self._size, list(self._said)
        if not size or len(said) < size:
            return set()
        start = said[len(said) - size + 1 :]  # the last size - 1 tokens
        found = {said[at + size - 1] for at in range(len(said) - size + 1) if said[at : at + size - 1] == start}
        return found - self._whitelist


class Sampler:
    """Chooses tokens."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._guard = NGramGuard(sampling.ngram_size, sampling.ngram_window, sampling.ngram_whitelist)
        self._generator = torch.Generator().manual_seed(sampling.seed)
        self.loops_cut = 0

    def next(self, logits: Tensor) -> int:
        """Choose the next token, given the scores (vocabulary,) of all."""
        scores = logits.float().cpu().clone()  # a copy, since it is modified, and may be an inference tensor
        banned = list(self._guard.banned())
        if banned:
            self.loops_cut += int(scores.argmax()) in banned
            scores[banned] = -torch.inf
        token = int(scores.argmax()) if self._sampling.temperature == 0 else self._drawn(scores / self._sampling.temperature)
        self._guard.push(token)
        return token

    def _drawn(self, scores: Tensor) -> int:
        ranked, order = scores.sort(descending=True)
        probabilities = ranked.softmax(-1)
        before = probabilities.cumsum(-1) - probabilities  # of all likelier tokens
        probabilities[before >= self._sampling.top_p] = 0
        if self._sampling.top_k:
            probabilities[self._sampling.top_k :] = 0
        return int(order[torch.multinomial(probabilities, 1, generator=self._generator)])
