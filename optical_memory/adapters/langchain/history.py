"""LangChain's chat message history on the turn log, and its context as a runnable.

    RunnableWithMessageHistory(as_runnable() | model, chat_histories(store="sqlite:///chats.db"))

The history returns every message unchanged, since LangChain counts them. The runnable, placed right before the model, replaces them with
the context. LangChain advises `create_agent` for new code: see `OpticalMemoryMiddleware`.
"""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import takewhile
from typing import Any

from pydantic_core import PydanticSerializationError

from ...context.context import Context, TextPart
from ...context.messages.request_outline import outline
from ...errors import BudgetTooSmall, MissingExtra, RenderError
from ...memory.optical_memory import OpticalMemory
from ...profiles.pricing import Pricing
from ...stores.base import Store, open_store
from ...text.excerpts import said
from ...text.token_count import open_counter
from ...turns.turn import Turn
from ...worker_threads import in_thread
from .log import messages_of, messages_to_send, to_log
from .messages import Dialect, key_of, render

try:
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.messages import BaseMessage, SystemMessage, convert_to_messages
    from langchain_core.prompt_values import PromptValue
    from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
except ImportError as exc:
    raise MissingExtra("OpticalChatMessageHistory", "langchain") from exc

__all__ = ["OpticalChatMessageHistory", "as_runnable", "chat_histories", "view"]

NOT_IN_LOG = (
    "these messages are not in the memory's log, so they can only be sent as text. For messages that your program or a graph keeps, "
    "use optical_memory.adapters.langchain.show(messages, model=..., budget=...)"
)
REMEMBERED = 1_000  # sessions of one `chat_histories` whose plan and pages are cached


class OpticalChatMessageHistory(BaseChatMessageHistory):
    """The messages of a session, word for word, with all of LangChain's fields.

    Args:
        memory: an `OpticalMemory`, or the name of a session.
        options: with a name, the other arguments of `OpticalMemory`.

    `memory` offers recall, pins, pages and statistics of the same session.
    """

    def __init__(self, memory: OpticalMemory | str = "default", **options: Any) -> None:
        super().__init__()
        if isinstance(memory, OpticalMemory) and options:
            raise TypeError(f"{', '.join(sorted(options))}: these belong to the OpticalMemory that was passed")
        self.memory = memory if isinstance(memory, OpticalMemory) else OpticalMemory(memory, **{"ahead": True, **options})

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # LangChain declares an attribute and asks for a property
        """All messages, oldest first."""
        return [message for turn in self.memory.turns() for message in messages_of(turn)]

    async def aget_messages(self) -> list[BaseMessage]:
        """All messages, oldest first."""
        return await in_thread(lambda: self.messages)

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Store messages atomically. A message with a stored id is not stored again, unless its content differs.

        Raises `InvalidTurn`, `StoreUnavailable`, and stores nothing.
        """
        turns = [to_log(message) for message in messages]
        stored = self.memory.extend(turns)
        # Some servers give all their answers the same id. All must be stored.
        others = [turn for turn, kept in zip(turns, stored, strict=True) if turn.id and not _erased(kept) and _said(turn) != _said(kept)]
        self.memory.extend(turn.model_copy(update={"id": f"{turn.id}/{_said(turn)}"}) for turn in others)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Store messages atomically; see `add_messages`."""
        await in_thread(self.add_messages, messages)

    def clear(self) -> None:
        """Erase the session and its pages."""
        self.memory.erase()

    async def aclear(self) -> None:
        """Erase the session and its pages."""
        await self.memory.aerase()

    def as_runnable(self, **options: Any) -> Runnable[Any, list[BaseMessage]]:
        """Return the context of this session as a runnable, to be placed before the model; see `as_runnable`."""
        return as_runnable(self.memory, **options)


