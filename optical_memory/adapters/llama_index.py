"""Optical memory for LlamaIndex, as a block of its `Memory`.

    past = OpticalMemory("alice", reader="gpt-4o")
    memory = Memory.from_defaults(session_id="alice", token_limit=30_000, memory_blocks=[OpticalMemoryBlock(memory=past)])

LlamaIndex keeps recent messages itself and flushes the oldest, whole turns at a time, into the block. The block appends them to its own
turn log and puts its context before what LlamaIndex keeps: pages, then the newest of the log as their original messages. So a flush alone
does not change the request.

The block returns messages, which LlamaIndex puts first regardless of `insert_method`. If other blocks return text, use
`insert_method="user"`: by default their text, which changes, goes into a system message before the pages.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ConfigDict, Field

from ..context.context import Context
from ..context.messages.calls import fitting_name
from ..context.messages.request_outline import Kept, MissingResult, Note, Pages, outline
from ..errors import InvalidTurn, MissingExtra, RenderError, UnknownToolCall
from ..memory.optical_memory import OpticalMemory
from ..text.excerpts import said
from ..text.surrogates import sendable
from ..turns.from_messages import turn_of
from ..turns.turn import ImageContent, ReasoningContent, ToolCall, Turn, part_text
from ..worker_threads import in_thread
from .conversation_states import readable

try:
    from llama_index.core.base.llms.types import ChatMessage, ContentBlock, ImageBlock, MessageRole, TextBlock, ToolCallBlock
    from llama_index.core.memory.memory import BaseMemoryBlock
except ImportError as exc:
    raise MissingExtra("OpticalMemoryBlock", "llama-index") from exc

__all__ = ["OpticalMemoryBlock"]

RAW = "llama_index"  # key of the message in a turn's metadata
MARK = "optical_memory_turn"  # key of the turn's id in a flushed message, so that it is appended once
SESSION = "session_id"  # LlamaIndex's own key in a flushed message
ROLES = {"model": "assistant", "chatbot": "assistant", "function": "tool"}


class OpticalMemoryBlock(BaseMemoryBlock[list[ChatMessage]]):
    """Flushed messages as pages, and the newest of them unchanged.

    Attributes:
        memory: the turn log and view settings. Its `reader` must be the model that answers.
        budget: most tokens of the block, counted as the reader counts; None for no limit but forgetting.
            LlamaIndex counts every image as `image_token_size_estimate` tokens, and never cuts a block of priority 0.
        detail: OpenAI's image detail of the pages: `low`, `high` or `auto`; None for what each page was counted at.

    `memory.recall` returns any flushed message word for word. Pass a run either this memory or a `chat_history`, not both: LlamaIndex
    treats a history as new messages and flushes them again.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "optical_memory"
    description: str | None = "Earlier turns of this conversation."
    memory: OpticalMemory = Field(exclude=True)
    budget: int | None = None
    detail: str | None = None

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> list[ChatMessage]:
        next_role = messages[0].role.value if messages else "tool"  # without newer messages, open calls may still be answered
        return await in_thread(self._shown, followed=ROLES.get(next_role, next_role) != "tool")

    async def _aput(self, messages: list[ChatMessage]) -> None:
        await in_thread(_append, self.memory, [_turn(message) for message in messages])

    def _shown(self, *, followed: bool) -> list[ChatMessage]:
        context = self.memory.context(self.budget)
        try:
            return sendable([*_messages(context, self.detail, followed=followed)])
        except RenderError as exc:
            warnings.warn(f"the past is sent as text: {said(exc)}", RuntimeWarning, stacklevel=2)
            return [_message(turn) for turn in self.memory.turns()]


def _append(memory: OpticalMemory, turns: Sequence[Turn]) -> None:
    try:
        memory.extend(turns)
    except UnknownToolCall:  # the call was never flushed, or erased since: store the result as text
        known = {call.id for turn in (*memory.turns(), *turns) for call in turn.tool_calls}
        memory.extend([turn if known.issuperset(turn.answered_calls) else _stray(turn) for turn in turns])


