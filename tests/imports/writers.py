"""Write a conversation as the exports of other programs have it, with what stands beside the messages there."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

__all__ = ["PNG", "TALK", "WRITERS", "Said", "Writer"]

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
START = datetime(2025, 3, 5, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    """One message: words, or one call (name and arguments), or the answer to the call before it."""

    role: str
    text: str = ""
    call: tuple[str, dict[str, Any]] | None = None
    picture: bool = False
    failed: bool = False


TALK = (
    Said("user", "What is the weather in Lyon? My booking is QX-77419."),
    Said("assistant", "I look it up.", call=("get_weather", {"city": "Lyon", "days": 2})),
    Said("tool", "18 °C, rain"),
    Said("assistant", "It rains in Lyon, at 18 °C."),
    Said("user", "Read my ticket.", picture=True),
    Said("assistant", "Seat 42, coach 7."),
    Said("user", "And the return?"),
    Said("assistant", "Seat 11."),
)


def when(place: int) -> datetime:
    return START + timedelta(minutes=place)


def iso(place: int) -> str:
    return when(place).isoformat().replace("+00:00", "Z")


def _json(folder: Path, name: str, value: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    return path


def _lines(folder: Path, name: str, rows: Sequence[Any]) -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def _name_of(talk: Sequence[Said], place: int) -> str:
    """The tool that the answer at `place` is of."""
    call = talk[place - 1].call
    return call[0] if call else "tool"


def chatgpt(talk: Sequence[Said], folder: Path) -> Path:
    """A folder, since pictures are files."""
    mapping: dict[str, Any] = {"root": {"id": "root", "message": None, "parent": None, "children": ["n0"]}}
    previous = "root"

    def node(role: str, content: dict[str, Any], place: int, **more: Any) -> None:
        nonlocal previous
        id = f"n{len(mapping) - 1}"
        author = {"role": role, "name": more.pop("name", None), "metadata": {}}
        said = {"id": f"m-{id}", "author": author, "create_time": when(place).timestamp(), "content": content, "weight": 1.0}
        mapping[id] = {"id": id, "parent": previous, "children": [], "message": said | {"metadata": {}, "recipient": "all"} | more}
        mapping[previous]["children"] = [id]
        previous = id

    node("system", {"content_type": "text", "parts": [""]}, 0, metadata={"is_visually_hidden_from_conversation": True})
    for place, said in enumerate(talk):
        pointer = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-Ticket1", "width": 1, "height": 1}
        if said.role == "tool":
            kind = "system_error" if said.failed else "execution_output"
            node("tool", {"content_type": kind, "text": said.text}, place, name=_name_of(talk, place))
        elif said.picture:
            node(said.role, {"content_type": "multimodal_text", "parts": [pointer, said.text]}, place)
        elif said.text:
            node(said.role, {"content_type": "text", "parts": [said.text]}, place)
        if said.call:
            node("assistant", {"content_type": "code", "language": "json", "text": json.dumps(said.call[1])}, place, recipient=said.call[0])
    (folder / "file-Ticket1-ticket.png").write_bytes(PNG)
    _json(folder, "user.json", {"id": "user-1", "email": "ada@example.org"})
    whole = {"title": "Lyon", "create_time": START.timestamp(), "mapping": mapping, "current_node": previous, "conversation_id": "c-1"}
    _json(folder, "conversations.json", [whole])
    return folder


def claude_ai(talk: Sequence[Said], folder: Path) -> Path:
    said: list[dict[str, Any]] = []
    blocks: list[dict[str, Any]] = []
    for place, one in enumerate(talk):
        times = {"start_timestamp": iso(place), "stop_timestamp": iso(place)}
        if one.role == "user":
            blocks = []
        if one.role == "tool":
            blocks.append(
                {
                    "type": "tool_result",
                    "name": _name_of(talk, place),
                    "content": [{"type": "text", "text": one.text}],
                    "is_error": one.failed,
                }
            )
            continue
        if one.role == "user" or not blocks or said[-1]["sender"] == "human":
            blocks = []
            sender = {"user": "human", "assistant": "assistant"}[one.role]
            files = [{"file_name": "ticket.png"}] if one.picture else []
            said.append({"uuid": f"u-{place}", "sender": sender, "text": one.text, "content": blocks, "created_at": iso(place)})
            said[-1] |= {"updated_at": iso(place), "attachments": [], "files": files}
        blocks += [{**times, "type": "text", "text": one.text, "citations": []}] if one.text else []
        blocks += [{**times, "type": "tool_use", "name": one.call[0], "input": one.call[1]}] if one.call else []
    whole = {"uuid": "c-1", "name": "Lyon", "created_at": iso(0), "updated_at": iso(9), "account": {"uuid": "a"}, "chat_messages": said}
    return _json(folder, "conversations.json", [whole])


def claude_code(talk: Sequence[Said], folder: Path) -> Path:
    rows: list[dict[str, Any]] = [{"type": "file-history-snapshot", "messageId": "x", "snapshot": {}}]

    def row(kind: str, message: dict[str, Any], place: int) -> None:
        parent = rows[-1].get("uuid")
        more = {"isSidechain": False, "userType": "external", "cwd": "/home/ada/trip", "sessionId": "s-1", "version": "2.1.0"}
        rows.append({"parentUuid": parent, **more, "type": kind, "message": message, "uuid": f"u-{len(rows)}", "timestamp": iso(place)})

    for place, one in enumerate(talk):
        answer = {"role": "assistant", "id": f"msg_{place}", "type": "message", "model": "claude-opus-4-5"}
        if one.role == "tool":
            block = {"tool_use_id": f"toolu_{place - 1}", "type": "tool_result", "content": one.text}
            row("user", {"role": "user", "content": [block | ({"is_error": True} if one.failed else {})]}, place)
        elif one.role == "user":
            source = {"type": "base64", "media_type": "image/png", "data": DATA_URL.partition(",")[2]}
            picture = [{"type": "image", "source": source}, {"type": "text", "text": one.text}]
            row("user", {"role": "user", "content": picture if one.picture else one.text}, place)
        else:
            if one.text:
                row("assistant", answer | {"content": [{"type": "text", "text": one.text}]}, place)
            if one.call:
                block = {"type": "tool_use", "id": f"toolu_{place}", "name": one.call[0], "input": one.call[1]}
                row("assistant", answer | {"content": [block]}, place)
    return _lines(folder, "s-1.jsonl", rows)


def _responses(talk: Sequence[Said], place: int) -> list[dict[str, Any]]:
    one = talk[place]
    if one.role == "tool":
        output = {"content": one.text, "success": False} if one.failed else one.text
        return [{"type": "function_call_output", "call_id": f"call_{place - 1}", "output": output}]
    kind = "output_text" if one.role == "assistant" else "input_text"
    content: list[dict[str, Any]] = [{"type": kind, "text": one.text}] if one.text else []
    content += [{"type": "input_image", "image_url": DATA_URL}] if one.picture else []
    items: list[dict[str, Any]] = [{"type": "message", "role": one.role, "content": content}] if content else []
    if one.call:
        items.append({"type": "function_call", "name": one.call[0], "arguments": json.dumps(one.call[1]), "call_id": f"call_{place}"})
    return items


def codex(talk: Sequence[Said], folder: Path) -> Path:
    meta = {"id": "s-1", "timestamp": iso(0), "cwd": "/home/ada/trip", "originator": "codex_cli_rs", "cli_version": "0.80.0"}
    rows: list[dict[str, Any]] = [{"timestamp": iso(0), "type": "session_meta", "payload": meta}]
    for place, one in enumerate(talk):
        rows += [{"timestamp": iso(place), "type": "response_item", "payload": item} for item in _responses(talk, place)]
        if one.role != "tool" and one.text:
            event = {"user": "user_message", "assistant": "agent_message"}[one.role]
            rows.append({"timestamp": iso(place), "type": "event_msg", "payload": {"type": event, "message": one.text}})
        rows.append({"timestamp": iso(place), "type": "event_msg", "payload": {"type": "token_count", "info": None}})
    return _lines(folder, "rollout-2025-03-05T09-00-00-s-1.jsonl", rows)


def openai_responses(talk: Sequence[Said], folder: Path) -> Path:
    items = [item for place in range(len(talk)) for item in _responses(talk, place)]
    return _json(folder, "request.json", {"model": "gpt-5.2", "input": items, "store": False})


def gemini(talk: Sequence[Said], folder: Path) -> Path:
    """The CLI's session as lines: each message again when its call was answered."""
    rows: list[dict[str, Any]] = [{"sessionId": "s-1", "projectHash": "0f", "startTime": iso(0), "lastUpdated": iso(0), "kind": "main"}]
    for place, one in enumerate(talk):
        if one.role == "tool":
            last = rows[-1]
            made = last["toolCalls"][0]
            response = {"functionResponse": {"id": made["id"], "name": made["name"], "response": {"output": one.text}}}
            status = "error" if one.failed else "success"
            rows.append({**last, "toolCalls": [{**made, "status": status, "result": [response], "timestamp": iso(place)}]})
            continue
        content: Any = one.text
        if one.picture:
            content = [{"text": one.text}, {"inlineData": {"mimeType": "image/png", "data": DATA_URL.partition(",")[2]}}]
        kind = {"user": "user", "assistant": "gemini"}[one.role]
        rows.append({"id": f"m-{place}", "timestamp": iso(place), "type": kind, "content": content})
        if one.call:
            made = {"id": f"call-{place}", "name": one.call[0], "args": one.call[1], "status": "executing", "timestamp": iso(place)}
            rows[-1]["toolCalls"] = [made]
    return _lines(folder, "session-2025-03-05T09-00-s-1.jsonl", rows)