def chat_histories(store: str | Store | None = None, **options: Any) -> Callable[[str], OpticalChatMessageHistory]:
    """Make a `get_session_history` for `RunnableWithMessageHistory`: one history per session id, all in one store.

    Args:
        store: a store, or its URL, as for `OpticalMemory`.
        options: the other arguments of `OpticalMemory`, for every session.
    """
    opened = open_store(store) if store is None or isinstance(store, str) else store
    known: OrderedDict[str, OpticalChatMessageHistory] = OrderedDict()
    lock = threading.Lock()

    def get_session_history(session_id: str) -> OpticalChatMessageHistory:
        with lock:
            history = known.pop(session_id, None) or OpticalChatMessageHistory(session_id, store=opened, **options)
            known[session_id] = history
            while len(known) > REMEMBERED:
                known.popitem(last=False)
            return history

    return get_session_history


def as_runnable(
    memory: OpticalMemory | None = None, *, budget: int | None = None, dialect: Dialect | None = None, detail: str | None = None
) -> Runnable[Any, list[BaseMessage]]:
    """Return the context of a memory as a runnable from messages to messages, to be placed before the model.

    The context replaces the session's messages in the input; if the input has none of them, it is inserted after the system prompt.
    Messages not in the log yet are sent unchanged. Stores nothing. For messages that a graph or your program keeps, use `show`.

    Args:
        memory: None for the session that `RunnableWithMessageHistory` has opened for the call.
        budget: most tokens of the context and the messages after it, counted as the reader counts.
        dialect: format of images: `openai`, `anthropic` or `standard`. None goes by the memory's reader.
        detail: OpenAI's image detail of the pages; None for what each page was counted at.

    If pages cannot be drawn, the conversation is sent as text, with a warning. Raises `BudgetTooSmall`, `StoreUnavailable`.
    """

    def seen(given: Any, config: RunnableConfig) -> list[BaseMessage]:
        asked = _opened(config) if memory is None else memory  # not `memory or ...`: an empty memory is false
        leading, following = _around(_messages(given), asked)
        return [*leading, *view(asked, following, budget=budget, dialect=dialect, detail=detail)]

    async def aseen(given: Any, config: RunnableConfig) -> list[BaseMessage]:
        return await in_thread(seen, given, config)

    return RunnableLambda(seen, aseen, name="optical_memory")


def view(
    memory: OpticalMemory,
    following: Sequence[BaseMessage] = (),
    *,
    budget: int | None = None,
    dialect: Dialect | None = None,
    detail: str | None = None,
) -> list[BaseMessage]:
    """Return the context of `memory` followed by messages that are not in its log; calls and results are paired over both.

    The arguments are those of `as_runnable`.
    """
    first = len(memory) + 1
    new = tuple(
        to_log(message).model_copy(update={"number": first + place, "id": f"new/{place}"}) for place, message in enumerate(following)
    )
    context = _context(memory, budget, new)
    written = dialect or _dialect(memory.profile.name)
    try:
        return _rendered(_followed(context, new), following, written, detail)
    except RenderError as exc:
        warnings.warn(f"no pages could be made, so the conversation is sent as text: {said(exc)}", RuntimeWarning, stacklevel=2)
        plain = replace(context, parts=(TextPart(tuple(memory.turns()), 0),), framing="")
        return _rendered(_followed(plain, new), following, written, detail)


def _context(memory: OpticalMemory, budget: int | None, new: Sequence[Turn]) -> Context:
    """Return the context within the budget that `new` leaves. Raises `BudgetTooSmall`, also for an empty log."""
    if budget is None:
        return memory.context()
    taken = Pricing(memory.profile, _counter(memory.profile.encoding)).total(new)
    if taken > budget and not memory:
        error = BudgetTooSmall(budget, taken)
        error.add_note(NOT_IN_LOG)
        raise error
    try:
        return memory.context(max(1, budget - taken))
    except BudgetTooSmall as exc:
        raise BudgetTooSmall(budget, exc.needed + taken, exc.unshown) from None


_counter = cache(open_counter)  # a tokenizer's tables are slow to build


def _followed(context: Context, new: tuple[Turn, ...]) -> Context:
    """Append the turns `new` to a context."""
    *before, last = context.parts or (TextPart((), 0),)
    if isinstance(last, TextPart):
        joined = TextPart((*last.turns, *new), last.tokens)
        return replace(context, parts=(*before, *([joined] if joined.turns else [])))
    return replace(context, parts=(*context.parts, *([TextPart(new, 0)] if new else [])))


