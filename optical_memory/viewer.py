"""From a log of turns to what a model is shown: keep the last plan while it serves, make the next one when it does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from .composing import Composer
from .context import Context
from .forgetting import ByAge, Forgetting
from .ledger import Ledger, LedgerCounts, PagesLost
from .pages import Page, PageStyle
from .planning import Plan, WaterMarks, replan_reason
from .readers.base import ReaderProfile
from .redaction import Redactor
from .renderers.base import Renderer, renderer_path
from .renderers.unavailable import Unavailable, open_or_stand_in
from .replanning import Replanner
from .stores.base import Readable, SessionId
from .stores.claims import claimed, claims_of
from .tiers import Tier
from .tokens import open_counter
from .turn_costs import TurnCosts
from .turns import Turn
from .verification.base import Verification, Verifier
from .verifying import Verifying, verifications

__all__ = ["SHAPED", "SIDECAR_TOKENS", "Look", "Viewer"]

SIDECAR_TOKENS = 64  # text tokens of exact strings beside a page: about as many as a page at Tiny costs
SHAPED = (Tier.TINY,)  # where it wins (docs/experiments.md)
ATTEMPTS = 3  # at a context whose pages turn out to be lost: each attempt seals the lost ones anew


@dataclass(frozen=True)
class Look:
    """How the past is shown, and to whom.

    Attributes:
        profile: the reader: it sets what tokens mean.
        renderer: `auto`, `chromium`, `pillow`, or a renderer. It is opened when the first page is drawn.
        policy: how faint a page may be at its age.
        marks: how much recent text there may be before the oldest of it moves to pages.
        style: canvas and density of the pages.
        sidecar_tokens: exact strings beside each page, in text tokens at most.
        redactor: takes secrets out of all that pages and sidecars are made from.
        verifier: looks at a page before it is shown at a tier, and may refuse; see `verification`.
        shape: tiers at which a page is laid out again with what matters, instead of shrunk; see `shaping`.
    """

    profile: ReaderProfile
    renderer: str | Renderer = "auto"
    policy: Forgetting = field(default_factory=ByAge)
    marks: WaterMarks = field(default_factory=WaterMarks)
    style: PageStyle = field(default_factory=PageStyle)
    sidecar_tokens: int = SIDECAR_TOKENS
    redactor: Redactor | None = None
    verifier: Verifier | None = None
    shape: tuple[Tier, ...] = SHAPED

    def __post_init__(self) -> None:
        if isinstance(self.renderer, str):
            renderer_path(self.renderer)  # a name that nobody knows is said now, not at the first page

    @property
    def renderer_name(self) -> str:
        return self.renderer if isinstance(self.renderer, str) else self.renderer.name

    def basis(self, counter: str) -> str:
        """What a plan depends on beside the log. The renderer's fingerprint is left to the ledger: finding it out may take a browser."""
        style = json.dumps(asdict(self.style))
        basis = f"{self.profile.name} {self.profile.fingerprint} {counter} {self.renderer_name} {self.policy!r} {self.marks!r} {style}"
        basis += f" shaped {' '.join(tier.label for tier in self.shape)}" if self.shape else ""
        basis += f" {self.redactor.name} {self.redactor.fingerprint}" if self.redactor else ""
        return f"{basis} {self.verifier.name} {self.verifier.fingerprint}" if self.verifier else basis


@dataclass(frozen=True, slots=True)
class _Latest:
    """The last context given, and what it was made from."""

    length: int
    pins: tuple[int, ...]
    budget: int | None
    plan: Plan
    context: Context

    def serves(self, length: int, pins: tuple[int, ...], budget: int | None, plan: Plan | None) -> bool:
        """Whether nothing has changed. Plans are read once, so an equal plan is the same object."""
        return self.plan is plan and (self.length, self.pins, self.budget) == (length, pins, budget)


@dataclass(frozen=True, slots=True)
class _Moment:
    """A session at one moment: its plan, the turns after it, and why it needs another plan, if it does."""

    length: int
    pins: tuple[int, ...]
    plan: Plan | None
    tail: Sequence[Turn]
    reason: str | None


