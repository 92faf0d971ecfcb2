"""Optical memory for any loop over LangChain's messages: a node of LangGraph, `pre_model_hook`, a chain.

    def answer(state):
        return {"messages": [model.invoke(show(state["messages"], model=model, budget=20_000))]}

Shaped like LangChain's `trim_messages`: messages in, messages out, and the state of the graph stays as it is. It has no place for a plan,
so plans are kept in this process, found by the conversation's beginning. A lost plan costs a re-plan and nothing else.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Any, overload

from ...errors import MissingExtra
from ...worker_threads import in_thread
from ..conversation_states import Conversations
from ..settings import AdapterSettings
from .messages import Dialect, dialect_of, key_of, render, sendable_to, turn_of_message
from .model_facts import KEPT, ModelFacts

try:
    from langchain_core.messages import BaseMessage, MessageLikeRepresentation, convert_to_messages
    from langchain_core.prompt_values import PromptValue
    from langchain_core.runnables import Runnable, RunnableLambda
except ImportError as exc:
    raise MissingExtra("show", "langchain") from exc

__all__ = ["ashow", "show"]

REMEMBERED = 64  # combinations of settings whose plans are kept

Messages = Iterable[MessageLikeRepresentation] | PromptValue
_known: OrderedDict[Hashable, Conversations[BaseMessage]] = OrderedDict()
_lock = threading.Lock()


@overload
def show(
    messages: Messages,
    *,
    model: Any,
    budget: int | None = None,
    conversation: str | None = None,
    dialect: Dialect | None = None,
    detail: str | None = None,
    **settings: Any,
) -> list[BaseMessage]: ...
@overload
def show(messages: None = None, *, model: Any, budget: int | None = None, **options: Any) -> Runnable[Any, list[BaseMessage]]: ...
def show(
    messages: Messages | None = None,
    *,
    model: Any,
    budget: int | None = None,
    conversation: str | None = None,
    dialect: Dialect | None = None,
    detail: str | None = None,
    **settings: Any,
) -> list[BaseMessage] | Runnable[Any, list[BaseMessage]]:
    """Return the messages to send to `model` instead of `messages`: pages of the past, and the recent ones unchanged.

    Args:
        messages: the whole conversation, oldest first, in any form that LangChain converts; None for a runnable to stand before a model.
        model: the chat model that is called, also with bound tools, or its name (`openai:gpt-5.4`).
        budget: most tokens of the messages, counted as the model counts; None for no limit but forgetting.
        conversation: the conversation's name, such as a thread's id; finds its plan even if its beginning was changed.
        dialect: format of images: `openai`, `anthropic` or `standard`; None goes by the model.
        detail: OpenAI's image detail of the pages; None for what each page was counted at.
        settings: the other fields of `AdapterSettings`: `reader`, `renderer`, `cache`, ... The same settings share plans and pages.

    A model without image input in its profile, or without a reader profile, gets text. So does every model, with a warning, if pages cannot
    be drawn. Raises `BudgetTooSmall` if the newest turns alone exceed the budget, `TypeError` for a `model` that is none.
    """
    facts = ModelFacts.of(model)
    conversations = _conversations(budget, settings)
    options: dict[str, Any] = {"conversation": conversation, "dialect": dialect or dialect_of(facts.provider), "detail": detail}
    if messages is not None:
        return _shown(conversations, facts, messages, **options)

    def seen(given: Messages) -> list[BaseMessage]:
        return _shown(conversations, facts, given, **options)

    async def aseen(given: Messages) -> list[BaseMessage]:
        return await in_thread(seen, given)

    return RunnableLambda(seen, aseen, name="optical_memory")


async def ashow(messages: Messages, *, model: Any, budget: int | None = None, **options: Any) -> list[BaseMessage]:
    """Return the messages to send to `model`, made in a worker thread; see `show`."""
    return await in_thread(lambda: show(messages, model=model, budget=budget, **options))


def _shown(
    conversations: Conversations[BaseMessage],
    facts: ModelFacts,
    given: Messages,
    *,
    conversation: str | None,
    dialect: Dialect,
    detail: str | None,
) -> list[BaseMessage]:
    messages = given.to_messages() if isinstance(given, PromptValue) else convert_to_messages(list(given))
    if facts.keeps_conversation:
        warnings.warn(KEPT, RuntimeWarning, stacklevel=3)
        return messages
    shown = conversations.show(
        messages,
        facts.name,
        lambda pieces: sendable_to(render(pieces, messages, dialect, detail=detail), facts.provider),
        name=conversation,
        takes_images=facts.sees,
    )
    return messages if shown is None else shown


def _conversations(budget: int | None, settings: dict[str, Any]) -> Conversations[BaseMessage]:
    """Return the plans of calls with these settings."""
    key = (budget, *((name, _hashable(value)) for name, value in sorted(settings.items())))
    with _lock:
        found = _known.pop(key, None)
        if found is None:
            found = Conversations[BaseMessage](AdapterSettings(budget=budget, **settings), key=key_of, turn=turn_of_message)
        _known[key] = found
        while len(_known) > REMEMBERED:
            _known.popitem(last=False)
        return found


def _hashable(value: object) -> Hashable:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value
