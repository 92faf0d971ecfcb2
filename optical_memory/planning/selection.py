"""The plan: which turns are text, which stand on which page, and how sharp each page is.

Everything here is a pure function of what it is given; no clock, no store, no pixels. A plan holds for an *epoch*: while it holds, new
turns only add text at its end, so that what was sent before stays byte for byte what it was and prompt caches keep hitting. A re-plan
ends the epoch. It waits until the text has grown past a high-water mark, goes down to a low-water mark in one step, and happens between
exchanges. Two things may force one inside an exchange: a budget that would be exceeded, and an exchange that outgrows the mark four
times over.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..pages.tiers import Tier
from ..readers.base import ReaderProfile
from ..turns.attachments import NO_PICTURES, PictureLoad
from ..turns.exchanges import exchanges_of, open_calls, starts_exchange
from ..turns.turn import Turn
from .forgetting import Forgetting
from .request_limits import PageView, Show, TextView, as_one_text, dearer_than_text, free_places, run_of, total_of, within_request

__all__ = [
    "PageItem",
    "PageView",
    "Plan",
    "Show",
    "TextItem",
    "TextView",
    "WaterMarks",
    "arrange",
    "between_exchanges",
    "items_of",
    "replan_reason",
    "room_target",
    "squeeze",
    "tail_start",
]

ROOM_AFTER_REPLAN = 0.8  # share of the budget that a re-plan fills at most, so that the epoch after it lasts for some turns
ROOM_FOR_PAGES = 0.3  # share of the budget that pages get at least, if need be at the cost of that room
HASTE_STEP = 2**0.25  # factor between the hastes tried; a finer one gains less than a page
HASTE_STEPS = 160  # of them at most: a factor of 2**40, by which every policy has forgotten
LONG_EXCHANGE = 4  # times the high-water mark; an exchange with more text than this is re-planned from within


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PageItem(_Value):
    """A page shown as a picture; `tokens` with its label and sidecar."""

    kind: Literal["page"] = "page"
    key: str
    index: int
    first: int
    last: int
    tier: Tier
    tokens: int = 0


class TextItem(_Value):
    """Turns first to last, shown as text among the pages."""

    kind: Literal["text"] = "text"
    first: int
    last: int
    tokens: int = 0


class Plan(_Value):
    """What a context is made of, as plain JSON.

    Attributes:
        epoch: counts re-plans, from 1.
        basis: reader, layout, counter and policy that it was made for; another basis makes another plan.
        budget: the budget that it was made for, in the reader's tokens.
        items: pages and texts, oldest first, that hold still for the epoch.
        tail_from: turns from this number on are text after the items.
        left_out: ranges of turns, first to last, that are neither.
        turns_left_out: how many those are.
        prefix_tokens: tokens of the framing text and the items.
        text_tokens: tokens of all turns before `tail_from`, as plain text.
        length: the log's length when it was made.
        changed_at: the log's length when a re-plan last changed what had been sent; 0 if none has.
        high_water: tail tokens beyond which the next re-plan is due.
        squeezed: the budget took away more than age alone would have.
        pins: the pinned turns that it honours.
        turn_pictures: the pictures of turns that are text among the items.
        tail_pictures: how many there were in the tail when it was made.
        reason: why it was made.
    """

    v: Literal[1] = 1
    epoch: int
    basis: str
    budget: int | None
    items: tuple[Annotated[PageItem | TextItem, Field(discriminator="kind")], ...] = ()
    tail_from: int = 1
    left_out: tuple[tuple[int, int], ...] = ()
    turns_left_out: int = 0
    prefix_tokens: int = 0
    text_tokens: int = 0
    length: int = 0
    changed_at: int = 0
    high_water: int
    squeezed: bool = False
    pins: tuple[int, ...] = ()
    turn_pictures: PictureLoad = NO_PICTURES
    tail_pictures: int = 0
    reason: str

    @property
    def pages(self) -> tuple[PageItem, ...]:
        """The pages shown, oldest first."""
        return tuple(item for item in self.items if isinstance(item, PageItem))

    def sends_like(self, other: Plan) -> bool:
        """Whether both send the same: what is neither on a page nor left out is text, wherever the plan has it."""
        return (self.pages, self.left_out) == (other.pages, other.left_out)

    def is_crowded(self, tail: PictureLoad, profile: ReaderProfile) -> bool:
        """Whether the tail has got more pictures, and a request no place for them."""
        side = max((profile.side(item.tier) for item in self.pages), default=0)
        return tail.count > self.tail_pictures and len(self.pages) > profile.free_places(self.turn_pictures + tail, side)


@dataclass(frozen=True, slots=True)
class WaterMarks:
    """When text becomes pages.

    Attributes:
        high: tokens of recent text beyond which the oldest of it moves to pages.
        low: tokens of recent text that a re-plan leaves as text, at least the current exchange.
    """

    high: int = 6_000
    low: int = 1_500

    def within(self, budget: int | None) -> WaterMarks:
        """The marks under a budget: at most half of it for recent text, a quarter of that after a re-plan."""
        if budget is None:
            return self
        high = min(self.high, budget // 2)
        return WaterMarks(high=high, low=min(self.low, high // 4))

    def next_high(self, tail_tokens: int) -> int:
        """Where the next re-plan is due: the high mark, but never so close that it would find nothing to do."""
        return max(self.high, tail_tokens + (self.high - self.low) // 2)


def between_exchanges(tail: Sequence[Turn]) -> bool:
    """Whether a plan may change now: no tool loop is under way at the end of the log."""
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
) -> str | None:
    """Why the last plan no longer serves; None while it does.

    Args:
        tail: the turns from `last.tail_from` on.
        tail_tokens: what they cost as text.
        cache_seconds: the provider's prompt cache lives this long without a call.
        crowded: a request has no place for all pictures; see `Plan.is_crowded`.
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
    if tail_tokens > marks.within(budget).low and _cache_lapsed(last, tail, cache_seconds):
        return "cache lapsed"
    return None


