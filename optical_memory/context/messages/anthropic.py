"""Convert a context to messages of Anthropic's API."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...text.surrogates import sendable
from ...turns.turn import CallPlace, ImageContent, OtherContent, ReasoningContent, TextContent, ToolCall, Turn
from ..context import Context, PagePart
from .calls import CallIds, fitting_name
from .request_outline import FIRST, Pages, grouped, is_newest
from .tool_pairs import Message, Result, paired

__all__ = ["to_anthropic"]

Block = dict[str, Any]

LONGEST_ID = 256
LONGEST_NAME = 128
# Fields that the API takes; it refuses a request with others.
TEXT_FIELDS = ("cache_control", "citations")
CALL_FIELDS = ("cache_control", "caller")
DOCUMENT_FIELDS = ("type", "source", "title", "context", "citations", "cache_control")
DOCUMENT_SOURCES = ("base64", "text", "content", "url", "file")
SIGNED = {"thinking": "signature", "redacted_thinking": "data"}  # reasoning, and the field without which it is refused
FOR_USER = ("document", "search_result", "container_upload")
FOR_ASSISTANT = ("server_tool_use", "mcp_tool_use", "container_upload", "compaction", "fallback")
FOR_RESULT = ("document", "search_result", "tool_reference")


def to_anthropic(context: Context, *, cache: bool = False) -> list[dict[str, Any]]:
    """Return messages for Anthropic's API: roles alternate, tool results come first in the user message after their calls.

    System turns become user text marked as such; Anthropic takes the system prompt apart from the messages. The first message is a
    user's, since the API wants that. Ids and names of calls that the API would refuse are changed, fields that it does not know left out.

    Args:
        cache: mark the end of the stable prefix with `cache_control`, so that the provider caches it.

    Raises `RenderError` if a page's image was lost and cannot be redrawn.
    """
    messages: list[dict[str, Any]] = []
    ids = CallIds(LONGEST_ID, strict=True)
    for group in grouped(context):
        if isinstance(group, Pages):
            framing = [{"type": "text", "text": group.framing}] if group.framing else []
            _join(messages, "user", framing + [block for page in group.pages for block in _page(page)])
            if cache:
                _mark_only(messages)
        else:
            for message in paired(group, newest=is_newest(group, context)):
                for role, blocks in _messages(message, ids.of(message)):
                    _join(messages, role, blocks)
    return sendable(messages)


def _page(page: PagePart) -> list[Block]:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(page.image()).decode("ascii")}
    return [{"type": "text", "text": page.text}, {"type": "image", "source": source}]


def _messages(message: Message, ids: list[str]) -> Iterator[tuple[str, list[Block]]]:
    turn = message.turn
    if turn is not None:
        role = "assistant" if turn.role == "assistant" else "user"
        calls = [_call(call, call_id) for call, call_id in zip(turn.tool_calls, ids, strict=True)]
        blocks = _said(message, turn, role, calls)
        if turn.role in ("system", "developer"):
            blocks.insert(0, {"type": "text", "text": f"[{turn.role}]"})
        yield role, blocks or [{"type": "text", "text": "(empty)"}]
    if message.results:
        yield "user", [_result(result, ids) for result in message.results]


def _said(message: Message, turn: Turn, role: str, calls: Sequence[Block]) -> list[Block]:
    """Return content and calls in their order; what the message says in other fields, such as a refusal, is text."""
    blocks: list[Block] = []
    placed: set[int] = set()
    for part in message.said:
        if isinstance(part, CallPlace):
            blocks.append(calls[part.place])
            placed.add(part.place)
        elif block := _block(part, role):
            blocks.append(block)
    beside = [block for part in turn.beside if part.block["type"] in ("refusal", "audio") and (block := _block(part, role))]
    return [*blocks, *beside, *(call for place, call in enumerate(calls) if place not in placed)]


def _block(part: TextContent | ImageContent | OtherContent | ReasoningContent, role: str) -> Block | None:
    """Return a part as a block; None for text without words, and for reasoning of another provider."""
    if isinstance(part, ReasoningContent):
        kind = str(part.block.get("type"))
        return dict(part.block) if role == "assistant" and isinstance(part.block.get(SIGNED.get(kind, "")), str) else None
    if isinstance(part, TextContent):
        return {"type": "text", "text": part.text, **_kept(part, TEXT_FIELDS)} if part.text.strip() else None
    if isinstance(part, OtherContent):
        return _other(part, FOR_ASSISTANT if role == "assistant" else FOR_USER)
    return _image(part)


def _image(part: ImageContent) -> Block:
    source: Block = {"type": "url", "url": part.url}
    if not part.url:
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
    return {"type": "image", "source": source, **_kept(part, ("cache_control",))}


def _other(part: OtherContent, native: Sequence[str]) -> Block | None:
    """Return a block of another kind: unchanged if the API takes it here, a file as a document, all else as its words."""
    block, kind = part.block, str(part.block.get("type"))
    if kind == "document" and kind in native:
        source = block.get("source")
        if isinstance(source, Mapping) and source.get("type") in DOCUMENT_SOURCES:
            return {key: value for key, value in block.items() if key in DOCUMENT_FIELDS}
    elif kind in native or (native is FOR_ASSISTANT and kind.endswith("_tool_result")):
        return dict(block)
    if "document" in native and (document := _document(block)):
        return document
    return {"type": "text", "text": part.text} if part.text.strip() else None


def _document(block: Mapping[str, Any]) -> Block | None:
    """Return a PDF in OpenAI's shapes as a document; None for other blocks."""
    inner = block.get("file")
    file = inner if block.get("type") == "file" and isinstance(inner, Mapping) else block
    data = str(file.get("file_data") or "")
    title = {"title": file["filename"]} if isinstance(file.get("filename"), str) else {}
    if data.startswith("data:application/pdf;base64,"):
        return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data.partition(",")[2]}, **title}
    if block.get("type") == "input_file" and isinstance(block.get("file_url"), str):
        return {"type": "document", "source": {"type": "url", "url": block["file_url"]}, **title}
    return None


