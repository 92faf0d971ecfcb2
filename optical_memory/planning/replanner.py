"""Make the next plan: seal turns to pages, then select the tier of each page.

Modes are tried from gentle to forced. First, only whole exchanges that fill pages leave the text. If the plan exceeds the budget, partly
filled pages are sealed too; then the current exchange is cut between its units. Its opening request always stays text: models answer
worse about a task that they read from an image (arXiv 2603.09095).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..archive.page_archive import PageArchive
from ..archive.undrawn import without
from ..archive.verified_tiers import Floors, TierVerification
from ..context.plan import Plan
from ..context.wording import framing_text
from ..errors import BudgetTooSmall
from ..pages.tiers import Tier
from ..profiles.pricing import Pricing
from ..stores.base import Readable, SessionId
from .cache_cost import billed, calls_to_come
from .candidates import Decision, PageCandidate, TextCandidate, text_images
from .forgetting import BestUse, Forgetting
from .imagined import Imagination
from .past import PagePrices, PageReading, Past, past_of, ranges_left_out
from .repeats import unresolved
from .sealing import Sealing, Wanted
from .selection import ROOM_FOR_A_PAGE, arrange, items_of, room_target, squeeze
from .settings import ViewSettings
from .triggers import LONG_EXCHANGE, WaterMarks, tail_start

__all__ = ["Replanner"]

FRAMINGS = 3  # most attempts to leave room for the framing text, which grows with the ranges of turns left out that it names
TOO_LITTLE = 0.8  # of the room, spent where pages are large: then one more may take from the room for the turns to come


class _Mode(NamedTuple):
    """A mode of a re-plan: whether it moves turns to pages, cuts inside exchanges, and seals partly filled pages."""

    name: str
    inside: bool = False
    partial: bool = False


_HOLD = _Mode("hold")
_GENTLE = _Mode("gentle")
_PARTIAL = _Mode("partial", partial=True)
_INSIDE = _Mode("inside", inside=True)
_INSIDE_PARTIAL = _Mode("inside, partial", inside=True, partial=True)  # units of more than a page may share all page edges
_LAST_RESORT = _Mode("last resort", inside=True, partial=True)


@dataclass(frozen=True, slots=True)
class Replanner:
    """Makes the plans of one session.

    Attributes:
        archive: opens the session's pages; called only when needed, since it may start a browser.
        verification: verifies pages before a plan uses them at a tier; None without a verifier.
    """

    store: Readable
    session: SessionId
    settings: ViewSettings
    pricing: Pricing
    prices: PagePrices
    archive: Callable[[], PageArchive]
    verification: TierVerification | None = None

    def replan(self, last: Plan | None, *, length: int, basis: str, budget: int | None, pins: Sequence[int], reason: str) -> Plan:
        """Make the next plan. Raises `BudgetTooSmall` if what must stay text exceeds the budget, `PagesLost`, `StoreUnavailable`."""
        attempt = self._attempt(length, budget, pins)
        plan = attempt.plan(long_exchange=reason == "long exchange", settle=reason in ("high water", "cache lapsed"))
        lower, lower_plan = self._below_cliff(attempt, plan, pins, long_exchange=reason == "long exchange")
        if last and reason in ("high water", "price step") and self.pricing.profile.cache.read is not None:
            plan = self._cheapest(attempt, plan, last, lower, lower_plan)
        else:
            plan = lower_plan
        epoch, changed_at = (last.epoch + 1, last.changed_at) if last else (1, 0)
        if not plan.sends_like(last) if last else plan.pages:
            changed_at = plan.length
        self._keep_undrawn((lower if plan is lower_plan else attempt).sealing, plan)
        crosses = self.pricing.profile.cache.factor(self._total(plan, attempt.length)) > 1
        changes = {"epoch": epoch, "changed_at": changed_at, "basis": basis, "reason": reason, "crosses": crosses}
        return plan.model_copy(update=changes)

    def _below_cliff(self, attempt: _Attempt, plan: Plan, pins: Sequence[int], *, long_exchange: bool) -> tuple[_Attempt, Plan]:
        """Return a plan with fainter pages if only that stays below the length from which the price is higher; else the same plan.

        It stays below until the next re-plan, and leaves out no more turns: that is for the caller to decide, with a budget.
        """
        cliff = self.pricing.profile.cache.cliff
        room = cliff.above - attempt.marks.high if cliff else 0
        if room <= 0 or self._total(plan, attempt.length) <= room:
            return attempt, plan
        policy = self.settings.policy
        schedule = policy.schedule if isinstance(policy, BestUse) else policy  # a budget would make the other leave pages out
        lower = replace(self, settings=replace(self.settings, policy=schedule))._attempt(attempt.length, room, pins)
        try:
            found = replace(lower, fills=True).plan(long_exchange=long_exchange, settle=True)
        except BudgetTooSmall:
            return attempt, plan
        if found.turns_left_out > plan.turns_left_out:
            return attempt, plan
        return lower, found.model_copy(update={"budget": plan.budget, "squeezed": plan.squeezed})

    def _total(self, plan: Plan, length: int) -> int:
        """Tokens of a request with a plan, at a length of the log."""
        return plan.prefix_tokens + self._text_from(plan.tail_from, length)

    def _attempt(self, length: int, budget: int | None, pins: Sequence[int]) -> _Attempt:
        floors = self.verification.floors() if self.verification else None
        policy, style, marks = self.settings.policy_within(budget), self.settings.style, self.settings.marks.within(budget)
        draws = bool(self.pricing.profile.ladder)
        sealing = Sealing(
            self.store,
            self.session,
            self.archive,
            self.pricing,
            style,
            length=length,
            draws=draws,
            marks=marks,
            budget=budget,
            pins=pins,
            screen=self.settings.screen,
            repeats=self.settings.repeats,
        )
        length = sealing.length
        newest = next(iter(self.store.read(self.session, length, length + 1)), None)
        imagination = Imagination(self.pricing, style, policy, length, newest.created_at if newest else None, budget, pins)
        reading = PageReading(
            self.archive,
            self.pricing,
            self.prices,
            policy,
            floors,
            pins=pins,
            length=length,
            newest=newest,
            imagination=imagination,
        )
        return _Attempt(self.settings, self.pricing, sealing, reading, floors, budget)

    def _keep_undrawn(self, sealing: Sealing, plan: Plan) -> None:
        """Store the sizes of the turns that the plan leaves out undrawn, so that the next re-plan need not measure them again."""
        is_last = any(each.last >= plan.tail_from for each in sealing.undrawn)  # the change is postponed
        ranges = without(sealing.recorded, sealing.runs) if is_last else sealing.numbered
        if sealing.draws and ranges != sealing.recorded:
            self.archive().keep_undrawn(ranges)

    def _cheapest(self, attempt: _Attempt, plan: Plan, last: Plan, lower: _Attempt, lower_plan: Plan) -> Plan:
        """Return the cheapest of: `plan`; the same with pages already sent kept at their tier; the last plan, postponing the change.

        And of `lower_plan`, made by `lower`: see `_below_cliff`.
        """
        marks = attempt.marks
        unchanged = replace(attempt, held={item.key: item.tier for item in last.pages}).gentlest(long_exchange=False, settle=True)
        ways = [plan] if attempt.unresolved(*unchanged) else [unchanged[0], plan]
        redrawn = [*attempt.sealing.redrawn, *lower.sealing.redrawn]
        is_drawn = not any(run.first <= item.first <= run.last for run in redrawn for item in last.pages)
        if is_drawn and self._text_from(last.tail_from, attempt.length) <= LONG_EXCHANGE * marks.high:
            ways.insert(0, last.model_copy(update={"high_water": last.high_water + (marks.high - marks.low) // 2}))
        prices, calls, shape = self.pricing.profile.cache, calls_to_come(attempt.length), self.settings.shape

        def price(way: Plan) -> float:
            return billed(way, last, self._text_from(way.tail_from, attempt.length), prices=prices, calls=calls, shape=shape)

        return min([*ways, lower_plan], key=price)

    def _text_from(self, number: int, length: int) -> int:
        return self.pricing.total(self.store.read(self.session, number, length + 1))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Tries modes from gentle to forced until the plan fits the budget.

    Attributes:
        floors: results of the verifier; None without one.
        held: tiers of pages, by key, that must not change.
        fills: whether to use nearly all of the budget.
    """

    settings: ViewSettings
    pricing: Pricing
    sealing: Sealing
    reading: PageReading
    floors: Floors | None
    budget: int | None
    held: Mapping[str, Tier] = field(default_factory=dict)
    fills: bool = False

    @property
    def policy(self) -> Forgetting:
        """The policy at this budget."""
        return self.settings.policy_within(self.budget)

    @property
    def length(self) -> int:
        """Length of the log that the plan covers."""
        return self.sealing.length

    @property
    def marks(self) -> WaterMarks:
        """Water marks within the budget."""
        return self.settings.marks.within(self.budget)

    def plan(self, *, long_exchange: bool, settle: bool) -> Plan:
        """Return the gentlest plan whose references can all be followed; pages of others are drawn again in full.

        Terminates: each round removes all references from at least one run.
        """
        found = self.gentlest(long_exchange=long_exchange, settle=settle)
        while unfollowed := self.unresolved(*found):
            self.sealing.draw_in_full(unfollowed)
            found = self.gentlest(long_exchange=long_exchange, settle=settle)
        return found[0]

    def unresolved(self, plan: Plan, past: Past) -> set[int]:
        """Return the runs with a reference that cannot be followed; see `repeats`."""
        return unresolved(plan, past.candidates, past.tail, self.reading.page)

    def gentlest(self, *, long_exchange: bool, settle: bool) -> tuple[Plan, Past]:
        """Return the gentlest plan that fits the budget, leaves no overlong text, and drops no pages while the text is above its mark.

        With the session as it was split for it. Raises `BudgetTooSmall`.
        """
        feasible: tuple[Plan, Past] | None = None
        needed = 0
        for mode in self._modes(long_exchange=long_exchange, settle=settle):
            if feasible and mode is _LAST_RESORT:
                break
            past, plan, needed = self._drawn(mode, self._cut(mode))
            if self.budget is not None and needed > self.budget:
                continue
            feasible = plan, past
            if len(plan.pages) > self.pricing.profile.free_places(plan.text_images + past.images):
                continue  # a later mode leaves fewer turns, and so fewer images, as text
            if past.tail_tokens <= (self.marks.high if plan.squeezed else LONG_EXCHANGE * self.marks.high):
                break
        if feasible is None:
            assert self.budget is not None, "without a budget every plan is feasible"
            raise BudgetTooSmall(self.budget, needed, self._unshown(past))
        return self._with_newest_text(*feasible)

    def _with_newest_text(self, plan: Plan, past: Past) -> tuple[Plan, Past]:
        """Spend room that no page fits into on the newest turns left out, as text.

        For a reader whose cheapest page costs more than the room is, the context would hold less than its newest turns alone.
        """
        if not (plan.squeezed and plan.turns_left_out and isinstance(self.policy, BestUse)):
            return plan, past
        room, undo = self._target(past) - plan.prefix_tokens - past.tail_tokens, self.sealing.undoing()
        if not self.sealing.return_newest(room):
            return plan, past
        more = past_of(self.sealing, self.reading, self.pricing, plan.tail_from)
        filled, needed = self._fit(more)
        is_drawn = not any(each.wanted(filled.items) for each in more.imagined)
        if is_drawn and needed <= self._target(past):
            return filled, more
        undo()  # the plan that stands leaves them out
        return plan, past

    def _unshown(self, past: Past) -> int:
        """Return how many pages the runs of pinned turns have, if a request cannot hold as many images; else 0."""
        pages = [each for each in past.candidates if isinstance(each, PageCandidate)]
        pinned = {page.run for page in pages if page.pinned}
        count = sum(page.run in pinned for page in pages)
        return count if count > self.pricing.profile.free_places(past.images) else 0

    def _modes(self, *, long_exchange: bool, settle: bool) -> list[_Mode]:
        if long_exchange:
            return [_INSIDE, _INSIDE_PARTIAL, _LAST_RESORT]
        modes = [_PARTIAL, _INSIDE, _INSIDE_PARTIAL, _LAST_RESORT]
        if not self._seldom_fill():
            modes.insert(0, _GENTLE)
        may_hold = not settle and self.pricing.total(self.sealing.tail()) <= self.marks.high
        return [_HOLD, *modes] if may_hold else modes

    def _seldom_fill(self) -> bool:
        """Whether less text than a page's comes between two re-plans: waiting for pages to fill would keep it as text for good.

        Only where a budget is to be spent best: as text it takes several times what a page takes that is not full.
        """
        is_spent = isinstance(self.policy, BestUse)
        return is_spent and not self.sealing.fills_page(self.marks.high - self.marks.low)

    def _cut(self, mode: _Mode) -> int:
        """Take turns out of the text as `mode` allows; return the number of the first that stays."""
        tail = self.sealing.tail()
        start = tail[0].number if tail else self.length + 1
        if mode is not _HOLD and tail:
            keep = 0 if mode is _LAST_RESORT else self.marks.low
            start = tail_start(tail, [self.pricing.cost(turn) for turn in tail], keep, inside=mode.inside)
        self.sealing.leave_text(start)
        return start

    def _drawn(self, mode: _Mode, start: int) -> tuple[Past, Plan, int]:
        """Draw what a plan wants to show, until it shows drawn pages only; return it with the session as split for it, and its tokens.

        Terminates: each round makes some range shorter, or draws more of a long unit.
        """
        while True:
            past = past_of(self.sealing, self.reading, self.pricing, start if mode.partial else 0)
            plan, needed = self._fit(past)
            wanted = self._wanted(past, plan, partial=mode.partial)
            if wanted and (self.budget is not None or any(each.is_cut for each in past.imagined)) and self.sealing.gauge():
                continue  # not all may be shown: the estimate should be a good one
            pins = [page.first for each in past.imagined for page in each.pinned]
            if wanted:
                self.sealing.draw(wanted, partial=mode.partial)
            elif pins:
                self.sealing.draw_around(pins[-1])
            elif not self._lengthened(plan):
                return past, plan, needed

    def _lengthened(self, plan: Plan) -> bool:
        """Draw more of the long units whose oldest drawn page is shown; whether anything changed."""
        keys = {item.key for item in plan.pages}
        shortened = self.reading.shortened
        return self.sealing.lengthen(
            [each for key, each in shortened.items() if key in keys], [each for key, each in shortened.items() if key not in keys]
        )

    def _wanted(self, past: Past, plan: Plan, *, partial: bool) -> Wanted:
        """Return how many pages to draw of each range: those that the plan shows, and the next.

        At an open end at least one, since what fills no page there stays text.
        """
        shown = [(each.range, each.wanted(plan.items)) for each in past.imagined]
        return [(each, count + 1) for each, count in shown if count or (not partial and self.sealing.is_open(each))]

    def _fit(self, past: Past) -> tuple[Plan, int]:
        """Return a plan for `past`, as close to the budget as possible and without unreadable pages, and its tokens with the tail.

        A plan that shows imagined pages is not verified: they are drawn first. Terminates: each round takes a tier from some page.
        """
        plan, total = self._fitted(past)
        while self.floors and not any(each.wanted(plan.items) for each in past.imagined):
            if self.floors.allow([(self.reading.page(item.key), item.tier) for item in plan.pages if item.key]):
                break
            past = replace(past, candidates=[self._above_floor(each) for each in past.candidates])
            plan, total = self._fitted(past)
        return plan, total

    def _above_floor(self, candidate: PageCandidate | TextCandidate) -> PageCandidate | TextCandidate:
        if isinstance(candidate, TextCandidate):
            return candidate
        return replace(candidate, vision={tier: candidate.vision[tier] for tier in self.reading.tiers(candidate.key)})

    def _fitted(self, past: Past) -> tuple[Plan, int]:
        decisions = arrange(past.considered, self.policy, self.pricing.profile, held=self.held, beside=past.images)
        plan = self._plan_of(past, decisions, squeezed=False)
        if plan.pages and not plan.left_out and plan.prefix_tokens >= past.text_tokens:  # cheaper than text, but not with the framing text
            as_text = arrange(past.considered, self.policy, self.pricing.profile, pictures=False, beside=past.images)
            plan = self._plan_of(past, as_text, squeezed=False)
        total = plan.prefix_tokens + past.tail_tokens
        if self.budget is None or total <= self.budget:
            return plan, total
        target = self._target(past)
        found, size = self._at_most(target, past, plan)
        roomy = int(ROOM_FOR_A_PAGE * self.budget)
        if size < TOO_LITTLE * target < roomy and isinstance(self.policy, BestUse):
            other, larger = self._at_most(roomy, past, plan)
            found, size = (other, larger) if larger <= roomy and len(other.pages) > len(found.pages) else (found, size)
        return (found, size) if size <= max(target, roomy) else self._at_most(self.budget, past, found)

    def _target(self, past: Past) -> int:
        """Return the size that a squeezed context should have."""
        assert self.budget is not None, "without a budget nothing is squeezed"
        fills = self.fills or (isinstance(self.policy, BestUse) and self.pricing.profile.cache.read is None)
        return room_target(self.budget, past.tail_tokens, fills=fills)

    def _at_most(self, size: int, past: Past, plan: Plan) -> tuple[Plan, int]:
        """Return a plan squeezed into `size` tokens with the tail, or as close to them as possible, and its tokens.

        Args:
            plan: one that tells about how long the framing text is.
        """
        room = size - past.tail_tokens - self._framing_tokens(plan)
        for _ in range(FRAMINGS):
            plan = self._squeezed(past, room)
            total = plan.prefix_tokens + past.tail_tokens
            if total <= size:
                break
            room -= total - size
        return plan, total

    def _squeezed(self, past: Past, room: int) -> Plan:
        policy, profile = self.policy, self.pricing.profile
        decisions = squeeze(past.considered, room, policy, profile, past.images, letter=self.settings.style.font_size)
        return self._plan_of(past, decisions, squeezed=True)

    def _screened(self, decisions: Sequence[Decision]) -> tuple[int, ...]:
        """Return the numbers of the turns that ask to be obeyed and are text."""
        shown = {number for decision in decisions if decision.as_text for number in decision.candidate.turns}
        return tuple(sorted(shown & self.sealing.screened))

    def _framing_tokens(self, plan: Plan) -> int:
        return self.pricing.message(framing_text(plan, self.settings.shape))

    def _plan_of(self, past: Past, decisions: Sequence[Decision], *, squeezed: bool) -> Plan:
        left_out, count = ranges_left_out(past, decisions)
        plan = Plan(
            epoch=0,
            basis="",
            reason="",
            budget=self.budget,
            items=tuple(items_of(decisions)),
            tail_from=past.tail[0].number if past.tail else self.length + 1,
            left_out=left_out,
            turns_left_out=count,
            text_tokens=past.text_tokens,
            length=self.length,
            high_water=self.marks.next_high(past.tail_tokens),
            squeezed=squeezed,
            pins=self.reading.pins,
            text_images=text_images(decisions),
            tail_images=past.images.count,
            screened=self._screened(decisions),
        )
        tokens = sum(decision.tokens for decision in decisions) + self._framing_tokens(plan)
        return plan.model_copy(update={"prefix_tokens": tokens})
