"""The wire formats: what a request holds as blocks, which requests are refused, and answers in JSON and as streams."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .prompt_cache import Bill
from .script import Answered

__all__ = ["WIRES", "Refused", "WireFormat", "newest_text", "tool_names"]

Event = tuple[str, Any]  # name of the event, or none; its data
FRAGMENTS = 8  # pieces into which a text is cut in a stream


class Refused(ValueError):
    """A request that the provider answers with 400."""


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One format: the key of its messages, its error body, its answer whole and as events."""

    name: str
    messages: str
    error: Callable[[int, str, str], Any]
    whole: Callable[[str, Answered, Bill], Any]
    events: Callable[[str, Answered, Bill], Iterator[Event]]


def _pieces(text: str) -> Iterator[str]:
    size = max(1, -(-len(text) // FRAGMENTS))
    for at in range(0, len(text), size):
        yield text[at : at + size]


def tool_names(body: Mapping[str, Any]) -> list[str]:
    """Return the names of the tools in a request of any format."""
    names: list[str] = []
    for tool in body.get("tools") or ():
        inner = tool.get("function") if isinstance(tool.get("function"), Mapping) else tool
        declared = tool.get("functionDeclarations") or tool.get("function_declarations") or ()
        names += [each["name"] for each in declared]
        names += [inner["name"]] if "name" in inner and tool.get("type") not in ("namespace", "web_search") else []
    return names


def newest_text(body: Mapping[str, Any], wire: WireFormat) -> str:
    """Return all text of the last message; system messages are skipped."""
    messages = body.get(wire.messages)
    if isinstance(messages, str):
        return messages
    for message in reversed(messages or ()):
        if message.get("role") not in ("system", "developer"):
            return json.dumps(message.get("content") or message.get("parts") or message.get("output") or "", ensure_ascii=False)
    return ""


# -- Anthropic ---------------------------------------------------------------------------------------------------------------------------


def _anthropic_usage(bill: Bill, output: int) -> dict[str, Any]:
    parts = {"ephemeral_5m_input_tokens": bill.write, "ephemeral_1h_input_tokens": bill.write_long}
    return {
        "input_tokens": bill.input,
        "cache_creation_input_tokens": bill.write + bill.write_long,
        "cache_read_input_tokens": bill.read,
        "cache_creation": parts,
        "output_tokens": output,
    }


def _anthropic_blocks(answered: Answered) -> list[dict[str, Any]]:
    thinking = [{"type": "thinking", "thinking": answered.thinking, "signature": answered.signature}] if answered.signature else []
    calls = [{"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": call.arguments} for call in answered.calls]
    return [*thinking, {"type": "text", "text": answered.text}, *calls]


def _anthropic_whole(model: str, answered: Answered, bill: Bill) -> Any:
    return {
        "id": f"msg_{zlib.crc32(answered.text.encode()):08x}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": _anthropic_blocks(answered),
        "stop_reason": "tool_use" if answered.calls else "end_turn",
        "stop_sequence": None,
        "usage": _anthropic_usage(bill, len(answered.text) // 4),
    }


def _anthropic_events(model: str, answered: Answered, bill: Bill) -> Iterator[Event]:
    whole = _anthropic_whole(model, answered, bill)
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield "message_start", {"type": "message_start", "message": start}
    yield "ping", {"type": "ping"}
    for at, block in enumerate(whole["content"]):
        yield from _anthropic_block(at, block)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": {"output_tokens": whole["usage"]["output_tokens"]}}
    yield "message_stop", {"type": "message_stop"}


def _anthropic_block(at: int, block: Mapping[str, Any]) -> Iterator[Event]:
    starts: dict[str, dict[str, Any]] = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}, "tool_use": {"input": {}}}
    yield "content_block_start", {"type": "content_block_start", "index": at, "content_block": {**block, **starts[block["type"]]}}
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}, {"type": "signature_delta", "signature": block["signature"]}]
    elif block["type"] == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
    else:
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(json.dumps(block["input"]))]
    for delta in deltas:
        yield "content_block_delta", {"type": "content_block_delta", "index": at, "delta": delta}
    yield "content_block_stop", {"type": "content_block_stop", "index": at}


# -- OpenAI Chat -------------------------------------------------------------------------------------------------------------------------


def _chat_usage(bill: Bill, output: int) -> dict[str, Any]:
    return {
        "prompt_tokens": bill.total,
        "completion_tokens": output,
        "total_tokens": bill.total + output,
        "prompt_tokens_details": {"cached_tokens": bill.read, "audio_tokens": 0},
    }


def _chat_calls(answered: Answered) -> list[dict[str, Any]]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
        for call in answered.calls
    ]