def _call(call: ToolCall, call_id: str) -> Block:
    name = fitting_name(call.name, LONGEST_NAME) or "tool"
    return {"type": "tool_use", "id": call_id, "name": name, "input": call.parsed, **_kept(call, CALL_FIELDS)}


def _kept(part: TextContent | ImageContent | ToolCall, fields: Sequence[str]) -> Block:
    return {key: value for key, value in (part.model_extra or {}).items() if key in fields}


def _result(result: Result, ids: list[str]) -> Block:
    content: str | list[Block] = result.text
    if not isinstance(result.content, str):
        content = []
        for part in result.content:
            if isinstance(part, OtherContent):
                block = _other(part, FOR_RESULT)
            elif isinstance(part, TextContent):
                block = {"type": "text", "text": part.text, **_kept(part, TEXT_FIELDS)} if part.text else None
            else:
                block = _image(part)
            content += [block] if block else []
    error = {"is_error": True} if result.is_error else {}
    mark = {"cache_control": result.extra["cache_control"]} if result.extra.get("cache_control") else {}
    return {"type": "tool_result", "tool_use_id": ids[result.place], "content": content, **error, **mark}


def _join(messages: list[dict[str, Any]], role: str, blocks: Sequence[Block]) -> None:
    """Append blocks to the last message if it has the same role, else as a new message."""
    if not messages and role == "assistant":
        messages.append({"role": "user", "content": [{"type": "text", "text": FIRST}]})
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] += blocks
    else:
        messages.append({"role": role, "content": list(blocks)})


def _mark_only(messages: list[dict[str, Any]]) -> None:
    """Move the cache breakpoint to the last block so far. The provider allows four; one is enough."""
    for message in messages:
        for block in message["content"]:
            block.pop("cache_control", None)
    messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
