"""Convert LangChain's messages to turns of the log, and back without loss.

The turn holds the message's content. LangChain's other fields (ids, usage, the provider's) are in `Turn.metadata`, which is never sent to a
model. Long strings that the turn holds are not stored twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import getitem
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ...context.messages.calls import fitting_name
from ...context.messages.tool_pairs import paired
from ...errors import InvalidTurn, MissingExtra
from ...text.excerpts import said
from ...turns.turn import CallPlace, ImageContent, OtherContent, ReasoningContent, TextContent, ToolCall, ToolResultContent, Turn
from .messages import turn_of_message

try:
    from langchain_core.messages import (
        AIMessage,
        BaseMessage,
        BaseMessageChunk,
        ChatMessage,
        FunctionMessage,
        HumanMessage,
        SystemMessage,
        ToolMessage,
        message_chunk_to_message,
    )
except ImportError as exc:
    raise MissingExtra("the adapter for LangChain", "langchain") from exc

__all__ = ["messages_of", "messages_to_send", "to_log"]

PLACE = "langchain"  # in `Turn.metadata`
KINDS: dict[str, type[BaseMessage]] = {
    "human": HumanMessage,
    "ai": AIMessage,
    "system": SystemMessage,
    "tool": ToolMessage,
    "function": FunctionMessage,
    "chat": ChatMessage,
}
HELD = "$turn"  # only key of a mapping that refers to a long string in the turn: [index of its part, field or path, prefix]
LONG = 200  # characters; shorter strings are stored in place

Block = dict[str, Any]


def to_log(message: BaseMessage) -> Turn:
    """Convert a message to a turn that keeps all of it, with the same id.

    Values that JSON lacks come back as their JSON form (a time as text, a tuple as a list), other objects as the name of their type.
    Raises `InvalidTurn`.
    """
    if isinstance(message, BaseMessageChunk):
        message = message_chunk_to_message(message)
    kind = next((name for name, known in KINDS.items() if isinstance(message, known)), None)
    if kind is None:
        raise InvalidTurn(f"a {type(message).__name__} says nothing that a log could keep. To delete turns use OpticalMemory.erase")
    turn = turn_of_message(message)
    try:
        data = to_jsonable_python(message.model_dump(exclude_defaults=True), fallback=_named, bytes_mode="base64")
    except (PydanticSerializationError, ValueError, RecursionError) as exc:
        data, problem = {}, said(exc)  # not as a cause: it would quote what was said
    if not data:
        raise InvalidTurn(f"a {type(message).__name__} holds what JSON cannot: {problem}")
    data.pop("type", None)
    if data.get("content") == turn.content:
        del data["content"]
    else:
        data["content"] = _leaner(data.get("content", ""), _long_strings(turn))
    return turn.model_copy(update={"id": message.id or "", "metadata": {**turn.metadata, PLACE: {"v": 1, "type": kind, "data": data}}})


def messages_of(turn: Turn) -> list[BaseMessage]:
    """Return the message stored in a turn. A turn appended otherwise is one message, or several if it holds results of several calls."""
    kept = turn.metadata.get(PLACE)
    if isinstance(kept, Mapping) and kept.get("v") == 1:
        try:
            return [_restored(turn, kept)]
        except (ValidationError, LookupError, TypeError, AttributeError):  # damaged, or of another release of LangChain
            pass
    return _made(turn)


def messages_to_send(turn: Turn) -> list[BaseMessage]:
    """Return the messages of a turn; those made here name speakers and tools as providers take them: OpenAI refuses `Ms Tan`."""
    messages = messages_of(turn)
    return messages if PLACE in turn.metadata else [_with_fitting_names(message) for message in messages]


def _with_fitting_names(message: BaseMessage) -> BaseMessage:
    changes: dict[str, Any] = {"name": fitting_name(message.name) or None} if message.name else {}
    for key in ("tool_calls", "invalid_tool_calls") if isinstance(message, AIMessage) else ():
        changes[key] = [{**call, "name": fitting_name(call["name"] or "") or "tool"} for call in getattr(message, key)]
    return message.model_copy(update=changes) if changes else message


def _named(value: object) -> str:
    return f"[{type(value).__name__}]"


def _restored(turn: Turn, kept: Mapping[str, Any]) -> BaseMessage:
    data = dict(kept["data"])
    data["content"] = _filled(data["content"], turn) if "content" in data else turn.content
    return KINDS[kept["type"]](**data)


# -- long strings, mostly images: stored once ---------------------------------------------------------------------------------------------


def _long_strings(turn: Turn) -> dict[str, list[Any]]:
    """Map each long string of a turn to its place."""
    found: dict[str, list[Any]] = {}
    for place, part in enumerate(turn.parts):
        if isinstance(part, TextContent) and len(part.text) >= LONG:
            found[part.text] = [place, "text", ""]
        if isinstance(part, ImageContent) and len(part.data) >= LONG:
            found[part.data] = [place, "data", ""]
            before = f"data:{part.media_type};base64,"
            found[before + part.data] = [place, "data", before]
        if isinstance(part, ReasoningContent | OtherContent):
            found |= {text: [place, ["block", *path], ""] for text, path in _strings(part.block, ())}
    return found


def _strings(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Yield each long string in JSON, and the keys that lead to it."""
    if isinstance(value, str) and len(value) >= LONG:
        yield value, path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _strings(item, (*path, key))


