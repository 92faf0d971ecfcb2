"""Make plans and draw pages for requests, in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from ...context.plan import Plan
from ...memory.message_list import MessageListMemory
from ...memory.recall_tool import recalled
from ...planning.settings import ViewSettings
from ...planning.triggers import WaterMarks
from ...profiles.pricing import Pricing
from ...profiles.profile import ReaderProfile
from ...profiles.registry import profile_for_model, profile_of
from ...stores.base import DerivedCache
from ...turns.from_messages import turn_of
from ...turns.turn import Turn
from .records import Record
from .settings import ProxySettings
from .splice import Splice, chain, splice_of
from .wire.request import Entry, Request, Wire

__all__ = ["Planned", "Planner", "may_be_due"]

DRAWING_THREADS = 2
GROWN = 1.5  # times the mark of a plan of text alone, after which pages may pay
MANY_COSTS = 100_000  # entries whose cost is remembered
CHARACTERS_A_TOKEN = 1.5  # fewer than any text has: what is below a mark by this measure is below it
MOST_RECALLED, MOST_CHARACTERS = 20, 60_000  # turns, and characters of them, in one answer of `recall_memory`
LOWEST = WaterMarks(high=2_000, low=500)  # no shipped profile has lower ones


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan for a request: the state behind it, and the splice; None for all text."""

    state: dict[str, Any]
    splice: Splice | None
    plan: Plan
    home: str
    talk: int
    floor: int


