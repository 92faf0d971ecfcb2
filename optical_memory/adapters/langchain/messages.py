"""Convert LangChain's messages to turns, and pages to messages.

A message sent as text is the caller's own object, with all of its provider's fields. Only reasoning bound to a changed prompt is removed,
from a copy.
"""

from __future__ import annotations

import base64
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from ...context.context import PagePart
from ...context.messages.request_outline import Kept, MissingResult, Note, Pages, Piece
from ...errors import InvalidTurn, MissingExtra
from ...text.surrogates import sendable
from ...turns.block_words import opaque_in, words_of
from ...turns.from_messages import turn_of
from ...turns.turn import Turn

try:
    from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
except ImportError as exc:
    raise MissingExtra("the adapter for LangChain", "langchain") from exc

__all__ = ["Dialect", "dialect_of", "key_of", "picture_block", "render", "sendable_to", "turn_of_message", "without_reasoning"]

Dialect = Literal["openai", "anthropic", "standard"]
Block = dict[str, Any]

REASONING = ("thinking", "redacted_thinking", "reasoning")
CALLS = ("tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call", "function_call", "input_json_delta")  # also in `tool_calls`
BESIDE = ("reasoning_content", "reasoning", "reasoning_details", "refusal", "audio")  # words that packages keep beside the content
ROLES = {"system": "system", "developer": "developer", "assistant": "assistant", "ai": "assistant"}


def dialect_of(provider: str | None) -> Dialect:
    """Return the image format that a provider's package passes on unchanged, by LangChain's name of the provider."""
    name = (provider or "").lower()
    if name.startswith(("openai", "azure")):
        return "openai"
    return "anthropic" if name == "anthropic" else "standard"


# -- messages to turns -----------------------------------------------------------------------------------------------------------------


def key_of(message: BaseMessage) -> Hashable:
    """Return a hashable key that determines a message's turn. Texts are not copied."""
    content = message.content
    said = content if isinstance(content, str) else _frozen(content)
    if isinstance(message, AIMessage):
        beside = _frozen(_beside(message)) if message.additional_kwargs else ()
        calls = [*message.tool_calls, *message.invalid_tool_calls]
        return "assistant", said, message.name, beside, *[(call["id"], call["name"], repr(call["args"])) for call in calls]
    if isinstance(message, ToolMessage):
        return "tool", said, message.name, message.tool_call_id, message.status
    return _role(message), said, message.name


