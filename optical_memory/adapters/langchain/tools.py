"""Tools that give an agent its own past: turns word for word, and a page at full size.

The agent's messages hold a zoomed page by name only. Its image is inserted into the request, so no image is checkpointed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import MissingExtra
from ...memory.message_list import MessageListMemory
from ...memory.recall_tool import DESCRIPTION, RECALL, recalled, words_of
from ...pages.page import Page
from ...turns.exchanges import starts_exchange
from .messages import Block, turn_of_message

try:
    from langchain.tools import ToolRuntime
    from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
    from langchain_core.tools import BaseTool, StructuredTool
except ImportError as exc:
    raise MissingExtra("the tools of OpticalMemoryMiddleware", "langchain") from exc

__all__ = ["Zoomed", "memory_tools", "with_pictures", "with_words", "zoomed"]

ZOOM = "zoom"
MARK = "optical_memory_page"  # in the artifact of a result of `zoom`
PICTURES = "Pictures for the tool results above:"

Zoomed = Mapping[str, Any]  # key, first and last turn of a page


def memory_tools(memory: Callable[[Mapping[str, Any] | None], MessageListMemory[BaseMessage] | None], state_key: str) -> list[BaseTool]:
    """Make the tools `recall_memory` and `zoom`.

    Args:
        memory: returns the memory that a state was made with.
        state_key: key of the state in the agent's state.
    """

    def recall_memory(runtime: ToolRuntime, query: str = "", numbers: list[int] | None = None) -> str:
        messages = runtime.state["messages"]
        looking = memory(runtime.state.get(state_key))
        if looking is None:
            return "There are no earlier turns."
        now = max((turn.number for turn in looking.turns(messages) if starts_exchange(turn)), default=len(messages) + 1)
        return recalled(looking, messages, query=query, numbers=numbers or (), before=now, tools=(RECALL, ZOOM))

    def zoom(runtime: ToolRuntime, page: int) -> tuple[str, dict[str, Any] | None]:
        shown = _pages_shown(runtime.state.get(state_key))
        found = shown.get(page)
        if found is None:
            return f"There is no page {page}. " + (f"The pages are {min(shown)} to {max(shown)}." if shown else "There are none."), None
        return f"Page {page}, turns #{found['first']} to #{found['last']}.", {MARK: found}

    return [
        StructuredTool.from_function(
            recall_memory,
            name=RECALL,
            description=DESCRIPTION,
        ),
        StructuredTool.from_function(
            zoom,
            name=ZOOM,
            description="Look at a `page` of this conversation's past at full size. For exact words use recall_memory.",
            response_format="content_and_artifact",
        ),
    ]


def _pages_shown(state: Mapping[str, Any] | None) -> dict[int, Zoomed]:
    """Return the pages of a state's plan, by index."""
    items = [item for entry in ((state or {}).get("plans") or {}).values() for item in entry["plan"]["items"]]
    return {item["index"]: {name: item[name] for name in ("key", "first", "last")} for item in items if item["kind"] == "page"}


def zoomed(message: BaseMessage) -> Zoomed | None:
    """Return the page that a result of `zoom` refers to; None for other messages."""
    artifact = message.artifact if isinstance(message, ToolMessage) else None
    return artifact.get(MARK) if isinstance(artifact, Mapping) else None


def with_words(messages: Sequence[BaseMessage], conversation: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Fill results of `zoom` with the text of their turns, for a model without image input."""
    return [_with_words(message, found, conversation) if (found := zoomed(message)) else message for message in messages]


def _with_words(message: BaseMessage, found: Zoomed, conversation: Sequence[BaseMessage]) -> BaseMessage:
    numbers = range(found["first"], min(found["last"], len(conversation)) + 1)
    turns = [turn_of_message(conversation[number - 1]).model_copy(update={"number": number}) for number in numbers]
    return message.model_copy(update={"content": f"{message.text}\n\n{words_of(turns)}"})


def with_pictures(
    messages: Sequence[BaseMessage], pages: Mapping[str, Page], picture: Callable[[str], Block], *, inside: bool
) -> list[BaseMessage]:
    """Fill results of `zoom` with the images of their pages.

    Args:
        pages: by key; a page that is not among them no longer exists.
        picture: converts base64 data to a content block.
        inside: whether the provider accepts images in tool results. Otherwise they follow in a user's message.
    """
    sent: list[BaseMessage] = []
    waiting: list[Block] = []
    for message in messages:
        if waiting and not isinstance(message, ToolMessage):
            sent.append(_follow_up(waiting))
            waiting = []
        found = zoomed(message)
        page = pages.get(found["key"]) if found else None
        if page is None:
            sent.append(message)
            continue
        block = picture(base64.b64encode(page.image(page.full_tier)).decode("ascii"))
        if inside:
            sent.append(message.model_copy(update={"content": [{"type": "text", "text": message.text}, block]}))
        else:
            sent.append(message)
            waiting.append(block)
    return [*sent, _follow_up(waiting)] if waiting else sent


def _follow_up(pictures: list[Block]) -> HumanMessage:
    return HumanMessage(content=[{"type": "text", "text": PICTURES}, *pictures])
