"""Memory for messages that the caller keeps: a framework's checkpoints, a client's list of messages, a proxy's request.

There is no log and nothing is appended. `MessageListMemory` is a pure step from (messages, state, budget) to (context, next state).
The state is small, plain JSON. Keep it beside the messages, so that it is rolled back, forked and replayed with them. Pages are cached
under the hash of their content. After an edit or removal in the past, the pages that held it and the plan are made again.
"""

from __future__ import annotations

import hashlib
import json
import operator
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic_core import PydanticSerializationError

from ..archive.codec import decode_pages
from ..archive.drawn_ahead import DrawnAhead
from ..archive.page_runs import PageRun
from ..archive.undrawn import PREFIX as UNDRAWN
from ..archive.undrawn import decode_undrawn
from ..context.context import Context
from ..context.plan import Plan
from ..errors import TurnNotFound
from ..pages.page import referents_of
from ..planning.settings import ViewSettings
from ..stores.base import DerivedCache, SessionId
from ..text.term_index import TermIndex
from ..turns.exchanges import starts_exchange
from ..turns.from_messages import TurnLike, turn_of
from ..turns.turn import Turn
from .ahead import Ahead, somebody_waits
from .context_builder import ContextBuilder
from .question import context_for
from .recall import to_the_letter
from .rehearsal import rehearse

__all__ = ["ContextAndState", "MessageListMemory"]

T = TypeVar("T")

TENANT = "optical-memory"  # its sessions in a store hold pages only
REMEMBERED_TURNS = 20_000  # parsed messages cached between calls; some tens of megabytes
REMEMBERED_CONVERSATIONS = 32  # conversations whose plan and pages are cached


@dataclass(frozen=True, slots=True)
class ContextAndState:
    """The context for a model, and the state to pass to the next call."""

    context: Context
    state: dict[str, Any]


class MessageListMemory(Generic[T]):
    """Builds contexts for lists of messages of one type. Thread-safe.

    Args:
        settings: the reader and the view settings.
        cache: a store for pages; only its cache is used.
        key: maps a message to a cheap hashable key; equal keys mean equal turns.
        turn: converts a message to a turn.
        ahead: draw the pages of a conversation's next context while its model answers; see `memory.ahead`. Contexts are the same.
    """

    def __init__(
        self,
        settings: ViewSettings,
        cache: DerivedCache,
        *,
        key: Callable[[T], Hashable],
        turn: Callable[[T], TurnLike],
        ahead: bool = False,
    ) -> None:
        self.settings, self._cache, self._key, self._turn, self._draws_ahead = settings, cache, key, turn, ahead
        self._turns: OrderedDict[tuple[int, Hashable], Turn] = OrderedDict()
        self._conversations: OrderedDict[str, _MessageListStore] = OrderedDict()
        self._lock = threading.Lock()

    def turns(self, messages: Sequence[T]) -> list[Turn]:
        """Convert `messages` to turns, numbered from 1, with content hashes as ids. Raises `InvalidTurn`, `TypeError`."""
        return [self._numbered(number, message) for number, message in enumerate(messages, 1)]

    def _numbered(self, number: int, message: T) -> Turn:
        key = (number, self._key(message))
        known = self._turns.get(key)
        if known is None:
            turn = turn_of(self._turn(message))
            known = turn.model_copy(update={"number": number, "id": _digest(turn)})
            with self._lock:
                self._turns[key] = known
                while len(self._turns) > REMEMBERED_TURNS:
                    self._turns.popitem(last=False)
        return known

    def context(
        self,
        messages: Sequence[T],
        state: Mapping[str, Any] | None = None,
        *,
        budget: int | None = None,
        question: str | bool | None = None,
    ) -> ContextAndState:
        """Return the context for `messages`, and the next state.

        Args:
            question: see `OpticalMemory.context`.
            state: the state of this conversation's last call. None, or a state that no longer matches the messages, starts over.

        Raises `BudgetTooSmall`, `InvalidTurn`.
        """
        with somebody_waits():
            turns = self.turns(messages)
            conversation = self._open(state)
            conversation.ahead.stop()
            conversation.adopt(turns)
            context = context_for(question, budget, conversation.builder, find=conversation.find, newest=lambda: turns)
        after = conversation.state()
        if self._draws_ahead:
            conversation.ahead.ask(partial(rehearse, conversation.builder, conversation, conversation.home))
        self._keep(after, conversation)
        return ContextAndState(context, after)

    def recall(self, messages: Sequence[T], query: str | int | Sequence[int], limit: int = 5) -> list[Turn]:
        """Find turns of `messages` by number, or by words, best match first. Raises `TurnNotFound`."""
        turns = self.turns(messages)
        if isinstance(query, str):
            index = TermIndex()
            for turn in turns:
                index.add(turn.number, turn.text)
            return to_the_letter(query, limit, lambda most: [turns[number - 1] for number in index.search(query, most)])
        numbers = [query] if isinstance(query, int) else list(query)
        for number in numbers:
            if not 1 <= number <= len(turns):
                raise TurnNotFound(number, len(turns))
        return [turns[number - 1] for number in numbers]

    def _open(self, state: Mapping[str, Any] | None) -> _MessageListStore:
        """Take the conversation of `state` out of the cache while it is in use, or make a new one."""
        with self._lock:
            known = self._conversations.pop(_name_of(state), None) if state else None
        return known or _MessageListStore(self._cache, state, self.settings)

    def _keep(self, state: Mapping[str, Any], conversation: _MessageListStore) -> None:
        with self._lock:
            self._conversations[_name_of(state)] = conversation
            while len(self._conversations) > REMEMBERED_CONVERSATIONS:
                self._conversations.popitem(last=False)


