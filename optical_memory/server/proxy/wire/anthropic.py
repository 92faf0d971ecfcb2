"""Anthropic's Messages API."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ....context.messages.request_outline import Pages
from ..raw_json import Edit, NotUnderstood, Span, elements, members
from .parsed_entries import ParsedEntries
from .request import Entry, EntryKind, Request, as_text, digest, head_of, model_of

__all__ = ["Anthropic"]

MOST_MARKERS = 4
BILLING = 300  # characters; a first system block so short, before others, is the client's billing line and changes
UNDRAWABLE = ("document", "container_upload")
THINKING = ("thinking", "redacted_thinking")


class Anthropic:
    """`POST /v1/messages`."""

    name = "anthropic"
    dialect = "anthropic"

    def __init__(self) -> None:
        self._known = ParsedEntries("messages", _parsed)

    def parse(self, text: str, path: str) -> Request:
        """See `Wire.parse`."""
        fields, entries = self._known.read(text)
        if not isinstance(fields.get("messages", Span(0, 0, None)).value, list):
            raise NotUnderstood("no messages")
        head = head_of(entries)
        while head < len(entries) and entries[head].role == "system":
            head += 1
        held = "the request names a container" if isinstance(_value(fields, "container"), str) else ""
        marked = "cache_control" in fields or any(_marks(entry) for entry in entries[head:])
        return Request(text, fields, model_of(fields), entries, head, digest(_system(_value(fields, "system"))), held, marked)

    def said(self, values: Sequence[Any]) -> Mapping[str, Any]:
        """See `Wire.said`."""
        return _parsed(values)[3]

    def pages(self, group: Pages, mark: Mapping[str, Any] | None) -> str:
        """See `Wire.pages`."""
        blocks: list[dict[str, Any]] = [{"type": "text", "text": group.framing}] if group.framing else []
        for page in group.pages:
            data = base64.b64encode(page.image()).decode("ascii")
            blocks.append({"type": "text", "text": page.text})
            blocks.append({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
        if mark is not None:
            blocks[-1]["cache_control"] = dict(mark)
        return json.dumps({"role": "user", "content": blocks}, ensure_ascii=True, separators=(",", ":"))

    def marker(self, request: Request, covered: int) -> tuple[Mapping[str, Any] | None, list[Edit]]:
        """One marker ends the pages, if the client sets markers at all: a free one, or else the first of several after the pages.

        A longer lifetime has to come before a shorter one, so ours is the one of the next marker behind it.
        """
        behind = [mark for entry in request.entries[covered:] for mark in _marks(entry)]
        before = [mark for entry in request.entries[: request.floor] for mark in _marks(entry)]
        before += _marks_of(request.value("system")) + _marks_of(request.value("tools"))
        automatic = request.value("cache_control")
        behind += [automatic] if isinstance(automatic, Mapping) else []
        if not behind and not before:
            return None, []
        mark = dict((behind or before[-1:])[0])
        if len(behind) + len(before) < MOST_MARKERS:
            return mark, []
        room = _first_marker(request, covered) if len(behind) > 1 else []
        return (mark, room) if room else (None, [])

    def without_reasoning(self, request: Request, entry: Entry) -> list[Edit]:
        """Models that think adaptively refuse thinking that was written after another prefix; older ones take it."""
        thinking = request.value("thinking")
        if not isinstance(thinking, Mapping) or thinking.get("type") != "adaptive" or entry.role != "assistant":
            return []
        content = members(request.text, entry.start, whole=False).get("content")
        if content is None or not isinstance(content.value, list):
            return []
        blocks = elements(request.text, content)
        kept = [block for block in blocks if not (isinstance(block.value, Mapping) and block.value.get("type") in THINKING)]
        if not kept or len(kept) == len(blocks):
            return []
        return [Edit(content.start, content.end, "[" + ",".join(request.text[block.start : block.end] for block in kept) + "]")]


def _value(fields: Mapping[str, Span], name: str) -> Any:
    return fields[name].value if name in fields else None


def _system(system: Any) -> Any:
    """Return the system prompt without markers and without the client's billing line."""
    if not isinstance(system, list):
        return system
    first = system[0] if system else None
    text = first.get("text") if isinstance(first, Mapping) else None
    billing = len(system) > 1 and isinstance(text, str) and len(text) <= BILLING and isinstance(first, Mapping) and not _marks_of([first])
    return [_unmarked(block) for block in system[billing:]]