def _stray(result: Turn) -> Turn:
    return result.model_copy(update={"role": "developer", "tool_call_id": None})


# -- messages to turns ---------------------------------------------------------------------------------------------------------------------


def _turn(message: ChatMessage) -> Turn:
    """Convert a message to a turn that keeps the message. Marks the message, so that flushed twice it is one turn."""
    turn_id = str(message.additional_kwargs.setdefault(MARK, uuid.uuid4().hex))
    raw = message.model_dump(mode="json")
    raw["additional_kwargs"] = {key: value for key, value in raw["additional_kwargs"].items() if key not in (MARK, SESSION)}
    role = ROLES.get(message.role.value, message.role.value)
    try:
        turn = turn_of(_mapping(message, role))
    except InvalidTurn:  # a result without a call id, or an invalid image: store the text only
        turn = Turn(role="developer" if role == "tool" else role, content=message.content or f"[{role}]")  # type: ignore[arg-type]
    return turn.model_copy(update={"id": turn_id, "metadata": {RAW: raw}})


def _mapping(message: ChatMessage, role: str) -> dict[str, Any]:
    more = message.additional_kwargs
    content = [part for block in message.blocks for part in _content(block)]
    calls = [block for block in message.blocks if isinstance(block, ToolCallBlock) and block.tool_call_id]
    return {
        "role": role,
        "content": content[0]["text"] if len(content) == 1 and "text" in content[0] else readable(content),
        "tool_calls": [_call(call) for call in calls] or [_provider_call(call) for call in more.get("tool_calls") or ()],
        "tool_call_id": (more.get("tool_call_id") or more.get("call_id")) if role == "tool" else None,
        "name": more.get("name"),
        **{key: more[key] for key in ("reasoning_content", "refusal", "status", "is_error") if more.get(key)},
    }


def _content(block: Any) -> Iterator[Mapping[str, Any]]:
    """Yield a block in a turn's format."""
    kind = block.block_type
    if kind == "text":
        yield _text(block.text)
    elif kind == "image" and isinstance(block.image, bytes):  # LlamaIndex stores base64
        source = {"type": "base64", "media_type": block.image_mimetype or "image/png", "data": block.image.decode("ascii")}
        yield {"type": "image", "source": source}
    elif kind == "image" and block.path:  # read when it is sent, so it must count and can be drawn
        with suppress(OSError, ValueError):
            data = base64.b64encode(block.resolve_image().read()).decode("ascii")
            media = block.image_mimetype or mimetypes.guess_type(str(block.path))[0] or "image/png"
            yield {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}
            return
        yield _text(f"[image: {block.path}]")
    elif kind == "thinking":
        more = block.additional_information or {}
        yield {"type": "thinking", "thinking": block.content or "", **({"signature": more["signature"]} if more.get("signature") else {})}
    elif kind == "image" and block.url:
        yield {"type": "image_url", "image_url": {"url": str(block.url)}}
    elif kind in ("citable", "citation"):
        inner = block.content if kind == "citable" else [block.cited_content]
        if found := "\n".join(text for text in (block.title, block.source) if text):
            yield _text(found)
        yield from (part for item in inner for part in _content(item))
    elif kind == "tool_call" and not block.tool_call_id:
        yield _text(f"[{block.tool_name}({_json(block.tool_kwargs)})]")
    elif kind not in ("tool_call", "cache"):
        yield _file(block)


def _file(block: Any) -> Mapping[str, Any]:
    """Convert a document, a sound, a film or a block of another kind, with its data if it holds it."""
    fields = {key: value for key, value in block.model_dump(mode="json").items() if value and key != "block_type"}
    data = next((fields.pop(key) for key in ("data", "audio", "video", "image") if isinstance(fields.get(key), str)), None)
    media = next((fields[key] for key in ("document_mimetype", "audio_mimetype", "video_mimetype") if fields.get(key)), "")
    rest = {key: value for key, value in fields.items() if not key.endswith("mimetype")}
    return {"type": block.block_type, **({"media_type": media} if media else {}), **rest, **({"data": data} if data else {})}


