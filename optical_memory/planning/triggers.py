"""When a re-plan is due, and where the text tail begins.

A plan is valid for an *epoch*. Within it, new turns only add text at the end, so that the earlier part of the request stays the same byte
for byte and hits the prompt cache. A re-plan ends the epoch. It is due once the text exceeds a high-water mark, shortens it to a low-water
mark in one step, and happens between exchanges. Two things force one inside an exchange: a budget that would be exceeded, and an exchange
of more than four times the mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..context.plan import Plan
from ..turns.exchanges import exchanges_of, is_document, open_calls, starts_exchange
from ..turns.turn import Turn

__all__ = ["LONG_EXCHANGE", "WaterMarks", "between_exchanges", "replan_reason", "tail_start"]


LONG_EXCHANGE = 4  # times the high-water mark; an exchange with more text is re-planned while it lasts


@dataclass(frozen=True, slots=True)
class WaterMarks:
    """When text moves to pages.

    Attributes:
        high: tokens of recent text above which the oldest moves to pages.
        low: tokens of recent text that a re-plan keeps as text; never less than the current exchange.
    """

    high: int = 6_000
    low: int = 1_500

    def within(self, budget: int | None) -> WaterMarks:
        """Limit the marks by a budget: at most half of it for recent text, a quarter of that after a re-plan."""
        if budget is None:
            return self
        high = min(self.high, budget // 2)
        return WaterMarks(high=high, low=min(self.low, high // 4))

    def next_high(self, tail_tokens: int) -> int:
        """Return the tail tokens at which the next re-plan is due: the high mark, or more if too little text would have been added."""
        return max(self.high, tail_tokens + (self.high - self.low) // 2)


def between_exchanges(tail: Sequence[Turn]) -> bool:
    """Whether a plan may change now: the log does not end inside a tool loop."""
    if not tail or tail[-1].role == "tool":
        return not tail
    start = max((i for i, turn in enumerate(tail) if starts_exchange(turn)), default=0)
    return not tail[-1].answered_calls and not open_calls(tail[start:])


def replan_reason(
    last: Plan | None,
    tail: Sequence[Turn],
    tail_tokens: int,
    *,
    basis: str,
    budget: int | None,
    pins: Sequence[int],
    cache_seconds: float,
    marks: WaterMarks,
    crowded: bool = False,
    cliff: int | None = None,
) -> str | None:
    """Return why a re-plan is due; None if the last plan is still valid.

    Args:
        tail: the turns from `last.tail_from` on.
        tail_tokens: their cost as text.
        cache_seconds: TTL of the provider's prompt cache after a call.
        crowded: the request exceeds an image limit; see `Plan.is_crowded`.
        cliff: tokens above which a whole request costs more.
    """
    if last is None:
        return "first plan"
    if last.basis != basis:
        return "settings changed"
    if last.pins != tuple(pins):
        return "pins changed"
    if budget is not None and last.prefix_tokens + tail_tokens > budget:
        return "over budget"
    if crowded:
        return "too many pictures"
    if last.squeezed and (budget is None or budget > 1.25 * (last.budget or 0)):
        return "budget grew"
    if tail_tokens > LONG_EXCHANGE * last.high_water:
        return "long exchange"
    if not between_exchanges(tail):
        return None
    if tail_tokens > last.high_water:
        return "high water"
    if cliff is not None and not last.crosses and last.prefix_tokens + tail_tokens > cliff:
        return "price step"
    if tail_tokens > marks.within(budget).low and _cache_lapsed(last, tail, cache_seconds):
        return "cache lapsed"
    return None


def _cache_lapsed(last: Plan, tail: Sequence[Turn], seconds: float) -> bool:
    """Whether the prompt cache has expired: the TTL has passed since the model last answered, or since the plan was made.

    Earlier pauses do not count: the calls after them have filled the cache again.
    """
    answered = max((turn.number for turn in tail if turn.role == "assistant"), default=0)
    times = [turn.created_at for turn in tail if turn.number >= max(last.length, answered)]
    pairs = pairwise(times)
    return any(a is not None and b is not None and (b - a).total_seconds() > seconds for a, b in pairs)


def tail_start(turns: Sequence[Turn], tokens: Sequence[int], keep: int, *, inside: bool = False) -> int:
    """Return the number of the first turn of the text tail; 1 without turns.

    Args:
        turns: the newest turns of the log, in order.
        tokens: the cost of each as text.
        keep: tokens of text to keep at most, cut between exchanges. The current exchange is kept at any cost.
        inside: cut between the units of exchanges instead, and keep at least the newest unit; none, if that is a document.
    """
    if not turns:
        return 1
    cost = dict(zip((turn.number for turn in turns), tokens, strict=True))
    exchanges = exchanges_of(turns)
    blocks = [[turn for unit in exchange for turn in unit] for exchange in exchanges]
    if inside:
        blocks = [list(unit) for exchange in exchanges for unit in exchange]
    start, kept = blocks[-1][0].number, sum(cost[turn.number] for turn in blocks[-1])
    if inside and kept > keep and all(map(is_document, blocks[-1])):
        return turns[-1].number + 1
    for block in reversed(blocks[:-1]):
        kept += sum(cost[turn.number] for turn in block)
        if kept > keep:
            break
        start = block[0].number
    return start
