"""Cost of a plan under a provider's prompt cache, in multiples of the price of an input token.

A plan that changes what was sent before makes the provider process everything after the change again. Whether that pays depends on the
number of calls still to come, which is unknown. We assume n/4 after n calls: P(more than x n) = 1 / (1 + x), which is 80 % for x = 1/4
(J. R. Gott, Nature 363, 1993). With n instead, short sessions were billed more than their text (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..context.plan import PageItem, Plan, TextItem
from ..context.wording import framing_text
from ..pages.tiers import Tier
from ..profiles.profile import CachePrices

__all__ = ["billed", "calls_to_come", "known_tokens"]

TURNS_A_CALL = 2  # a call's answer, and the turn before it
CALLS_PAST_A_CALL_TO_COME = 4  # at 80 % probability, see above


def calls_to_come(length: int) -> int:
    """Estimate the calls to come after `length` turns."""
    return max(1, length // (TURNS_A_CALL * CALLS_PAST_A_CALL_TO_COME))


def billed(plan: Plan, last: Plan, tail_tokens: int, *, prices: CachePrices, calls: int, shape: Sequence[Tier] = ()) -> float:
    """Return the cost of `calls` requests with `plan` after requests with `last`, without the turns to come.

    Args:
        tail_tokens: tokens of the text after the plan's items.
        prices: needs `read`; without `write`, a token written costs as much as an input token.
        shape: tiers with abridged pages; the framing text mentions them.
    """
    assert prices.read is not None, "the comparison needs the price of a cached token"
    write = 1.0 if prices.write is None else prices.write
    whole = plan.prefix_tokens + tail_tokens
    known = whole if plan.sends_like(last) else known_tokens(plan, last, shape)
    if whole < (prices.minimum or 0):
        return write * whole * calls  # too short to be kept
    return prices.factor(whole) * (write * (whole - known) + prices.read * known + prices.read * whole * (calls - 1))


def known_tokens(plan: Plan, last: Plan, shape: Sequence[Tier] = ()) -> int:
    """Count the tokens of `plan`'s requests that `last` also began with. A text that `last` had only in part counts as new."""
    if framing_text(plan, shape) != framing_text(last, shape):
        return 0  # the framing text comes first
    tokens = plan.prefix_tokens - sum(item.tokens for item in plan.items)
    for new, old in zip(plan.items, (*last.items, None), strict=False):
        if not _begins_with(old, new, last.tail_from):
            break
        tokens += new.tokens
        if old is None or new.last != old.last:
            break
    return tokens


def _begins_with(old: PageItem | TextItem | None, new: PageItem | TextItem, tail_from: int) -> bool:
    """Whether `old`, or the text from turn `tail_from` on, begins with all of `new`."""
    if isinstance(new, PageItem):
        return isinstance(old, PageItem) and (new.key, new.tier) == (old.key, old.tier)
    if old is None:
        return new.first == tail_from
    return isinstance(old, TextItem) and new.first == old.first and new.last <= old.last