def _frozen(value: object) -> Hashable:
    """Convert JSON data to a hashable value; equal values mean the same JSON, so `1`, `1.0` and `True` differ."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return tuple((key, _frozen(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return ("[", *map(_frozen, value))
    return (repr(value),)


def turn_of_message(message: BaseMessage) -> Turn:
    """Convert a message to a turn."""
    try:
        return turn_of(_mapping(message, pictures=True))
    except InvalidTurn:  # an invalid image: sent while the message is text, but a page cannot show it
        return turn_of(_mapping(message, pictures=False))


def _mapping(message: BaseMessage, *, pictures: bool) -> dict[str, Any]:
    content = message.content
    said = content if isinstance(content, str) else [block for item in content for block in _blocks(item, pictures)]
    mapping: dict[str, Any] = {"role": _role(message), "content": said, "name": message.name}
    if isinstance(message, AIMessage):
        mapping["tool_calls"] = [
            {"id": call["id"], "name": call["name"] or "tool", "args": {} if call["args"] is None else call["args"]}
            for call in (*message.tool_calls, *message.invalid_tool_calls)
            if call["id"]
        ]
        mapping |= _beside(message)
    if isinstance(message, ToolMessage):
        mapping["tool_call_id"] = message.tool_call_id or "unknown"
        mapping |= {"status": "error"} if message.status == "error" else {}
    return mapping


def _beside(message: AIMessage) -> dict[str, Any]:
    """Return what the message says beside its content."""
    said = {key: value for key, value in message.additional_kwargs.items() if key in BESIDE and value}
    return {key: value for key, value in said.items() if words_of({"type": "reasoning", key: value}) or opaque_in(value)}


def _role(message: BaseMessage) -> str:
    if isinstance(message, AIMessage):
        return "assistant"
    if isinstance(message, ToolMessage):
        return "tool"
    if isinstance(message, SystemMessage):
        return "system"
    return ROLES.get(message.role, "user") if isinstance(message, ChatMessage) else "user"


def _blocks(block: Any, pictures: bool) -> Iterator[Block]:
    """Yield a content block as it is; nothing for calls, which are also in `tool_calls`, and `[image]` for images without `pictures`."""
    if not isinstance(block, Mapping):
        yield {"type": "text", "text": str(block)}
        return
    kind = block.get("type")
    if kind == "non_standard" and isinstance(block.get("value"), Mapping):
        yield from _blocks(block["value"], pictures)
    elif kind == "tool_result":
        inner = block.get("content") or ""
        yield {**block, "content": inner if isinstance(inner, str) else [part for item in inner for part in _blocks(item, pictures)]}
    elif not pictures and kind in ("image", "image_url", "input_image", "media"):
        yield {"type": "text", "text": "[image]"}
    elif kind not in CALLS:
        yield dict(block)


# -- pages and notes as messages -------------------------------------------------------------------------------------------------------


def render(pieces: Iterable[Piece], originals: Sequence[BaseMessage], dialect: Dialect, *, detail: str | None = None) -> list[BaseMessage]:
    """Convert `pieces` to messages; kept ones are the original objects.

    Args:
        originals: the messages that the pieces number, from 1.
        dialect: format of images.
        detail: OpenAI's image detail of the pages; None for what each page was counted at.

    Raises `RenderError` if a page's image was lost and cannot be redrawn.
    """
    order = list(pieces)
    last_pages = next((piece for piece in reversed(order) if isinstance(piece, Pages) and piece.pages), None)
    messages: list[BaseMessage] = []
    for piece in order:
        match piece:
            case Kept(number, stale, ids):
                original = originals[number - 1]
                kept = without_reasoning(original) if stale else original
                messages.append(_with_ids(kept, ids) if ids else kept)
            case Pages(pages, framing):
                blocks: list[Block] = [{"type": "text", "text": framing}] if framing else []
                for page in pages:
                    blocks += [{"type": "text", "text": page.text}, picture_block(_data(page), dialect, page.detail(detail))]
                if piece is last_pages and dialect == "anthropic":  # the provider allows four breakpoints, and one is enough here
                    blocks[-1]["cache_control"] = {"type": "ephemeral"}
                messages.append(HumanMessage(content=blocks))  # type: ignore[arg-type]  # a list of blocks is one of `str | dict`
            case Note(_, text):
                messages.append(HumanMessage(content=text))
            case MissingResult(_, call_id, text):
                messages.append(ToolMessage(content=text, tool_call_id=call_id))
    return sendable(messages)


def sendable_to(messages: list[BaseMessage], provider: str | None) -> list[BaseMessage]:
    """Return messages whose tool results a provider's package sends as they were counted.

    langchain-google-genai 4.4 sends an `image_url` block of a tool result as text, base64 and all, if it holds any other key, such as an id
    or a cache marker. Copies of such messages are without those.
    """
    return [_with_plain_pictures(message) for message in messages] if (provider or "").startswith("google") else messages


def _with_plain_pictures(message: BaseMessage) -> BaseMessage:
    if not isinstance(message, ToolMessage) or not isinstance(message.content, list):
        return message
    plain = [
        {"type": "image_url", "image_url": block["image_url"]}
        if isinstance(block, dict) and block.get("type") == "image_url" and "image_url" in block
        else block
        for block in message.content
    ]
    return message if plain == message.content else message.model_copy(update={"content": plain})


def _with_ids(message: BaseMessage, ids: Sequence[str]) -> BaseMessage:
    """Return a copy whose calls, or the call that it answers, have these ids, wherever packages keep them."""
    if isinstance(message, ToolMessage):
        return message.model_copy(update={"tool_call_id": ids[0]})
    if not isinstance(message, AIMessage):
        return message
    named = [call for call in (*message.tool_calls, *message.invalid_tool_calls) if call["id"]]
    new = dict(zip(map(id, named), ids, strict=True))

    def renamed(calls: Iterable[Any]) -> list[Any]:
        return [{**call, "id": new.get(id(call), call["id"])} for call in calls]

    def in_order(blocks: Any) -> Any:
        left = list(zip((call["id"] for call in named), ids, strict=True))
        out = []
        for block in blocks if isinstance(blocks, list) else ():
            own = block.get("id") if isinstance(block, dict) and block.get("type") in ("tool_use", "tool_call", "function") else None
            pair = next((pair for pair in left if pair[0] == own), None)
            if pair:
                left.remove(pair)
            out.append({**block, "id": pair[1]} if pair else block)
        return out if isinstance(blocks, list) else blocks

    kwargs = {key: in_order(value) if key == "tool_calls" else value for key, value in message.additional_kwargs.items()}
    changes = {"tool_calls": renamed(message.tool_calls), "invalid_tool_calls": renamed(message.invalid_tool_calls)}
    return message.model_copy(update={**changes, "content": in_order(message.content), "additional_kwargs": kwargs})


def picture_block(data: str, dialect: Dialect, detail: str) -> Block:
    """Wrap a PNG, as base64 text, in a content block."""
    if dialect == "openai":
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}", "detail": detail}}
    if dialect == "anthropic":
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    return {"type": "image", "base64": data, "mime_type": "image/png"}


def _data(page: PagePart) -> str:
    return base64.b64encode(page.image()).decode("ascii")


def without_reasoning(message: BaseMessage) -> BaseMessage:
    """Return the message, or a copy without its reasoning.

    Item ids are removed too: OpenAI ties the items of an answer to the reasoning before them by id.
    """
    content = message.content
    bound = isinstance(content, list) and any(isinstance(block, dict) and block.get("type") in REASONING for block in content)
    if not isinstance(message, AIMessage) or not (bound or "reasoning" in message.additional_kwargs):
        return message
    left: Any = content
    if isinstance(content, list):
        left = [_unbound(block) for block in content if not (isinstance(block, dict) and block.get("type") in REASONING)]
    if not left and not message.tool_calls:
        left = "(empty)"  # providers reject an answer without content
    kwargs = {key: value for key, value in message.additional_kwargs.items() if key not in ("reasoning", "__openai_function_call_ids__")}
    return message.model_copy(update={"content": left, "additional_kwargs": kwargs})


def _unbound(block: str | Block) -> str | Block:
    if isinstance(block, str) or block.get("type") not in ("text", "output_text", "refusal", "function_call", "tool_call"):
        return block
    dropped = ("id",) if block["type"] != "tool_call" else ()
    extras = {key: value for key, value in (block.get("extras") or {}).items() if key != "item_id"}
    rest = {key: value for key, value in block.items() if key not in ("extras", *dropped)}
    return {**rest, "extras": extras} if extras else rest
