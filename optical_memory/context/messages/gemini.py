"""Convert a context to contents of Google's Gemini API: plain JSON for the client `google-genai` and the REST API."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from ...turns.turn import ImageContent, ReasoningContent, TextContent, ToolCall
from ..context import Context, PagePart
from .request_outline import Pages, grouped, is_newest
from .tool_pairs import Message, Result, paired

__all__ = ["to_gemini"]

Part = dict[str, Any]


def to_gemini(context: Context) -> list[dict[str, Any]]:
    """Return contents for `generate_content`: roles `user` and `model`, tool results in the content right after their calls.

    System turns become user text marked as such; Gemini takes the system instruction apart from the contents.

    For Gemini 3 each page requests the `media_resolution` that it was counted at, which needs API version `v1alpha` (August 2026).

    Raises `RenderError` if a page's image was lost and cannot be redrawn.
    """
    contents: list[dict[str, Any]] = []
    for group in grouped(context):
        if isinstance(group, Pages):
            framing = [{"text": group.framing}] if group.framing else []
            _join(contents, "user", framing + [part for page in group.pages for part in _page(page)])
            continue
        for message in paired(group, newest=is_newest(group, context)):
            for role, parts in _contents(message):
                _join(contents, role, parts)
    return contents


def _page(part: PagePart) -> Iterator[Part]:
    yield {"text": part.text}
    picture: Part = {"inline_data": {"mime_type": "image/png", "data": base64.b64encode(part.image()).decode("ascii")}}
    rung = part.rung
    if rung.media_resolution and not rung.whole_request:
        picture["media_resolution"] = {"level": f"MEDIA_RESOLUTION_{rung.media_resolution}"}
    yield picture


def _contents(message: Message) -> Iterator[tuple[str, list[Part]]]:
    turn = message.turn
    names: dict[str, str] = {}
    if turn is not None:
        said = [TextContent(text=message.content)] if isinstance(message.content, str) else list(message.content)
        parts = [
            _part(part) for part in said if not isinstance(part, ReasoningContent) and not (isinstance(part, TextContent) and not part.text)
        ]
        if turn.role in ("system", "developer"):
            parts.insert(0, {"text": f"[{turn.role}]"})
        parts += [_call(call) for call in turn.tool_calls]
        names = {call.id: call.name for call in turn.tool_calls}
        yield "model" if turn.role == "assistant" else "user", parts or [{"text": "(empty)"}]
    if message.results:
        answers = [_result(result, names) for result in message.results]
        images = [] if message.is_open else [_part(image) for result in message.results for image in result.images]
        yield "user", answers + images  # results still to come stand before the images


def _part(part: TextContent | ImageContent) -> Part:
    if isinstance(part, TextContent):
        return {"text": part.text}
    if part.url:
        return {"file_data": {"file_uri": part.url, **({"mime_type": part.media_type} if part.media_type else {})}}
    return {"inline_data": {"mime_type": part.media_type, "data": part.data}}


def _call(call: ToolCall) -> Part:
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):  # a model may write invalid JSON; the API takes objects only
        arguments = {"arguments": call.arguments}
    part: Part = {"function_call": {"id": call.id, "name": call.name, "args": arguments}}
    signature = (call.model_extra or {}).get("thought_signature")  # Gemini 3 rejects a call without it
    return part | {"thought_signature": signature} if signature else part


def _result(result: Result, names: dict[str, str]) -> Part:
    name = result.name or names.get(result.call_id, "tool")
    key = "error" if result.is_error else "output"
    return {"function_response": {"id": result.call_id, "name": name, "response": {key: result.text}}}


def _join(contents: list[dict[str, Any]], role: str, parts: list[Part]) -> None:
    """Append parts to the last content if it has the same role, else as a new one. Tool results stay first in theirs."""
    if contents and contents[-1]["role"] == role:
        contents[-1]["parts"] += parts
    else:
        contents.append({"role": role, "parts": parts})
