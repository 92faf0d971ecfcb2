"""Google's Gemini API: `generateContent` and `streamGenerateContent`."""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ....context.messages.request_outline import Pages
from ..raw_json import Edit, NotUnderstood, Span
from .parsed_entries import ParsedEntries
from .request import Entry, EntryKind, Request, as_text, digest, head_of

__all__ = ["GENERATE", "Gemini"]

GENERATE = re.compile(r"/models/([^/:]+):(generateContent|streamGenerateContent)$")
DATA = ("inlineData", "inline_data")
CALL = ("functionCall", "function_call")
RESPONSE = ("functionResponse", "function_response")
KNOWN = {"text", *DATA, *CALL, *RESPONSE, "thought", "thoughtSignature", "thought_signature", "executableCode", "codeExecutionResult"}


class Gemini:
    """`POST /v1beta/models/MODEL:generateContent`."""

    name = "gemini"
    dialect = "gemini"

    def __init__(self) -> None:
        self._known = ParsedEntries("contents", _parsed)

    def parse(self, text: str, path: str) -> Request:
        """See `Wire.parse`."""
        fields, entries = self._known.read(text)
        named = GENERATE.search(path)
        if named is None or not isinstance(fields.get("contents", Span(0, 0, None)).value, list):
            raise NotUnderstood("no contents")
        head = head_of(entries)
        system = next((fields[name].value for name in ("systemInstruction", "system_instruction") if name in fields), None)
        held = "cachedContent is set" if any(name in fields for name in ("cachedContent", "cached_content")) else ""
        streams = named[2] == "streamGenerateContent"
        return Request(text, fields, named[1], list(_numbered(entries)), head, digest(system), held, streams=streams)

    def said(self, values: Sequence[Any]) -> Mapping[str, Any]:
        """See `Wire.said`."""
        return _parsed(values)[3]

    def pages(self, group: Pages, mark: Mapping[str, Any] | None) -> str:
        """See `Wire.pages`."""
        parts: list[dict[str, Any]] = [{"text": group.framing}] if group.framing else []
        for page in group.pages:
            parts.append({"text": page.text})
            parts.append({"inlineData": {"mimeType": "image/png", "data": base64.b64encode(page.image()).decode("ascii")}})
        return json.dumps({"role": "user", "parts": parts}, ensure_ascii=True, separators=(",", ":"))

    def marker(self, request: Request, covered: int) -> tuple[Mapping[str, Any] | None, list[Edit]]:
        """Prefixes are cached without being asked for."""
        return None, []

    def without_reasoning(self, request: Request, entry: Entry) -> list[Edit]:
        """Signatures stay with their parts."""
        return []


def _either(part: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((part[name] for name in names if name in part), None)


def _parsed(values: Sequence[Any]) -> tuple[bytes, str, EntryKind, Mapping[str, Any]]:
    (content,) = values
    if not isinstance(content, Mapping) or not isinstance(content.get("parts"), list):
        raise NotUnderstood("a content without parts")
    role, parts = str(content.get("role") or "user"), content["parts"]
    kind = _kind(role, parts)
    key = digest([role, parts])
    if kind != "talk":
        return key, role, kind, {}
    return (
        key,
        role,
        kind,
        {"role": "assistant" if role == "model" else "user", "content": [each for part in parts for each in _part(part)]},
    )


def _kind(role: str, parts: Sequence[Any]) -> EntryKind:
    if role not in ("user", "model", "function"):
        return "fixed"
    if all(isinstance(part, Mapping) and part.keys() <= KNOWN and _is_image(part) for part in parts):
        return "talk"
    has_calls = any(isinstance(part, Mapping) and (_either(part, CALL) or _either(part, RESPONSE)) for part in parts)
    return "aside" if role == "user" and not has_calls else "fixed"


def _is_image(part: Mapping[str, Any]) -> bool:
    """Whether inline data, if there is any, is a picture."""
    data = _either(part, DATA)
    return data is None or str(_either(data, ("mimeType", "mime_type"))).startswith("image/")


def _part(part: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    call, response, data = _either(part, CALL), _either(part, RESPONSE), _either(part, DATA)
    if part.get("thought") is True:
        return
    if call is not None:
        yield {"type": "tool_use", "id": call.get("id"), "name": str(call.get("name")), "input": call.get("args") or {}}
    elif response is not None:
        yield {"type": "tool_result", "tool_use_id": response.get("id"), "name": str(response.get("name")), "content": _said(response)}
    elif data is not None:
        yield {
            "type": "image",
            "source": {"type": "base64", "media_type": _either(data, ("mimeType", "mime_type")), "data": data.get("data")},
        }
    elif "text" in part:
        yield {"type": "text", "text": str(part["text"])}
    elif any(not name.startswith("thought") for name in part):
        yield {"type": "text", "text": as_text(dict(part))}


def _said(response: Mapping[str, Any]) -> str:
    """Return the text of a function's response; most clients put it into `output`, `result` or `error`."""
    inner = response.get("response")
    if isinstance(inner, Mapping) and len(inner) == 1 and isinstance(only := next(iter(inner.values())), str):
        return only
    return json.dumps(inner, ensure_ascii=False)


def _numbered(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Give an id to every call without one: its name and how many of that name came before. A response takes the oldest open call."""
    made: defaultdict[str, int] = defaultdict(int)
    answered: defaultdict[str, int] = defaultdict(int)
    for entry in entries:
        blocks = entry.message.get("content", ())
        if not any(block["type"] in ("tool_use", "tool_result") for block in blocks):
            yield entry
            continue
        named = []
        for block in blocks:
            if block["type"] == "tool_use":
                made[block["name"]] += 1
                named.append({**block, "id": block["id"] or f"{block['name']}#{made[block['name']]}"})
            elif block["type"] == "tool_result":
                answered[block["name"]] = min(answered[block["name"]] + 1, max(made[block["name"]], 1))
                call_id = block["tool_use_id"] or f"{block['name']}#{answered[block['name']]}"
                named.append({"type": "tool_result", "tool_use_id": call_id, "content": block["content"]})
            else:
                named.append(block)
        ids = [block.get("id") or block.get("tool_use_id") for block in named if block["type"] in ("tool_use", "tool_result")]
        yield replace(entry, key=digest([entry.key.hex(), ids]), message={**entry.message, "content": named})
