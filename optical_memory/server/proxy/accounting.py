"""What a call has cost, and what it would have cost as text under the same cache state.

Costs are in tokens of uncached input. A request as text would have had as many tokens as the provider counted, less those of the pages,
plus those of the text that they replace. How much of it would have come from the cache is told by the calls before it: all that the last
request of this line held, if it is no older than the cache's lifetime, and if the cache was warm for the real request too. The call that
first sends new pages finds less in the cache; its text would have found all, so that such calls are dearer than text. Nothing is floored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...profiles.profile import CachePrices
from .usage import Billed

__all__ = ["MOST_CORRECTION", "Correction", "Cost", "cost_of", "pays", "text_cost_of"]

OPENAI_STEP = 128  # tokens in which OpenAI caches a prefix
OPENAI_LEAST = 1_024
MOST_CORRECTION = 2.0  # a correction of our estimates stays between the half and the double


@dataclass(frozen=True, slots=True)
class Correction:
    """By how much our estimate of text and of pages is to be multiplied for a model, and from how many answers that comes.

    Attributes:
        text, pages: the factors, between the half and the double.
        text_samples, page_samples: answers behind them.
        probes: of these, requests that the provider has counted as text too.
    """

    text: float = 1.0
    pages: float = 1.0
    text_samples: int = 0
    page_samples: int = 0
    probes: int = 0

    def with_text(self, ratio: float) -> Correction:
        """The same after one more answer to a request of text alone."""
        return replace(self, text=_blend(self.text, ratio, self.text_samples), text_samples=self.text_samples + 1)

    def with_pages(self, ratio: float) -> Correction:
        """The same after one more answer to a request with pages."""
        return replace(self, pages=_blend(self.pages, ratio, self.page_samples), page_samples=self.page_samples + 1)

    def with_probe(self, text: float, pages: float) -> Correction:
        """The same after a request with pages that the provider has counted as text too."""
        return replace(self.with_text(text).with_pages(pages), probes=self.probes + 1)


def _blend(known: float, ratio: float, samples: int) -> float:
    bounded = min(MOST_CORRECTION, max(1 / MOST_CORRECTION, ratio))
    weight = max(0.2, 1 / (samples + 1))
    return known + (bounded - known) * weight


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a call, and of its text; `cached` tokens of that text may be read from the cache by the next call."""

    actual: float
    text: float
    cached: int


def cost_of(billed: Billed, prices: CachePrices) -> float:
    """Return the cost of a call's input."""
    write = 1.0 if prices.write is None else prices.write
    longer = write if prices.write_long is None else prices.write_long
    read = 1.0 if prices.read is None else prices.read
    return prices.factor(billed.total) * (billed.input + billed.write * write + billed.write_long * longer + billed.read * read)


def text_cost_of(billed: Billed, prices: CachePrices, *, gap: int, cached: int, alive: bool, switched: bool, marked: int | None) -> Cost:
    """Return what a call has cost, and what it would have cost with `gap` tokens more.

    Args:
        billed: what the provider billed.
        gap: tokens of the text that was replaced, less those of the pages; 0 for a request that was sent as it came.
        cached: tokens of the line's last request, as text, that may be in the cache.
        alive: whether that request is no older than the cache's lifetime.
        switched: whether this call sent other pages than the last one.
        marked: tokens of the pages if the provider caches at markers and only ours stands behind the text that they replace, so that this
            text would be input; 0 if the client's own stand there; None if the provider caches without markers.
    """
    actual = cost_of(billed, prices)
    whole = max(0, billed.total + gap)
    if marked is None:
        cacheable = whole
    elif marked:
        cacheable = max(0, billed.total - billed.input - marked)
    else:
        cacheable = max(0, whole - billed.input) if billed.total > billed.input else 0
    if gap == 0:
        return Cost(actual, actual, cacheable)
    warm = alive and (billed.read > 0 or switched)
    reused = min(cached or cacheable, cacheable) if warm else min(billed.read, cacheable)
    if marked is None:
        reused = reused // OPENAI_STEP * OPENAI_STEP if reused >= OPENAI_LEAST else 0
    return Cost(actual, _priced(billed, prices, whole, cacheable, reused, marked is not None), cacheable)


def _priced(billed: Billed, prices: CachePrices, whole: int, cacheable: int, reused: int, marked: bool) -> float:
    """Return the cost of a text of which `reused` tokens are read and the rest is written, at the rates of the real call."""
    read = 1.0 if prices.read is None else prices.read
    written = billed.write + billed.write_long
    if written:
        rate = cost_of(Billed(0, billed.write, billed.write_long), prices) / written / prices.factor(written)
    else:
        rate = (1.0 if prices.write is None else prices.write) if marked else 1.0
    return prices.factor(whole) * (reused * read + (cacheable - reused) * rate + (whole - cacheable))


def pays(old: float, new: float, shared: float, tail: float, *, prices: CachePrices, calls: int, cached: bool) -> bool:
    """Whether sending `new` tokens in place of `old` costs less over the calls to come.

    Args:
        shared: of the new tokens, those at the beginning that are sent already.
        tail: tokens behind them, which are processed again too.
        cached: whether what is sent now is in the provider's cache.
    """
    if not cached:
        return new < old
    write = 1.0 if prices.write is None else prices.write
    read = 1.0 if prices.read is None else prices.read
    return read * (old - new) * calls > (write - read) * (new - shared + tail)
