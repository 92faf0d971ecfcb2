"""OpenAI's Chat Completions API, and the many servers that speak it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ....context.messages.request_outline import Pages
from ..raw_json import Edit, NotUnderstood, Span
from .parsed_entries import ParsedEntries
from .request import Entry, EntryKind, Request, as_text, digest, head_of, model_of

__all__ = ["Chat"]

INSTRUCTIONS = ("system", "developer")


class Chat:
    """`POST /v1/chat/completions`."""

    name = "chat"
    dialect = "openai"

    def __init__(self) -> None:
        self._known = ParsedEntries("messages", _parsed)

    def parse(self, text: str, path: str) -> Request:
        """See `Wire.parse`."""
        fields, entries = self._known.read(text)
        if not isinstance(fields.get("messages", Span(0, 0, None)).value, list):
            raise NotUnderstood("no messages")
        head = head_of(entries)
        system = digest([entry.key.hex() for entry in entries[:head] if entry.role in INSTRUCTIONS])
        return Request(text, fields, model_of(fields), entries, head, system)

    def said(self, values: Sequence[Any]) -> Mapping[str, Any]:
        """See `Wire.said`."""
        return _parsed(values)[3]

    def pages(self, group: Pages, mark: Mapping[str, Any] | None) -> str:
        """See `Wire.pages`."""
        content: list[dict[str, Any]] = [{"type": "text", "text": group.framing}] if group.framing else []
        for page in group.pages:
            url = "data:image/png;base64," + base64.b64encode(page.image()).decode("ascii")
            content.append({"type": "text", "text": page.text})
            content.append({"type": "image_url", "image_url": {"url": url, "detail": page.detail()}})
        if mark is not None:
            content[-1]["cache_control"] = dict(mark)
        return json.dumps({"role": "user", "content": content}, ensure_ascii=True, separators=(",", ":"))

    def marker(self, request: Request, covered: int) -> tuple[Mapping[str, Any] | None, list[Edit]]:
        """Prefixes are cached without being asked for."""
        return None, []

    def without_reasoning(self, request: Request, entry: Entry) -> list[Edit]:
        """Nothing is bound to a prefix."""
        return []


def _parsed(values: Sequence[Any]) -> tuple[bytes, str, EntryKind, Mapping[str, Any]]:
    (message,) = values
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise NotUnderstood("a message without a role")
    role = message["role"]
    content = message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    if not isinstance(blocks, list):
        raise NotUnderstood("a message whose content is neither text nor a list")
    rest = {name: value for name, value in message.items() if name not in ("content", "cache_control") and value is not None}
    key = digest([rest, [_unmarked(block) for block in blocks]])
    kind = _kind(message, blocks)
    return key, role, kind, _message(message, blocks) if kind == "talk" else {}


def _unmarked(block: Any) -> Any:
    return {name: value for name, value in block.items() if name != "cache_control"} if isinstance(block, Mapping) else block


def _kind(message: Mapping[str, Any], blocks: Sequence[Any]) -> EntryKind:
    role = message["role"]
    if role in INSTRUCTIONS:
        return "aside"
    if role not in ("user", "assistant", "tool") or message.get("function_call") or message.get("audio"):
        return "fixed"
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        return "fixed"
    types = {block.get("type") if isinstance(block, Mapping) else None for block in blocks}
    if types - {"text", "image_url", "refusal", "thinking", "redacted_thinking", "reasoning"}:
        return "aside" if role == "user" else "fixed"
    return "talk"


def _message(message: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    plain: dict[str, Any] = {"role": message["role"], "content": [part for block in blocks for part in _part(block)]}
    if isinstance(message.get("name"), str):
        plain["name"] = message["name"]
    if message["role"] == "tool":
        plain["tool_call_id"] = message["tool_call_id"]
    calls = message.get("tool_calls") or ()
    if calls:
        plain["tool_calls"] = [_call(call) for call in calls]
    return plain


def _part(block: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    match block.get("type"):
        case "thinking" | "redacted_thinking" | "reasoning":
            return
        case "image_url":
            yield block
        case "text" | "refusal":
            yield {"type": "text", "text": str(block.get("text") or block.get("refusal") or "")}
        case _:
            yield {"type": "text", "text": as_text(dict(block))}


def _call(call: Any) -> Mapping[str, Any]:
    """Return a call in our shape; a custom tool's input is free text."""
    if not isinstance(call, Mapping) or not isinstance(call.get("id"), str):
        raise NotUnderstood("a tool call without an id")
    inner = call.get("function") or call.get("custom") or {}
    arguments = inner.get("arguments", inner.get("input", ""))
    return {
        "id": call["id"],
        "name": str(inner.get("name", "")),
        "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
    }
