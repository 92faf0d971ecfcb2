"""OpenAI's Responses API. What an assistant says and calls comes as items; those between two inputs are one entry."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ....context.messages.request_outline import Pages
from ..raw_json import Edit, NotUnderstood, Span
from .parsed_entries import ParsedEntries
from .request import Entry, EntryKind, Request, as_text, digest, head_of, model_of

__all__ = ["Responses"]

INSTRUCTIONS = ("system", "developer")
CALLS = ("function_call", "custom_tool_call")
OUTPUTS = ("function_call_output", "custom_tool_call_output")
SEARCHES = ("web_search_call", "file_search_call", "code_interpreter_call", "mcp_call", "mcp_list_tools", "tool_search_call")


class Responses:
    """`POST /v1/responses`."""

    name = "responses"
    dialect = "openai"

    def __init__(self) -> None:
        self._known = ParsedEntries("input", _parsed, _grouped)

    def parse(self, text: str, path: str) -> Request:
        """See `Wire.parse`."""
        fields, entries = self._known.read(text)
        given = fields.get("input")
        if given is None or not isinstance(given.value, str | list):
            raise NotUnderstood("no input")
        head = head_of(entries)
        instructions = [entry.key.hex() for entry in entries[:head] if entry.role in INSTRUCTIONS]
        system = digest([fields["instructions"].value if "instructions" in fields else None, instructions])
        held = next((f"{name} is set" for name in ("previous_response_id", "conversation", "prompt") if _is_set(fields, name)), "")
        return Request(text, fields, model_of(fields), entries, head, system, held)

    def said(self, values: Sequence[Any]) -> Mapping[str, Any]:
        """See `Wire.said`."""
        return _parsed(values)[3]

    def pages(self, group: Pages, mark: Mapping[str, Any] | None) -> str:
        """See `Wire.pages`."""
        content: list[dict[str, Any]] = [{"type": "input_text", "text": group.framing}] if group.framing else []
        for page in group.pages:
            url = "data:image/png;base64," + base64.b64encode(page.image()).decode("ascii")
            content.append({"type": "input_text", "text": page.text})
            content.append({"type": "input_image", "image_url": url, "detail": page.detail()})
        return json.dumps({"type": "message", "role": "user", "content": content}, ensure_ascii=True, separators=(",", ":"))

    def marker(self, request: Request, covered: int) -> tuple[Mapping[str, Any] | None, list[Edit]]:
        """Prefixes are cached without being asked for."""
        return None, []

    def without_reasoning(self, request: Request, entry: Entry) -> list[Edit]:
        """Reasoning stays with the items that it led to."""
        return []


def _is_set(fields: Mapping[str, Span], name: str) -> bool:
    return name in fields and fields[name].value is not None


def _grouped(items: Sequence[Span]) -> Iterator[Sequence[Span]]:
    """Yield items that belong together: all that an assistant said and called between two inputs."""
    group: list[Span] = []
    for item in items:
        if _side(item.value) != "assistant":
            if group:
                yield group
                group = []
            yield (item,)
        else:
            group.append(item)
    if group:
        yield group


def _type(item: Any) -> str:
    if not isinstance(item, Mapping):
        raise NotUnderstood("an item that is no object")
    return str(item.get("type") or ("message" if "role" in item else ""))


def _side(item: Any) -> str:
    kind = _type(item)
    if kind == "message":
        return str(item.get("role"))
    return "assistant" if kind == "reasoning" or kind in CALLS or kind in SEARCHES else "tool" if kind in OUTPUTS else kind


def _parsed(values: Sequence[Any]) -> tuple[bytes, str, EntryKind, Mapping[str, Any]]:
    key = digest([_plain(item) for item in values])
    role = _side(values[0])
    kind = _kind(role, values)
    return key, role, kind, _message(role, values) if kind == "talk" else {}


def _plain(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an item without what clients change from call to call: its id and status, a string for a list of one text."""
    rest = {name: value for name, value in item.items() if name not in ("id", "status") and value is not None}
    rest["type"] = _type(item)
    if rest["type"] == "message" and isinstance(rest.get("content"), str):
        rest["content"] = [{"type": "output_text" if rest.get("role") == "assistant" else "input_text", "text": rest["content"]}]
    return rest


def _kind(role: str, items: Sequence[Mapping[str, Any]]) -> EntryKind:
    if role in INSTRUCTIONS:
        return "aside"
    if role not in ("user", "assistant", "tool"):
        return "fixed"
    contents = [item.get("content", item.get("output")) for item in items if _type(item) == "message" or _type(item) in OUTPUTS]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    if all(_can_be_drawn(block) for block in blocks):
        return "talk"
    return "aside" if role == "user" else "fixed"


def _can_be_drawn(block: Any) -> bool:
    if not isinstance(block, Mapping):
        return False
    if block.get("type") == "input_image":
        return isinstance(block.get("image_url"), str)
    return block.get("type") in ("input_text", "output_text", "text", "refusal", "summary_text")


def _message(role: str, items: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    if role == "tool":
        (item,) = items
        if not isinstance(item.get("call_id"), str):
            raise NotUnderstood("an output without a call_id")
        return {"role": "tool", "tool_call_id": item["call_id"], "content": _content(item.get("output"))}
    calls = [_call(item) for item in items if _type(item) in CALLS]
    content = [part for item in items for part in _parts(item)]
    return {"role": role, "content": content, **({"tool_calls": calls} if calls else {})}


def _parts(item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if _type(item) == "message":
        return _content(item.get("content"))
    return [{"type": "text", "text": as_text(dict(item))}] if _type(item) in SEARCHES else []


def _content(content: Any) -> list[Mapping[str, Any]]:
    if not isinstance(content, list):
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False) if content is not None else ""
        return [{"type": "text", "text": text}]
    return [
        block if block.get("type") == "input_image" else {"type": "text", "text": str(block.get("text") or block.get("refusal") or "")}
        for block in content
    ]


def _call(item: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(item.get("call_id"), str):
        raise NotUnderstood("a call without a call_id")
    return {"id": item["call_id"], "name": str(item.get("name", "")), "arguments": str(item.get("arguments", item.get("input", "")))}
