"""Read the content of a message of any provider or framework: parts in order, and the calls among them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import InvalidTurn, UnsupportedContent
from ..text.excerpts import shape
from .pictures import picture_of
from .turn import (
    AnyPart,
    CallPlace,
    Content,
    DocumentContent,
    ImageContent,
    OtherContent,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolResultContent,
    is_failure,
)

__all__ = ["call_of", "content_of"]

TEXTS = ("text", "input_text", "output_text")
REASONING = ("thinking", "redacted_thinking", "reasoning", "reasoning-file", "thinking_delta")
CALLS = ("tool_use", "tool-call", "tool_call", "toolUse", "functionCall", "function_call", "invalid_tool_call")
RESULTS = ("tool_result", "tool-result", "toolResult", "functionResponse", "function_response")
ALSO_CALLS = ("tool_call_chunk", "input_json_delta")  # halves of calls, which LangChain keeps beside the whole ones
ARGUMENTS = ("arguments", "input", "args")
DENIED = "The call was denied."

Item = AnyPart | ToolCall
KNOWN = (str, Mapping, TextContent, ImageContent, ToolResultContent, ReasoningContent, OtherContent, CallPlace, ToolCall)


def content_of(value: object, calls: Sequence[ToolCall] = (), *, role: str = "") -> tuple[Content, tuple[ToolCall, ...]]:
    """Return content and calls of a message.

    Args:
        value: the message's content: text, or a list of blocks; for a tool any JSON.
        calls: the calls that the message names beside its content. A call that stands in the content too is made once.

    Where all calls come last, as in most messages, the content does not name their places.
    """
    if value is None:
        return "", tuple(calls)
    if isinstance(value, str):
        return value, tuple(calls)
    if isinstance(value, Mapping) and role != "user":
        value = [value]
    if role == "tool" and not isinstance(value, Sequence | bytes):
        return json.dumps(value, ensure_ascii=False), tuple(calls)
    if isinstance(value, bytes) or not isinstance(value, Sequence):
        raise UnsupportedContent(f"content must be text or a list of parts; got {shape(value)}")
    if role != "tool" and (odd := next((block for block in value if not isinstance(block, KNOWN)), None)) is not None:
        raise UnsupportedContent(f"a content part is text or a mapping; got {shape(odd)}")
    return _placed([item for block in value for item in _items(block)], calls)


def _placed(items: Sequence[Item], given: Sequence[ToolCall]) -> tuple[Content, tuple[ToolCall, ...]]:
    """Separate parts and calls. A call in the content that is also in `given` (by id, and how often) is that one."""
    calls = list(given)
    places: dict[str, list[int]] = {}
    for place, call in enumerate(calls):
        places.setdefault(call.id, []).append(place)
    content: list[AnyPart] = []
    named: list[int] = []
    for item in items:
        if not isinstance(item, ToolCall):
            content.append(item)
            continue
        known = places.get(item.id)
        if known:
            place = known.pop(0)
        else:
            place = len(calls)
            calls.append(item)
        content.append(CallPlace(place=place))
        named.append(place)
    last = len(content) - len(named)
    if all(not isinstance(part, CallPlace) for part in content[:last]) and named == list(range(len(calls) - len(named), len(calls))):
        content = content[:last]
    return tuple(content), tuple(calls)


def _items(block: Any) -> Iterator[Item]:
    """Yield the parts and calls of one block; a UI's tool part is a call, and its result if it has one."""
    if isinstance(block, KNOWN[2:]):
        yield block
        return
    if not isinstance(block, Mapping):
        yield TextContent(text=block if isinstance(block, str) else json.dumps(block, ensure_ascii=False, default=str))
        return
    kind = _kind(block)
    if kind == "attached_document" and isinstance(block.get("block"), Mapping):
        yield DocumentContent.model_validate(block)
    elif kind == "other" and isinstance(block.get("block"), Mapping):
        yield OtherContent(block=dict(block["block"]))
    elif kind == "call" and isinstance(block.get("place"), int):
        yield CallPlace(place=block["place"])
    elif kind in CALLS:
        yield call_of(_unwrapped(block))
    elif kind in RESULTS:
        yield _result(_unwrapped(block))
    elif kind == "tool-invocation" or kind == "dynamic-tool" or (kind.startswith("tool-") and "toolCallId" in block):
        yield from _ui_tool(block)
    elif kind in REASONING or block.get("thought") is True or kind == "reasoningContent":
        yield ReasoningContent(block=dict(block.get("block", block)))
    elif kind == "non_standard" and isinstance(block.get("value"), Mapping):
        yield from _items(block["value"])
    elif kind not in ALSO_CALLS:
        yield _plain(block)


def _kind(block: Mapping[str, Any]) -> str:
    """Return the type of a block; of one without a type, the key that it is wrapped in (Gemini, Bedrock)."""
    kind = block.get("type")
    if isinstance(kind, str):
        return kind
    wrapped = ("toolUse", "toolResult", "functionCall", "functionResponse", "function_call", "function_response", "reasoningContent")
    return next((key for key in wrapped if isinstance(block.get(key), Mapping)), "")


def _unwrapped(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a wrapped call or result (`{"toolUse": {...}}`) without its wrapping, with the fields beside it."""
    kind = _kind(block)
    inner = block.get(kind)
    if "type" in block or not isinstance(inner, Mapping):
        return block
    return {**{key: value for key, value in block.items() if key != kind}, **inner}


def _plain(block: Mapping[str, Any]) -> TextContent | ImageContent | OtherContent:
    """Read a block that is neither a call nor a result nor reasoning. What is neither text nor a picture is kept unchanged."""
    kind, text = block.get("type"), block.get("text")
    if kind in TEXTS or (kind is None and isinstance(text, str) and block.keys() <= {"text", "thoughtSignature", "thought_signature"}):
        rest = _rest(block, "type")
        return TextContent(**{**rest, "text": ""} if "text" in rest and rest["text"] is None else rest)
    picture = picture_of(block)
    return picture or OtherContent(block=_json(block))


def _json(value: Any) -> Any:
    """Return plain JSON: bytes as base64, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)


