"""OpenTelemetry: spans of calls of a model, as OTLP in JSON (one object or lines), lists of spans, or rows of Logfire.

After the semantic conventions for generative AI, 1.37 to semantic-conventions-genai 0.1 (`gen_ai.input.messages`, `gen_ai.output.messages`,
`gen_ai.system_instructions`); events `gen_ai.*.message` and `gen_ai.choice` of 1.28 to 1.36; numbered attributes of OpenLLMetry
(`gen_ai.prompt.0.role`) and OpenInference (`llm.input_messages.0.message.role`); pydantic-ai 2 (`pydantic_ai.all_messages`).

Spans of one `gen_ai.conversation.id` or `session.id`, else of one trace, are one conversation: each span repeats what was said before, and
every message is taken once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..base import Conversation, Document, Message
from ..blocks import block_of
from ..messages import as_text, call, mappings, message, moment, parsed, result, text_block
from ..runs import Run, chat_messages, merged

__all__ = ["conversations", "messages_of", "name", "recognise"]

name = "opentelemetry"
_IN = ("gen_ai.input.messages", "gen_ai.prompt", "pydantic_ai.all_messages", "all_messages_events", "events")
_OUT = ("gen_ai.output.messages", "gen_ai.completion")
_GROUPS = ("gen_ai.conversation.id", "session.id", "langfuse.session.id", "traceloop.association.properties.session_id")
_NUMBERED = re.compile(r"(gen_ai\.prompt|gen_ai\.completion|llm\.input_messages|llm\.output_messages)\.(\d+)\.(?:message\.)?(.+)")
_EVENT = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message|gen_ai\.(choice)")


def recognise(document: Document) -> bool:
    first = document.head[0] if document.head else None
    if not isinstance(first, Mapping):
        return False
    if "resourceSpans" in first or "resource_spans" in first or "resourceLogs" in first:
        return True
    return any(_is_span(one) for one in document.head)


def _is_span(value: Any) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("attributes"), Mapping | list):
        return False
    context = value.get("context")
    return any(key in value for key in ("traceId", "trace_id", "spanId", "span_id")) or (
        isinstance(context, Mapping) and "trace_id" in context
    )


def conversations(document: Document) -> Iterator[Conversation]:
    groups: dict[str, list[tuple[bool, Run]]] = {}
    titles: dict[str, str] = {}
    for _, item in document.items():
        for span in _spans(item):
            attributes = _attributes(span.get("attributes"))
            trace = as_text(span.get("traceId") or span.get("trace_id") or (span.get("context") or {}).get("trace_id"))
            group = next((as_text(attributes[key]) for key in _GROUPS if attributes.get(key)), trace)
            run = _run(span, attributes)
            if run.sent or run.came:
                groups.setdefault(group, []).append((_is_call(attributes), run))
            titles.setdefault(group, as_text(attributes.get("gen_ai.agent.name") or attributes.get("agent_name")))
    for group, runs in groups.items():
        calls = [run for is_call, run in runs if is_call]
        yield Conversation(group, merged(calls or [run for _, run in runs]), title=titles.get(group, ""))


def _is_call(attributes: Mapping[str, Any]) -> bool:
    return (
        attributes.get("gen_ai.operation.name") in (None, "chat", "text_completion", "generate_content")
        and "pydantic_ai.all_messages" not in attributes
    )


def _spans(value: Any) -> Iterator[Mapping[str, Any]]:
    """Spans, and log records with the content of calls, wherever they hang in an export."""
    if not isinstance(value, Mapping):
        return
    if _is_span(value):
        yield value
        return
    for key in ("resourceSpans", "resource_spans", "scopeSpans", "scope_spans", "spans", "resourceLogs", "scopeLogs", "logRecords"):
        for inner in mappings(value.get(key)):
            yield from _spans(inner)


def _attributes(given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    return {as_text(one.get("key")): _value(one.get("value")) for one in mappings(given)}


def _value(value: Any) -> Any:
    """A value of OTLP's JSON."""
    if not isinstance(value, Mapping):
        return value
    kind: str
    held: Any
    kind, held = next(iter(value.items()), ("", None))
    if kind == "arrayValue" and isinstance(held, Mapping):
        return [_value(one) for one in mappings(held.get("values"))]
    if kind == "kvlistValue" and isinstance(held, Mapping):
        return _attributes(held.get("values"))
    return int(held) if kind == "intValue" else held


def _run(span: Mapping[str, Any], attributes: Mapping[str, Any]) -> Run:
    began = next(
        (
            found
            for key in ("startTimeUnixNano", "start_time", "start_timestamp", "timeUnixNano", "start_time_unix_nano")
            if (found := moment(span.get(key)))
        ),
        None,
    )
    ended = next(
        (found for key in ("endTimeUnixNano", "end_time", "end_timestamp", "end_time_unix_nano") if (found := moment(span.get(key)))), None
    )
    sent, came = _said(attributes)
    for event in mappings(span.get("events")):
        given = _attributes(event.get("attributes"))
        here, there = _said(given)
        sent, came = sent + here, came + there
        kind = _EVENT.fullmatch(as_text(event.get("name") or given.get("event.name")))
        if kind:
            body = parsed(given.get("gen_ai.event.content")) or given
            (came if kind[2] else sent).extend(_event(body, kind[1] or "assistant"))
    if body := span.get("body"):
        kind = _EVENT.fullmatch(as_text(span.get("eventName") or attributes.get("event.name")))
        held = _value(body)
        if kind and isinstance(held, Mapping):
            (came if kind[2] else sent).extend(_event(held, kind[1] or "assistant"))
    return Run(sent, came, began, ended)


