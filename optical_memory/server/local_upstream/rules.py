"""Which requests a provider refuses: the rules that a rewritten history could break."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .counting import plain
from .wires import Refused

__all__ = ["check", "signature_of"]

MOST_PICTURES = 100


def check(wire: str, body: Mapping[str, Any]) -> None:
    """Raise `Refused` for a request that the provider would answer with 400."""
    {"anthropic": _anthropic, "chat": _chat, "responses": _responses, "gemini": _gemini}[wire](body)
    pictures = json.dumps(body).count("iVBORw0KGgo")  # how every PNG begins
    if pictures > MOST_PICTURES:
        raise Refused(f"too many images: {pictures} > {MOST_PICTURES}")


def signature_of(body: Mapping[str, Any], upto: int) -> str:
    """Return the signature that binds thinking to the messages before it."""
    head = [plain(body.get("system")), plain(list(body.get("tools") or ())), _joined([_unsigned(each) for each in body["messages"][:upto]])]
    return "sig_" + hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()[:32]


def _unsigned(message: Any) -> Any:
    """Return a message without markers and thinking, a string as a block."""
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else plain(content)
    return {"role": message["role"], "content": [block for block in blocks if block["type"] not in ("thinking", "redacted_thinking")]}


def _joined(messages: Sequence[Any]) -> list[Any]:
    joined: list[Any] = []
    for message in messages:
        if joined and joined[-1]["role"] == message["role"]:
            joined[-1] = {"role": message["role"], "content": [*joined[-1]["content"], *message["content"]]}
        else:
            joined.append(message)
    return joined


def _anthropic(body: Mapping[str, Any]) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused("messages: at least one message is required")
    if messages[0]["role"] != "user":
        raise Refused("messages: first message must use the user role")
    if not all(message.get("content") for message in messages):
        raise Refused("messages: all messages must have non-empty content")
    _thinking(body)
    turns = _joined([_unsigned(message) for message in messages if message["role"] != "system"])
    for before, message in zip([None, *turns], turns, strict=False):
        asked = [block["id"] for block in before["content"] if block["type"] == "tool_use"] if before else []
        results = [block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"]
        if set(asked) - set(results):
            raise Refused(
                f"`tool_use` ids were found without `tool_result` blocks immediately after: {sorted(set(asked) - set(results))[0]}"
            )
        if set(results) - set(asked):
            raise Refused(f"unexpected `tool_use_id` found in `tool_result` blocks: {sorted(set(results) - set(asked))[0]}")


def _thinking(body: Mapping[str, Any]) -> None:
    """Adaptive thinking is bound to what was before it; with a budget, a tool loop has to keep the thinking that it began with."""
    kind = (body.get("thinking") or {}).get("type")
    messages = body["messages"]
    for at, message in enumerate(messages):
        if message["role"] != "assistant" or isinstance(message["content"], str):
            continue
        for block in message["content"]:
            if block["type"] == "thinking" and kind == "adaptive" and block["signature"] != signature_of(body, at):
                raise Refused(f"messages.{at}: thinking blocks cannot follow a changed prefix")
    last = next((message for message in reversed(messages) if message["role"] != "system"), messages[-1])
    loops = isinstance(last["content"], list) and any(block["type"] == "tool_result" for block in last["content"])
    if kind == "enabled" and loops:
        final = next((message for message in reversed(messages) if message["role"] == "assistant"), None)
        if final and not isinstance(final["content"], str) and final["content"][0]["type"] not in ("thinking", "redacted_thinking"):
            raise Refused("Expected `thinking` or `redacted_thinking`, but found `tool_use`")


def _chat(body: Mapping[str, Any]) -> None:
    waiting: list[str] = []
    for message in body.get("messages") or ():
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                raise Refused("messages with role 'tool' must be a response to a preceding message with 'tool_calls'")
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            raise Refused(f"tool_call_ids did not have response messages: {waiting[0]}")
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    if waiting:
        raise Refused(f"tool_call_ids did not have response messages: {waiting[0]}")


def _responses(body: Mapping[str, Any]) -> None:
    items = body.get("input")
    called: set[str] = set()
    for at, item in enumerate(items if isinstance(items, list) else ()):
        kind = item.get("type", "message")
        if kind in ("function_call", "custom_tool_call"):
            called.add(item["call_id"])
        elif kind in ("function_call_output", "custom_tool_call_output") and item["call_id"] not in called:
            raise Refused(f"No tool call found for function call output with call_id {item['call_id']}.")
        elif kind == "reasoning" and (at + 1 == len(items or ()) or (items or ())[at + 1].get("role") == "user"):
            raise Refused("Item of type 'reasoning' was provided without its required following item.")
    answered = {item["call_id"] for item in items or () if isinstance(item, Mapping) and str(item.get("type")).endswith("_output")}
    if called - answered:
        raise Refused(f"No tool output found for function call {sorted(called - answered)[0]}.")


def _gemini(body: Mapping[str, Any]) -> None:
    contents = body.get("contents") or ()
    for before, content in zip([None, *contents], contents, strict=False):
        responses = sum("functionResponse" in part or "function_response" in part for part in content.get("parts", ()))
        calls = sum("functionCall" in part or "function_call" in part for part in (before or {}).get("parts", ()))
        if responses and responses != calls:
            raise Refused("number of function response parts is not equal to number of function call parts of the function call turn")
