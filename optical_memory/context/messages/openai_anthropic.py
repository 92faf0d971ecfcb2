"""Convert a context to chat messages of OpenAI's API (and compatible servers) and of Anthropic's.

Pages become user messages: the framing text, then each page's label and sidecar before its image. Turns sent as text are unchanged.
Providers reject requests with unpaired tool calls or results. So a result whose call has moved to a page becomes a user's note, and a call
that was never answered gets a result that says so.

Identical plans give identical bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

from ...turns.turn import ImageContent, ReasoningContent, TextContent, ToolCall
from ..context import Context, PagePart
from .request_outline import Pages, grouped, is_newest
from .tool_pairs import Message, Result, paired

__all__ = ["to_anthropic", "to_openai"]

Block = dict[str, Any]


def to_openai(context: Context, *, detail: str | None = None) -> list[dict[str, Any]]:
    """Return messages for OpenAI's chat completions and compatible servers.

    Args:
        detail: OpenAI's image detail of the pages: `low`, `high` or `auto`; None for what each page was counted at. Other servers
            ignore it.

    Raises `RenderError` if a page's image was lost and cannot be redrawn.
    """
    messages: list[dict[str, Any]] = []
    for group in grouped(context):
        if isinstance(group, Pages):
            messages.append({"role": "user", "content": [block for said in _said(group) for block in _openai_page(said, detail)]})
        else:
            for message in paired(group, newest=is_newest(group, context)):
                messages += _openai(message)
    return messages


def to_anthropic(context: Context, *, cache: bool = False) -> list[dict[str, Any]]:
    """Return messages for Anthropic's API: roles alternate, tool results come first in the user message after their calls.

    System turns become user text marked as such; Anthropic takes the system prompt apart from the messages.

    Args:
        cache: mark the end of the stable prefix with `cache_control`, so that the provider caches it.

    Raises `RenderError` if a page's image was lost and cannot be redrawn.
    """
    messages: list[dict[str, Any]] = []
    for group in grouped(context):
        if isinstance(group, Pages):
            _join(messages, "user", [block for said in _said(group) for block in _anthropic_page(said)])
            if cache:
                _mark_only(messages)
        else:
            for message in paired(group, newest=is_newest(group, context)):
                for role, blocks in _anthropic(message):
                    _join(messages, role, blocks)
    return messages


_Said = str | PagePart


def _said(group: Pages) -> list[_Said]:
    return [*([group.framing] if group.framing else []), *group.pages]


def _data_url(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode("ascii")


# -- OpenAI --------------------------------------------------------------------------------------------------------------------------


def _openai_page(said: _Said, detail: str | None) -> list[Block]:
    if isinstance(said, str):
        return [{"type": "text", "text": said}]
    url = {"url": _data_url(said.image()), "detail": said.detail(detail)}
    return [{"type": "text", "text": said.text}, {"type": "image_url", "image_url": url}]


def _openai(message: Message) -> list[dict[str, Any]]:
    turn = message.turn
    out: list[dict[str, Any]] = []
    if turn is not None:
        out.append({"role": turn.role, "content": _openai_content(message), **({"name": turn.name} if turn.name else {}), **turn.extra})
        if turn.tool_calls:
            out[-1]["tool_calls"] = [_openai_call(call) for call in turn.tool_calls]
    out += [_openai_result(result) for result in message.results]
    pictures = [_openai_block(image) for result in message.results for image in result.images]
    if pictures and not message.is_open:  # a tool message holds text only; results still to come stand before the pictures
        out.append({"role": "user", "content": [{"type": "text", "text": "Pictures of the tool results above:"}, *pictures]})
    return out


def _openai_content(message: Message) -> str | list[Block]:
    if isinstance(message.content, str):
        return message.content
    return [_openai_block(part) for part in message.content if not isinstance(part, ReasoningContent)]


def _openai_block(part: TextContent | ImageContent) -> Block:
    if isinstance(part, TextContent):
        return {"type": "text", "text": part.text, **(part.model_extra or {})}
    url = part.url or f"data:{part.media_type};base64,{part.data}"
    return {"type": "image_url", "image_url": {"url": url, **({"detail": part.detail} if part.detail else {})}, **(part.model_extra or {})}


def _openai_call(call: ToolCall) -> Block:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}, **(call.model_extra or {})}


def _openai_result(result: Result) -> dict[str, Any]:
    name = {"name": result.name} if result.name else {}
    return {"role": "tool", "tool_call_id": result.call_id, "content": result.text, **name, **result.extra}


# -- Anthropic -----------------------------------------------------------------------------------------------------------------------


def _anthropic_page(said: _Said) -> list[Block]:
    if isinstance(said, str):
        return [{"type": "text", "text": said}]
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(said.image()).decode("ascii")}
    return [{"type": "text", "text": said.text}, {"type": "image", "source": source}]


def _anthropic(message: Message) -> Iterator[tuple[str, list[Block]]]:
    turn = message.turn
    if turn is not None:
        role = "assistant" if turn.role == "assistant" else "user"
        said = [TextContent(text=message.content)] if isinstance(message.content, str) else list(message.content)
        blocks = [_anthropic_block(part) for part in said if not (isinstance(part, TextContent) and not part.text.strip())]
        if turn.role in ("system", "developer"):
            blocks.insert(0, {"type": "text", "text": f"[{turn.role}]"})
        blocks += [_anthropic_call(call) for call in turn.tool_calls]
        yield role, blocks or [{"type": "text", "text": "(empty)"}]
    if message.results:
        yield "user", [_anthropic_result(result) for result in message.results]


def _anthropic_block(part: TextContent | ImageContent | ReasoningContent) -> Block:
    if isinstance(part, ReasoningContent):
        return dict(part.block)
    if isinstance(part, TextContent):
        return {"type": "text", "text": part.text, **(part.model_extra or {})}
    source: Block = {"type": "url", "url": part.url}
    if not part.url:
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
    return {"type": "image", "source": source, **(part.model_extra or {})}


def _anthropic_call(call: ToolCall) -> Block:
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):  # a model may write invalid JSON; the API takes objects only
        arguments = {"arguments": call.arguments}
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments, **(call.model_extra or {})}


def _anthropic_result(result: Result) -> Block:
    content: str | list[Block] = result.text
    if not isinstance(result.content, str):
        content = [_anthropic_block(part) for part in result.content]
    error = {"is_error": True} if result.is_error else {}
    return {"type": "tool_result", "tool_use_id": result.call_id, "content": content, **error}


def _join(messages: list[dict[str, Any]], role: str, blocks: Sequence[Block]) -> None:
    """Append blocks to the last message if it has the same role, else as a new message."""
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