class Planner:
    """Plans for the readers that models are.

    Args:
        cache: the store for pages.
    """

    def __init__(self, settings: ProxySettings, cache: DerivedCache) -> None:
        self._settings, self._cache = settings, cache
        self._memories: dict[str, MessageListMemory[Entry]] = {}
        self._pricing: dict[str, Pricing] = {}
        self._profiles: dict[tuple[str, str], tuple[ReaderProfile | None, str]] = {}
        self._costs: dict[str, dict[bytes, int]] = {}
        self._lock = threading.Lock()
        self.threads = ThreadPoolExecutor(DRAWING_THREADS, thread_name_prefix="drawing")

    def profile_for(self, model: str, wire: Wire) -> tuple[ReaderProfile | None, str]:
        """Return the reader that a model is, and if it is sent text, why."""
        key = (model, wire.dialect)
        if key not in self._profiles:
            if len(self._profiles) > 1_000:
                self._profiles.clear()
            self._profiles[key] = self._profile_for(model, wire)
        return self._profiles[key]

    def _profile_for(self, model: str, wire: Wire) -> tuple[ReaderProfile | None, str]:
        allowed = next((reader for pattern, reader in self._settings.models.items() if fnmatch(model, pattern)), None)
        profile = profile_of(allowed) if allowed else profile_for_model(model)
        if profile is None:
            return None, "no profile: the model is not known"
        profile = profile.unasked()
        if allowed is not None and not profile.ladder:
            profile = profile.allowing(*profile.rungs)
        if not profile.ladder:
            return None, "the profile says that pages do not pay"
        if allowed is None and profile.dialects is not None and wire.dialect not in profile.dialects:
            return None, "the profile does not know this wire format"
        return profile, ""

    def pricing(self, profile: ReaderProfile) -> Pricing:
        """Return the prices of a reader."""
        with self._lock:
            return self._pricing.setdefault(profile.name, Pricing(profile))

    def _memory(self, profile: ReaderProfile) -> MessageListMemory[Entry]:
        with self._lock:
            if profile.name not in self._memories:
                view = ViewSettings.of(profile, **self._settings.view())
                self._memories[profile.name] = MessageListMemory(view, self._cache, key=_key, turn=_message)
            return self._memories[profile.name]

    def is_due(self, request: Request, profile: ReaderProfile, standing: Plan | None) -> bool:
        """Whether the text behind a standing plan has grown beyond its mark, or a budget is exceeded."""
        if standing is None:
            return True
        tail = self.tokens(request.talk[standing.tail_from - 1 :], profile)
        room = self._room(request, profile)
        mark = standing.high_water * (1 if standing.pages else GROWN)
        return tail > mark or (room is not None and standing.prefix_tokens + tail > room)

    def plan(self, request: Request, wire: Wire, profile: ReaderProfile, state: dict[str, Any] | None, standing: Splice | None) -> Planned:
        """Return a plan for a request. Raises `RenderError`, `StoreError`, `BudgetTooSmall`, `InvalidTurn`, `NotUnderstood`.

        Args:
            state: the state of the line's last plan.
            standing: the splice that its requests are sent with now; returned if the plan has not changed.
        """
        talk = request.talk
        if standing is None:
            state = None  # a plan of text alone would wait until the text is four times as long; pages may pay long before
        shown = self._memory(profile).context(talk, state, budget=self._room(request, profile))
        if standing is not None and standing.plan == shown.context.plan and standing.fits(request, profile.name):
            return Planned(shown.state, standing, shown.context.plan, "", len(talk), request.floor)
        splice = splice_of(shown.context, request, profile.name, asked=self._settings.recall)
        if splice is not None:
            _write(splice, request, wire)
        return Planned(shown.state, splice, shown.context.plan, self._home(profile, talk), len(talk), request.floor)

    def restore(self, request: Request, wire: Wire, profile: ReaderProfile, record: Record) -> Splice | None:
        """Return the splice of a stored plan again; None if the request does not begin as it did. Raises as `plan`."""
        talk = request.talk
        if record.profile != profile.name or request.floor != record.floor or len(talk) < record.planned:
            return None
        shown = self._memory(profile).context(talk[: record.planned], record.state, budget=self._room(request, profile))
        splice = splice_of(shown.context, request, profile.name, asked=self._settings.recall)
        if splice is None or splice.beginning.hex() != record.beginning or chain(request, splice.covered).hex() != record.beginning:
            return None
        _write(splice, request, wire)
        return splice

    def recalled(self, request: Request, profile: ReaderProfile, splice: Splice, arguments: Mapping[str, Any]) -> str:
        """Return what `recall_memory` answers. Raises `InvalidTurn`."""
        query, numbers = arguments.get("query"), arguments.get("numbers")
        asked = [each for each in numbers if isinstance(each, int)] if isinstance(numbers, list) else []
        found = recalled(
            self._memory(profile),
            request.talk,
            query=query if isinstance(query, str) else "",
            numbers=asked[:MOST_RECALLED],
            before=splice.covered + 1,
        )
        cut = len(found) - MOST_CHARACTERS
        return f"{found[:MOST_CHARACTERS]}\n[{cut:,} more characters; ask for fewer turns]" if cut > 0 else found

    def head_tokens(self, request: Request, profile: ReaderProfile) -> int:
        """Return what we think stands in front of the conversation: tools and system prompt."""
        return max(0, self.estimate(request, profile) - self.tokens(request.talk, profile))

    def _home(self, profile: ReaderProfile, talk: list[Entry]) -> str:
        return f"pages/{self._memory(profile).turns(talk[:1])[0].id}"

    def _room(self, request: Request, profile: ReaderProfile) -> int | None:
        """Return the budget for the talk: what the entries in front of it leave."""
        if self._settings.budget is None or not request.entries:
            return self._settings.budget
        first, last = request.entries[0], request.entries[request.floor - 1]
        head = self.pricing(profile).count(request.text[first.start : last.end]) if request.floor else 0
        return max(1, self._settings.budget - head)

    def tokens(self, entries: Sequence[Entry], profile: ReaderProfile) -> int:
        """Return what we think entries cost as text."""
        pricing, known = self.pricing(profile), self._costs.setdefault(profile.name, {})
        if len(known) > MANY_COSTS:
            known.clear()
        for entry in entries:
            if entry.key not in known:
                known[entry.key] = pricing.cost(_turn(entry))
        return sum(known[entry.key] for entry in entries)

    def estimate(self, request: Request, profile: ReaderProfile) -> int:
        """Return what we think the request costs as text: tools, system prompt, and all entries."""
        pricing = self.pricing(profile)
        names = ("system", "tools", "instructions", "systemInstruction", "system_instruction")
        around = [request.fields[name] for name in names if name in request.fields]
        total = sum(pricing.count(request.text[span.start : span.end]) for span in around)
        talk = [entry for entry in request.entries if entry.kind == "talk"]
        total += sum(pricing.count(request.text[entry.start : entry.end]) for entry in request.entries if entry.kind != "talk")
        return total + self.tokens(talk, profile)

    def close(self) -> None:
        """Begin no more plans."""
        self.threads.shutdown(wait=False, cancel_futures=True)


def may_be_due(request: Request, standing: Plan | None) -> bool:
    """Whether a plan could be due: a cheap look at sizes, with which most calls are done."""
    talk = request.talk
    start = standing.tail_from - 1 if standing is not None else 0
    characters = sum(entry.end - entry.start for entry in talk[start:])
    mark = standing.high_water if standing is not None else LOWEST.high
    return len(talk) > 1 and characters / CHARACTERS_A_TOKEN > mark


def _write(splice: Splice, request: Request, wire: Wire) -> None:
    """Write the messages with pages now, so that no request waits for it."""
    tail = next((at for at, entry in enumerate(request.entries) if entry is request.talk[splice.covered]), len(request.entries))
    mark, _ = wire.marker(request, tail)
    last = max((at for at, part in enumerate(splice.parts) if not isinstance(part, int)), default=0)
    for at, part in enumerate(splice.parts):
        if not isinstance(part, int):
            splice.message(at, wire, mark if at == last else None)


def _key(entry: Entry) -> bytes:
    return entry.key


def _message(entry: Entry) -> Mapping[str, Any]:
    return entry.message


def _turn(entry: Entry) -> Turn:
    return turn_of(entry.message).model_copy(update={"id": entry.key.hex()})