def gemini_contents(talk: Sequence[Said], folder: Path) -> Path:
    contents: list[dict[str, Any]] = []
    for place, one in enumerate(talk):
        parts: list[dict[str, Any]] = [{"text": one.text}] if one.text and one.role != "tool" else []
        parts += [{"inlineData": {"mimeType": "image/png", "data": DATA_URL.partition(",")[2]}}] if one.picture else []
        parts += [{"functionCall": {"name": one.call[0], "args": one.call[1]}}] if one.call else []
        if one.role == "tool":
            response = {"error" if one.failed else "output": one.text}
            parts.append({"functionResponse": {"name": _name_of(talk, place), "response": response}})
        contents.append({"role": "model" if one.role == "assistant" else "user", "parts": parts})
    return _json(folder, "request.json", {"contents": contents, "generationConfig": {}})


def sharegpt(talk: Sequence[Said], folder: Path) -> Path:
    said: list[dict[str, str]] = []
    for one in talk:
        if one.role == "tool":
            said.append({"from": "observation", "value": one.text})
            continue
        if one.text or one.picture:
            said.append({"from": {"user": "human", "assistant": "gpt"}[one.role], "value": ("<image>" if one.picture else "") + one.text})
        if one.call:
            said.append({"from": "function_call", "value": json.dumps({"name": one.call[0], "arguments": one.call[1]})})
    return _json(folder, "sharegpt.json", [{"id": "c-1", "conversations": said, "images": [DATA_URL for one in talk if one.picture]}])


