"""pydantic-ai: message histories (`all_messages_json`), alone, as lines, or in an object that holds them.

After pydantic-ai 2.68, `messages.py`. Its traces (`pydantic_ai.all_messages`) are OpenTelemetry's; that format reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import InvalidTurn
from ..base import Conversation, Document, Message
from ..messages import as_text, call, file_block, mappings, message, moment, result, text_block, url_block

__all__ = ["conversations", "name", "recognise"]

name = "pydantic-ai"
_HOLDERS = ("messages", "all_messages", "message_history", "history")


def recognise(document: Document) -> bool:
    first = document.head[0] if document.head else None
    return _is_message(first) or _held(first) is not None


def _is_message(value: Any) -> bool:
    if not isinstance(value, Mapping) or value.get("kind") not in ("request", "response"):
        return False
    parts = mappings(value.get("parts"))
    return all("part_kind" in part for part in parts)


def _held(value: Any) -> Sequence[Any] | None:
    if isinstance(value, list) and value and all(_is_message(one) for one in value):
        return value
    if not isinstance(value, Mapping):
        return None
    return next((found for key in _HOLDERS if isinstance(value.get(key), list) and (found := _held(value[key]))), None)


def conversations(document: Document) -> Iterator[Conversation]:
    said: list[Any] = []
    for place, item in document.items():
        if (held := _held(item)) is not None:
            own = as_text(item.get("conversation_id")) if isinstance(item, Mapping) else ""
            yield Conversation(own, list(_messages(held)), place=place if document.shape != "object" else "")
        elif _is_message(item):
            said.append(item)
        else:
            raise InvalidTurn(f"{document.name}, {place} is no message: 'kind' is neither 'request' nor 'response'")
    if said:
        own = next((as_text(one["conversation_id"]) for one in said if one.get("conversation_id")), "")
        yield Conversation(own, list(_messages(said)))


def _messages(said: Sequence[Mapping[str, Any]]) -> Iterator[Message]:
    told = None  # instructions are sent again with every request
    for one in said:
        when = moment(one.get("timestamp"))
        if one["kind"] == "response":
            yield from _response(one, when)
            continue
        if one.get("instructions") and one["instructions"] != told:
            told = one["instructions"]
            yield message("system", told, created_at=when or _first_time(one))
        for part in mappings(one.get("parts")):
            yield _request(part, moment(part.get("timestamp")) or when)


def _first_time(one: Mapping[str, Any]) -> Any:
    return next((found for part in mappings(one.get("parts")) if (found := moment(part.get("timestamp")))), None)


def _request(part: Mapping[str, Any], when: Any) -> Message:
    kind, content = part["part_kind"], part.get("content")
    id, named = as_text(part.get("tool_call_id")), as_text(part.get("tool_name"))
    if kind == "system-prompt":
        return message("system", as_text(content), created_at=when)
    if kind in ("tool-return", "builtin-tool-return"):
        failed = part.get("outcome") in ("failed", "denied")
        return result(id, named, _contents(content) if isinstance(content, list) else content, failed=failed, created_at=when)
    if kind == "retry-prompt" and part.get("tool_name"):
        return result(id, named, as_text(content), failed=True, created_at=when)
    return message("user", _contents(content), created_at=when)


def _response(one: Mapping[str, Any], when: Any) -> Iterator[Message]:
    """One message, or several where results of the provider's own tools stand between its parts."""
    note = {"import": {"model": one["model_name"]}} if one.get("model_name") else None
    blocks: list[dict[str, Any]] = []
    thoughts: list[str] = []
    for part in mappings(one.get("parts")):
        kind = part["part_kind"]
        if kind == "thinking":
            if block := _thinking(part):
                blocks.append(block)
            elif part.get("content"):
                thoughts.append(as_text(part["content"]))
        elif kind in ("tool-call", "builtin-tool-call"):
            blocks.append(call(as_text(part.get("tool_call_id")), as_text(part.get("tool_name")), part.get("args")))
        elif kind == "builtin-tool-return":
            yield message("assistant", blocks, reasoning_content="\n\n".join(thoughts), created_at=when, metadata=note)
            yield _request(part, when)
            blocks, thoughts = [], []
        else:
            blocks += _contents(part.get("content"))
    if blocks or thoughts:
        yield message("assistant", blocks, reasoning_content="\n\n".join(thoughts), created_at=when, metadata=note)


def _thinking(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Thinking that Anthropic signed goes back as its block."""
    if part.get("provider_name") != "anthropic" or not part.get("signature"):
        return None
    return {"type": "thinking", "thinking": as_text(part.get("content")), "signature": part["signature"]}


def _contents(content: Any) -> list[dict[str, Any]]:
    items = content if isinstance(content, list) else [content]
    return [_block(item) for item in items if item not in (None, "")]


def _block(item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping) or "kind" not in item:
        return text_block(as_text(item))
    kind, media = as_text(item["kind"]), as_text(item.get("media_type"))
    if kind == "binary":
        data = as_text(item.get("data")).replace("-", "+").replace("_", "/")  # pydantic writes the URL-safe alphabet
        return url_block(f"data:{media};base64,{data}", media, as_text(item.get("identifier")))
    if kind == "image-url":
        return url_block(item.get("url"), "image")
    if kind in ("text", "text-content") and "content" in item:
        return text_block(as_text(item["content"]))
    return file_block(as_text(item.get("url") or item.get("file_id") or kind))
