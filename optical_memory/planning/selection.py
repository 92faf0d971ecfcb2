"""Select the tier of each page: by age, then by price, then squeezed into a budget.

Pure functions: no clock, no store, no images.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from ..context.plan import PageItem, TextItem
from ..pages.page import PageStyle
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..turns.attachments import NO_IMAGES, ImageLoad
from .best_use import Option, best_use
from .candidates import Decision, PageCandidate, TextCandidate, as_one_text, dearer_than_text, run_of, total_of
from .forgetting import BestUse, Forgetting
from .request_limits import free_places, within_request

__all__ = ["ROOM_FOR_A_PAGE", "arrange", "items_of", "room_target", "squeeze"]

ROOM_AFTER_REPLAN = 0.8  # largest share of the budget that a re-plan fills, so that the next epoch lasts for some turns
ROOM_FILLED = 0.97  # the same for `BestUse` where a reader has no prices of cached tokens: what an epoch saves there is not known
ROOM_FOR_A_PAGE = 0.9  # the same where pages are so large that much would stay unspent
ROOM_FOR_PAGES = 0.3  # smallest share of the budget for pages; goes before `ROOM_AFTER_REPLAN`
AGE_STEP = 2 ** (1 / 16)  # step between age factors: a page of 23; a coarser one leaves room for several unused
AGE_STEPS = 640  # most steps: at a factor of 2**40 every policy leaves all pages out


def arrange(
    candidates: Sequence[PageCandidate | TextCandidate],
    policy: Forgetting,
    profile: ReaderProfile,
    *,
    age_factor: float = 1.0,
    pictures: bool = True,
    room: int | None = None,
    held: Mapping[str, Tier] | None = None,
    beside: ImageLoad = NO_IMAGES,
) -> list[Decision]:
    """Decide by age and by money: each page at the policy's tier, or the next fainter one that is cheaper than its text; else text.

    A page is never fainter than its faintest verified tier, and is text if it has none.

    Args:
        candidates: oldest first.
        age_factor: multiplies the age of pages.
        pictures: if False, all is text.
        room: tokens that `decisions` may take when pages become text because they are unreadable or above the request's image limit;
            pages beyond it are left out. None for no limit.
        held: tiers of pages, by key, that must not change.
        beside: images inside the turns after the candidates.
    """
    decisions = _by_age_and_money(candidates, policy, profile, age_factor, held or {}, pictures=pictures)
    if profile.limits.many_side and free_places(decisions, profile, beside) < 0:  # providers limit the size of each image if there are many
        small = profile.within(profile.limits.many_side)
        smaller = _by_age_and_money(candidates, policy, small, age_factor, {}, pictures=pictures)
        if profile.floor <= max(small.ladder, default=Tier.TINY) and free_places(smaller, profile, beside) > free_places(
            decisions, profile, beside
        ):
            decisions = smaller
    return within_request(decisions, profile, beside, room)


def _by_age_and_money(
    candidates: Sequence[PageCandidate | TextCandidate],
    policy: Forgetting,
    profile: ReaderProfile,
    age_factor: float,
    held: Mapping[str, Tier],
    *,
    pictures: bool,
) -> list[Decision]:
    decisions: list[Decision] = []
    for _, group in groupby(candidates, key=run_of):
        run = list(group)
        pages = [candidate for candidate in run if isinstance(candidate, PageCandidate)]
        if age_factor != 1.0:
            pages = [replace(page, age=page.age.hastened(age_factor)) for page in pages]
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
    """Return the next fainter tier that is cheaper; None without one, or if a pin forbids it."""
    assert isinstance(decision.candidate, PageCandidate) and decision.tier is not None
    vision, floor = decision.candidate.vision, profile.floor if decision.candidate.pinned else Tier.TINY
    cheaper = [
        tier for tier in _usable(decision.candidate, profile) if floor <= tier < decision.tier and vision[tier] < vision[decision.tier]
    ]
    return cheaper[-1] if cheaper else None


def _usable(page: PageCandidate, profile: ReaderProfile) -> list[Tier]:
    """Return the reader's tiers that are usable for the page, faintest first."""
    return [tier for tier in profile.ladder if tier in page.vision]


def items_of(decisions: Sequence[Decision]) -> Iterator[PageItem | TextItem]:
    """Convert decisions to plan items, oldest first; adjacent texts are merged."""
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
                sheet=candidate.sheet,
            )
        else:
            first, tokens = (text.first, text.tokens) if text else (candidate.first, 0)
            text = TextItem(first=first, last=candidate.last, tokens=tokens + decision.tokens)
    if text:
        yield text


def room_target(budget: int, tail_tokens: int, *, fills: bool = False) -> int:
    """Return the target size of a squeezed context, in tokens: below the budget, so that the next epoch lasts for some turns.

    Args:
        fills: spend nearly all: a long epoch saves nothing that is known.
    """
    share = ROOM_FILLED if fills else ROOM_AFTER_REPLAN
    return min(budget, max(int(share * budget), tail_tokens + int(ROOM_FOR_PAGES * budget)))


