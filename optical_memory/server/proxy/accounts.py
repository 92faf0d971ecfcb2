"""Settle each call after its answer: what it cost, whether its line goes back to text, and how good our estimates were."""

from __future__ import annotations

import asyncio
import logging
import operator
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial, reduce

from ...profiles.profile import CachePrices, ReaderProfile
from .accounting import Correction, Cost, cost_of, text_cost_of
from .calls import Call
from .planner import Planner
from .probe import Probe
from .records import LAST_CALLS, Record, Records
from .rewriting import DEARER, Outgoing
from .turn_log import ProxyLog
from .usage import AnswerCopy, Billed

__all__ = ["Accounts"]

EVERY = 10  # calls of a line between two comparisons of our estimate with the bill
CORRECTIONS = "corrections"
UNKNOWN = CachePrices(write=1.25, write_long=2.0, read=0.1)
CHANGES = 4  # times ten calls, over which changes of pages must have paid
log = logging.getLogger(__name__)


class Accounts:
    """Keeps the accounts of all lines, and the corrections of our estimates by model."""

    def __init__(
        self, records: Records, planner: Planner, corrections: dict[str, Correction], probe: Probe, turns: ProxyLog | None
    ) -> None:
        self._records, self._planner, self.corrections, self._probe, self._turns = records, planner, corrections, probe, turns
        self._dirty: dict[str, Record] = {}
        self._is_writing = False

    def load(self) -> None:
        """Read the corrections from the store. Raises `StoreError`."""
        stored = self._records.get(CORRECTIONS)
        if isinstance(stored, Mapping):
            self.corrections.update({name: Correction(**values) for name, values in stored.items()})

    async def settle(self, sent: Outgoing, call: Call, answer: AnswerCopy | None) -> None:
        """Settle a call. A store that fails is counted; the client has its answer already."""
        billed = await asyncio.to_thread(answer.billed) if answer is not None else None
        rounds = [each for each in sent.bills if each is not None]
        if call.recalls and rounds:
            billed = reduce(operator.add, rounds)
        ok = 200 <= call.status < 300
        if billed is not None and ok:
            call.usage = asdict(billed)
        line = sent.line
        if line is None:
            return
        record = line.record
        call.conversation, call.line = record.conversation, record.id
        record.client = call.client or record.client
        by_gap = self._count(record, sent, call, billed if ok else None)
        try:
            if billed is not None and by_gap is not None and self._is_uncounted(sent, call):
                await self._counted(sent, call, record, billed, by_gap)
            if billed is not None and ok and sent.profile is not None and record.totals.calls % EVERY in (1, 2):
                await asyncio.to_thread(self._compare, sent, sent.profile, billed)
            if self._turns is not None and sent.request is not None and ok:
                entries = sent.request.entries
                await asyncio.to_thread(self._turns.add, record.conversation, entries, min(record.logged, len(entries)))
                record.logged = len(entries)
            self._dirty[record.id] = record
            await self.write()
        except Exception as exc:
            log.warning("not stored: %s", type(exc).__name__)

    async def write(self) -> None:
        """Store the records that have changed; those that change while others are written go together. Raises `StoreError`."""
        if self._is_writing:
            return
        self._is_writing = True
        try:
            while self._dirty:
                changed, self._dirty = list(self._dirty.values()), {}
                await asyncio.to_thread(self._records.write, changed)
        finally:
            self._is_writing = False

    # -- probes --------------------------------------------------------------------------------------------------------------------

    def _is_uncounted(self, sent: Outgoing, call: Call) -> bool:
        """Whether the provider may be asked what a request with pages would have had as text, and was not yet for these pages."""
        if not call.rewritten or call.recalls or sent.splice is None or sent.line is None or sent.route is None:
            return False
        return sent.line.record.gap_of != sent.splice.beginning.hex() and self._probe.may_ask(sent.route)

    async def _counted(self, sent: Outgoing, call: Call, record: Record, billed: Billed, by_gap: Callable[..., Cost]) -> None:
        """Ask the provider, price the call anew by its answer, and correct our estimates."""
        request, splice, profile, route = sent.request, sent.splice, sent.profile, sent.route
        assert request is not None and splice is not None and profile is not None and route is not None
        record.gap, record.gap_of = None, splice.beginning.hex()
        before = self._gap(sent, call)
        whole = await self._probe.tokens(route, sent.headers, request)
        if whole is None:
            return
        record.gap = whole - billed.total
        more = by_gap(gap=record.gap or 1).text - by_gap(gap=before).text
        record.totals.text_cost += more
        call.text_cost, call.saved = round((call.text_cost or 0) + more, 1), round((call.saved or 0) + more, 1)
        estimate = await asyncio.to_thread(self._planner.estimate, request, profile)
        if estimate and splice.page_tokens:
            text = whole / estimate
            pages = (splice.text_tokens * text - record.gap) / splice.page_tokens
            known = self.corrections.get(request.model, Correction())
            await asyncio.to_thread(self._correct, request.model, known.with_probe(text, pages))

    def _count(self, record: Record, sent: Outgoing, call: Call, billed: Billed | None) -> Callable[..., Cost] | None:
        totals = record.totals
        totals.calls += 1
        totals.rewritten += call.rewritten
        totals.refused += bool(call.refused)
        totals.recalls += call.recalls
        if call.reason:
            reason = call.reason.partition(":")[0]
            record.reasons[reason] = record.reasons.get(reason, 0) + 1
        if billed is None:
            totals.estimated += 200 <= call.status < 300
            return None
        for name in ("input", "write", "write_long", "read", "output"):
            setattr(totals, name, getattr(totals, name) + getattr(billed, name))
        return self._price(record, sent, call, billed)

    def _price(self, record: Record, sent: Outgoing, call: Call, billed: Billed) -> Callable[..., Cost]:
        """Price a call; return what prices its text by another `gap`."""
        prices = sent.profile.cache if sent.profile is not None else UNKNOWN
        seconds = (prices.long_seconds if billed.write_long else None) or (sent.profile.cache_seconds if sent.profile else 300.0)
        first = next((each for each in sent.bills if each is not None), billed) if call.recalls else billed
        by_gap = partial(  # as text nothing would have been recalled: one round
            text_cost_of,
            first,
            prices,
            cached=record.cached,
            alive=time.time() - record.cached_at <= seconds,
            switched=sent.switched,
            marked=self._marked(sent),
        )
        cost, actual = by_gap(gap=self._gap(sent, call)), cost_of(billed, prices)
        record.cached, record.cached_at = cost.cached, time.time()
        call.cost, call.text_cost, call.saved = round(actual, 1), round(cost.text, 1), round(cost.text - actual, 1)
        record.totals.cost += actual
        record.totals.text_cost += cost.text
        if call.rewritten:
            self._judge(record, call.saved, sent.switched)
        return by_gap

    def _judge(self, record: Record, saved: float, switched: bool) -> None:
        """Go back to text if pages cost more than it.

        What a change of pages has cost is spent: it counts over more calls, so that it can pay, and not among the last ten.
        """
        record.changes = [*record.changes, saved][-CHANGES * LAST_CALLS :]
        if not switched:
            record.differences = [*record.differences, saved][-LAST_CALLS:]
        for window, most in ((record.differences, LAST_CALLS), (record.changes, CHANGES * LAST_CALLS)):
            if len(window) == most and sum(window) < 0:
                record.text_only, record.differences, record.changes = DEARER, [], []
                return

    def _marked(self, sent: Outgoing) -> int | None:
        """See `text_cost_of`."""
        assert sent.request is not None
        if sent.request.marked is None or sent.request.marked:
            return None if sent.request.marked is None else 0
        return sent.splice.page_tokens if sent.splice is not None else 0

    def _gap(self, sent: Outgoing, call: Call) -> int:
        """Return the tokens that the text in place of the pages has more than they."""
        if not call.rewritten or sent.splice is None:
            return 0
        record = sent.line.record if sent.line is not None else None
        if record is not None and record.gap is not None and record.gap_of == sent.splice.beginning.hex():
            return record.gap or 1
        correction = self.corrections.get(call.model, Correction())
        return round(sent.splice.text_tokens * correction.text - sent.splice.page_tokens * correction.pages) or 1

    def _compare(self, sent: Outgoing, profile: ReaderProfile, billed: Billed) -> None:
        """Compare our estimate with the bill, and correct it."""
        assert sent.request is not None
        whole = self._planner.estimate(sent.request, profile)
        known = self.corrections.get(sent.request.model, Correction())
        if sent.splice is None:
            known = known.with_text(billed.total / whole) if whole else known
        elif sent.splice is not None and sent.splice.page_tokens:
            rest = (whole - sent.splice.text_tokens) * known.text
            known = known.with_pages((billed.total - rest) / sent.splice.page_tokens)
        self._correct(sent.request.model, known)

    def _correct(self, model: str, correction: Correction) -> None:
        """Store a correction. Raises `StoreError`."""
        self.corrections[model] = correction
        self._records.put(CORRECTIONS, {name: asdict(each) for name, each in self.corrections.items()})