def _rendered(context: Context, following: Sequence[BaseMessage], dialect: Dialect, detail: str | None) -> list[BaseMessage]:
    turns = context.turns
    originals: list[Any] = [None] * (turns[-1].number if turns else 0)
    several: dict[int, list[BaseMessage]] = {}  # by identity of the message that represents them
    old = turns[: len(turns) - len(following)]
    for turn in old:
        messages = messages_to_send(turn)
        originals[turn.number - 1] = messages[-1]
        several[id(messages[-1])] = messages
    for turn, message in zip(turns[len(old) :], following, strict=True):
        originals[turn.number - 1] = message
    rendered = render(outline(context), originals, dialect, detail=detail)
    return [each for message in rendered for each in several.get(id(message), [message])]


def _dialect(reader: str) -> Dialect:
    return "openai" if reader.startswith("gpt") else "anthropic" if reader.startswith("claude") else "standard"


def _opened(config: RunnableConfig) -> OpticalMemory:
    history = config.get("configurable", {}).get("message_history")
    if not isinstance(history, OpticalChatMessageHistory):
        raise TypeError(
            f"as_runnable() without a memory shows the OpticalChatMessageHistory that RunnableWithMessageHistory has opened; "
            f"got {type(history).__name__}. Pass the memory: as_runnable(memory)"
        )
    return history.memory


def _messages(given: Any) -> list[BaseMessage]:
    if isinstance(given, PromptValue):
        return given.to_messages()
    if isinstance(given, str | BaseMessage):
        return convert_to_messages([given])
    if isinstance(given, Mapping) or not isinstance(given, Sequence):
        raise TypeError(f"the optical view takes messages, a prompt or a text; got a {type(given).__name__}. Put the prompt before it")
    return convert_to_messages(given)


def _around(messages: list[BaseMessage], memory: OpticalMemory) -> tuple[list[BaseMessage], list[BaseMessage]]:
    """Return the messages before those of the log, and after them."""
    asked = [key_of(message) for message in messages]
    system = next((place for place, message in enumerate(messages) if not isinstance(message, SystemMessage)), len(messages))
    start, stop = _whole(asked, memory) or _newest(asked, memory, system) or (system, system)
    return messages[:start], messages[stop:]


def _whole(asked: Sequence[Hashable], memory: OpticalMemory) -> tuple[int, int] | None:
    """Find the log in `asked` (start, stop) by its first and last message and its length, without reading the rest."""
    length = len(memory)
    edges = [key for turn in (*memory.turns(1, 2), *memory.turns(length, length + 1)) for key in _keys(turn)] if length else []
    if len(edges) < 2:
        return None
    starts = range(len(asked) - length + 1)
    return next(((at, at + length) for at in starts if asked[at] == edges[0] and asked[at + length - 1] == edges[-1]), None)


def _newest(asked: Sequence[Hashable], memory: OpticalMemory, system: int) -> tuple[int, int] | None:
    """Find the newest messages of the log in `asked` (start, stop): all of them, or those left after the system prompt."""
    held = [key for turn in memory.turns() for key in _keys(turn)]
    for stop in range(len(asked), 0, -1):
        pairs = zip(reversed(asked[:stop]), reversed(held), strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if shared and (shared == len(held) or stop - shared <= system):
            return stop - shared, stop
    return None


def _keys(turn: Turn) -> list[Hashable]:
    return [key_of(message) for message in messages_of(turn)]


def _said(turn: Turn) -> str:
    """Hash the content of a turn."""
    fields = {"role", "content", "name", "tool_calls", "tool_call_id"}
    try:
        said = turn.model_dump_json(include=fields)
    except PydanticSerializationError:  # half a surrogate pair
        said = json.dumps(turn.model_dump(include=fields), default=str)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _erased(turn: Turn) -> bool:
    """Whether `turn` is the placeholder of an erased one: every other has a time."""
    return turn.created_at is None
