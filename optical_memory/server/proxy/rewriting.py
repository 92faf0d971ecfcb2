"""Decide for each request what is sent: the original, or the same with pages in place of old entries."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...errors import StoreError
from ...profiles.profile import ReaderProfile
from .accounting import Correction, pays
from .conversations import Conversations, Line
from .identity import Identity, identify, side_call
from .planner import Planner, may_be_due
from .raw_json import NotUnderstood, edited
from .recall.answers.base import RecallCall
from .recall.exchanges import Exchanges, anchor_of, kept_with
from .recall.offer import tool_edit
from .recall.rounds import Offer
from .records import Record, Records
from .routes import Headers, Route
from .settings import ProxySettings
from .splice import Splice, rewritten
from .switches import Switches
from .usage import Billed
from .wire.request import Request, Wire

__all__ = ["DEARER", "Outgoing", "Rewriter"]

RESUME_WAIT = 5.0  # s; a stored plan is read again, not drawn: waiting for it is cheaper than a broken prompt cache
RETRY_AFTER = 60.0  # s after a plan that could not be made
REFUSED = "refused"
DEARER = "pages cost more than text over ten calls"
NOTHING = "nothing is old enough, or its pages are not drawn yet"
CLOSING_SECONDS = 2.0
FULL_CHARACTERS = 640_000  # of a request: some 180,000 tokens; windows of 200,000 tokens are common
WORTH_IT = 0.25  # of such a request that pages have to save
CALLS_PAST_A_CALL_TO_COME = 8  # messages: a quarter of the calls so far, as in `planning.cache_cost`
CHANGES_KEPT = 20
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outgoing:
    """A request as it is sent.

    Attributes:
        body: the rewritten body; None to send the original.
        reason: why the original is sent.
        line: the line of conversation that it continues; None for a side call, and for what is not understood.
        switched: whether its pages are sent for the first time.
        route, headers: where its client sent it, and with which headers.
        offer: the tool that it offers; None if it offers none.
        bills: what each round was billed, if the answer took several.
    """

    body: bytes | None = None
    reason: str = ""
    line: Line | None = None
    request: Request | None = None
    wire: Wire | None = None
    splice: Splice | None = None
    profile: ReaderProfile | None = None
    switched: bool = False
    route: Route | None = None
    headers: Headers = field(default_factory=list)
    offer: Offer | None = None
    bills: list[Billed | None] = field(default_factory=list)


class Rewriter:
    """Rewrites requests. Whatever fails here, the original is sent."""

    def __init__(
        self, settings: ProxySettings, records: Records, planner: Planner, switches: Switches, corrections: Mapping[str, Correction]
    ) -> None:
        self._settings, self._records, self._planner, self.switches = settings, records, planner, switches
        self._corrections = corrections
        self.conversations = Conversations()
        self._tasks: set[asyncio.Task[None]] = set()

    async def outgoing(self, route: Route, headers: Headers, query: bytes, body: bytes) -> Outgoing:
        """Return what to send for a request that may be rewritten. Raises nothing but cancellation."""
        try:
            return await self._outgoing(route, headers, query, body)
        except NotUnderstood as exc:
            return Outgoing(reason=f"not understood: {exc}")
        except Exception as exc:  # nothing may break by us: the original goes on, and the reason is counted
            log.warning("request sent as it came: %s", type(exc).__name__, exc_info=log.isEnabledFor(logging.DEBUG))
            return Outgoing(reason=f"failed: {type(exc).__name__}")

    async def _outgoing(self, route: Route, headers: Headers, query: bytes, body: bytes) -> Outgoing:
        wire = route.wire
        assert wire is not None, "asked only for requests of a known format"
        request = wire.parse(_text(body), route.target.partition(b"?")[0].decode("latin-1"))
        reason = f"held by the provider: {request.held}" if request.held else side_call(request, headers)
        if reason:
            return Outgoing(reason=reason, request=request, wire=wire)
        identity = identify(request, headers, query, wire.name)
        if not self.conversations.holds(identity.group):
            self.conversations.add(identity.group, await self._stored(identity.group))
        elif self._records.are_shared:
            self.conversations.refresh(identity.group, await self._stored(identity.group))
        line = self.conversations.line(request, identity, await self._name_of_new(request, identity))
        if line.record.text_only == DEARER and _has_lapsed(line, self._planner.profile_for(request.model, wire)[0]):
            line.record.text_only = ""  # pages cost no cache now
        if line.record.model != request.model and line.record.text_only.startswith(REFUSED):
            line.record.text_only = ""  # another model: the cause may be gone
        line.record.wire, line.record.model = wire.name, request.model
        profile, reason = self._planner.profile_for(request.model, wire)
        sent = Outgoing(reason=reason, line=line, request=request, wire=wire, profile=profile, route=route, headers=headers)
        if profile is None:
            return sent
        if line.record.returned:
            sent.body = self.without_bound_reasoning(sent)
        sent.reason = self.switches.why_off(request.model, line.record.conversation) or line.record.text_only
        if sent.reason:
            return sent
        await self._await_pages(sent, profile)
        return self._spliced(sent, profile, query)

    async def _name_of_new(self, request: Request, identity: Identity) -> str:
        """Return the name that all processes give to the line that a request begins; empty where no other process could."""
        beginning = self.conversations.begins(request, identity) if self._records.are_shared else ""
        if not beginning:
            return ""
        try:
            return await asyncio.to_thread(self._records.name_of_new, identity.group, beginning, secrets.token_hex(8))
        except StoreError:
            return ""

    async def _stored(self, group: str) -> list[Record]:
        try:
            return await asyncio.to_thread(self._records.of_group, group)
        except StoreError:
            return []

    def _spliced(self, sent: Outgoing, profile: ReaderProfile, query: bytes) -> Outgoing:
        """Write the standing pages of the line into the request, if they fit it."""
        line, request, wire = sent.line, sent.request, sent.wire
        assert line is not None and request is not None and wire is not None
        self._take_pending(sent, profile)
        splice = line.splice
        if splice is None or not splice.fits(request, profile.name):
            sent.reason = f"failed: {line.failed}" if line.failed else "pages do not pay yet" if line.pending else NOTHING
            return sent
        sent.switched = line.record.bound == 0
        bound = line.record.bound or len(request.entries)
        sent.body = rewritten(request, splice, wire, bound=bound)
        if self._settings.recall:
            self._offer(sent, splice, bound, query)
        line.record.bound, line.record.returned, sent.splice = bound, 0, splice
        if sent.switched and self._records.are_shared:  # the next request may reach another process before this one is settled
            self.in_background(self._stored_now(line.record))
        return sent

    async def _stored_now(self, record: Record) -> None:
        with suppress(StoreError):
            await asyncio.to_thread(self._records.write, [record])

    def _offer(self, sent: Outgoing, splice: Splice, bound: int, query: bytes) -> None:
        """Offer the tool, and put back what was recalled on the way to earlier answers."""
        line, request, wire, without = sent.line, sent.request, sent.wire, sent.body
        assert line is not None and request is not None and wire is not None and without is not None
        tool = None if line.record.recall_off else tool_edit(request, wire.name, query)
        hidden = Exchanges.of(request, wire, line.record.recalled, bound=bound)
        if tool is None and not hidden.at:
            return
        sent.body = rewritten(request, splice, wire, bound=bound, hidden=hidden, tool=tool)
        if tool is not None:
            sent.offer = Offer(wire.name, sent.body, without, stored=request.value("store") is not False)

    async def look_up(self, sent: Outgoing, call: RecallCall) -> str:
        """Return what a call of the tool is answered."""
        request, profile, splice = sent.request, sent.profile, sent.splice
        assert request is not None and profile is not None and splice is not None
        if call.arguments is None:
            return "The arguments are no JSON object."
        try:
            return await asyncio.to_thread(self._planner.recalled, request, profile, splice, call.arguments)
        except Exception as exc:
            log.warning("nothing recalled: %s", type(exc).__name__, exc_info=log.isEnabledFor(logging.DEBUG))
            return "The past cannot be read now. Go on without it."

    def keep(self, sent: Outgoing, visible: list[Any], exchange: dict[str, Any]) -> None:
        """Keep what the client does not see of an answer, for the requests that follow it."""
        line, request, wire = sent.line, sent.request, sent.wire
        assert line is not None and request is not None and wire is not None
        try:
            anchor = anchor_of(len(request.entries), wire.said(visible))
        except NotUnderstood:
            return
        line.record.recalled = kept_with(line.record.recalled, anchor, exchange)

    def refused(self, sent: Outgoing, status: int, *, also_original: bool) -> None:
        """Send the line as text from now on, unless the provider refused the original too: then the pages were not the cause."""
        if sent.line is None or also_original:
            return
        if sent.offer is not None:
            sent.line.record.recall_off = True  # first without the tool: pages may not have been the cause
        else:
            sent.line.record.text_only = f"{REFUSED}: the provider answered {status} to a request with pages"

    def without_bound_reasoning(self, sent: Outgoing) -> bytes | None:
        """Return a request as text without the reasoning that was written after pages; None if it holds none.

        Some models refuse reasoning after another beginning than it was written after. So they refuse the original once a line goes back
        to text.
        """
        line, request, wire = sent.line, sent.request, sent.wire
        if line is None or request is None or wire is None or not (line.record.bound or line.record.returned):
            return None
        upto = line.record.returned or len(request.entries)
        edits = [edit for entry in request.entries[:upto] for edit in wire.without_reasoning(request, entry)]
        return edited(request.text, edits) if edits else None

    def returned(self, sent: Outgoing) -> None:
        """Leave out such reasoning from the next requests of the line at once."""
        if sent.line is not None and sent.request is not None:
            sent.line.record.returned, sent.line.record.bound = sent.line.record.returned or len(sent.request.entries), 0

    # -- plans ---------------------------------------------------------------------------------------------------------------------

    async def _await_pages(self, sent: Outgoing, profile: ReaderProfile) -> None:
        """Begin a plan if it is waited for, and wait as long as the settings say; longer for one that is only read again."""
        line = sent.line
        assert line is not None
        wait = self._settings.draw_wait if line.restored else max(RESUME_WAIT, self._settings.draw_wait)
        if not line.restored or (self._settings.draw_wait and self._is_due(sent)):
            self._begin(sent, profile)
        if wait and line.drawing is not None:
            await asyncio.wait([line.drawing], timeout=wait)

    def after(self, sent: Outgoing) -> None:
        """Begin a plan for the next request of the line, now that this one is under way."""
        if sent.profile is None or sent.line is None or sent.line.record.text_only or not self._is_due(sent):
            return
        if not self.switches.why_off(sent.line.record.model, sent.line.record.conversation):
            self._begin(sent, sent.profile)

    def _is_due(self, sent: Outgoing) -> bool:
        line, request = sent.line, sent.request
        assert line is not None and request is not None
        recently = line.failed and time.monotonic() - line.failed_at < RETRY_AFTER
        return not line.is_drawing and not recently and may_be_due(request, line.plan)

    def _begin(self, sent: Outgoing, profile: ReaderProfile) -> None:
        line = sent.line
        assert line is not None
        if not line.is_drawing:
            origin = line.origin
            drawn = origin.drawing if origin is not None and origin.is_drawing else None
            line.drawing = drawn or self.in_background(self._planned(sent, profile))

    async def _planned(self, sent: Outgoing, profile: ReaderProfile) -> None:
        line, request, wire = sent.line, sent.request, sent.wire
        assert line is not None and request is not None and wire is not None
        try:
            if not line.restored:
                await self._restored(line, request, wire, profile)
            if await self._in_thread(lambda: self._planner.is_due(request, profile, line.plan)):
                newest, state = line.splice, line.record.state
                if line.pending is not None:
                    newest, state = line.pending.splice, line.pending.state
                standing = newest if newest is not None and newest.fits(request, profile.name) else None
                line.pending = await self._in_thread(lambda: self._planner.plan(request, wire, profile, state, standing))
            line.failed = ""
        except Exception as exc:
            line.failed, line.failed_at = type(exc).__name__, time.monotonic()
            log.warning("no pages: %s", type(exc).__name__, exc_info=log.isEnabledFor(logging.DEBUG))

    async def _restored(self, line: Line, request: Request, wire: Wire, profile: ReaderProfile) -> None:
        """Make the splice of a stored plan again."""
        line.restored = True
        record = line.record
        line.splice = await self._in_thread(lambda: self._planner.restore(request, wire, profile, record))
        line.standing = line.splice.plan if line.splice else None
        if line.splice is None:
            record.bound = 0

    def _take_pending(self, sent: Outgoing, profile: ReaderProfile) -> None:
        """Use a newer plan from now on, if that pays; pages that are sent as before count as sent."""
        line, request = sent.line, sent.request
        assert line is not None and request is not None
        before, planned = line.splice, line.pending or line.of_origin(request, profile.name)
        if before is not None and not before.fits(request, profile.name):
            before = None
        if planned is None or (planned.splice is not None and not planned.splice.fits(request, profile.name)):
            return
        reason = self._why(sent, profile, before, planned.splice)
        if not reason:
            return
        record, after = line.record, planned.splice
        if before is None or after is None or not after.sends_like(before):
            record.bound = 0
            if after is not None:
                change = _change(reason, record.totals.calls + 1, before, after)
                record.changes_of_pages = [*record.changes_of_pages, change][-CHANGES_KEPT:]
        line.splice, line.standing, line.pending = after, planned.plan, None
        record.state, record.profile, record.home = planned.state, profile.name, planned.home or record.home
        record.planned, record.floor = planned.talk, planned.floor
        record.beginning = after.beginning.hex() if after else ""

    def _why(self, sent: Outgoing, profile: ReaderProfile, before: Splice | None, after: Splice | None) -> str:
        """Return why a newer plan is used: the calls to come cost less by the prices of the cache and the corrected estimates, for one.

        Empty if it is not.
        """
        line, request = sent.line, sent.request
        assert line is not None and request is not None
        if after is None or (before is not None and after.sends_like(before)):
            return "the same is sent"
        if self._settings.budget is not None:
            return "budget"  # a limit is to hold, whatever it costs
        corrected = self._corrections.get(request.model, Correction())
        old = after.text_tokens * corrected.text
        if before is not None:
            old = before.page_tokens * corrected.pages + (after.text_tokens - before.text_tokens) * corrected.text
        talk = request.talk
        tail = self._planner.tokens(talk[after.covered :], profile) * corrected.text
        if before is None and self._settings.recall:
            tail += self._planner.head_tokens(request, profile) * corrected.text  # the tool changes the beginning of the request
        new = after.page_tokens * corrected.pages
        if len(request.text) > FULL_CHARACTERS and old - new > WORTH_IT * (old + tail):
            return "the request is nearly full"  # else the client would soon throw its history away
        shared = after.shared_tokens(before) * corrected.pages
        cached = bool(request.marked is not False or before is not None) and line.cache_is_alive(profile)
        calls = max(1, len(talk) // CALLS_PAST_A_CALL_TO_COME)
        if not pays(old, new, shared, tail, prices=profile.cache, calls=calls, cached=cached):
            return ""
        return "it pays within the calls to come" if cached else "the provider's cache is cold"

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._planner.threads, work)

    async def close(self) -> None:
        """Wait a moment for what is under way in the background, such as writing records; plans are given up."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=CLOSING_SECONDS)
        for task in list(self._tasks):
            task.cancel()

    def in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work that no request waits for; it is kept until it ends."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _change(reason: str, call: int, before: Splice | None, after: Splice) -> dict[str, Any]:
    """Return what is kept of a change of pages."""
    sizes = {"pages": after.pages, "pages_before": before.pages if before is not None else 0, "messages": after.covered}
    tokens = {"text_tokens": after.text_tokens, "page_tokens": after.page_tokens}
    return {"time": time.time(), "call": call, "reason": reason, **sizes, **tokens}


def _text(body: bytes) -> str:
    """Decode a body. Raises `NotUnderstood`; whether it is JSON is seen later."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise NotUnderstood("the body is not UTF-8") from exc


def _has_lapsed(line: Line, profile: ReaderProfile | None) -> bool:
    """Whether the provider's cache has forgotten the line."""
    return profile is not None and line.record.cached_at > 0 and not line.cache_is_alive(profile)
