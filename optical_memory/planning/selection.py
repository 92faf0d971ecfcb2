"""The tier of each page: by age, then by price, then squeezed into a budget.

Everything here is a pure function of what it is given; no clock, no store, no pixels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from ..context.plan import PageItem, TextItem
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..turns.attachments import NO_IMAGES, ImageLoad
from .candidates import Decision, PageCandidate, TextCandidate, as_one_text, dearer_than_text, run_of, total_of
from .forgetting import Forgetting
from .request_limits import free_places, within_request

__all__ = ["arrange", "items_of", "room_target", "squeeze"]

ROOM_AFTER_REPLAN = 0.8  # share of the budget that a re-plan fills at most, so that the epoch after it lasts for some turns
ROOM_FOR_PAGES = 0.3  # share of the budget that pages get at least, if need be at the cost of that room
HASTE_STEP = 2**0.25  # factor between the hastes tried; a finer one gains less than a page
HASTE_STEPS = 160  # of them at most: a factor of 2**40, by which every policy has forgotten


def arrange(
    candidates: Sequence[PageCandidate | TextCandidate],
    policy: Forgetting,
    profile: ReaderProfile,
    *,
    haste: float = 1.0,
    pictures: bool = True,
    room: int | None = None,
    held: Mapping[str, Tier] | None = None,
    beside: ImageLoad = NO_IMAGES,
) -> list[Decision]:
    """Decide by age and by money: each page at the policy's tier, or the next fainter one that is cheaper than its text; else text.

    A page that a verifier refused at some tiers stays at the faintest of the others, and is text where there are none.

    Args:
        candidates: oldest first.
        haste: pages count as so many times older than they are.
        pictures: if false, all is text.
        room: tokens that pages may take as text, and all else, which a request has no place for as pictures or which cannot be read;
            beyond it they are left out.
        held: tiers of pages, by key, that stay as they are.
        beside: pictures of the turns after the candidates.
    """
    decisions = _by_age_and_money(candidates, policy, profile, haste, held or {}, pictures=pictures)
    if profile.limits.many_side and free_places(decisions, profile, beside) < 0:  # among many pictures each must be small
        small = profile.within(profile.limits.many_side)
        smaller = _by_age_and_money(candidates, policy, small, haste, {}, pictures=pictures)
        if profile.floor <= max(small.ladder, default=Tier.TINY) and free_places(smaller, profile, beside) > free_places(
            decisions, profile, beside
        ):
            decisions = smaller
    return within_request(decisions, profile, beside, room)


def _by_age_and_money(
    candidates: Sequence[PageCandidate | TextCandidate],
    policy: Forgetting,
    profile: ReaderProfile,
    haste: float,
    held: Mapping[str, Tier],
    *,
    pictures: bool,
) -> list[Decision]:
    decisions: list[Decision] = []
    for _, group in groupby(candidates, key=run_of):
        run = list(group)
        pages = [replace(candidate, age=candidate.age.hastened(haste)) for candidate in run if isinstance(candidate, PageCandidate)]
        if pages and pictures and profile.ladder:
            decisions += _arrange_run(pages, policy, profile, held)
        else:
            decisions += [Decision(candidate, as_text=True) for candidate in ([as_one_text(pages)] if pages else run)]
    return decisions


def _arrange_run(pages: Sequence[PageCandidate], policy: Forgetting, profile: ReaderProfile, held: Mapping[str, Tier]) -> list[Decision]:
    decisions = [_show(page, policy, profile, held.get(page.key)) for page in pages]
    while dearer_than_text(decisions):
        candidates = [
            (decision.tier, -place) for place, decision in enumerate(decisions) if decision.tier and _next_tier(decision, profile)
        ]
        if not candidates:
            return [Decision(as_one_text(pages), as_text=True)]
        place = -max(candidates)[1]
        decisions[place] = replace(decisions[place], tier=_next_tier(decisions[place], profile))
    return decisions


def _show(page: PageCandidate, policy: Forgetting, profile: ReaderProfile, held: Tier | None) -> Decision:
    usable = _usable(page, profile)
    wanted = policy.tier(page.age)
    if wanted is not None and page.enough is not None:
        wanted = min(wanted, page.enough)
    if page.pinned:
        wanted = max(wanted or profile.floor, profile.floor)
    if held in usable:
        wanted = held
    if wanted is None:
        return Decision(page)
    sharp = [tier for tier in usable if tier <= wanted] or usable[:1]
    return Decision(page, tier=sharp[-1]) if sharp else Decision(page, as_text=True)


def _next_tier(decision: Decision, profile: ReaderProfile) -> Tier | None:
    """The next fainter tier that is cheaper; None where there is none, or where a pin forbids it."""
    assert isinstance(decision.candidate, PageCandidate) and decision.tier is not None
    vision, floor = decision.candidate.vision, profile.floor if decision.candidate.pinned else Tier.TINY
    cheaper = [
        tier for tier in _usable(decision.candidate, profile) if floor <= tier < decision.tier and vision[tier] < vision[decision.tier]
    ]
    return cheaper[-1] if cheaper else None


def _usable(page: PageCandidate, profile: ReaderProfile) -> list[Tier]:
    """Rungs of the reader at which the page may be shown, faintest first."""
    return [tier for tier in profile.ladder if tier in page.vision]


def items_of(decisions: Sequence[Decision]) -> Iterator[PageItem | TextItem]:
    """What is shown, oldest first; texts that follow each other are one."""
    text: TextItem | None = None
    for decision in (decision for decision in decisions if decision.shown):
        candidate = decision.candidate
        if text and (isinstance(candidate, PageCandidate) or candidate.first != text.last + 1):
            yield text
            text = None
        if isinstance(candidate, PageCandidate):
            assert decision.tier is not None, "a page is shown at a tier; its text is a candidate of its own"
            yield PageItem(
                key=candidate.key,
                index=candidate.index,
                first=candidate.first,
                last=candidate.last,
                tier=decision.tier,
                tokens=decision.tokens,
            )
        else:
            first, tokens = (text.first, text.tokens) if text else (candidate.first, 0)
            text = TextItem(first=first, last=candidate.last, tokens=tokens + decision.tokens)
    if text:
        yield text


def room_target(budget: int, tail_tokens: int) -> int:
    """Tokens that a squeezed context should take: less than the budget, so that the epoch after lasts for some turns."""
    return min(budget, max(int(ROOM_AFTER_REPLAN * budget), tail_tokens + int(ROOM_FOR_PAGES * budget)))


def squeeze(
    candidates: Sequence[PageCandidate | TextCandidate],
    room: int,
    policy: Forgetting,
    profile: ReaderProfile,
    beside: ImageLoad = NO_IMAGES,
) -> list[Decision]:
    """Fit into `room` tokens, or as near as what is held allows.

    A budget makes the memory age faster: every page counts as so many times older, by the smallest factor that does. So the oldest are
    demoted first and leave first, the policy keeps its shape, and nothing leaves before it was at its faintest. Texts between the pages
    go last, oldest first.
    """

    def total_at(step: int) -> int:
        return total_of(arrange(candidates, policy, profile, haste=HASTE_STEP**step, room=0, beside=beside))

    steps = bisect_left(range(HASTE_STEPS), True, key=lambda step: total_at(step) <= room)
    result = arrange(candidates, policy, profile, haste=HASTE_STEP**steps, room=room, beside=beside)
    total = total_of(result)
    for place, decision in enumerate(result):
        if total <= room:
            break
        if decision.shown and not decision.held:
            total -= decision.tokens
            result[place] = Decision(decision.candidate)
    return result