def _said(attributes: Mapping[str, Any]) -> tuple[list[Message], list[Message]]:
    told = parsed(attributes.get("gen_ai.system_instructions"))
    sent = [message("system", [block_of(_text_part(part)) for part in told])] if isinstance(told, list) else chat_messages(told, "system")
    found = next((parsed(attributes[key]) for key in _IN if attributes.get(key)), None)
    if isinstance(found, list) and any("event.name" in one for one in mappings(found)):
        sent += [made for one in mappings(found) for made in _event(one, as_text(one.get("role")) or "assistant")]
    elif found:
        sent += chat_messages(found, "user")
    came = [made for key in _OUT if attributes.get(key) for made in chat_messages(attributes[key], "assistant")]
    numbered: dict[str, dict[int, dict[str, Any]]] = {}
    for key, value in attributes.items():
        if place := _NUMBERED.fullmatch(key):
            numbered.setdefault(place[1], {}).setdefault(int(place[2]), {})[place[3]] = value
    for kind, messages in numbered.items():
        for _, fields in sorted(messages.items()):
            made = chat_messages([_unnumbered(fields)], "assistant" if "completion" in kind or "output" in kind else "user")
            (came if "completion" in kind or "output" in kind else sent).extend(made)
    return sent, came


def _unnumbered(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A message whose calls and contents stand under numbers: `tool_calls.0.name`, `contents.0.message_content.text`."""
    said: dict[str, Any] = {key: value for key, value in fields.items() if "." not in key}
    said.setdefault("role", None)
    calls: dict[str, dict[str, Any]] = {}
    contents: dict[str, dict[str, Any]] = {}
    for key, value in fields.items():
        head, _, rest = key.partition(".")
        number, _, field = rest.partition(".")
        if head == "tool_calls":
            calls.setdefault(number, {})[field.rpartition(".")[2]] = value
        elif head == "contents":
            contents.setdefault(number, {})[field.removeprefix("message_content.")] = value
    if calls:
        said["tool_calls"] = [calls[number] for number in sorted(calls, key=int)]
    if contents and not said.get("content"):
        said["content"] = [{"type": "text", **contents[number]} for number in sorted(contents, key=int)]
    content = parsed(said.get("content"))
    if isinstance(content, list) and all(isinstance(block, Mapping) and "type" in block for block in content):
        said["content"] = content
    return said


def _event(body: Mapping[str, Any], role: str) -> list[Message]:
    inner = parsed(body.get("message"))
    held = dict(inner) if isinstance(inner, Mapping) else dict(body)
    held.setdefault("role", role)
    if held["role"] == "tool" and "id" in held:
        held["tool_call_id"] = held["id"]
    if isinstance(held.get("tool_calls"), str):
        held["tool_calls"] = parsed(held["tool_calls"])
    return chat_messages([held], role)


def _text_part(part: Any) -> Any:
    return {"type": "text", "text": as_text(part.get("content"))} if isinstance(part, Mapping) and part.get("type") == "text" else part


def messages_of(value: Mapping[str, Any]) -> list[Message]:
    """The messages that one with `parts` is: results of tools stand for themselves, before the rest."""
    role = {"model": "assistant", "ai": "assistant", "human": "user"}.get(as_text(value.get("role")), as_text(value.get("role")) or "user")
    answers: list[Message] = []
    blocks: list[dict[str, Any]] = []
    thoughts: list[str] = []
    for part in mappings(value.get("parts")):
        kind = as_text(part.get("type"))
        id, named = as_text(part.get("id")), as_text(part.get("name"))
        if kind in ("tool_call", "server_tool_call"):
            blocks.append(call(id, named, part.get("arguments", part.get("server_tool_call"))))
        elif kind in ("tool_call_response", "server_tool_call_response"):
            held = next((part[key] for key in ("response", "result", "server_tool_call_response") if key in part), "")
            answers.append(result(id, named, _answer(held)))
        elif kind in ("reasoning", "thinking"):
            thoughts.append(as_text(part.get("content")))
        else:
            blocks.append(text_block(as_text(part.get("content"))) if kind == "text" else block_of(part))
    if role == "tool" and blocks and not answers:
        return [result(None, as_text(value.get("name")), blocks)]
    named = as_text(value.get("name"))
    own = [message(role, blocks, reasoning_content="\n\n".join(thoughts), name=named)] if blocks or thoughts else []
    return answers + own


def _answer(held: Any) -> Any:
    found = parsed(held)
    if isinstance(found, list) and found and all(isinstance(one, Mapping) and one.get("type") == "text" for one in found):
        return "\n\n".join(as_text(one.get("text") or one.get("content")) for one in found)
    return as_text(held)