def langchain(talk: Sequence[Said], folder: Path) -> Path:
    """`messages_to_dict` of langchain-core's own messages."""
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, messages_to_dict

    said: list[Any] = []
    for place, one in enumerate(talk):
        if one.role == "tool":
            said.append(ToolMessage(one.text, tool_call_id=f"call_{place - 1}", status="error" if one.failed else "success"))
        elif one.role == "user":
            picture = [{"type": "text", "text": one.text}, {"type": "image_url", "image_url": {"url": DATA_URL}}]
            said.append(HumanMessage(picture if one.picture else one.text))
        else:
            calls = [{"name": one.call[0], "args": one.call[1], "id": f"call_{place}"}] if one.call else []
            said.append(AIMessage(one.text, tool_calls=calls))
    return _json(folder, "messages.json", messages_to_dict(said))


def vercel(talk: Sequence[Said], folder: Path) -> Path:
    said: list[dict[str, Any]] = []
    for place, one in enumerate(talk):
        if one.role == "tool":
            done = {"state": "output-error", "errorText": one.text} if one.failed else {"state": "output-available", "output": one.text}
            said[-1]["parts"][-1] |= done
            continue
        parts: list[dict[str, Any]] = [{"type": "step-start"}] if one.role == "assistant" else []
        parts += [{"type": "text", "text": one.text, "state": "done"}] if one.text else []
        parts += [{"type": "file", "mediaType": "image/png", "filename": "ticket.png", "url": DATA_URL}] if one.picture else []
        if one.call:
            parts.append({"type": f"tool-{one.call[0]}", "toolCallId": f"call_{place}", "state": "input-available", "input": one.call[1]})
        said.append({"id": f"m-{place}", "role": one.role, "metadata": {"createdAt": when(place).timestamp() * 1000}, "parts": parts})
    return _json(folder, "chat.json", {"id": "c-1", "messages": said})


