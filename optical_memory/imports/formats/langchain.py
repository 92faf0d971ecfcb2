"""LangChain: `messages_to_dict`, `dumpd` and `dumps`, `model_dump` of messages, states of LangGraph, and runs of LangSmith.

After langchain-core 1.8 (`messages/utils.py`, `load/dump.py`) and the `Run` of langsmith 0.15 (`schemas.py`). Runs of one thread (metadata
`thread_id`, `session_id` or `conversation_id`), else of one trace, are one conversation: each call of the model repeats what was said
before, and every message is taken once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import InvalidTurn
from ...text.excerpts import excerpt, shape
from ..base import Conversation, Document, Message
from ..blocks import blocks_of
from ..messages import as_text, call, is_mapping_with, mappings, message, moment, result
from ..runs import Run, chat_messages, merged

__all__ = ["conversations", "is_message", "messages_of", "name", "recognise"]

name = "langchain"
_ROLES = {
    "human": "user",
    "HumanMessage": "user",
    "ai": "assistant",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "HumanMessageChunk": "user",
    "system": "system",
    "SystemMessage": "system",
    "SystemMessageChunk": "system",
    "tool": "tool",
    "ToolMessage": "tool",
    "ToolMessageChunk": "tool",
    "function": "tool",
    "FunctionMessage": "tool",
    "chat": "chat",
    "ChatMessage": "chat",
}
_THREADS = ("thread_id", "conversation_id", "session_id")


def recognise(document: Document) -> bool:
    first = document.head[0] if document.head else None
    if isinstance(first, list) and first:
        first = first[0]
    return isinstance(first, Mapping) and (is_message(first) or _is_run(first) or _state(first) is not None)


def is_message(value: Mapping[str, Any]) -> bool:
    """Whether this is a message as `messages_to_dict`, `dumpd` or `model_dump` gives it."""
    if value.get("lc") is not None:
        return isinstance(value.get("kwargs"), Mapping) and _kind(value) in _ROLES
    held = value["data"] if isinstance(value.get("data"), Mapping) else value
    return value.get("type") in _ROLES and "content" in held and "role" not in value


def _kind(value: Mapping[str, Any]) -> str:
    id = value.get("id")
    return as_text(id[-1]) if isinstance(id, list) and id else as_text(value.get("type"))


def _is_run(value: Mapping[str, Any]) -> bool:
    return "run_type" in value and ("inputs" in value or "outputs" in value)


def _state(value: Mapping[str, Any]) -> Sequence[Any] | None:
    """The messages in a state of a graph, or in a dumped prompt."""
    for holder in (value, value.get("values"), value.get("kwargs"), value.get("channel_values")):
        if isinstance(holder, Mapping):
            found = mappings(holder.get("messages"))
            if found and all(is_message(one) for one in found):
                return found
    return None


def conversations(document: Document) -> Iterator[Conversation]:
    first = document.head[0]
    if isinstance(first, Mapping) and _is_run(first):
        yield from _threads(document)
        return
    said: list[Message] = []
    for place, item in document.items():
        state = _state(item) if isinstance(item, Mapping) else item if isinstance(item, list) else None
        if state is not None:
            own = (item.get("config") or {}).get("configurable", {}).get("thread_id") if isinstance(item, Mapping) else ""
            yield Conversation(as_text(own), [one for value in state for one in _checked(value, document, place)], place=place)
        else:
            said += _checked(item, document, place)
    if said:
        yield Conversation("", said)


def _checked(value: Any, document: Document, place: str) -> Sequence[Message]:
    if not isinstance(value, Mapping) or not is_message(value):
        found = f"a message of type {excerpt(_kind(value))}" if isinstance(value, Mapping) else shape(value)
        raise InvalidTurn(f"{document.name}, {place}: {found} is no message of LangChain")
    return messages_of(value)


def messages_of(value: Mapping[str, Any]) -> list[Message]:
    """The message that a dumped one is."""
    held = next((value[key] for key in ("kwargs", "data") if isinstance(value.get(key), Mapping)), value)
    role = _ROLES[_kind(value)]
    if role == "chat":
        role = {"human": "user", "ai": "assistant"}.get(as_text(held.get("role")), as_text(held.get("role")) or "user")
    metadata = {**_dict(held.get("additional_kwargs")), **_dict(held.get("response_metadata"))}
    when = next((found for key in ("created_at", "timestamp", "create_time") if (found := moment(metadata.get(key)))), None)
    fields = {"id": held.get("id") if isinstance(held.get("id"), str) else None, "created_at": when, "name": held.get("name")}
    blocks = blocks_of(held.get("content"))
    if role == "tool":
        failed = held.get("status") == "error"
        own, named = as_text(held.get("tool_call_id")), as_text(held.get("name"))
        return [result(own, named, blocks or "", failed=failed, id=fields["id"], created_at=when)]
    if role == "assistant":
        made = {block.get("id") for block in blocks if block.get("type") == "tool_use"}
        blocks = [block for block in blocks if block.get("type") not in ("tool_call", "function_call", "input_json_delta")]
        blocks += [one for one in _calls(held) if one["id"] not in made or not one["id"]]
    thoughts = metadata.get("reasoning_content")
    return [message(role, blocks, reasoning_content=as_text(thoughts) if thoughts else None, **fields)]


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _calls(held: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    made = [*mappings(held.get("tool_calls")), *mappings(held.get("invalid_tool_calls"))]
    raw = mappings(_dict(held.get("additional_kwargs")).get("tool_calls")) if not made else []
    for one in [*made, *raw]:
        function = _dict(one.get("function")) or one
        yield call(as_text(one.get("id")), as_text(function.get("name")), function.get("args", function.get("arguments")))
    old = _dict(_dict(held.get("additional_kwargs")).get("function_call"))
    if old and not made:
        yield call(None, as_text(old.get("name")), old.get("arguments"))


def _threads(document: Document) -> Iterator[Conversation]:
    """Conversations of runs, in the order of their first run. Calls of a model count; where a thread has none, its whole runs do."""
    threads: dict[str, list[Mapping[str, Any]]] = {}
    for place, item in document.items():
        if not isinstance(item, Mapping) or not _is_run(item):
            raise InvalidTurn(f"{document.name}, {place} is no run: it has no 'run_type' with 'inputs' or 'outputs'")
        for run in _flat(item):
            threads.setdefault(_thread(run) or _thread(item), []).append(run)
    for thread, runs in threads.items():
        models = [run for run in runs if run.get("run_type") in ("llm", "chat_model")]
        tops = models or [run for run in runs if not run.get("parent_run_id")] or runs
        title = next((as_text(run.get("name")) for run in runs if not run.get("parent_run_id")), "")
        yield Conversation(thread, merged(_run(run) for run in tops), title=title)


def _flat(run: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield run
    for child in mappings(run.get("child_runs")):
        yield from _flat(child)


def _thread(run: Mapping[str, Any]) -> str:
    metadata = _dict(_dict(run.get("extra")).get("metadata")) or _dict(run.get("metadata"))
    found = next((metadata[key] for key in _THREADS if metadata.get(key)), None)
    return as_text(found or run.get("trace_id") or run.get("id"))


def _run(run: Mapping[str, Any]) -> Run:
    sent, came = chat_messages(run.get("inputs"), "user"), chat_messages(run.get("outputs"), "assistant")
    if is_mapping_with(run.get("inputs"), "messages") and is_mapping_with(run.get("outputs"), "messages"):
        came = came[len(sent) :] if came[: len(sent)] == sent else came  # a graph gives back its whole state
    return Run(sent, came, moment(run.get("start_time")), moment(run.get("end_time")))