class Viewer:
    """Makes the contexts of one session; its plan and pages are kept beside the turns. Safe to use from several threads."""

    def __init__(self, store: Readable, session: SessionId, look: Look) -> None:
        self._store, self._session, self.look = store, session, look
        counter = open_counter(look.profile.encoding)
        self.counter, self.cost = counter, TurnCosts(look.profile, counter)
        self.basis = look.basis(counter.name)
        self.replans = 0
        self._ledger: Ledger | None = None
        self._unavailable: Unavailable | None = None
        self._lock = threading.RLock()
        self._latest: _Latest | None = None
        self._plan_data: bytes | None = None
        self._plan_read: tuple[bytes, Plan] | None = None
        self._composer = Composer(
            store,
            session,
            self._open_ledger,
            look.profile,
            cost=self.cost,
            count=counter.count,
            counted_with=counter.name,
            style=look.style,
            shape=look.shape,
        )
        self.verifying = Verifying(store, session, look.verifier, self._open_ledger, self._composer.bind) if look.verifier else None
        self._replanner = Replanner(
            store,
            session,
            self._open_ledger,
            look.profile,
            look.policy,
            look.marks,
            self.cost,
            self.cost.pictures,
            counter.count,
            self.verifying,
            look.shape,
        )

    def context(self, budget: int | None = None) -> Context:
        """See `OpticalMemory.context`."""
        if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 1):
            raise ValueError(f"a budget is a positive number of tokens, or None; got {budget!r}")
        with self._lock:
            for _ in range(ATTEMPTS):
                try:
                    return self._context(budget)
                except PagesLost as exc:
                    lost = exc
                    ledger = self._open_ledger()
                    ledger.discard([*lost.spans, *ledger.damaged()])
                    self._store.discard(self._session, [self.plan_name])
            raise lost

    def _context(self, budget: int | None) -> Context:
        moment = self._moment(budget)
        if self._latest and self._latest.serves(moment.length, moment.pins, budget, moment.plan):
            return self._latest.context
        if moment.reason:
            with claimed(self._store, self._session, "replan") as shared:  # or ten processes would draw the same pages at once
                moment = self._replanned(self._moment(budget) if shared else moment, budget)
        assert moment.plan is not None, "without a plan there is a reason to make one"
        context = self._composer.compose(moment.plan, moment.tail)
        self._latest = _Latest(moment.length, moment.pins, budget, moment.plan, context)
        return context

    def _moment(self, budget: int | None) -> _Moment:
        """The session as it is now."""
        length, pins = self._store.length(self._session), tuple(self._store.pinned(self._session))
        plan = self._read_plan()
        tail = self._tail(plan)
        return _Moment(length, pins, plan, tail, self._replan_reason(plan, tail, budget, pins))

    def _replanned(self, moment: _Moment, budget: int | None) -> _Moment:
        """The session with a plan that serves: the one that another process made meanwhile, or a new one."""
        for _ in range(ATTEMPTS):
            if not moment.reason:
                return moment
            length, pins = moment.length, moment.pins
            plan = self._replanner.replan(moment.plan, length=length, basis=self.basis, budget=budget, pins=pins, reason=moment.reason)
            if self._write_plan(plan):
                break
            moment = self._moment(budget)
        return _Moment(length, pins, plan, self._tail(plan), None)

    def _tail(self, plan: Plan | None) -> list[Turn]:
        return self._store.read(self._session, plan.tail_from if plan else 1)

    def _replan_reason(self, last: Plan | None, tail: Sequence[Turn], budget: int | None, pins: Sequence[int]) -> str | None:
        tokens = sum(self.cost(turn) for turn in tail)
        seconds = self.look.profile.cache_seconds
        crowded = last is not None and last.is_crowded(self.cost.pictures(tail), self.look.profile)
        return replan_reason(
            last,
            tail,
            tokens,
            basis=self.basis,
            budget=budget,
            pins=pins,
            cache_seconds=seconds,
            marks=self.look.marks,
            crowded=crowded,
        )

    @property
    def plan_name(self) -> str:
        """The plan's name in the store; each reader has its own."""
        return f"plan/{self.look.profile.name}"

    def _read_plan(self) -> Plan | None:
        data = self._plan_data = self._store.get(self._session, [self.plan_name]).get(self.plan_name)
        if data is None:
            return None
        if self._plan_read is None or self._plan_read[0] != data:
            try:
                self._plan_read = (data, Plan.model_validate_json(data))
            except ValueError:  # damaged, or of another release: plans are made anew at no loss
                return None
        return self._plan_read[1]

    def _write_plan(self, plan: Plan) -> bool:
        """Store a plan in place of the one that it was made from; false if another process was faster."""
        data = plan.model_dump_json().encode()
        if claims := claims_of(self._store):
            if not claims.swap(self._session, self.plan_name, self._plan_data, data):
                return False
        else:
            self._store.put(self._session, {self.plan_name: data})
        self._plan_data, self._plan_read = data, (data, plan)
        self.replans += 1
        return True

    def _open_ledger(self) -> Ledger:
        if self._ledger is None:
            renderer = open_or_stand_in(self.look.renderer)
            self._unavailable = renderer if isinstance(renderer, Unavailable) else None
            self._ledger = Ledger(
                self._store,
                self._session,
                renderer,
                self.look.style,
                cost=self.cost,
                count=self.counter.count,
                counted_with=self.counter.name,
                sidecar_tokens=self.look.sidecar_tokens,
                redactor=self.look.redactor,
            )
        return self._ledger

    def pages(self, *, strict: bool = True) -> list[Page]:
        """All sealed pages, oldest first, those that the context leaves out too.

        Which they are is not known where the renderer cannot be opened: raises `RenderError`, or gives none if not `strict`.
        """
        with self._lock:
            if not self._store.names(self._session, "run/"):
                return []
            ledger = self._open_ledger()
            if self._unavailable and strict:
                raise self._unavailable.error()
            return [self._composer.bind(page) for page in ledger.pages(ledger.spans())]

    def verifications(self) -> list[Verification]:
        """What verifiers found of the pages."""
        return verifications(self._store, self._session)

    @property
    def counts(self) -> LedgerCounts:
        """What was drawn since this was made."""
        return self._ledger.counts if self._ledger else LedgerCounts()

    def forget(self) -> None:
        """Drop what is kept in this process, after turns were erased."""
        with self._lock:
            self._latest = self._plan_read = None
            self.cost.forget()
            self._composer.forget()