def squeeze(
    candidates: Sequence[PageCandidate | TextCandidate],
    room: int,
    policy: Forgetting,
    profile: ReaderProfile,
    beside: ImageLoad = NO_IMAGES,
    *,
    letter: float = PageStyle().font_size,
) -> list[Decision]:
    """Fit into `room` tokens, or as close as pinned pages and protected texts allow. Texts between pages go last, oldest first.

    `BestUse` spends the room where it is worth most. For every other policy the age of all pages is multiplied by the smallest factor that
    fits: the oldest are demoted and left out first, the policy's proportions remain, and no page is left out before it was at its faintest
    tier.

    Args:
        letter: font size in pixels on sealed pages of turns.
    """
    if isinstance(policy, BestUse):
        result = _spent(candidates, room, policy, profile, beside, letter)
    else:
        result = _hastened(candidates, room, policy, profile, beside)
    total = total_of(result)
    for place, decision in enumerate(result):
        if total <= room:
            break
        if decision.shown and not decision.held:
            total -= decision.tokens
            result[place] = Decision(decision.candidate)
    return result


def _hastened(
    candidates: Sequence[PageCandidate | TextCandidate], room: int, policy: Forgetting, profile: ReaderProfile, beside: ImageLoad
) -> list[Decision]:
    def total_at(step: int) -> int:
        return total_of(arrange(candidates, policy, profile, age_factor=AGE_STEP**step, room=0, beside=beside))

    steps = bisect_left(range(AGE_STEPS), True, key=lambda step: total_at(step) <= room)
    return arrange(candidates, policy, profile, age_factor=AGE_STEP**steps, room=room, beside=beside)


def _spent(
    candidates: Sequence[PageCandidate | TextCandidate],
    room: int,
    policy: BestUse,
    profile: ReaderProfile,
    beside: ImageLoad,
    letter: float,
) -> list[Decision]:
    """Choose tiers for the pages that the schedule shows; texts beside them stay.

    A run that is text, since it would be dearer as pages, gets what room is left, the newest first: for its tokens it shows least.
    """
    result = arrange(candidates, policy, profile, room=0, beside=beside)
    shown = [(place, decision) for place, decision in enumerate(result) if decision.tier is not None]
    shown.sort(key=lambda each: (-policy.need(_page_of(each[1]).age), -each[0]))
    pages = [list(_options(decision, policy, profile, letter)) for _, decision in shown]
    dear = _runs_as_text(candidates, result)
    left = room - total_of([decision for place, decision in enumerate(result) if decision.tier is None and place not in dear])
    for (place, decision), option in zip(shown, best_use(pages, left) if pages else (), strict=True):
        result[place] = replace(decision, tier=Tier(option.level + _page_of(decision).steps_up) if option.level else None)
        left -= option.tokens
    for place in reversed(dear):
        if result[place].tokens <= left:
            left -= result[place].tokens
        else:
            result[place] = Decision(result[place].candidate)
    return _without_dear_runs(result)


def _runs_as_text(candidates: Sequence[PageCandidate | TextCandidate], decisions: Sequence[Decision]) -> list[int]:
    """Return the places of runs of pages that are text and may be left out."""
    texts = {candidate.first for candidate in candidates if isinstance(candidate, TextCandidate)}
    return [
        place
        for place, decision in enumerate(decisions)
        if decision.as_text
        and not decision.held
        and isinstance(decision.candidate, TextCandidate)
        and decision.candidate.first not in texts
    ]


def _page_of(decision: Decision) -> PageCandidate:
    assert isinstance(decision.candidate, PageCandidate)
    return decision.candidate


def _options(decision: Decision, policy: BestUse, profile: ReaderProfile, letter: float) -> Iterator[Option]:
    """Yield the options of a page: left out unless it is pinned, and each tier up to the decided one.

    Need is that of a token of its words: a page that is half empty is worth half as much. Levels count from the faintest tier at which a
    document's page is read: a newspaper at Gundam is not sharper than a newer slide at Tiny.
    """
    page = _page_of(decision)
    need = policy.need(page.age) * max(1, page.own_tokens)
    floor = min(decision.tier or Tier.TINY, profile.floor) if page.pinned else Tier.TINY
    if not page.pinned:
        yield Option(0, 0, 0.0)
    for tier in _usable(page, profile):
        if decision.tier and floor <= tier <= decision.tier:
            share = profile.legible(tier, letter=page.letter or letter, text_tokens=page.own_tokens, vision_tokens=page.vision[tier])
            yield Option(tier - page.steps_up, page.vision[tier] + page.overhead, need * share)


def _without_dear_runs(decisions: Sequence[Decision]) -> list[Decision]:
    """Leave out what remains of runs that would cost as much as its text: pages of such a run paid only together."""
    kept: list[Decision] = []
    for _, group in groupby(decisions, key=lambda decision: run_of(decision.candidate)):
        run = list(group)
        is_dear = dearer_than_text(run) and not any(decision.held for decision in run)
        kept += [Decision(decision.candidate) if is_dear and decision.tier is not None else decision for decision in run]
    return kept