# -- results ---------------------------------------------------------------------------------------------------------------------------


def _result(block: Mapping[str, Any]) -> ToolResultContent:
    name = block.get("name") or block.get("toolName")
    call_id = next((block[key] for key in ("tool_call_id", "tool_use_id", "toolCallId", "toolUseId", "id") if block.get(key)), "") or name
    inner: Any = next((block[key] for key in ("content", "output", "result", "response") if key in block), "")
    failed = is_failure(block)
    if isinstance(inner, Mapping) and inner.keys() >= {"type", "value"}:  # the AI SDK's output
        failed = failed or str(inner["type"]).startswith(("error", "execution-denied"))
        inner = inner["value"]
    elif isinstance(inner, Mapping) and "response" in block:  # Gemini's
        failed = failed or "error" in inner
        inner = next((inner[key] for key in ("output", "result", "error") if inner.keys() == {key}), inner)
    named = ("content", "output", "result", "response", "tool_use_id", "tool_call_id", "toolCallId", "toolUseId", "is_error", "isError")
    rest = _rest(block, "type", "status", *named, *(("id",) if call_id == block.get("id") else ()))
    return ToolResultContent(tool_call_id=str(call_id or ""), content=_result_content(inner), is_error=failed, **_json(rest))


def _result_content(value: Any) -> str | tuple[TextContent | ImageContent | OtherContent, ...]:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, Mapping):
        return json.dumps(_json(value), ensure_ascii=False)
    if not isinstance(value, Sequence):
        return json.dumps(_json(value), ensure_ascii=False)
    blocks = [item for part in value for item in _result_items(part)]
    return tuple(blocks)


def _result_items(block: Any) -> Iterator[TextContent | ImageContent | OtherContent]:
    if isinstance(block, TextContent | ImageContent | OtherContent):
        yield block
    elif not isinstance(block, Mapping):
        yield TextContent(text=block if isinstance(block, str) else json.dumps(block, ensure_ascii=False, default=str))
    elif block.keys() == {"json"}:  # Bedrock's
        yield OtherContent(block=_json(block["json"]) if isinstance(block["json"], Mapping) else {"json": _json(block["json"])})
    elif block.get("type") == "other" and isinstance(block.get("block"), Mapping):
        yield OtherContent(block=dict(block["block"]))
    else:
        yield _plain(block)


def _ui_tool(part: Mapping[str, Any]) -> Iterator[Item]:
    """Yield the call of a part of a user interface (AI SDK 4, 5), and the result once there is one."""
    inner = part.get("toolInvocation")
    fields: Mapping[str, Any] = inner if isinstance(inner, Mapping) else part
    kind = str(part.get("type", ""))
    name = fields.get("toolName") or kind.removeprefix("tool-")
    call_id = str(fields.get("toolCallId") or name)
    arguments: Any = next((fields[key] for key in ("input", "args", "rawInput") if fields.get(key) is not None), {})
    metadata = {key: fields[key] for key in ("callProviderMetadata", "providerMetadata") if fields.get(key)}
    yield call_of({"id": call_id, "name": name, "input": arguments, **metadata})
    state = str(fields.get("state", ""))
    if fields.get("errorText") or state == "output-denied":
        yield ToolResultContent(tool_call_id=call_id, content=str(fields.get("errorText") or DENIED), is_error=True)
    elif "output" in fields or "result" in fields:
        given = fields.get("output", fields.get("result"))
        yield ToolResultContent(tool_call_id=call_id, content=_result_content(given), is_error=is_failure(fields))


# -- calls -----------------------------------------------------------------------------------------------------------------------------


def call_of(call: Any) -> ToolCall:
    """Read a call in the shape of OpenAI (`function`), Anthropic (`input`), LangChain (`args`), the AI SDK, Bedrock, Gemini, or ours.

    A call without an id gets its tool's name as its id. Raises `InvalidTurn` for one without a name.
    """
    if isinstance(call, ToolCall):
        return call
    if not isinstance(call, Mapping):
        raise InvalidTurn(f"a tool call is a mapping; got {shape(call)}")
    function = call.get("function") or call.get("custom")
    fields = dict(function) if isinstance(function, Mapping) else dict(call)
    arguments: Any = next((fields.pop(key) for key in ARGUMENTS if key in fields), {})
    text = arguments if isinstance(arguments, str) else json.dumps({} if arguments is None else _json(arguments), ensure_ascii=False)
    name = next((fields[key] for key in ("name", "toolName") if isinstance(fields.get(key), str)), None)
    call_id = next((call[key] for key in ("call_id", "id", "toolCallId", "toolUseId") if call.get(key)), None)
    if call_id is None and name and "function" not in call and call.keys() & {"args", "functionCall"}:
        call_id = name  # Gemini's calls have no ids: a result is found by the name
    if not isinstance(call_id, str) or not call_id or not isinstance(name, str):
        raise InvalidTurn(f"a tool call needs an id and a name; got {shape(call)}")
    named = ("id", "type", "name", "function", "custom", "toolCallId", "toolUseId", "toolName", "call_id", *ARGUMENTS)
    return ToolCall(id=call_id, name=name, arguments=text, **_json(_rest(call, *named)))


def _rest(block: Mapping[str, Any], *named: str) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key not in named}