class _MessageListStore:
    """One conversation as a `Readable`: turns from a list, plan and runs from the state, records and images from a store."""

    def __init__(self, cache: DerivedCache, state: Mapping[str, Any] | None, settings: ViewSettings) -> None:
        self._cache = cache
        self._home = SessionId("pages", TENANT)
        self._turns: Sequence[Turn] = ()
        self._index, self._indexed = TermIndex(), 0
        self._plans: dict[str, tuple[bytes, str]] = {}
        self._runs: dict[str, str] = {}
        self._undrawn: dict[str, tuple[bytes, str]] = {}
        with suppress(KeyError, TypeError, ValueError, AttributeError):  # damaged, or of another release: start over
            if state and state["v"] == 1:
                plans = {str(name): (json.dumps(plan["plan"]).encode(), str(plan["before"])) for name, plan in state["plans"].items()}
                runs = {str(name): str(digest) for name, digest in state["runs"].items() if PageRun.parse(name)}
                undrawn = {
                    str(name): (json.dumps(each["sizes"]).encode(), str(each["of"])) for name, each in state.get("undrawn", {}).items()
                }
                self._plans, self._runs, self._undrawn = plans, runs, undrawn
        self.ahead = Ahead()
        self.builder = ContextBuilder(self, self._home, settings, ahead=DrawnAhead())

    @property
    def home(self) -> SessionId:
        """The session whose cache holds its pages."""
        return self._home

    def adopt(self, turns: Sequence[Turn]) -> None:
        """Use `turns` from now on, and drop plans and runs made for other turns."""
        held = len(self._turns)
        if self._only_grew(turns):
            self._turns = turns
            return
        if [turn.id for turn in turns[:held]] != [turn.id for turn in self._turns]:
            self.builder.forget()
            self._index, self._indexed = TermIndex(), 0
        self._turns = turns
        if turns:  # conversations with the same beginning share pages; others do not, so that each can be discarded alone
            self._home = SessionId(f"pages/{turns[0].id}", TENANT)
        self._plans = {name: (data, before) for name, (data, before) in self._plans.items() if self._before(data) == before}
        # After a rollback, the newest turns may already be on pages. They stay text: the model is to answer them.
        end = len(turns) if self._plans else max((turn.number for turn in turns if starts_exchange(turn)), default=1) - 1
        self._runs = {
            name: digest for name, digest in self._runs.items() if PageRun.parse(name).last <= end and self._still_holds(name, digest)
        }
        self._undrawn = {name: (data, of) for name, (data, of) in self._undrawn.items() if self._measured(data, end) == of}

    def _only_grew(self, turns: Sequence[Turn]) -> bool:
        """Whether `turns` are those of the last call and more, so that all that was made for them holds, and no hash need be made again.

        Turns that are the same object are equal. The first call, and what was stored without a hash, is for `adopt` to look at.
        """
        hashes = [*(before for _, before in self._plans.values()), *self._runs.values(), *(of for _, of in self._undrawn.values())]
        is_whole = bool(self._plans and self._turns) and all(hashes)
        return is_whole and len(turns) >= len(self._turns) and all(map(operator.is_, self._turns, turns))

    def find(self, query: str, limit: int) -> list[Turn]:
        """Find turns by words, best match first. Each is indexed once, when first asked."""
        for turn in self._turns[self._indexed :]:
            self._index.add(turn.number, turn.text)
        self._indexed = len(self._turns)
        return to_the_letter(query, limit, lambda most: [self._turns[number - 1] for number in self._index.search(query, most)])

    def state(self) -> dict[str, Any]:
        """Return plans and runs as plain JSON, without images."""
        plans = {name: {"plan": json.loads(data), "before": before} for name, (data, before) in self._plans.items()}
        undrawn = {name: {"sizes": json.loads(data), "of": of} for name, (data, of) in self._undrawn.items()}
        return {"v": 1, "plans": plans, "runs": dict(self._runs), **({"undrawn": undrawn} if undrawn else {})}

    def _digest_of(self, run: str, others: Sequence[int]) -> str:
        """Hash the turns on a run, and the turns `others` that it refers to; those are named in the digest. Empty without them all."""
        parsed = PageRun.parse(run)
        parts = [self._digest(parsed.first, parsed.last), *(self._digest(number, number) for number in others)]
        if None in parts:
            return ""
        whole = hashlib.sha256("".join(map(str, parts)).encode()).hexdigest()[:32] if others else str(parts[0])
        return "-".join([whole, *map(str, others)])

    def _still_holds(self, run: str, digest: str) -> bool:
        """Whether the turns on a run, and those that it refers to, are what they were."""
        others = digest.split("-")[1:]
        if not digest or not all(other.isdecimal() for other in others):  # the state may be anybody's
            return False
        return self._digest_of(run, [int(other) for other in others]) == digest

    def _measured(self, sizes: bytes, end: int) -> str | None:
        """Hash the turns up to the last that is known not to be drawn; None if one is after turn `end`."""
        return self._digest(1, max((each.last for each in decode_undrawn(sizes, end)), default=end + 1))

    def _before(self, plan: bytes) -> str | None:
        """Hash the turns that a plan fixed as pages or text before its tail; None if it leaves no tail."""
        try:
            last = Plan.model_validate_json(plan).tail_from - 1
        except ValueError:
            return None
        return self._digest(1, last) if last < len(self._turns) else None

    def _digest(self, first: int, last: int) -> str | None:
        """Hash the turns first to last; None if the conversation is shorter."""
        if last > len(self._turns):
            return None
        return hashlib.sha256("".join(turn.id for turn in self._turns[first - 1 : last]).encode()).hexdigest()[:32]

    # -- turns ---------------------------------------------------------------------------------------------------------------------

    def read(self, session: SessionId, start: int = 1, stop: int | None = None) -> list[Turn]:
        return list(self._turns[max(start, 1) - 1 : None if stop is None else max(stop, 1) - 1])

    def length(self, session: SessionId) -> int:
        return len(self._turns)

    def pinned(self, session: SessionId) -> list[int]:
        return []

    # -- what is derived -----------------------------------------------------------------------------------------------------------

    def get(self, session: SessionId, names: Sequence[str]) -> dict[str, bytes]:
        here = self._plans | self._undrawn
        own = {name: here[name][0] for name in names if name in here}
        places = {self._place(name): name for name in names if name not in own}
        return own | {places[place]: data for place, data in self._cache.get(self._home, list(places)).items()}

    def put(self, session: SessionId, items: dict[str, bytes]) -> None:
        kept: dict[str, bytes] = {}
        for name, data in items.items():
            if name.startswith("plan/"):
                self._plans[name] = (data, self._before(data) or "")
                continue
            if name.startswith(UNDRAWN):
                self._undrawn[name] = (data, self._measured(data, len(self._turns)) or "")
                continue
            if name.startswith("run/"):
                self._runs[name] = self._digest_of(name, _referents(data))
            kept[self._place(name)] = data
        if kept:
            self._cache.put(self._home, kept)

    def names(self, session: SessionId, prefix: str = "") -> list[str]:
        if prefix.startswith(("picture/", "verified/")):
            return self._cache.names(self._home, prefix)
        return sorted(name for name in (*self._plans, *self._runs, *self._undrawn) if name.startswith(prefix))

    def discard(self, session: SessionId, names: Sequence[str]) -> None:
        places = [self._place(name) for name in names if name not in self._plans and name not in self._undrawn]
        for name in names:
            self._plans.pop(name, None)
            self._undrawn.pop(name, None)
            self._runs.pop(name, None)
        if places:
            self._cache.discard(self._home, places)

    def _place(self, name: str) -> str:
        """Return the key of `name` in the cache that all conversations share. Image names already contain the content hash."""
        return f"{name}/{self._runs.get(name, '')}" if name.startswith("run/") else name


def _digest(turn: Turn) -> str:
    """Hash the content of a turn."""
    left_out = {"id", "number", "created_at", "metadata"}
    try:
        said = turn.model_dump_json(exclude=left_out)
    except PydanticSerializationError:  # half a surrogate pair
        said = json.dumps(turn.model_dump(exclude=left_out), default=str)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _referents(record: bytes) -> list[int]:
    """Return the turns that the pages of a run refer to."""
    return sorted(set(referents_of(decode_pages(record)).values()))


def _name_of(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