def _cache_lapsed(last: Plan, tail: Sequence[Turn], seconds: float) -> bool:
    """Whether so much time has passed since the model last answered, or since the plan was made, that no prompt cache lived through it.

    A pause before that is no reason: the calls after it have filled the cache again.
    """
    answered = max((turn.number for turn in tail if turn.role == "assistant"), default=0)
    times = [turn.created_at for turn in tail if turn.number >= max(last.length, answered)]
    pairs = pairwise(times)
    return any(a is not None and b is not None and (b - a).total_seconds() > seconds for a, b in pairs)


def tail_start(turns: Sequence[Turn], tokens: Sequence[int], keep: int, *, inside: bool = False) -> int:
    """The number of the turn from which on turns stay text.

    Args:
        turns: the newest turns of the log, in order.
        tokens: what each costs as text.
        keep: tokens of text to keep, as far as whole exchanges allow. The current exchange is kept whatever it costs.
        inside: cut between the units of exchanges instead, and keep at least the newest unit.

    The log's next number for no turns.
    """
    if not turns:
        return 1
    cost = dict(zip((turn.number for turn in turns), tokens, strict=True))
    exchanges = exchanges_of(turns)
    blocks = [[turn for unit in exchange for turn in unit] for exchange in exchanges]
    if inside:
        blocks = [list(unit) for exchange in exchanges for unit in exchange]
    start, kept = blocks[-1][0].number, sum(cost[turn.number] for turn in blocks[-1])
    for block in reversed(blocks[:-1]):
        kept += sum(cost[turn.number] for turn in block)
        if kept > keep:
            break
        start = block[0].number
    return start


def arrange(
    views: Sequence[PageView | TextView],
    policy: Forgetting,
    profile: ReaderProfile,
    *,
    haste: float = 1.0,
    pictures: bool = True,
    room: int | None = None,
    held: Mapping[str, Tier] | None = None,
    beside: PictureLoad = NO_PICTURES,
) -> list[Show]:
    """Decide by age and by money: each page at the policy's tier, or the next fainter one that is cheaper than its text; else text.

    A page that a verifier refused at some tiers stays at the faintest of the others, and is text where there are none.

    Args:
        views: oldest first.
        haste: pages count as so many times older than they are.
        pictures: if false, all is text.
        room: tokens that pages may take as text, and all else, which a request has no place for as pictures or which cannot be read;
            beyond it they are left out.
        held: tiers of pages, by key, that stay as they are.
        beside: pictures of the turns after the views.
    """
    shows = _by_age_and_money(views, policy, profile, haste, held or {}, pictures=pictures)
    if profile.limits.many_side and free_places(shows, profile, beside) < 0:  # among many pictures each must be small
        small = profile.within(profile.limits.many_side)
        smaller = _by_age_and_money(views, policy, small, haste, {}, pictures=pictures)
        if profile.floor <= max(small.ladder, default=Tier.TINY) and free_places(smaller, profile, beside) > free_places(
            shows, profile, beside
        ):
            shows = smaller
    return within_request(shows, profile, beside, room)