def _unmarked(block: Any) -> Any:
    if not isinstance(block, Mapping):
        return block
    plain = {name: value for name, value in block.items() if name != "cache_control"}
    if plain.get("type") == "tool_result" and isinstance(plain.get("content"), list):
        plain["content"] = [_unmarked(inner) for inner in plain["content"]]
    return plain


def _blocks(message: Mapping[str, Any]) -> Sequence[Any]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise NotUnderstood("a message without content")
    return content


def _marks(entry: Entry) -> list[Mapping[str, Any]]:
    content = entry.values[0].get("content")
    return _marks_of(content) if isinstance(content, list) else []


def _marks_of(blocks: Any) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for block in blocks if isinstance(blocks, list) else ():
        if not isinstance(block, Mapping):
            continue
        if isinstance(block.get("cache_control"), Mapping):
            found.append(block["cache_control"])
        if block.get("type") == "tool_result":
            found += _marks_of(block.get("content"))
    return found


def _first_marker(request: Request, covered: int) -> list[Edit]:
    """Return the edit that removes the first marker of a block after the pages."""
    for entry in request.entries[covered:]:
        if not _marks(entry):
            continue
        content = members(request.text, entry.start, whole=False)["content"]
        for block in elements(request.text, content):
            if isinstance(block.value, Mapping) and "cache_control" in block.value:
                inner = members(request.text, block.start, whole=False)
                kept = [
                    f"{json.dumps(name)}:{request.text[span.start : span.end]}" for name, span in inner.items() if name != "cache_control"
                ]
                return [Edit(block.start, block.end, "{" + ",".join(kept) + "}")]
        return []
    return []


def _parsed(values: Sequence[Any]) -> tuple[bytes, str, EntryKind, Mapping[str, Any]]:
    (message,) = values
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise NotUnderstood("a message without a role")
    role, blocks = message["role"], _blocks(message)
    key = digest([role, [_unmarked(block) for block in blocks]])
    kind = _kind(role, blocks)
    plain = {"role": role, "content": [part for block in blocks for part in _part(block)]} if kind == "talk" else {}
    return key, role, kind, plain


def _kind(role: str, blocks: Sequence[Any]) -> EntryKind:
    types = [block.get("type") if isinstance(block, Mapping) else None for block in blocks]
    if role == "system":
        return "aside"
    if role not in ("user", "assistant") or "compaction" in types or None in types:
        return "fixed"
    if any(_cannot_be_drawn(block) for block in blocks):
        return "aside" if role == "user" and "tool_result" not in types else "fixed"
    return "talk"


def _cannot_be_drawn(block: Mapping[str, Any]) -> bool:
    """Whether a block holds what no page shows: a file, or a picture that only the provider has."""
    if block["type"] == "tool_result" and isinstance(block.get("content"), list):
        return any(isinstance(inner, Mapping) and "type" in inner and _cannot_be_drawn(inner) for inner in block["content"])
    if block["type"] == "image":
        source = block.get("source")
        return not isinstance(source, Mapping) or source.get("type") not in ("base64", "url")
    return block["type"] in UNDRAWABLE


def _part(block: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    kind = block["type"]
    if kind in THINKING:
        return
    if kind == "tool_result":
        content = block.get("content")
        inner = [part for item in content for part in _part(item)] if isinstance(content, list) else str(content or "")
        yield {"type": kind, "tool_use_id": block.get("tool_use_id"), "content": inner, "is_error": bool(block.get("is_error"))}
    elif kind == "text":
        yield {"type": "text", "text": str(block.get("text", ""))}
    elif kind == "image":
        yield {"type": "image", "source": block["source"]}
    elif kind == "tool_use":
        yield {name: block.get(name) for name in ("type", "id", "name", "input")}
    else:
        yield {"type": "text", "text": as_text(dict(block))}
