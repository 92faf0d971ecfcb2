"""Convert a context to chat messages of OpenAI's API and of compatible servers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from ...text.surrogates import sendable
from ...turns.turn import ImageContent, OtherContent, TextContent, ToolCall
from ..context import Context, PagePart
from .calls import CallIds, fitting_name
from .request_outline import Pages, grouped, is_newest
from .tool_pairs import Message, Result, failing, paired

__all__ = ["to_openai"]

Block = dict[str, Any]

LONGEST_ID = 40
# Fields of a message that OpenAI or a compatible server takes back; others, of an export or another provider, are refused by some.
FIELDS = (
    "refusal", "audio", "reasoning_content", "reasoning", "reasoning_details", "thinking_blocks", "prefix", "partial", "weight",
    "cache_control",
)  # fmt: skip
CALL_FIELDS = ("extra_content", "provider_specific_fields", "thought_signature")  # Gemini's signatures, as servers hand them on
NATIVE = {"user": ("input_audio", "file", "video_url"), "assistant": ("refusal",)}


def to_openai(context: Context, *, detail: str | None = None) -> list[dict[str, Any]]:
    """Return messages for OpenAI's chat completions and compatible servers.

    Args:
        detail: OpenAI's image detail of the pages: `low`, `high` or `auto`; None for what each page was counted at. Other servers
            ignore it.

    Calls with the same id get different ones; fields that no such server takes are left out. Raises `RenderError` if a page's image was
    lost and cannot be redrawn.
    """
    messages: list[dict[str, Any]] = []
    ids = CallIds(LONGEST_ID, strict=False)
    marks = context.reader is not None and context.reader.name.startswith("claude")  # routers pass them on to Claude
    for group in grouped(context):
        if isinstance(group, Pages):
            messages.append({"role": "user", "content": [block for said in _said(group) for block in _page(said, detail)]})
        else:
            for message in paired(group, newest=is_newest(group, context)):
                messages += _messages(message, ids.of(message), marks)
    return sendable(messages)


def _said(group: Pages) -> list[str | PagePart]:
    return [*([group.framing] if group.framing else []), *group.pages]


def _page(said: str | PagePart, detail: str | None) -> list[Block]:
    if isinstance(said, str):
        return [{"type": "text", "text": said}]
    url = {"url": "data:image/png;base64," + base64.b64encode(said.image()).decode("ascii"), "detail": said.detail(detail)}
    return [{"type": "text", "text": said.text}, {"type": "image_url", "image_url": url}]


def _messages(message: Message, ids: list[str], marks: bool) -> Iterator[dict[str, Any]]:
    turn = message.turn
    if turn is not None:
        content = _content(message, turn.role, marks)
        name = fitting_name(turn.name) if turn.name else ""
        extra = {key: turn.extra[key] for key in FIELDS if key in turn.extra and (marks or key != "cache_control")}
        if not isinstance(extra.get("reasoning"), str):  # an item of the Responses API
            extra.pop("reasoning", None)
        calls = [_call(call, call_id) for call, call_id in zip(turn.tool_calls, ids, strict=True)]
        if content != [] or extra:  # reasoning alone has no block in this format
            yield {
                "role": turn.role,
                "content": content,
                **({"name": name} if name else {}),
                **extra,
                **({"tool_calls": calls} if calls else {}),
            }
    yield from (_result(result, ids) for result in message.results)
    pictures = [_block(image, "user", marks) for result in message.results for image in result.images]
    if pictures and not message.is_open:  # a tool message holds text only; results still to come stand before the pictures
        yield {"role": "user", "content": [{"type": "text", "text": "Pictures of the tool results above:"}, *pictures]}


def _content(message: Message, role: str, marks: bool) -> str | list[Block]:
    if isinstance(message.content, str):
        return message.content
    parts = [part for part in message.content if isinstance(part, TextContent | ImageContent | OtherContent)]
    blocks = [_block(part, role, marks) for part in parts if not isinstance(part, OtherContent) or part.text]
    return blocks or ("" if message.turn and message.turn.tool_calls else [])


def _block(part: TextContent | ImageContent | OtherContent, role: str, marks: bool) -> Block:
    mark = (part.model_extra or {}).get("cache_control") if marks else None
    marked = {"cache_control": mark} if mark else {}
    if isinstance(part, TextContent):
        return {"type": "text", "text": part.text, **marked}
    if isinstance(part, OtherContent):
        return _other(part, role)
    url = part.url or f"data:{part.media_type};base64,{part.data}"
    return {"type": "image_url", "image_url": {"url": url, **({"detail": part.detail} if part.detail else {})}, **marked}


def _other(part: OtherContent, role: str) -> Block:
    """Return a block of another kind: unchanged if OpenAI takes it, a file as its file, all else as its words."""
    block = part.block
    if block.get("type") in NATIVE.get(role, ()) and isinstance(block.get(str(block["type"])), Mapping | str):
        return {key: block[key] for key in ("type", str(block["type"]))}
    if role == "user" and (file := _file(block)):
        return {"type": "file", "file": file}
    return {"type": "text", "text": part.text}


def _file(block: Mapping[str, Any]) -> Block | None:
    """Return a PDF (Anthropic's document, the Responses API's file) as OpenAI's file; None for others."""
    source = block.get("source")
    name = str(block.get("filename") or block.get("title") or "document.pdf")
    if block.get("type") == "document" and isinstance(source, Mapping) and source.get("media_type") == "application/pdf":
        return {"filename": name, "file_data": f"data:application/pdf;base64,{source.get('data', '')}"} if source.get("data") else None
    if block.get("type") == "input_file" and block.get("file_data"):
        return {"filename": name, "file_data": block["file_data"]}
    return {"file_id": block["file_id"]} if block.get("type") == "input_file" and block.get("file_id") else None


def _call(call: ToolCall, call_id: str) -> Block:
    arguments = call.arguments if call.arguments.strip() not in ("", "null", "None") else "{}"
    rest = {key: value for key, value in (call.model_extra or {}).items() if key in CALL_FIELDS}
    return {"id": call_id, "type": "function", "function": {"name": fitting_name(call.name) or "tool", "arguments": arguments}, **rest}


def _result(result: Result, ids: list[str]) -> dict[str, Any]:
    name = fitting_name(result.name) if result.name else ""
    return {"role": "tool", "tool_call_id": ids[result.place], "content": failing(result), **({"name": name} if name else {})}
