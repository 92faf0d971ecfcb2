"""The ladders that come out within a budget: by age, and by the best use of the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..memory.optical_memory import OpticalMemory
from ..pages.tiers import Tier
from ..planning.forgetting import BestUse, ByAge
from ..renderers.base import Renderer

__all__ = ["BUDGET", "Ladder", "Ladders", "ladders_of", "ladders_section"]

BUDGET = 4_000  # tokens; too few for all pages of the demo's conversation


@dataclass(frozen=True, slots=True)
class Ladder:
    """What a policy shows within the budget: pages by tier, the tokens sent, and the number of turns left out."""

    policy: str
    pages_by_tier: dict[Tier, int]
    sent_tokens: int
    turns_left_out: int


@dataclass(frozen=True, slots=True)
class Ladders:
    """Ladders of several policies within `budget` tokens; `legible` is the share of a full page that the reader reads at each tier."""

    budget: int
    ladders: tuple[Ladder, ...]
    legible: dict[Tier, float]


def ladders_of(messages: Sequence[dict[str, Any]], renderer: Renderer, budget: int = BUDGET) -> Ladders:
    """Return the ladders for a conversation that is given at once."""
    found: list[Ladder] = []
    for name, policy in (("by age", ByAge()), ("best use", BestUse())):
        with OpticalMemory("ladders", store="memory://", renderer=renderer, forgetting=policy) as memory:
            memory.extend(messages)
            usage = memory.context(budget).usage
            found.append(Ladder(name, dict(usage.pages_by_tier), usage.prompt_tokens, usage.turns_left_out))
            profile = memory.profile
    style = profile.page_style()
    return Ladders(budget, tuple(found), {tier: profile.legible_when_full(tier, style) for tier in profile.ladder})


def ladders_section(given: Ladders) -> str:
    """Return the section of the report: the ladders side by side, and why they are as they are."""
    tiers = sorted(given.legible, reverse=True)
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in ("policy", *(tier.label for tier in tiers), "as sent", "left out"))
    rows = "".join(_row(ladder, tiers) for ladder in given.ladders)
    read = ", ".join(f"{share:.0%} at {tier.label}" for tier, share in sorted(given.legible.items()))
    return (
        f"<section><h2>Within {given.budget:,} tokens</h2>"
        "<p>By age, all pages age faster until they fit. The best use of the same tokens gives each page the tier where they are worth "
        f"most: the newer a page, the more it is needed, and the reader reads of a full page {read}. A sharper tier is bought while what "
        "is read more, times the need, is worth its tokens; one that reads no more never is.</p>"
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _row(ladder: Ladder, tiers: Sequence[Tier]) -> str:
    numbers = [*(ladder.pages_by_tier.get(tier, 0) for tier in tiers), ladder.sent_tokens, ladder.turns_left_out]
    cells = "".join(f"<td>{number:,}</td>" for number in numbers)
    return f'<tr><th scope="row">{escape(ladder.policy)}</th>{cells}</tr>'