def _by_age_and_money(
    views: Sequence[PageView | TextView],
    policy: Forgetting,
    profile: ReaderProfile,
    haste: float,
    held: Mapping[str, Tier],
    *,
    pictures: bool,
) -> list[Show]:
    shows: list[Show] = []
    for _, group in groupby(views, key=run_of):
        run = list(group)
        pages = [replace(view, age=view.age.hastened(haste)) for view in run if isinstance(view, PageView)]
        if pages and pictures and profile.ladder:
            shows += _arrange_run(pages, policy, profile, held)
        else:
            shows += [Show(view, as_text=True) for view in ([as_one_text(pages)] if pages else run)]
    return shows


def _arrange_run(pages: Sequence[PageView], policy: Forgetting, profile: ReaderProfile, held: Mapping[str, Tier]) -> list[Show]:
    shows = [_show(page, policy, profile, held.get(page.key)) for page in pages]
    while dearer_than_text(shows):
        candidates = [(show.tier, -place) for place, show in enumerate(shows) if show.tier and _next_tier(show, profile)]
        if not candidates:
            return [Show(as_one_text(pages), as_text=True)]
        place = -max(candidates)[1]
        shows[place] = replace(shows[place], tier=_next_tier(shows[place], profile))
    return shows


def _show(page: PageView, policy: Forgetting, profile: ReaderProfile, held: Tier | None) -> Show:
    usable = _usable(page, profile)
    wanted = policy.tier(page.age)
    if wanted is not None and page.enough is not None:
        wanted = min(wanted, page.enough)
    if page.pinned:
        wanted = max(wanted or profile.floor, profile.floor)
    if held in usable:
        wanted = held
    if wanted is None:
        return Show(page)
    sharp = [tier for tier in usable if tier <= wanted] or usable[:1]
    return Show(page, tier=sharp[-1]) if sharp else Show(page, as_text=True)


def _next_tier(show: Show, profile: ReaderProfile) -> Tier | None:
    """The next fainter tier that is cheaper; None where there is none, or where a pin forbids it."""
    assert isinstance(show.view, PageView) and show.tier is not None
    vision, floor = show.view.vision, profile.floor if show.view.pinned else Tier.TINY
    cheaper = [tier for tier in _usable(show.view, profile) if floor <= tier < show.tier and vision[tier] < vision[show.tier]]
    return cheaper[-1] if cheaper else None


def _usable(page: PageView, profile: ReaderProfile) -> list[Tier]:
    """Rungs of the reader at which the page may be shown, faintest first."""
    return [tier for tier in profile.ladder if tier in page.vision]


def items_of(shows: Sequence[Show]) -> Iterator[PageItem | TextItem]:
    """What is shown, oldest first; texts that follow each other are one."""
    text: TextItem | None = None
    for show in (show for show in shows if show.shown):
        view = show.view
        if text and (isinstance(view, PageView) or view.first != text.last + 1):
            yield text
            text = None
        if isinstance(view, PageView):
            assert show.tier is not None, "a page is shown at a tier; its text is a view of its own"
            yield PageItem(key=view.key, index=view.index, first=view.first, last=view.last, tier=show.tier, tokens=show.tokens)
        else:
            first, tokens = (text.first, text.tokens) if text else (view.first, 0)
            text = TextItem(first=first, last=view.last, tokens=tokens + show.tokens)
    if text:
        yield text


def room_target(budget: int, tail_tokens: int) -> int:
    """Tokens that a squeezed context should take: less than the budget, so that the epoch after lasts for some turns."""
    return min(budget, max(int(ROOM_AFTER_REPLAN * budget), tail_tokens + int(ROOM_FOR_PAGES * budget)))


def squeeze(
    views: Sequence[PageView | TextView], room: int, policy: Forgetting, profile: ReaderProfile, beside: PictureLoad = NO_PICTURES
) -> list[Show]:
    """Fit into `room` tokens, or as near as what is held allows.

    A budget makes the memory age faster: every page counts as so many times older, by the smallest factor that does. So the oldest are
    demoted first and leave first, the policy keeps its shape, and nothing leaves before it was at its faintest. Texts between the pages
    go last, oldest first.
    """

    def total_at(step: int) -> int:
        return total_of(arrange(views, policy, profile, haste=HASTE_STEP**step, room=0, beside=beside))

    steps = bisect_left(range(HASTE_STEPS), True, key=lambda step: total_at(step) <= room)
    result = arrange(views, policy, profile, haste=HASTE_STEP**steps, room=room, beside=beside)
    total = total_of(result)
    for place, show in enumerate(result):
        if total <= room:
            break
        if show.shown and not show.held:
            total -= show.tokens
            result[place] = Show(show.view)
    return result