def _chat_whole(model: str, answered: Answered, bill: Bill) -> Any:
    message: dict[str, Any] = {"role": "assistant", "content": answered.text, "refusal": None}
    if answered.calls:
        message["tool_calls"] = _chat_calls(answered)
    reason = "tool_calls" if answered.calls else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    head = {"id": "chatcmpl-local", "object": "chat.completion", "created": 1_800_000_000, "model": model}
    return {**head, "choices": [choice], "usage": _chat_usage(bill, len(answered.text) // 4)}


def _chat_events(model: str, answered: Answered, bill: Bill) -> Iterator[Event]:
    head = {"id": "chatcmpl-local", "object": "chat.completion.chunk", "created": 1_800_000_000, "model": model}

    def chunk(delta: Any, reason: str | None = None) -> Event:
        return "", {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}], "usage": None}

    yield chunk({"role": "assistant", "content": ""})
    for piece in _pieces(answered.text):
        yield chunk({"content": piece})
    for at, call in enumerate(_chat_calls(answered)):
        yield chunk({"tool_calls": [{"index": at, **call}]})
    yield chunk({}, "tool_calls" if answered.calls else "stop")
    yield "", {**head, "choices": [], "usage": _chat_usage(bill, len(answered.text) // 4)}
    yield "", "[DONE]"


# -- OpenAI Responses --------------------------------------------------------------------------------------------------------------------


def _responses_items(answered: Answered) -> list[dict[str, Any]]:
    text = {"type": "output_text", "text": answered.text, "annotations": []}
    items: list[dict[str, Any]] = [{"type": "message", "id": "msg_local", "status": "completed", "role": "assistant", "content": [text]}]
    for call in answered.calls:
        item = {"type": "function_call", "id": f"fc_{call.id}", "call_id": call.id, "name": call.name, "status": "completed"}
        items.append({**item, "arguments": json.dumps(call.arguments)})
    return items


def _responses_whole(model: str, answered: Answered, bill: Bill) -> Any:
    output = len(answered.text) // 4
    usage = {
        "input_tokens": bill.total,
        "input_tokens_details": {"cached_tokens": bill.read},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": bill.total + output,
    }
    head = {"id": "resp_local", "object": "response", "created_at": 1_800_000_000, "status": "completed", "model": model, "error": None}
    rest: dict[str, Any] = {
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    return {**head, **rest, "temperature": 1.0, "top_p": 1.0, "output": _responses_items(answered), "usage": usage}


def _responses_events(model: str, answered: Answered, bill: Bill) -> Iterator[Event]:
    whole = _responses_whole(model, answered, bill)
    number = iter(range(10_000))

    def event(kind: str, **fields: Any) -> Event:
        return kind, {"type": kind, "sequence_number": next(number), **fields}

    yield event("response.created", response={**whole, "status": "in_progress", "output": [], "usage": None})
    for at, item in enumerate(whole["output"]):
        place = {"output_index": at, "item_id": item["id"]}
        empty = {**item, "status": "in_progress", **({"content": []} if item["type"] == "message" else {"arguments": ""})}
        yield event("response.output_item.added", output_index=at, item=empty)
        if item["type"] == "message":
            text = item["content"][0]["text"]
            yield event("response.content_part.added", **place, content_index=0, part={**item["content"][0], "text": ""})
            for piece in _pieces(text):
                yield event("response.output_text.delta", **place, content_index=0, delta=piece, logprobs=[])
            yield event("response.output_text.done", **place, content_index=0, text=text, logprobs=[])
            yield event("response.content_part.done", **place, content_index=0, part=item["content"][0])
        else:
            yield event("response.function_call_arguments.delta", **place, delta=item["arguments"])
            yield event("response.function_call_arguments.done", **place, arguments=item["arguments"], name=item["name"])
        yield event("response.output_item.done", output_index=at, item=item)
    yield event("response.completed", response=whole)


# -- Gemini ------------------------------------------------------------------------------------------------------------------------------


def _gemini_usage(bill: Bill, output: int) -> dict[str, Any]:
    counts = {"promptTokenCount": bill.total, "candidatesTokenCount": output, "totalTokenCount": bill.total + output}
    return {**counts, "cachedContentTokenCount": bill.read} if bill.read else counts


def _gemini_answer(model: str, parts: Sequence[Any], bill: Bill, output: int, *, ends: bool) -> Any:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if ends:
        candidate["finishReason"] = "STOP"
    return {"candidates": [candidate], "usageMetadata": _gemini_usage(bill, output), "modelVersion": model, "responseId": "local"}


def _gemini_calls(answered: Answered) -> list[Any]:
    return [
        {"functionCall": {"name": call.name, "args": call.arguments}, **({} if at else {"thoughtSignature": "c2lnbmVk"})}
        for at, call in enumerate(answered.calls)
    ]


def _gemini_whole(model: str, answered: Answered, bill: Bill) -> Any:
    return _gemini_answer(model, [{"text": answered.text}, *_gemini_calls(answered)], bill, len(answered.text) // 4, ends=True)


def _gemini_events(model: str, answered: Answered, bill: Bill) -> Iterator[Event]:
    for piece in _pieces(answered.text):
        yield "", _gemini_answer(model, [{"text": piece}], bill, 1, ends=False)
    yield "", _gemini_answer(model, _gemini_calls(answered) or [{"text": ""}], bill, len(answered.text) // 4, ends=True)


WIRES = {
    "anthropic": WireFormat(
        "anthropic",
        "messages",
        lambda status, kind, text: {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_local"},
        _anthropic_whole,
        _anthropic_events,
    ),
    "chat": WireFormat(
        "chat",
        "messages",
        lambda status, kind, text: {"error": {"message": text, "type": kind, "param": None, "code": None}},
        _chat_whole,
        _chat_events,
    ),
    "responses": WireFormat(
        "responses",
        "input",
        lambda status, kind, text: {"error": {"message": text, "type": kind, "param": None, "code": None}},
        _responses_whole,
        _responses_events,
    ),
    "gemini": WireFormat(
        "gemini",
        "contents",
        lambda status, kind, text: {"error": {"code": status, "message": text, "status": kind.upper()}},
        _gemini_whole,
        _gemini_events,
    ),
}