def _text(text: str) -> Mapping[str, Any]:
    return {"type": "text", "text": text}


def _json(arguments: object) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=str)


def _call(block: ToolCallBlock) -> dict[str, Any]:
    return {"id": block.tool_call_id, "name": block.tool_name, "arguments": _json(block.tool_kwargs)}


def _provider_call(call: Any) -> dict[str, Any]:
    """Convert a call that the OpenAI packages keep beside the blocks: of chat completions, or of the Responses API."""
    given = call if isinstance(call, Mapping) else call.model_dump()
    inner = given.get("function") or given
    return {"id": given.get("call_id") or given.get("id"), "name": inner.get("name"), "arguments": _json(inner.get("arguments") or {})}


# -- what is sent --------------------------------------------------------------------------------------------------------------------------


def _messages(context: Context, detail: str | None, *, followed: bool) -> Iterator[ChatMessage]:
    turns = {turn.number: turn for turn in context.turns}
    for piece in outline(context, followed=followed):
        match piece:
            case Kept(number, stale, ids):
                message = _message(turns[number], sending=True)
                if stale:
                    message.blocks = [block for block in message.blocks if block.block_type != "thinking"]
                yield _with_ids(message, ids) if ids else message
            case Pages(pages, framing):
                blocks: list[ContentBlock] = [TextBlock(text=framing)] if framing else []
                for page in pages:
                    blocks.append(TextBlock(text=page.text))
                    blocks.append(ImageBlock(image=page.image(), image_mimetype="image/png", detail=page.detail(detail)))
                yield ChatMessage(role=MessageRole.USER, blocks=blocks)
            case Note(_, text):
                yield ChatMessage(role=MessageRole.USER, blocks=[TextBlock(text=text)])
            case MissingResult(_, call_id, text):
                yield ChatMessage(role=MessageRole.TOOL, blocks=[TextBlock(text=text)], additional_kwargs={"tool_call_id": call_id})


def _with_ids(message: ChatMessage, ids: Sequence[str]) -> ChatMessage:
    """Set the ids of the calls of a message, or of the call that it answers."""
    more = message.additional_kwargs
    left = iter(ids)
    for key in ("tool_call_id", "call_id"):
        if more.get(key):
            more[key] = ids[0]
            return message
    for block in message.blocks:
        if isinstance(block, ToolCallBlock) and block.tool_call_id:
            block.tool_call_id = next(left, block.tool_call_id)
    for call, new in zip(more.get("tool_calls") or (), ids, strict=False):
        if isinstance(call, dict):
            call["call_id" if call.get("call_id") else "id"] = new
    return message


def _message(turn: Turn, *, sending: bool = False) -> ChatMessage:
    """Return the message that a turn was made of, or an equivalent one if the turn was appended otherwise.

    `sending`: the names of tools in it are such as providers take.
    """
    if RAW in turn.metadata:
        return ChatMessage.model_validate(turn.metadata[RAW])
    blocks: list[ContentBlock] = []
    waiting = list(turn.waiting_calls)
    for part in turn.drawn:
        if isinstance(part, ToolCall) and part.id in waiting:
            waiting.remove(part.id)
            name = (fitting_name(part.name) or "tool") if sending else part.name
            blocks.append(ToolCallBlock(tool_call_id=part.id, tool_name=name, tool_kwargs=part.arguments))
        elif isinstance(part, ImageContent):
            blocks.append(ImageBlock(image=part.decode() or None, url=part.url or None, image_mimetype=part.media_type or None))
        elif not isinstance(part, ReasoningContent) and part_text(part):  # a call answered in its own turn has no block
            blocks.append(TextBlock(text=part_text(part)))
    answered = {"tool_call_id": turn.tool_call_id} if turn.tool_call_id else {}
    return ChatMessage(role=MessageRole(turn.role), blocks=blocks, additional_kwargs=answered)
