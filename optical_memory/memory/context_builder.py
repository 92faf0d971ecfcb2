"""Build contexts from a turn log: reuse the last plan while it is valid, replan when it is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ..archive.drawn_ahead import AT_ONCE, Abandoned, Drawing, DrawnAhead, Prepared, Preparing, Yielding
from ..archive.page_archive import ArchiveCounts, PageArchive
from ..archive.page_runs import PagesLost
from ..archive.undrawn import PREFIX as UNDRAWN
from ..archive.undrawn import page_numbers, without
from ..archive.verified_tiers import TierVerification, verifications
from ..context.context import Context
from ..context.plan import Plan
from ..pages.page import Page
from ..planning.past import PagePrices
from ..planning.replanner import Replanner
from ..planning.screening import Screening
from ..planning.settings import ViewSettings
from ..planning.sizes import blocks
from ..planning.triggers import LONG_EXCHANGE, replan_reason, tail_start
from ..profiles.pricing import Pricing
from ..renderers.base import Renderer
from ..renderers.unavailable import Unavailable, open_or_stand_in
from ..stores.base import Readable, SessionId, Store
from ..stores.claims import claimed, claims_of
from ..stores.intact import intact
from ..text.excerpts import excerpt
from ..turns.turn import Turn
from ..verification.base import Verification
from .composer import Composer
from .plan_history import keep_plan
from .recall_pages import drawn_page

__all__ = ["ContextBuilder"]

UNHEARD: Callable[[int], None] = lambda pages: None  # noqa: E731  # the default of `telling`
ATTEMPTS = 3  # for a context whose pages are lost; each attempt seals them again


@dataclass(frozen=True, slots=True)
class _State:
    """A snapshot of a session: its length, pins and plan, and the turns after the plan; not all if they make a new plan due."""

    length: int
    pins: tuple[int, ...]
    plan: Plan | None
    tail: Sequence[Turn]


@dataclass(frozen=True, slots=True)
class Outlook:
    """A session as it stands now, to tell what may come of it."""

    builder: ContextBuilder
    state: _State
    budget: int | None

    @property
    def said(self) -> Sequence[Turn]:
        """The turns after the last plan."""
        return self.state.tail

    @property
    def length(self) -> int:
        """The length of the log."""
        return self.state.length

    def begins_text(self, coming: Sequence[Turn]) -> int | None:
        """Return the number of the first turn that a re-plan would keep as text after the turns `coming`; None if none would be due."""
        tail = [*self.said, *coming]
        builder = self.builder
        if not builder._why_due(replace(self.state, length=self.length + len(coming), tail=tail), self.budget):
            return None
        low = builder.settings.marks.within(self.budget).low
        return tail_start(tail, [builder.pricing.cost(turn) for turn in tail], low)


class ContextBuilder:
    """Builds the contexts of one session. Stores plan and pages beside the turns. Thread-safe.

    Args:
        ahead: what rehearsals have drawn ahead; None where nothing is.
        pricing: the reader's prices; made here by default.
        drawing: how pages are drawn; by default, with what is in `ahead`.
    """

    def __init__(
        self,
        store: Readable,
        session: SessionId,
        settings: ViewSettings,
        *,
        ahead: DrawnAhead | None = None,
        pricing: Pricing | None = None,
        drawing: Drawing | None = None,
    ) -> None:
        self._store, self._session, self.settings = store, session, settings
        self.pricing = pricing or Pricing(settings.profile)
        self.ahead = ahead
        self.asked: int | None = None  # the last budget
        self._drawing = drawing or (Prepared(ahead) if ahead else AT_ONCE)
        self.basis = settings.basis(self.pricing.counted_with)
        self.replans = 0
        self._archive: PageArchive | None = None
        self._renderer: Renderer | None = None
        self._unavailable: Unavailable | None = None
        self._progress = UNHEARD
        self._lock = threading.RLock()
        self._latest: tuple[_State, int | None, Context] | None = None
        self._plan_data: bytes | None = None
        self._plan_read: tuple[bytes, Plan] | None = None
        self._composer = Composer(store, session, settings, self.pricing, self._open_archive, self._drawing)
        bind = self._composer.bind
        self.verification = TierVerification(store, session, settings.verifier, self._open_archive, bind) if settings.verifier else None
        self._prices = PagePrices(self.pricing)
        self._replanner = Replanner(store, session, settings, self.pricing, self._prices, self._open_archive, self.verification)

    @contextmanager
    def telling(self, progress: Callable[[int], None] | None) -> Iterator[None]:
        """Call `progress` with the number of pages whenever some are drawn in this block. Other threads wait."""
        with self._lock:
            self._progress = progress or UNHEARD
            try:
                yield
            finally:
                self._progress = UNHEARD

    def context(self, budget: int | None = None) -> Context:
        """See `OpticalMemory.context`."""
        if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 1):
            raise ValueError(f"a budget is a positive number of tokens, or None; got {excerpt(budget)}")
        with self._lock:
            self.asked = budget
            for _ in range(ATTEMPTS):
                try:
                    return self._context(budget)
                except PagesLost as exc:
                    lost = exc
                    self._discard(exc)
            raise lost

    def _context(self, budget: int | None) -> Context:
        state = self._read_state(budget)
        if (context := self._unchanged(state, budget)) is not None:
            return context
        if self._why_due(state, budget):
            with claimed(self._store, self._session, "replan") as shared:  # else several processes would draw the same pages
                state = self._replanned(self._read_state(budget) if shared else state, budget)  # seals, then selects: see `Replanner`
            return self._composed_anew(state, budget)
        return self._composed(state, budget)

    def _composed_anew(self, state: _State, budget: int | None) -> Context:
        """Compose the context of a new plan; what was drawn for it ahead is stored by now."""
        context = self._composed(state, budget)
        if self.ahead:
            self.ahead.empty()
        return context

    def rehearsing(self, store: Readable, go_on: Callable[[], None]) -> ContextBuilder:
        """Return a builder over a rehearsal's view of the session, that leaves what it draws in `ahead`. Raises `Abandoned`.

        Args:
            go_on: called before each drawing; see `Yielding`.
        """
        renderer = self.renderer()
        if self.ahead is None or isinstance(renderer, Unavailable):
            raise Abandoned
        trial = ContextBuilder(store, self._session, self.settings, pricing=self.pricing, drawing=Preparing(self.ahead))
        trial._renderer, trial._plan_read = Yielding(renderer, go_on), self._plan_read
        return trial

    def outlook(self, budget: int | None) -> Outlook:
        """Return what the next re-plan depends on, as it stands now."""
        return Outlook(self, self._read_state(budget), budget)

    def prepare(self, budget: int | None) -> None:
        """Make the plan that a context would make now, and the images that it would show."""
        plan = self._replanned(self._read_state(budget), budget).plan
        if plan:
            self._composer.prepare(plan)

    # -- the steps -----------------------------------------------------------------------------------------------------------------

    def _read_state(self, budget: int | None) -> _State:
        """Read length, pins, plan and tail from the store."""
        length, pins = self._store.length(self._session), tuple(self._store.pinned(self._session))
        plan = self._read_plan()
        return _State(length, pins, plan, self._tail_so_far(plan, length, budget))

    def _unchanged(self, state: _State, budget: int | None) -> Context | None:
        """Return the last context if nothing changed. Plans are decoded once, so an equal plan is the same object."""
        if self._latest is None:
            return None
        last, last_budget, context = self._latest
        holds = last.plan is state.plan and (last.length, last.pins, last_budget) == (state.length, state.pins, budget)
        return context if holds else None

    def _why_due(self, state: _State, budget: int | None) -> str | None:
        """Return why a re-plan is due; None if the plan is still valid."""
        profile, plan = self.settings.profile, state.plan
        return replan_reason(
            plan,
            state.tail,
            self.pricing.total(state.tail),
            basis=self.basis,
            budget=budget,
            pins=state.pins,
            cache_seconds=profile.cache_seconds,
            marks=self.settings.marks,
            cliff=profile.cache.cliff.above if profile.cache.cliff else None,
            crowded=plan is not None and plan.is_crowded(self.pricing.attachments(state.tail), profile),
        )

    def _replanned(self, state: _State, budget: int | None) -> _State:
        """Return the state with a valid plan: one that another process made meanwhile, or a new one.

        The tail ends where the plan's log ended. Turns that others append while pages are drawn belong to the next context: this plan has
        neither priced nor capped them.
        """
        for _ in range(ATTEMPTS):
            if not (reason := self._why_due(state, budget)):
                return state
            plan = self._replanner.replan(state.plan, length=state.length, basis=self.basis, budget=budget, pins=state.pins, reason=reason)
            length = max(state.length, plan.length)  # a postponed plan has the length of the one before
            planned = replace(state, length=length, plan=plan, tail=self._tail(plan, length))
            if self._write_plan(plan):
                break
            state = self._read_state(budget)
        return planned

    def _composed(self, state: _State, budget: int | None) -> Context:
        """Compose the context of a state with a valid plan."""
        assert state.plan is not None, "without a plan one is due"
        context = self._composer.compose(state.plan, state.tail)
        self._latest = state, budget, context
        return context

    def _discard(self, lost: PagesLost) -> None:
        """Discard lost pages, all damaged runs and the plan, so that the next attempt seals their turns again."""
        archive = self._open_archive()
        archive.discard([*lost.runs, *archive.damaged()])
        self._store.discard(self._session, [self.plan_name])

    def _tail(self, plan: Plan | None, length: int) -> list[Turn]:
        return self._store.read(self._session, plan.tail_from if plan else 1, length + 1)

    def _tail_so_far(self, plan: Plan | None, length: int, budget: int | None) -> list[Turn]:
        """Read the turns after a plan, up to where they make a re-plan due by their cost alone; none without a plan."""
        if plan is None:
            return []
        enough = max(LONG_EXCHANGE * plan.high_water, budget or 0)
        turns: list[Turn] = []
        total = 0
        for block in blocks(lambda start, stop: self._store.read(self._session, start, stop), plan.tail_from, length + 1):
            turns += block
            total += self.pricing.total(block)
            if total > enough:
                break
        return turns

    # -- the plan in the store -----------------------------------------------------------------------------------------------------

    @property
    def plan_name(self) -> str:
        """Name of the plan in the store; one per reader."""
        return f"plan/{self.settings.profile.name}"

    def _read_plan(self) -> Plan | None:
        data = self._plan_data = intact(self._store, self._session, [self.plan_name]).get(self.plan_name)
        if data is None:
            return None
        if self._plan_read is None or self._plan_read[0] != data:
            try:
                self._plan_read = (data, Plan.model_validate_json(data))
            except ValueError:  # damaged, or of another release: a new plan replaces it
                return None
        return self._plan_read[1]

    def _write_plan(self, plan: Plan) -> bool:
        """Replace the plan that this one was made from (compare and set); False if another process was faster."""
        data = plan.model_dump_json().encode()
        if claims := claims_of(self._store):
            if not claims.swap(self._session, self.plan_name, self._plan_data, data):
                return False
        else:
            self._store.put(self._session, {self.plan_name: data})
        self._plan_data, self._plan_read = data, (data, plan)
        self.replans += 1
        if isinstance(self._store, Store):  # a list of messages is kept by its caller, and its plans with it
            keep_plan(self._store, self._session, self.settings.profile.name, plan)
        return True

    # -- pages ---------------------------------------------------------------------------------------------------------------------

    def renderer(self) -> Renderer:
        """Open the renderer, once; `Unavailable` if it cannot be opened."""
        if self._renderer is None:
            self._renderer = open_or_stand_in(self.settings.renderer)
        return self._renderer

    def _open_archive(self) -> PageArchive:
        if self._archive is None:
            renderer = self.renderer()
            self._unavailable = renderer if isinstance(renderer, Unavailable) else None
            self._archive = PageArchive(
                self._store,
                self._session,
                renderer,
                self.settings.style,
                self.pricing,
                sidecar_tokens=self.settings.sidecar_tokens,
                redactor=self.settings.redactor,
                repeats=self.settings.repeats,
                screened=self.settings.screen,
                drawn=lambda pages: self._progress(pages),
                drawing=self._drawing,
            )
        return self._archive

    def pages(self, *, strict: bool = True, draw: bool = False) -> list[Page]:
        """Return all sealed pages, oldest first, including those that the context leaves out.

        Without the renderer they cannot be identified: raises `RenderError`, or returns [] if not `strict`.

        Args:
            draw: draw first what contexts have left out undrawn.
        """
        with self._lock:
            if not any(self._store.names(self._session, prefix) for prefix in ("run/", UNDRAWN)):
                return []
            archive = self._open_archive()
            if self._unavailable and strict:
                raise self._unavailable.error()
            if draw:
                with claimed(self._store, self._session, "replan"):
                    self._draw_rest(archive)
            runs = archive.runs()
            numbers = page_numbers(runs, archive.undrawn(runs, self._store.length(self._session)))
            return [self._composer.bind(page) for page in archive.pages(runs, numbers)]

    def _draw_rest(self, archive: PageArchive) -> None:
        """Draw all turns that are known not to be drawn, range by range; what was drawn stays if that fails."""
        screening = Screening(on=self.settings.screen)
        known = archive.undrawn(archive.runs(), self._store.length(self._session))
        for each in known:
            turns = self._store.read(self._session, each.first, each.last + 1) if each.turns else []
            for group in screening.drawable(turns):
                archive.seal(group, seal_last=True)
        known = without(known, archive.runs())
        for run in archive.runs():
            whole = archive.drawn_whole(run)
            known = [each.fewer(whole.pages - run.pages) if each.first == run.first and not each.turns else each for each in known]
        archive.keep_undrawn(known)

    def document_page(self, turn: Turn, place: int, page: int) -> bytes:
        """Draw a page of the document at `place` in a turn, PNG. Raises `RenderError`."""
        return drawn_page(self._open_archive(), turn, place, page)

    def verifications(self) -> list[Verification]:
        """Return the results of all verifiers."""
        return verifications(self._store, self._session)

    @property
    def counts(self) -> ArchiveCounts:
        """Counts of drawn pages since this object was made."""
        return self._archive.counts if self._archive else ArchiveCounts()

    def forget(self) -> None:
        """Clear the caches of this process, after turns were erased."""
        with self._lock:
            self._latest = self._plan_read = None
            if self.ahead:
                self.ahead.empty()
            self.pricing.forget()
            self._prices.forget()
            self._composer.forget()
            if self._archive:
                self._archive.forget()