def _leaner(value: Any, held: Mapping[str, list[Any]]) -> Any:
    if isinstance(value, str):
        return {HELD: held[value]} if value in held else value
    if isinstance(value, list):
        return [_leaner(item, held) for item in value]
    if not isinstance(value, dict):
        return value
    leaner = {key: _leaner(item, held) for key, item in value.items()}
    return {HELD: leaner} if list(value) == [HELD] else leaner  # user data in the form of a reference: wrapped, so that it is not resolved


def _filled(value: Any, turn: Turn) -> Any:
    if isinstance(value, list):
        return [_filled(item, turn) for item in value]
    if not isinstance(value, dict):
        return value
    if list(value) == [HELD] and isinstance(value[HELD], list):
        place, field, before = value[HELD]
        if isinstance(field, list):
            return reduce(getitem, field[1:], getattr(turn.parts[place], field[0]))
        return f"{before}{getattr(turn.parts[place], field)}"
    if list(value) == [HELD]:
        value = value[HELD]
    return {key: _filled(item, turn) for key, item in value.items()}


# -- turns appended otherwise -------------------------------------------------------------------------------------------------------------


def _made(turn: Turn) -> list[BaseMessage]:
    if len(turn.waiting_calls) < len(turn.tool_calls):  # calls and their results in one turn, as user interfaces keep an answer
        return list(_in_steps(turn))
    if turn.role == "tool" and turn.tool_call_id:
        status = "error" if turn.failed else "success"
        return [ToolMessage(content=_content(turn), tool_call_id=turn.tool_call_id, name=turn.name, id=turn.id, status=status)]
    results = [part for part in turn.parts if isinstance(part, ToolResultContent)]
    messages: list[BaseMessage] = [_result(part, f"{turn.id}/{place}") for place, part in enumerate(results)]
    if turn.role == "tool" or (results and len(results) == len(turn.parts)):
        return messages
    return [*messages, _spoken(turn)]


def _in_steps(turn: Turn) -> Iterator[BaseMessage]:
    for place, message in enumerate(paired([turn])):
        if message.turn is not None:
            yield _spoken(message.turn.model_copy(update={"id": f"{turn.id}/{place}"}))
        for number, result in enumerate(message.results):
            content: Any = result.content if isinstance(result.content, str) else [_block(item) for item in result.content]
            status: Any = "error" if result.is_error else "success"
            yield ToolMessage(content=content, tool_call_id=result.call_id, status=status, id=f"{turn.id}/{place}/{number}")


def _result(part: ToolResultContent, name: str) -> ToolMessage:
    content: Any = part.content if isinstance(part.content, str) else [_block(item) for item in part.content]
    return ToolMessage(content=content, tool_call_id=part.tool_call_id, status="error" if part.is_error else "success", id=name)


def _spoken(turn: Turn) -> BaseMessage:
    content, named = _content(turn), {"name": turn.name, "id": turn.id}
    if turn.role == "assistant":
        calls = [_call(call.id, call.name, call.arguments) for call in turn.tool_calls]
        return AIMessage(
            content=content,
            tool_calls=[call for call in calls if isinstance(call["args"], dict)],
            invalid_tool_calls=[{**call, "type": "invalid_tool_call", "error": None} for call in calls if isinstance(call["args"], str)],
            **named,
        )
    if turn.role == "user":
        return HumanMessage(content=content, **named)
    role = {"additional_kwargs": {"__openai_role__": "developer"}} if turn.role == "developer" else {}
    return SystemMessage(content=content, **role, **named)


def _call(call_id: str, name: str, arguments: str) -> Block:
    parsed = ToolCall(id=call_id, name=name, arguments=arguments).parsed
    return {"type": "tool_call", "id": call_id, "name": name, "args": arguments if parsed == {"arguments": arguments} else parsed}


def _content(turn: Turn) -> Any:
    if isinstance(turn.content, str):
        return turn.content
    return [_block(part) for part in turn.content if not isinstance(part, ToolResultContent | CallPlace)]


def _block(part: TextContent | ImageContent | ReasoningContent | OtherContent) -> Block:
    if isinstance(part, ReasoningContent | OtherContent):
        return dict(part.block)
    if isinstance(part, TextContent):
        return {"type": "text", "text": part.text, **(part.model_extra or {})}
    url = part.url or f"data:{part.media_type};base64,{part.data}"
    return {"type": "image_url", "image_url": {"url": url, **({"detail": part.detail} if part.detail else {})}, **(part.model_extra or {})}
