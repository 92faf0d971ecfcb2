"""Policies to fit a conversation into a budget: the memory's own, and simpler baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ..context.context import Context, TextPart, Usage
from ..context.plan import Plan
from ..errors import BudgetTooSmall, UnknownName
from ..memory.optical_memory import OpticalMemory
from ..pages.page import Page
from ..pages.tiers import Tier
from ..planning.forgetting import BestUse, ByAge, Forgetting, PageAge
from ..planning.settings import SHAPED
from ..profiles.pricing import Pricing
from ..turns.turn import Turn

__all__ = ["POLICIES", "AtOneTier", "Offer", "Policy", "chosen", "cost_of"]

RECALL_SHARE = 0.2  # share of a budget reserved for recalled turns
RECALLED = 5  # most turns recalled for one question


@dataclass(frozen=True, slots=True)
class Offer:
    """What a policy sends to the reader.

    Attributes:
        recall_tokens: what recalled turns may cost beside it, for each question; 0 where the policy recalls nothing.
    """

    context: Context
    recall_tokens: int = 0

    @property
    def tokens(self) -> int:
        """What it costs, recalled turns left out."""
        return self.context.usage.prompt_tokens

    @property
    def text(self) -> frozenset[int]:
        """Numbers of the turns that are there as text."""
        return frozenset(turn.number for turn in self.context.turns)

    @property
    def shown(self) -> tuple[tuple[Page, Tier], ...]:
        """The pages, each with its tier."""
        return tuple((part.page, part.tier) for part in self.context.pages)


@dataclass(frozen=True, slots=True)
class Policy:
    """A way to fit a conversation into a budget.

    Attributes:
        offer: returns its offer within a number of tokens; None if it does not fit.
        forgetting: its memory's forgetting policy.
        sidecar_tokens: most tokens of exact strings beside each of its pages.
        verify: its verifier.
        shape: tiers at which its pages are abridged.
    """

    name: str
    offer: Callable[[OpticalMemory, Sequence[Turn], int], Offer | None]
    forgetting: Forgetting = field(default_factory=ByAge)
    sidecar_tokens: int = 0
    verify: str | None = None
    shape: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class AtOneTier:
    """Every page at one tier, regardless of age."""

    at: Tier

    def tier(self, age: PageAge) -> Tier | None:
        return self.at


def _whole(memory: OpticalMemory, turns: Sequence[Turn], budget: int) -> Offer | None:
    """All turns as text, whatever they cost: the most that can be kept."""
    return _as_text(memory, turns, turns, budget)


def _newest(memory: OpticalMemory, turns: Sequence[Turn], budget: int) -> Offer | None:
    """Offer as many of the newest turns as fit, as text."""
    cost, spent, kept = cost_of(memory), 0, list[Turn]()
    for turn in reversed(turns):
        if spent + cost(turn) > budget:
            break
        spent += cost(turn)
        kept.append(turn)
    return _as_text(memory, turns, kept[::-1], budget)


def _as_text(memory: OpticalMemory, turns: Sequence[Turn], kept: Sequence[Turn], budget: int) -> Offer:
    """Some of `turns` as text, the rest nowhere."""
    pricing = Pricing(memory.profile)
    whole, spent = pricing.total(turns), pricing.total(kept)
    left_out = len(turns) - len(kept)
    plan = Plan(epoch=1, basis="", budget=budget, turns_left_out=left_out, text_tokens=whole, high_water=spent, reason="turns as text only")
    usage = Usage(spent, whole, 0, {}, {}, 0, left_out, pricing.counted_with)
    return Offer(Context((TextPart(tuple(kept), spent),) if kept else (), plan, usage))


def _remembered(memory: OpticalMemory, turns: Sequence[Turn], budget: int) -> Offer | None:
    """Offer the memory's context."""
    try:
        return Offer(memory.context(budget))
    except BudgetTooSmall:
        return None


def _remembered_with_recall(memory: OpticalMemory, turns: Sequence[Turn], budget: int) -> Offer | None:
    kept = round(budget * RECALL_SHARE)
    offer = _remembered(memory, turns, budget - kept)
    return offer and replace(offer, recall_tokens=kept)


def cost_of(memory: OpticalMemory) -> Callable[[Turn], int]:
    """Return the function for a turn's cost as text, for the memory's reader."""
    return Pricing(memory.profile).cost


SIDECAR = 64
# Slow enough that the budget decides: ages are scaled just enough to fit, so that the whole budget is used.
SLOWLY = ByAge(gundam=16, large=48, base=112, small=368, tiny=1392)

POLICIES = {
    policy.name: policy
    for policy in (
        Policy("full text", _whole),
        Policy("cut the oldest", _newest),
        *(Policy(f"all {tier.label}", _remembered, AtOneTier(tier)) for tier in (Tier.BASE, Tier.SMALL, Tier.TINY)),
        Policy("shaped tiny", _remembered, AtOneTier(Tier.TINY), shape=(Tier.TINY,)),
        Policy("shaped small", _remembered, AtOneTier(Tier.SMALL), shape=(Tier.SMALL,)),
        Policy("best use", _remembered, BestUse()),
        Policy("best use + shaped", _remembered, BestUse(), shape=SHAPED),
        Policy("best use + sidecar", _remembered, BestUse(), sidecar_tokens=SIDECAR),
        Policy("best use + shaped + recall", _remembered_with_recall, BestUse(), sidecar_tokens=SIDECAR, shape=SHAPED),
        Policy("aged", _remembered),
        Policy("aged + verified", _remembered, verify="ocr"),
        Policy("aged + density", _remembered, verify="density"),
        Policy("aged + shaped", _remembered, shape=SHAPED),
        Policy("aged + sidecar", _remembered, sidecar_tokens=SIDECAR),
        Policy("aged + shaped + recall", _remembered_with_recall, sidecar_tokens=SIDECAR, shape=SHAPED),
        Policy("budget spent", _remembered, SLOWLY),
    )
}


def chosen(names: str) -> list[Policy]:
    """Return policies by name, separated by commas; for an empty string all but the one that reads every page. Raises `UnknownName`."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    wanted = wanted or [name for name, policy in POLICIES.items() if policy.verify != "ocr"]
    for name in wanted:
        if name not in POLICIES:
            raise UnknownName("policy", name, list(POLICIES))
    return [POLICIES[name] for name in wanted]
