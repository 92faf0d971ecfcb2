"""Generate tokens, streamed as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .kv_cache import KVCache
from .modeling import DeepseekOcrForConditionalGeneration
from .sampling import Sampler, Sampling
from .tokenization import StreamDecoder, Tokenizer

__all__ = ["Outcome", "StopWatch", "generate", "prefill"]

CHUNK = 512  # positions that are prefilled at a time; bounds the memory of attention and of the experts


@dataclass(slots=True)
class Outcome:
    """Result of a generation: stop reason, number of tokens, and of tokens suppressed because they would repeat an n-gram."""

    stopped: str | None = None
    tokens: int = 0
    loops_cut: int = 0


def prefill(
    model: DeepseekOcrForConditionalGeneration,
    rows: Tensor,
    cache: KVCache,
    *,
    prompt_length: int = 0,
    cancelled: Callable[[], bool] = lambda: False,
) -> Tensor | None:
    """Append `rows` (T, hidden), T > 0, to `cache`.

    Returns the scores (vocabulary,) of the next token; None if cancelled, which is checked before each chunk.
    """
    assert len(rows), "nothing to prefill"
    scores = None
    for begin in range(0, len(rows), CHUNK):
        if cancelled():
            return None
        scores = model(rows[None, begin : begin + CHUNK], cache=cache, logits_to_keep=1, prompt_length=prompt_length)[0, -1]
    return scores


def generate(
    model: DeepseekOcrForConditionalGeneration,
    tokenizer: Tokenizer,
    scores: Tensor,
    cache: KVCache,
    sampling: Sampling,
    outcome: Outcome,
    *,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[str]:
    """Yield pieces of text after a prefilled prompt, until the model ends, a stop string, or `sampling.max_tokens`.

    Args:
        scores: (vocabulary,) for the first token, from `prefill`.
        cache: the prompt; grows by the generated tokens.
        outcome: updated while generating.
        cancelled: checked before each token.
    """
    sampler, decoder, watch, prompt = Sampler(sampling), StreamDecoder(tokenizer), StopWatch(sampling.stop), cache.length
    while outcome.stopped is None:
        if cancelled():
            outcome.stopped = "cancelled"
            break
        token = sampler.next(scores)
        outcome.tokens, outcome.loops_cut = outcome.tokens + 1, sampler.loops_cut
        if token == tokenizer.eos_id:
            outcome.stopped = "end"
            break
        if piece := watch.push(decoder.push(token)):
            yield piece
        if watch.stopped:
            outcome.stopped = "stop"
        elif outcome.tokens >= sampling.max_tokens:
            outcome.stopped = "length"
        else:
            row = model.embed(torch.tensor([token]))
            scores = model(row[None], cache=cache, logits_to_keep=1, prompt_length=prompt)[0, -1]
    rest = "" if watch.stopped else watch.push(decoder.flush()) + watch.rest()
    if watch.stopped:
        outcome.stopped = "stop"
    if rest:
        yield rest


class StopWatch:
    """Holds text back while it may be the beginning of a stop string, and ends before one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """Return the text that can be emitted now."""
        if self.stopped:
            return ""
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            said, self._held, self.stopped = self._held[: min(places)], "", True
            return said
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        said = self._held[: len(self._held) - keep]
        self._held = self._held[len(said) :]
        return said

    def rest(self) -> str:
        """Return the text held back that was not a stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that `stop` begins with."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
