"""Making the next plan: seal what moves to pages, then decide how each page is shown.

It goes from gentle to forced. Gently, whole exchanges that fill pages leave the text. If the budget still does not hold, pages that are
not full are sealed too; then the current exchange is cut between its units. Its opening request stays text all along: a model answers
worse about a task that it must read off a picture (arXiv 2603.09095).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import NamedTuple

from ..archive.page_archive import Ledger, PagesLost, Span
from ..archive.verified_tiers import Floors, Verifying
from ..context.plan import Plan
from ..context.wording import framing_text, page_text
from ..errors import BudgetTooSmall, RenderError
from ..pages.page import Page
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..stores.base import Readable, SessionId
from ..turns.attachments import PictureLoad
from ..turns.exchanges import Unit, starts_exchange, units_of
from ..turns.turn import Turn
from .cache_cost import billed, calls_to_come
from .candidates import PageView, Show, TextView, turn_pictures
from .forgetting import Forgetting, PageAge
from .past import Past, chunks, hours_between, is_covered, ranges_left_out
from .selection import arrange, items_of, room_target, squeeze
from .triggers import LONG_EXCHANGE, WaterMarks, tail_start

__all__ = ["Replanner"]


class _Mode(NamedTuple):
    """How hard a re-plan tries: whether it moves anything, cuts inside exchanges, and leaves pages partly empty."""

    name: str
    inside: bool = False
    partial: bool = False


_HOLD = _Mode("hold")
_GENTLE = _Mode("gentle")
_PARTIAL = _Mode("partial", partial=True)
_INSIDE = _Mode("inside", inside=True)
_LAST_RESORT = _Mode("last resort", inside=True, partial=True)


@dataclass(slots=True)
class Replanner:
    """Makes the plans of one session.

    Attributes:
        ledger: the session's pages; called only when pages are at stake, since it may have to look for a browser.
        cost: tokens of a turn as text.
        pictures: the pictures that turns bring along.
        count: tokens of a text.
        verifying: looks at pages before a plan shows them at a tier; None where nobody does.
        shape: tiers with abridged pages.
    """

    store: Readable
    session: SessionId
    ledger: Callable[[], Ledger]
    profile: ReaderProfile
    policy: Forgetting
    marks: WaterMarks
    cost: Callable[[Turn], int]
    pictures: Callable[[Sequence[Turn]], PictureLoad]
    count: Callable[[str], int]
    verifying: Verifying | None = None
    shape: tuple[Tier, ...] = ()

    def replan(self, last: Plan | None, *, length: int, basis: str, budget: int | None, pins: Sequence[int], reason: str) -> Plan:
        """The next plan. Raises `BudgetTooSmall` if what is held as text is larger than the budget."""
        draft = _Draft(self, length, budget, tuple(pins), self.marks.within(budget))
        plan = draft.plan(long_exchange=reason == "long exchange", settle=reason in ("high water", "cache lapsed"))
        if last and reason == "high water" and self.profile.cache.read is not None:
            plan = draft.cheapest(plan, last)
        epoch, changed_at = (last.epoch + 1, last.changed_at) if last else (1, 0)
        if not plan.sends_like(last) if last else plan.pages:
            changed_at = length
        return plan.model_copy(update={"epoch": epoch, "changed_at": changed_at, "basis": basis, "reason": reason})


class _Draft:
    """One re-plan under way."""

    def __init__(self, setting: Replanner, length: int, budget: int | None, pins: tuple[int, ...], marks: WaterMarks) -> None:
        self.s, self.length, self.budget, self.pins, self.marks = setting, length, budget, pins, marks
        self.held: dict[str, Tier] = {}
        self.cannot_render = not setting.profile.ladder  # nor need it, for a reader that is better given text
        self.floors: Floors | None = setting.verifying.floors() if setting.verifying else None
        self.pages: dict[str, Page] = {}  # those that were looked at, by key
        self.spans = self._known_spans()
        self.loose = self._read_loose()

    def plan(self, *, long_exchange: bool, settle: bool) -> Plan:
        """The gentlest plan that holds the budget, leaves no overlong text, and takes no pages away while the text is above its mark."""
        feasible: Plan | None = None
        needed = 0
        for mode in self._modes(long_exchange=long_exchange, settle=settle):
            if feasible and mode is _LAST_RESORT:
                break
            past = self._cut(mode)
            plan, needed = self._fit(past)
            if self.budget is not None and needed > self.budget:
                continue
            feasible = plan
            if len(plan.pages) > self.s.profile.free_places(plan.turn_pictures + past.pictures):  # fewer turns as text, fewer pictures
                continue
            if past.tail_tokens <= (self.marks.high if plan.squeezed else LONG_EXCHANGE * self.marks.high):
                break
        if feasible is None:
            assert self.budget is not None, "without a budget every plan is feasible"
            raise BudgetTooSmall(self.budget, needed)
        return feasible

    def _modes(self, *, long_exchange: bool, settle: bool) -> list[_Mode]:
        if long_exchange:
            return [_INSIDE, _LAST_RESORT]
        modes = [_GENTLE, _PARTIAL, _INSIDE, _LAST_RESORT]
        may_hold = not settle and self._tail_cost() <= self.marks.high
        return [_HOLD, *modes] if may_hold else modes

    def cheapest(self, plan: Plan, last: Plan) -> Plan:
        """The way that will be billed least: `plan`, or the same with the pages that were sent as sharp as they are, or waiting."""
        self.held = {item.key: item.tier for item in last.pages}
        waiting = last.model_copy(update={"high_water": last.high_water + (self.marks.high - self.marks.low) // 2})
        ways = [self.plan(long_exchange=False, settle=True), plan]
        if self._text_from(last.tail_from) <= LONG_EXCHANGE * self.marks.high:
            ways.insert(0, waiting)
        prices, calls, shape = self.s.profile.cache, calls_to_come(self.length), self.s.shape
        return min(ways, key=lambda way: billed(way, last, self._text_from(way.tail_from), prices=prices, calls=calls, shape=shape))

    # -- what there is -------------------------------------------------------------------------------------------------------------

    def _known_spans(self) -> list[Span]:
        has_pages = self.s.store.names(self.s.session, "run/")
        return self.s.ledger().spans() if has_pages else []

    def _read_loose(self) -> list[Turn]:
        """The turns that are on no page, oldest first."""
        loose: list[Turn] = []
        start = 1
        for span in self.spans:
            if span.first > start:
                loose += self.s.store.read(self.s.session, start, span.first)
            start = max(start, span.last + 1)
        return loose + self.s.store.read(self.s.session, start)

    def _candidates(self) -> list[Turn]:
        """Loose turns after all pages: the text tail, before anything of it moves."""
        end = self.spans[-1].last if self.spans else 0
        return [turn for turn in self.loose if turn.number > end]

    def _tail_cost(self) -> int:
        return sum(self.s.cost(turn) for turn in self._candidates())

    def _text_from(self, number: int) -> int:
        return sum(self.s.cost(turn) for turn in self.s.store.read(self.s.session, number))

    def _kept_off_pages(self) -> set[int]:
        """Turns that stay text wherever they stand: the system's opening words and the request being worked on."""
        opening = takewhile(lambda pair: pair[1].number == pair[0] and pair[1].role in ("system", "developer"), enumerate(self.loose, 1))
        request = [turn.number for turn in self.loose if starts_exchange(turn)][-1:]
        return {turn.number for _, turn in opening}.union(request)

    # -- cutting -------------------------------------------------------------------------------------------------------------------

    def _cut(self, mode: _Mode) -> Past:
        candidates = self._candidates()
        start = candidates[0].number if candidates else self.length + 1
        if mode is not _HOLD and candidates:
            keep = 0 if mode is _LAST_RESORT else self.marks.low
            start = tail_start(candidates, [self.s.cost(turn) for turn in candidates], keep, inside=mode.inside)
        self._seal_before(start, partial=mode.partial)
        return self._past(start if mode.partial else 0)

    def _seal_before(self, start: int, *, partial: bool) -> None:
        """Move loose turns before `start` to pages.

        What is loose between pages (their record was lost, or a turn among them erased) is sealed whole. After all pages, the last,
        unfinished one stays open unless `partial`.
        """
        end = self.spans[-1].last if self.spans else 0
        groups = self._groups(start)
        for group in groups:
            open_ended = group is groups[-1] and group[-1].number > end and group[-1] is self._last_before(start)
            self._seal(group, seal_last=partial or not open_ended)
        if groups and not self.cannot_render:
            self.spans = self.s.ledger().spans()
            self.loose = [turn for turn in self.loose if not is_covered(turn.number, self.spans)]

    def _last_before(self, start: int) -> Turn | None:
        return next((turn for turn in reversed(self.loose) if turn.number < start), None)

    def _groups(self, start: int) -> list[list[Turn]]:
        """Loose turns before `start`, apart where pages or turns that stay text come between."""
        kept, ends = self._kept_off_pages(), [span.first for span in self.spans]
        groups: list[list[Turn]] = []
        previous_kept = True
        for turn in (turn for turn in self.loose if turn.number < start):
            if turn.number in kept:
                previous_kept = True
                continue
            if previous_kept or any(groups[-1][-1].number < end <= turn.number for end in ends):
                groups.append([])
            groups[-1].append(turn)
            previous_kept = False
        return groups

    def _seal(self, turns: Sequence[Turn], *, seal_last: bool) -> None:
        if self.cannot_render:
            return
        try:
            self.s.ledger().seal(turns, seal_last=seal_last)
        except PagesLost:
            raise
        except RenderError as exc:
            self.cannot_render = True
            warnings.warn(f"turns from #{turns[0].number} on stay text: {exc}", RuntimeWarning, stacklevel=2)

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def _past(self, start: int) -> Past:
        """Cut at `start`, or right after the last page if that is later or `start` is 0."""
        end = self.spans[-1].last if self.spans else 0
        tail = [turn for turn in self.loose if turn.number > end and turn.number >= start]
        before = [turn for turn in self.loose if not tail or turn.number < tail[0].number]
        pages, faded = self._page_views()
        views: list[PageView | TextView] = [*pages, *self._text_views(before)]
        views.sort(key=lambda view: (view.first, view.last))
        tokens = sum(span.text_tokens for span in self.spans) + sum(self.s.cost(turn) for turn in before)
        return Past(views, faded, tokens, tail, sum(self.s.cost(turn) for turn in tail), self.s.pictures(tail))

    def _text_views(self, turns: Sequence[Turn]) -> list[TextView]:
        kept = self._kept_off_pages().union(self.pins)
        return [self._text_view(unit, any(turn.number in kept for turn in unit)) for unit in units_of(turns)]

    def _text_view(self, unit: Unit, protected: bool) -> TextView:
        numbers = tuple(turn.number for turn in unit)
        return TextView(numbers[0], numbers[-1], sum(self.s.cost(turn) for turn in unit), numbers, protected, self.s.pictures(unit))

    def _page_views(self) -> tuple[list[PageView], list[Span]]:
        """Views of the pages that can be shown, newest runs first until the policy would leave out even the most important."""
        if not self.spans:
            return [], []
        newest = next(iter(self.s.store.read(self.s.session, self.length)), None)
        views: list[PageView] = []
        after = 0
        faded: list[Span] = []
        for spans in chunks(self.spans[::-1], 64):
            loaded = self._views_of(spans[::-1], after, newest)
            after += sum(span.pages for span in spans)
            views = loaded + views
            if all(self.s.policy.tier(replace(view.age, importance=1.0)) is None and not view.pinned for view in loaded):
                older = [span for span in self.spans if span.last < spans[-1].first]
                pinned = [span for span in older if any(span.first <= pin <= span.last for pin in self.pins)]
                faded = [span for span in older if span not in pinned]
                views = [view for span in pinned for view in self._views_of([span], self._pages_after(span), newest)] + views
                break
        return views, faded

    def _pages_after(self, span: Span) -> int:
        return sum(other.pages for other in self.spans if other.first > span.last)

    def _views_of(self, spans: Sequence[Span], after: int, newest: Turn | None) -> list[PageView]:
        """Views of the pages of neighbouring runs with `after` pages sealed after them."""
        total = sum(span.pages for span in self.spans)
        count = sum(span.pages for span in spans)
        pages = self.s.ledger().pages(spans, first_index=total - after - count + 1)
        runs = {page.key: place for place, span in enumerate(spans) for page in pages if span.first <= page.first_turn <= span.last}
        return [self._page_view(page, spans[runs[page.key]].first, total - page.index, newest) for page in pages]

    def _page_view(self, page: Page, run: int, after: int, newest: Turn | None) -> PageView:
        self.pages[page.key] = page
        numbers = tuple(segment.turn for segment in page.segments)
        age = PageAge(after, self.length - page.last_turn, hours_between(page, newest), page.importance)
        return PageView(
            key=page.key,
            index=page.index,
            first=page.first_turn,
            last=page.last_turn,
            run=run,
            text_tokens=page.text_tokens,
            overhead=self.s.count(page_text(page)) + self.s.profile.message_tokens,
            vision={tier: self.s.profile.page_tokens(page.width, page.height, tier, page.canvas) for tier in self._tiers(page)},
            age=age,
            turns=numbers,
            pinned=any(pin in numbers for pin in self.pins),
            pictures=page.pictures,
            enough=self.floors.enough(page, self.s.profile.ladder) if self.floors else None,
        )

    def _tiers(self, page: Page) -> Sequence[Tier]:
        """The rungs that a page may be shown at, as far as anybody knows."""
        return self.floors.tiers(page, self.s.profile.ladder) if self.floors else self.s.profile.ladder

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def _fit(self, past: Past) -> tuple[Plan, int]:
        """A plan for `past` as near to the budget as it can be, without a page that cannot be read, and its tokens with the tail.

        Each round takes a tier from at least one page, so there is a last one.
        """
        plan, total = self._fitted(past)
        while self.floors and not self.floors.allow([(self.pages[item.key], item.tier) for item in plan.pages]):
            past = replace(past, views=[self._above_floor(view) for view in past.views])
            plan, total = self._fitted(past)
        return plan, total

    def _above_floor(self, view: PageView | TextView) -> PageView | TextView:
        if isinstance(view, TextView):
            return view
        return replace(view, vision={tier: view.vision[tier] for tier in self._tiers(self.pages[view.key])})

    def _fitted(self, past: Past) -> tuple[Plan, int]:
        shows = arrange(past.views, self.s.policy, self.s.profile, held=self.held, beside=past.pictures)
        plan = self._plan_of(past, shows, squeezed=False)
        if plan.pages and not plan.left_out and plan.prefix_tokens >= past.text_tokens:  # the pages pay, but not for their framing text
            as_text = arrange(past.views, self.s.policy, self.s.profile, pictures=False, beside=past.pictures)
            plan = self._plan_of(past, as_text, squeezed=False)
        total = plan.prefix_tokens + past.tail_tokens
        if self.budget is None or total <= self.budget:
            return plan, total
        for target in (room_target(self.budget, past.tail_tokens), self.budget):
            room = target - past.tail_tokens - self._framing_tokens(plan)
            plan = self._plan_of(past, squeeze(past.views, room, self.s.policy, self.s.profile, past.pictures), squeezed=True)
            total = plan.prefix_tokens + past.tail_tokens
            if total > target:  # leaving turns out made the framing longer
                room -= total - target
                plan = self._plan_of(past, squeeze(past.views, room, self.s.policy, self.s.profile, past.pictures), squeezed=True)
                total = plan.prefix_tokens + past.tail_tokens
            if total <= target:
                break
        return plan, total

    def _framing_tokens(self, plan: Plan) -> int:
        return self.s.count(text) + self.s.profile.message_tokens if (text := framing_text(plan, self.s.shape)) else 0

    def _plan_of(self, past: Past, shows: Sequence[Show], *, squeezed: bool) -> Plan:
        left_out, count = ranges_left_out(past, shows)
        plan = Plan(
            epoch=0,
            basis="",
            reason="",
            budget=self.budget,
            items=tuple(items_of(shows)),
            tail_from=past.tail[0].number if past.tail else self.length + 1,
            left_out=left_out,
            turns_left_out=count,
            text_tokens=past.text_tokens,
            length=self.length,
            high_water=self.marks.next_high(past.tail_tokens),
            squeezed=squeezed,
            pins=self.pins,
            turn_pictures=turn_pictures(shows),
            tail_pictures=past.pictures.count,
        )
        tokens = sum(show.tokens for show in shows) + self._framing_tokens(plan)
        return plan.model_copy(update={"prefix_tokens": tokens})
