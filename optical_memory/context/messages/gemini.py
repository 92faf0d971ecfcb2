"""Convert a context to contents of Google's Gemini API: plain JSON for the client `google-genai` and the REST API."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...text.surrogates import sendable
from ...turns.block_words import media_type_of, opaque_in
from ...turns.turn import CallPlace, ImageContent, OtherContent, TextContent, ToolCall, Turn
from ..context import Context, PagePart
from .calls import CallIds
from .request_outline import FIRST, Pages, grouped, is_newest
from .tool_pairs import Message, Result, paired

__all__ = ["to_gemini"]

Part = dict[str, Any]

LONGEST_ID = 256
NATIVE = ("executable_code", "executableCode", "code_execution_result", "codeExecutionResult", "file_data", "fileData")


def to_gemini(context: Context) -> list[dict[str, Any]]:
    """Return contents for `generate_content`: roles `user` and `model`, tool results in the content right after their calls.

    System turns become user text marked as such; Gemini takes the system instruction apart from the contents. The first content is a
    user's, since Gemini's chats want that.

    For Gemini 3 each page requests the `media_resolution` that it was counted at, which the API takes in `v1beta` (November 2026).

    Raises `RenderError` if a page's image was lost and cannot be redrawn.
    """
    contents: list[dict[str, Any]] = []
    ids = CallIds(LONGEST_ID, strict=False)
    for group in grouped(context):
        if isinstance(group, Pages):
            framing = [{"text": group.framing}] if group.framing else []
            _join(contents, "user", framing + [part for page in group.pages for part in _page(page)])
            continue
        for message in paired(group, newest=is_newest(group, context)):
            for role, parts in _contents(message, ids.of(message)):
                _join(contents, role, parts)
    return sendable(contents)


def _page(part: PagePart) -> Iterator[Part]:
    yield {"text": part.text}
    picture: Part = {"inline_data": {"mime_type": "image/png", "data": base64.b64encode(part.image()).decode("ascii")}}
    if asked := part.rung.part_resolution:
        picture["media_resolution"] = {"level": asked}
    yield picture


def _contents(message: Message, ids: list[str]) -> Iterator[tuple[str, list[Part]]]:
    turn = message.turn
    names: list[str] = []
    if turn is not None:
        calls = [_call(call, call_id) for call, call_id in zip(turn.tool_calls, ids, strict=True)]
        parts = _said(message, turn, calls)
        if turn.role in ("system", "developer"):
            parts.insert(0, {"text": f"[{turn.role}]"})
        names = [call.name for call in turn.tool_calls]
        yield "model" if turn.role == "assistant" else "user", parts or [{"text": "(empty)"}]
    if message.results:
        answers = [_result(result, names[result.place], ids[result.place]) for result in message.results]
        images = [] if message.is_open else [_image(image) for result in message.results for image in result.images]
        yield "user", answers + images  # results still to come stand before the images


def _said(message: Message, turn: Turn, calls: Sequence[Part]) -> list[Part]:
    """Return content and calls in their order; what the message says in other fields, such as a refusal, is text."""
    parts: list[Part] = []
    placed: set[int] = set()
    beside = [part for part in turn.beside if part.block["type"] in ("refusal", "audio")]
    for part in (*message.said, *beside):
        if isinstance(part, CallPlace):
            parts.append(calls[part.place])
            placed.add(part.place)
        elif isinstance(part, ImageContent):
            parts.append(_image(part))
        elif isinstance(part, TextContent) and part.text:
            parts.append({"text": part.text, **_signed(part.model_extra)})
        elif isinstance(part, OtherContent) and (other := _other(part)):
            parts.append(other)
    return [*parts, *(call for place, call in enumerate(calls) if place not in placed)]


def _image(part: ImageContent) -> Part:
    if part.url:
        return {"file_data": {"file_uri": part.url, **({"mime_type": part.media_type} if part.media_type else {})}}
    return {"inline_data": {"mime_type": part.media_type, "data": part.data}}


def _other(part: OtherContent) -> Part | None:
    """Return a block of another kind: Gemini's own unchanged, a file or sound as data, all else as its words."""
    block = part.block
    if any(key in block for key in NATIVE):
        return dict(block)
    if block.get("type") != "audio":  # the recording of an answer of OpenAI's, which has a transcript
        data = next((data for data in opaque_in(block) if data.data and (data.media_type or media_type_of(block))), None)
        if data is not None:
            return {"inline_data": {"mime_type": data.media_type or media_type_of(block), "data": data.data}}
    return {"text": part.text} if part.text.strip() else None


def _call(call: ToolCall, call_id: str) -> Part:
    return {"function_call": {"id": call_id, "name": call.name, "args": call.parsed}, **_signed(call.model_extra)}


def _signed(extra: Mapping[str, Any] | None) -> Part:
    """Return the signature of a part, without which Gemini 3 refuses a call, from wherever servers and frameworks put it."""
    fields = extra or {}
    for place in (fields, *(fields.get(key) for key in HOLDERS)):
        for holder in (place, place.get("google") or place.get("vertex")) if isinstance(place, Mapping) else ():
            found = next((holder[key] for key in SIGNATURES if holder.get(key)), None) if isinstance(holder, Mapping) else None
            if isinstance(found, str):
                return {"thought_signature": found}
    return {}


SIGNATURES = ("thought_signature", "thoughtSignature")
HOLDERS = ("extra_content", "provider_specific_fields", "providerMetadata", "callProviderMetadata", "providerOptions", "extras")


def _result(result: Result, called: str, call_id: str) -> Part:
    key = "error" if result.is_error else "output"
    return {"function_response": {"id": call_id, "name": result.name or called, "response": {key: result.text}}}


def _join(contents: list[dict[str, Any]], role: str, parts: list[Part]) -> None:
    """Append parts to the last content if it has the same role, else as a new one. Tool results stay first in theirs."""
    if not contents and role == "model":
        contents.append({"role": "user", "parts": [{"text": FIRST}]})
    if contents and contents[-1]["role"] == role:
        contents[-1]["parts"] += parts
    else:
        contents.append({"role": role, "parts": parts})