def _genai(talk: Sequence[Said], place: int) -> dict[str, Any]:
    one = talk[place]
    if one.role == "tool":
        return {"role": "tool", "parts": [{"type": "tool_call_response", "id": f"call_{place - 1}", "response": one.text}]}
    parts: list[dict[str, Any]] = [{"type": "text", "content": one.text}] if one.text else []
    if one.picture:
        parts.append({"type": "blob", "modality": "image", "mime_type": "image/png", "content": DATA_URL.partition(",")[2]})
    parts += [{"type": "tool_call", "id": f"call_{place}", "name": one.call[0], "arguments": one.call[1]}] if one.call else []
    return {"role": one.role, "parts": parts}


def opentelemetry(talk: Sequence[Said], folder: Path) -> Path:
    """A span for each call of the model; each repeats what was said before."""
    spans: list[dict[str, Any]] = []
    for place, one in enumerate(talk):
        if one.role == "assistant":
            sent = [_genai(talk, before) for before in range(place)]
            texts = {
                "gen_ai.operation.name": "chat",
                "gen_ai.conversation.id": "c-1",
                "gen_ai.input.messages": json.dumps(sent),
                "gen_ai.output.messages": json.dumps([_genai(talk, place) | {"finish_reason": "stop"}]),
            }
            attributes = [{"key": key, "value": {"stringValue": value}} for key, value in texts.items()]
            nanos = [str(int(when(at).timestamp()) * 10**9) for at in (place - 1, place)]
            times = {"startTimeUnixNano": nanos[0], "endTimeUnixNano": nanos[1]}
            spans.append({"traceId": f"t{place}", "spanId": f"s{place}", "name": "chat gpt-5", **times, "attributes": attributes})
    scope = {"scope": {"name": "opentelemetry.instrumentation.openai_v2"}, "spans": spans}
    return _json(folder, "traces.json", {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [scope]}]})


def _openai(talk: Sequence[Said], place: int) -> dict[str, Any]:
    one = talk[place]
    if one.role == "tool":
        return {"role": "tool", "tool_call_id": f"call_{place - 1}", "content": one.text}
    picture = [{"type": "text", "text": one.text}, {"type": "image_url", "image_url": {"url": DATA_URL}}]
    said: dict[str, Any] = {"role": one.role, "content": picture if one.picture else one.text}
    if one.call:
        function = {"name": one.call[0], "arguments": json.dumps(one.call[1])}
        said["tool_calls"] = [{"id": f"call_{place}", "type": "function", "function": function}]
    return said


def langfuse(talk: Sequence[Said], folder: Path) -> Path:
    observations = [
        {
            "id": f"o{place}",
            "type": "GENERATION",
            "name": "chat",
            "startTime": iso(place - 1),
            "endTime": iso(place),
            "input": [_openai(talk, before) for before in range(place)],
            "output": _openai(talk, place),
            "model": "gpt-5",
            "parentObservationId": None,
        }
        for place, one in enumerate(talk)
        if one.role == "assistant"
    ]
    trace = {"id": "t-1", "name": "trip", "timestamp": iso(0), "sessionId": "s-1", "projectId": "p", "input": None, "output": None}
    return _json(folder, "trace-t-1.json", {"trace": trace, "observations": observations})


