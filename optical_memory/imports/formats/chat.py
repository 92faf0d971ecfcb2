"""Chat messages as the APIs take them (OpenAI chat completions, Anthropic messages): a list, an object with `messages`, or lines of them.

After the message types of the `openai` and `anthropic` Python clients, 3.57 and 0.80.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...turns.chat_files import messages_of
from ..base import Conversation, Document
from ..messages import is_mapping_with

__all__ = ["conversations", "name", "recognise"]

name = "chat"


def recognise(document: Document) -> bool:
    if not document.head:
        return document.shape == "array"
    first = document.head[0]
    return is_mapping_with(first, "role") or isinstance(first, list) or _holds_messages(first)


def conversations(document: Document) -> Iterator[Conversation]:
    if document.shape == "array" and document.head and _holds_messages(document.head[0]):
        for place, item in document.items():
            yield Conversation("", list(messages_of(item, f"{document.name}, {place}")), place=place, exact=True)
    elif document.shape == "array":
        yield Conversation("", list(messages_of([item for _, item in document.items()], document.name)), exact=True)
    else:
        rows = document.items()
        yield Conversation("", [message for place, row in rows for message in messages_of(row, _where(document, place))], exact=True)


def _where(document: Document, place: str) -> str:
    return document.name if document.shape == "object" else f"{document.name}, {place}"


def _holds_messages(value: object) -> bool:
    return is_mapping_with(value, "messages") and isinstance(value["messages"], list)  # type: ignore[index]
