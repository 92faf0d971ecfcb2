"""What a plan will be billed, in multiples of a token of input, where the provider keeps prompt prefixes.

A plan that changes what was sent before makes the provider read everything after the change anew. Whether that pays depends on how
many calls are still to come, which nobody knows. What has lasted for n calls goes on for a quarter of n more with a probability of 80 %, if
nothing else is known of it (J. R. Gott, Nature 363, 1993: P(more than x n) = 1 / (1 + x)). So many are counted on: with as many as there
were, short sessions were billed more than their text (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..context.plan import PageItem, Plan, TextItem
from ..context.wording import framing_text
from ..pages.tiers import Tier
from ..profiles.profile import CachePrices

__all__ = ["billed", "calls_to_come", "known_tokens"]

TURNS_A_CALL = 2  # a call's answer, and the turn that made it necessary
CALLS_PAST_A_CALL_TO_COME = 4  # at 80 % probability, see above


def calls_to_come(length: int) -> int:
    """Calls that are counted on after `length` turns."""
    return max(1, length // (TURNS_A_CALL * CALLS_PAST_A_CALL_TO_COME))


def billed(plan: Plan, last: Plan, tail_tokens: int, *, prices: CachePrices, calls: int, shape: Sequence[Tier] = ()) -> float:
    """What `calls` requests with `plan` cost after those with `last`, the turns to come left out.

    Args:
        tail_tokens: of the text after the plan's items.
        prices: with `read`; a token written costs as much as a token of input where `write` is not known.
        shape: tiers with abridged pages, of which the framing text tells.
    """
    assert prices.read is not None, "without a price for reading there is nothing to weigh"
    write = 1.0 if prices.write is None else prices.write
    whole = plan.prefix_tokens + tail_tokens
    known = whole if plan.sends_like(last) else known_tokens(plan, last, shape)
    return write * (whole - known) + prices.read * known + prices.read * whole * (calls - 1)


def known_tokens(plan: Plan, last: Plan, shape: Sequence[Tier] = ()) -> int:
    """Tokens from the start of `plan`'s requests on that those of `last` began with; a text of which only a part is known counts as new."""
    if framing_text(plan, shape) != framing_text(last, shape):
        return 0  # it comes before everything else
    tokens = plan.prefix_tokens - sum(item.tokens for item in plan.items)
    for new, old in zip(plan.items, (*last.items, None), strict=False):
        if not _begins_with(old, new, last.tail_from):
            break
        tokens += new.tokens
        if old is None or new.last != old.last:
            break
    return tokens


def _begins_with(old: PageItem | TextItem | None, new: PageItem | TextItem, tail_from: int) -> bool:
    """Whether all of `new` stood at the start of `old`, or of the text from turn `tail_from` on."""
    if isinstance(new, PageItem):
        return isinstance(old, PageItem) and (new.key, new.tier) == (old.key, old.tier)
    if old is None:
        return new.first == tail_from
    return isinstance(old, TextItem) and new.first == old.first and new.last <= old.last
