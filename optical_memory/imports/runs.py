"""Calls of a model as traces have them: each with all that was sent and what came back. Out of them, one conversation without repeats."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .base import Message
from .blocks import blocks_of
from .messages import as_text, call, is_mapping_with, mappings, message, parsed, result

__all__ = ["Run", "chat_message", "chat_messages", "merged"]

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "function": "tool",
    "tool_result": "tool",
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
    "tool": "tool",
}
_GENAI = ("tool_call", "tool_call_response", "server_tool_call", "server_tool_call_response", "blob", "uri")  # parts of OpenTelemetry


@dataclass(frozen=True, slots=True)
class Run:
    """One call of a model: what was sent, what came back, and when."""

    sent: Sequence[Message]
    came: Sequence[Message]
    began: datetime | None = None
    ended: datetime | None = None


def merged(runs: Iterable[Run]) -> list[Message]:
    """The conversation that the runs were: each message once, at the time of the run that had it first.

    A run repeats what earlier ones sent. What it has more often than the conversation so far is new.
    """
    done: list[Message] = []
    said: Counter[str] = Counter()
    for run in sorted(runs, key=lambda run: run.began or datetime.min.replace(tzinfo=UTC)):
        here: Counter[str] = Counter()
        for one, when in [*((one, run.began) for one in run.sent), *((one, run.ended or run.began) for one in run.came)]:
            key = _fingerprint(one)
            here[key] += 1
            if here[key] > said[key]:
                said[key] += 1
                done.append(one | ({"created_at": when} if when and not one.get("created_at") else {}))
    return done


def _fingerprint(one: Message) -> str:
    """What makes two messages the same: who said what, and which calls; ids of calls differ from one trace to the next."""
    content = one["content"] if isinstance(one["content"], list) else blocks_of(one["content"])
    blocks: list[Any] = []
    for block in content:
        kind = block.get("type")
        if kind == "tool_use":
            blocks.append((kind, block.get("name"), parsed(block.get("input"))))
        elif kind == "tool_result":
            blocks.append((kind, as_text(block.get("content"))))
        elif kind != "reasoning":
            blocks.append({key: value for key, value in block.items() if key not in ("id", "index", "cache_control", "annotations")})
    return json.dumps([one["role"], blocks], sort_keys=True, default=str)


def chat_messages(value: Any, role: str = "user") -> list[Message]:
    """What stands as input or output of a call: messages in any chat shape, an object that holds them, or text.

    Args:
        role: of what is said without a role.
    """
    value = parsed(value)
    if value in (None, "", [], {}):
        return []
    if isinstance(value, list):
        if all(isinstance(one, list) for one in value):
            return [made for one in value for made in chat_messages(one, role)]
        if all(is_mapping_with(one, "message") and "role" not in one for one in value):  # choices, generations
            return [made for one in value for made in chat_messages(one["message"], role)]
        if all(isinstance(one, Mapping) and _is_message(one) for one in value):
            return [made for one in value for made in chat_message(one, role)]
        return [message(role, blocks_of(value))]
    if isinstance(value, Mapping):
        for key in ("messages", "message", "choices", "generations", "input", "output", "contents"):
            if value.get(key):
                return chat_messages(value[key], role)
        if "role" in value or "content" in value or "kwargs" in value or "parts" in value:
            return list(chat_message(value, role))
    return [message(role, as_text(value))]


def _is_message(value: Mapping[str, Any]) -> bool:
    from .formats import langchain  # it has a message of its own, which this reads

    return "role" in value or langchain.is_message(value)


def chat_message(value: Mapping[str, Any], role: str = "user") -> Iterable[Message]:
    """The messages that one message of a chat API is: its results stand for themselves."""
    from .formats import langchain, opentelemetry, vercel  # they are formats of their own, and hold what this reads

    if langchain.is_message(value):
        return langchain.messages_of(value)
    if isinstance(value.get("parts"), list):
        if any("content" in part or part.get("type") in _GENAI for part in mappings(value["parts"])):
            return opentelemetry.messages_of(value)
        return vercel.messages_of(value)
    return _openai(value, role)


def _openai(value: Mapping[str, Any], role: str) -> list[Message]:
    named = _ROLES.get(as_text(value.get("role")).lower(), role)
    blocks = blocks_of(value.get("content"))
    fields: dict[str, Any] = {"name": value.get("name") or value.get("tool_name")}
    if named == "tool":
        own = as_text(value.get("tool_call_id") or value.get("id"))
        return [result(own, fields["name"], blocks if blocks else "", failed=value.get("is_error") is True)]
    for made in mappings(value.get("tool_calls")):
        function = made["function"] if isinstance(made.get("function"), Mapping) else made
        arguments: Any = next((function[key] for key in ("arguments", "args", "input") if key in function), {})
        blocks.append(call(as_text(made.get("id")), as_text(function.get("name")), arguments))
    if is_mapping_with(value.get("function_call"), "name"):
        blocks.append(call(None, value["function_call"]["name"], value["function_call"].get("arguments")))
    reasoning = value.get("reasoning_content") or value.get("reasoning")
    return [message(named, blocks, reasoning_content=as_text(reasoning) if reasoning else None, **fields)]
