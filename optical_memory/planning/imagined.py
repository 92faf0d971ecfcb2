"""Pages that are not drawn yet, imagined from the size of their turns, so that a plan can tell which of them it would show.

They are imagined cheap rather than dear. What a plan wants of them is drawn, and the plan made again; so nothing imagined is ever sent, and
no budget depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..archive.undrawn import Undrawn
from ..context.plan import PageItem, TextItem
from ..pages.page import PageStyle
from ..profiles.pricing import Pricing
from .candidates import PageCandidate, TextCandidate
from .forgetting import Forgetting, PageAge

__all__ = ["Imagination", "ImaginedRange", "is_imagined"]

MOST = 2_000  # pages imagined of one range; where a plan shows all of them, it asks again


@dataclass(frozen=True, slots=True)
class ImaginedRange:
    """The pages of one range, newest first, and those of its pinned turns; `is_cut` if the policy leaves older ones out anyway."""

    range: Undrawn
    pages: tuple[PageCandidate, ...]
    pinned: tuple[PageCandidate, ...] = ()
    is_cut: bool = False

    def wanted(self, items: Iterable[PageItem | TextItem]) -> int:
        """Return how many pages `items` show, counted from the newest to the oldest that is shown."""
        numbers = [max(item.first, self.range.first) for item in items if item.first <= self.range.last and item.last >= self.range.first]
        pins = {page.first for page in self.pinned}
        oldest = min((number for number in numbers if number not in pins), default=self.range.last + 1)
        return sum(page.last >= oldest for page in self.pages)


@dataclass(frozen=True, slots=True)
class Imagination:
    """Imagines pages for one re-plan.

    Attributes:
        length: the log's length.
        newest: time of the newest turn; ages in hours count back from it.
        budget: limits how many pages are worth imagining; None for no limit.
        pins: numbers of the pinned turns.
    """

    pricing: Pricing
    style: PageStyle
    policy: Forgetting
    length: int
    newest: datetime | None
    budget: int | None
    pins: Sequence[int]

    def pages(self, each: Undrawn, after: int, density: float, overhead: int) -> ImaginedRange:
        """Imagine the pages of a range, as far back as the policy shows any; `after` pages are newer.

        Args:
            density: pages per estimated page.
            overhead: tokens of the text beside a page.
        """
        width, height = self.style.pixel_size
        profile = self.pricing.profile
        count = max(1, round(each.size * density))
        step = (each.last - each.first + 1) / count
        page = PageCandidate(
            key="",
            index=0,
            first=each.first,
            last=each.last,
            run=0,
            text_tokens=each.text_tokens // count,
            overhead=overhead,
            vision={tier: profile.page_tokens(width, height, tier, 0) for tier in profile.ladder},
            age=PageAge(after, self.length - each.last, 0.0, each.importance),
            turns=(),
        )
        most = min(count, MOST, self._affordable(page))
        found: list[PageCandidate] = []
        for place in range(most):
            last = each.last - int(place * step)
            first = min(last, max(each.first, each.last - int((place + 1) * step) + 1))
            age = PageAge(after + place, self.length - last, self._hours(each, last), each.importance)
            if self.policy.tier(age) is None:
                break
            found.append(replace(page, run=-last - place, first=first, last=last, turns=(first, last), age=age))
        return ImaginedRange(each, tuple(found), tuple(self._pinned(page, each)), is_cut=len(found) < count)

    def _pinned(self, page: PageCandidate, each: Undrawn) -> Iterator[PageCandidate]:
        for pin in self.pins:
            if each.holds(pin):
                yield replace(page, run=-pin, first=pin, last=pin, turns=(pin,), pinned=True)

    def _affordable(self, page: PageCandidate) -> int:
        cheapest = max(1, min(page.vision.values(), default=0) + page.overhead)
        return MOST if self.budget is None else self.budget // cheapest + 2

    def _hours(self, each: Undrawn, number: int) -> float:
        """Estimate the age of a turn from the times at both ends of its range."""
        if not (self.newest and each.oldest and each.newest):
            return 0.0
        share = (each.last - number) / max(1, each.last - each.first)
        return max(0.0, (self.newest - each.newest + share * (each.newest - each.oldest)).total_seconds() / 3600)


def is_imagined(candidate: PageCandidate | TextCandidate) -> bool:
    """Whether a page is not drawn yet; only drawn ones have a key."""
    return isinstance(candidate, PageCandidate) and not candidate.key