def langsmith(talk: Sequence[Said], folder: Path) -> Path:
    from langchain_core.load import dumpd
    from langchain_core.messages import messages_from_dict

    said = messages_from_dict(json.loads(langchain(talk, folder).read_text("utf-8")))
    runs = [
        {
            "id": f"r{place}",
            "trace_id": f"t{place}",
            "name": "ChatOpenAI",
            "run_type": "llm",
            "start_time": iso(place - 1),
            "end_time": iso(place),
            "extra": {"metadata": {"thread_id": "c-1"}},
            "inputs": {"messages": [[dumpd(message) for message in said[:place]]]},
            "outputs": {"generations": [[{"text": "", "type": "ChatGeneration", "message": dumpd(said[place])}]], "llm_output": None},
        }
        for place, one in enumerate(talk)
        if one.role == "assistant"
    ]
    (folder / "messages.json").unlink()
    return _lines(folder, "runs.jsonl", runs)


def pydantic_ai(talk: Sequence[Said], folder: Path) -> Path:
    """`ModelMessagesTypeAdapter` over pydantic-ai's own messages."""
    from pydantic_ai import BinaryContent
    from pydantic_ai.messages import (
        ModelMessagesTypeAdapter,
        ModelRequest,
        ModelResponse,
        TextPart,
        ToolCallPart,
        ToolReturnPart,
        UserPromptPart,
    )

    said: list[Any] = []
    for place, one in enumerate(talk):
        if one.role == "tool":
            back = ToolReturnPart(_name_of(talk, place), one.text, f"call_{place - 1}", timestamp=when(place))
            said.append(ModelRequest([back]))
        elif one.role == "user":
            picture: Any = [one.text, BinaryContent(PNG, media_type="image/png")]
            said.append(ModelRequest([UserPromptPart(picture if one.picture else one.text, timestamp=when(place))]))
        else:
            parts: list[Any] = [TextPart(one.text)] if one.text else []
            parts += [ToolCallPart(one.call[0], one.call[1], f"call_{place}")] if one.call else []
            said.append(ModelResponse(parts, timestamp=when(place)))
    path = folder / "history.json"
    path.write_bytes(ModelMessagesTypeAdapter.dump_json(said))
    return path


def chat(talk: Sequence[Said], folder: Path) -> Path:
    messages = [_openai(talk, place) | {"created_at": iso(place)} for place in range(len(talk))]
    return _json(folder, "chat.json", {"model": "gpt-5", "messages": messages})


@dataclass(frozen=True)
class Writer:
    """How a format is written, and what of a conversation it keeps."""

    write: Callable[[Sequence[Said], Path], Path]
    format: str
    runs: bool = False  # nothing is there before the model has answered
    times: bool = True
    pictures: bool = True
    failures: bool = True


WRITERS = {
    "chatgpt": Writer(chatgpt, "chatgpt"),
    "claude-ai": Writer(claude_ai, "claude-ai", pictures=False),
    "claude-code": Writer(claude_code, "claude-code"),
    "codex": Writer(codex, "codex"),
    "openai-responses": Writer(openai_responses, "openai-responses", times=False),
    "gemini": Writer(gemini, "gemini"),
    "gemini-contents": Writer(gemini_contents, "gemini", times=False),
    "sharegpt": Writer(sharegpt, "sharegpt", times=False, failures=False),
    "langchain": Writer(langchain, "langchain", times=False),
    "langsmith": Writer(langsmith, "langchain", runs=True),
    "vercel": Writer(vercel, "vercel"),
    "opentelemetry": Writer(opentelemetry, "opentelemetry", runs=True, failures=False),
    "langfuse": Writer(langfuse, "langfuse", runs=True, failures=False),
    "pydantic-ai": Writer(pydantic_ai, "pydantic-ai", failures=False),
    "chat": Writer(chat, "chat", failures=False),
}
