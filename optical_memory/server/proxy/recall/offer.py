"""Whether a request may be offered the tool, and the edit that adds it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ....memory.recall_tool import DESCRIPTION, PARAMETERS, RECALL
from ..raw_json import Edit, NotUnderstood, Span, elements, members
from ..wire.request import Request

__all__ = ["into_list", "tool_edit"]

DECLARED = ("functionDeclarations", "function_declarations")


def tool_edit(request: Request, wire: str, query: bytes) -> Edit | None:
    """Return the edit that adds the tool; None for a request that is not offered it.

    It is offered where the model may call what it likes, where no tool of the client has its name, and where one answer of a known shape is
    asked for.
    """
    newest = request.entries[-1] if request.entries else None
    if newest is None or newest.role in ("assistant", "model") or _is_named(request):
        return None
    return _EDITS[wire](request, query)


def _is_named(request: Request) -> bool:
    """Whether a tool of the client may have the name, as a definition at any depth or as one that the provider knows."""
    span = request.fields.get("tools")
    return span is not None and json.dumps(RECALL) in request.text[span.start : span.end]


def _anthropic(request: Request, query: bytes) -> Edit | None:
    choice = request.value("tool_choice")
    if choice is not None and not (isinstance(choice, Mapping) and choice.get("type") == "auto"):
        return None
    return _added(request, {"name": RECALL, "description": DESCRIPTION, "input_schema": PARAMETERS})


def _chat(request: Request, query: bytes) -> Edit | None:
    if request.value("tool_choice") not in (None, "auto") or request.value("n") not in (None, 1):
        return None
    if request.value("functions") or request.value("audio"):
        return None
    return _added(request, {"type": "function", "function": {"name": RECALL, "description": DESCRIPTION, "parameters": PARAMETERS}})


def _responses(request: Request, query: bytes) -> Edit | None:
    """A stream that the provider keeps has told the client the id of its first round, under which it could not go on."""
    if request.value("tool_choice") not in (None, "auto") or request.value("background"):
        return None
    if request.value("stream") and request.value("store") is not False:
        return None
    return _added(request, {"type": "function", "name": RECALL, "description": DESCRIPTION, "parameters": PARAMETERS, "strict": False})


def _gemini(request: Request, query: bytes) -> Edit | None:
    config = next((request.value(name) for name in ("generationConfig", "generation_config") if request.value(name)), None) or {}
    choice = next((request.value(name) for name in ("toolConfig", "tool_config") if request.value(name)), None) or {}
    mode = next((choice[name].get("mode") for name in ("functionCallingConfig", "function_calling_config") if choice.get(name)), None)
    kinds = {config.get(name) for name in ("responseMimeType", "response_mime_type")} - {None, "text/plain"}
    if mode not in (None, "AUTO", "MODE_UNSPECIFIED") or config.get("candidateCount", 1) != 1 or kinds or not _is_read(request, query):
        return None
    return _declared(request, {"name": RECALL, "description": DESCRIPTION, "parameters": PARAMETERS})


def _is_read(request: Request, query: bytes) -> bool:
    """Whether the answer comes whole or as events; a stream without `alt=sse` is one JSON list."""
    return not request.streams or b"alt=sse" in query.split(b"&")


def _declared(request: Request, declaration: Mapping[str, Any]) -> Edit | None:
    span = request.fields.get("tools")
    if span is None or not span.value:
        return _added(request, {"functionDeclarations": [declaration]})
    for tool in elements(request.text, span):
        inner = members(request.text, tool.start, whole=False) if isinstance(tool.value, Mapping) else {}
        found = next((inner[name] for name in DECLARED if name in inner), None)
        if found is not None and isinstance(found.value, list):
            return into_list(found, [declaration])
    return None  # only tools of the provider, with which functions cannot be mixed


def _added(request: Request, tool: Mapping[str, Any]) -> Edit | None:
    span = request.fields.get("tools")
    if span is not None:
        return into_list(span, [tool]) if isinstance(span.value, list) else None
    end = request.text.rstrip().rfind("}")
    return Edit(end, end, f',"tools":{json.dumps([tool])}')


def into_list(span: Span, values: list[Any]) -> Edit:
    """Return the edit that adds values at the end of a JSON list. Raises `NotUnderstood` for anything but a list."""
    if not isinstance(span.value, list):
        raise NotUnderstood("no list")
    added = ",".join(json.dumps(value) for value in values)
    return Edit(span.end - 1, span.end - 1, f",{added}" if span.value else added)


_EDITS: Mapping[str, Callable[[Request, bytes], Edit | None]] = {
    "anthropic": _anthropic,
    "chat": _chat,
    "responses": _responses,
    "gemini": _gemini,
}
