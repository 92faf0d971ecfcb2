"""Forgetting policies: the tier of a page by its age, and by what the reader makes of it.

DeepSeek-OCR's figure 13 (arXiv 2510.18234) proposes to keep older context as smaller images, like human memory. `ByAge` does so by a
schedule. `BestUse`, the default, is `ByAge` without a budget. With one it has a schedule as a ceiling and, where the budget binds,
spends it where it is worth most. `selection` applies either.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from ..pages.tiers import Tier
from ..text.excerpts import excerpt

__all__ = ["BestUse", "ByAge", "Forgetting", "PageAge"]


@dataclass(frozen=True, slots=True)
class PageAge:
    """Age and importance of a page.

    Attributes:
        pages: pages sealed after it; fractional if a budget scales ages.
        turns: turns after its last one, likewise.
        hours: hours between its last turn and the newest, likewise.
        importance: the greatest importance of its turns, 0 to 1.
    """

    pages: float
    turns: float
    hours: float
    importance: float = 0.5

    def hastened(self, haste: float) -> PageAge:
        """Multiply the age by `haste`. Pages and turns are counted from 1 for this, so that the newest page ages too."""
        if haste == 1.0:
            return self
        return replace(self, pages=(self.pages + 1) * haste - 1, turns=(self.turns + 1) * haste - 1, hours=self.hours * haste)


class Forgetting(Protocol):
    """A forgetting policy. Its `repr` must name it and its settings: if it changes, plans are made again."""

    def tier(self, age: PageAge) -> Tier | None:
        """Return the tier for a page of this age; None to leave it out. Never sharper for an older page of equal importance."""
        ...


@dataclass(frozen=True, slots=True)
class ByAge:
    """Gundam, then Large, Base, Small, Tiny, then out of the context.

    Each field is the age at which a page falls below that tier, in `unit`. By default the newest page is at Gundam, the next two at
    Large, four at Base, sixteen at Small, sixty-four at Tiny: each step is about as long as all before it together.

    Importance scales age: a page at importance 1 ages half as fast as one at 0.5, one at 0 twice as fast.
    """

    gundam: float = 1
    large: float = 3
    base: float = 7
    small: float = 23
    tiny: float = 87
    unit: Literal["pages", "turns", "hours"] = "pages"

    def __post_init__(self) -> None:
        steps = [limit for _, limit in self._limits()]
        if steps != sorted(steps) or steps[0] < 0:
            raise ValueError(f"ages must not fall from tier to tier: {self!r}")
        if self.unit not in ("pages", "turns", "hours"):
            raise ValueError(f"unknown unit {excerpt(self.unit)}; known: pages, turns, hours")

    def tier(self, age: PageAge) -> Tier | None:
        """Return the sharpest tier whose limit the page has not reached."""
        value: float = getattr(age, self.unit)
        bent = value * 2.0 ** (1.0 - 2.0 * age.importance)
        return next((tier for tier, limit in self._limits() if bent < limit), None)

    def _limits(self) -> list[tuple[Tier, float]]:
        return [
            (Tier.GUNDAM, self.gundam),
            (Tier.LARGE, self.large),
            (Tier.BASE, self.base),
            (Tier.SMALL, self.small),
            (Tier.TINY, self.tiny),
        ]


@dataclass(frozen=True, slots=True)
class BestUse:
    """Spends a budget on the tiers where it is worth most; with more than enough, follows a schedule; without one, goes by age.

    A page's worth is how much its text is needed times how well the reader reads it at the tier. How well is in the reader's profile
    (`ReaderProfile.legibility`). How much falls with age as `always + (1 + turns) ** -fall`, doubled at importance 1 and halved at 0. The
    first part stands for questions, which ask about any turn alike; the second for what agents use again, which is mostly recent.

    Attributes:
        schedule: with a budget, no page is sharper than it says. The default is `ByAge()` without Gundam and Large, at which no reader here
            reads more of a text page than at Base (docs/experiments/ladder.md), and without an end: the budget leaves pages out.
        always: what any page is needed, whatever its age.
        fall: how fast the rest falls. `optical-memory eval-needs` fits it to your own logs.
        unbounded: the policy without a budget.
    """

    schedule: ByAge = field(default_factory=lambda: ByAge(gundam=0, large=0, base=7, small=23, tiny=1000))
    always: float = 0.05
    fall: float = 1.0
    unbounded: ByAge = field(default_factory=ByAge)

    def __post_init__(self) -> None:
        if not self.always >= 0 or not self.fall >= 0:
            raise ValueError(f"always and fall are 0 or more: {self!r}")

    def tier(self, age: PageAge) -> Tier | None:
        """Return the tier of the schedule: the sharpest that a page of this age gets with a budget."""
        return self.schedule.tier(age)

    def need(self, age: PageAge) -> float:
        """Return how much a page of this age is needed, in a unit of its own. Never more for an older page of equal importance."""
        return float((self.always + (1.0 + max(0.0, age.turns)) ** -self.fall) * 2.0 ** (2.0 * age.importance - 1.0))
