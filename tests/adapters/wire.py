"""A server on this machine that speaks four wire formats of providers, answers from a script, and keeps every request as it came.

    with Wire(["Hello", [Call("look", {"at": 1}), Call("look", {"at": 2})]]) as wire:
        client = openai.OpenAI(base_url=wire.openai_url, api_key="none")
        ...
        wire.requests[0].body["messages"]

An answer is a text, one `Call` or several (parallel), or a function from the `Request` to one of these. When the script is over,
every further request gets `default`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A tool call; without an id it gets one of its own."""

    name: str
    arguments: Json = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True)
class Request:
    """One request as it came: `path` as asked for, headers in lower case, the body as bytes and read."""

    path: str
    headers: dict[str, str]
    raw: bytes
    body: Json


Answer = str | Call | Sequence[Call]
Scripted = Answer | Callable[[Request], Answer]


class Wire:
    """The server. Free port, one thread per request; `requests` in the order of arrival."""

    def __init__(self, script: Iterable[Scripted] = (), default: str = "Noted.") -> None:
        self.requests: list[Request] = []
        self.default = default
        self._script = iter(script)
        self._lock = threading.Lock()
        self._calls = 0

    def __enter__(self) -> Wire:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"wire": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """What clients of Anthropic take as base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def openai_url(self) -> str:
        """What clients of OpenAI take as base URL."""
        return f"{self.url}/v1"

    def answer(self, request: Request) -> tuple[int, str, list[Call]]:
        """Note a request. Its number, and the text or the calls that it gets."""
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
            answer: Scripted = next(self._script, self.default)
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, str):
            return number, answer, []
        calls = [answer] if isinstance(answer, Call) else list(answer)
        return number, "", [Call(call.name, call.arguments, call.id or self._next_id()) for call in calls]

    def _next_id(self) -> str:
        with self._lock:
            self._calls += 1
            return f"call_wire_{self._calls}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wire: Wire

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        dialect = next((d for path, d in DIALECTS.items() if self.path.split("?")[0].endswith(path)), None)
        if dialect is None:
            self._send(404, "application/json", b'{"error": {"message": "no such path"}}')
            return
        body = json.loads(raw)
        headers = {name.lower(): value for name, value in self.headers.items()}
        number, text, calls = self.wire.answer(Request(self.path, headers, raw, body))
        whole, events = dialect
        reply = whole(number, str(body.get("model", "")), text, calls)
        if not body.get("stream"):
            self._send(200, "application/json", json.dumps(reply).encode())
            return
        self._send(200, "text/event-stream", "".join(events(reply)).encode())

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _event(data: Json | str, name: str = "") -> str:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


# -- OpenAI chat completions -------------------------------------------------------------------------------------------------------


def _completion(number: int, model: str, text: str, calls: list[Call]) -> Json:
    message: Json = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}} for call in calls
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {
        "id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage,
    }  # fmt: skip


def _completion_events(reply: Json) -> Iterator[str]:
    def chunk(delta: Json, finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({"id": reply["id"], "object": "chat.completion.chunk", "created": 1, "model": reply["model"], "choices": [choice]})

    message, finish = reply["choices"][0]["message"], reply["choices"][0]["finish_reason"]
    yield chunk({"role": "assistant", "content": ""})
    for word in _pieces(message["content"] or ""):
        yield chunk({"content": word})
    for place, call in enumerate(message.get("tool_calls", ())):
        yield chunk({"tool_calls": [{"index": place, **call}]})
    yield chunk({}, finish)
    yield _event({
        "id": reply["id"], "object": "chat.completion.chunk", "created": 1, "model": reply["model"], "choices": [], "usage": reply["usage"],
    })  # fmt: skip
    yield _event("[DONE]")


# -- OpenAI Responses --------------------------------------------------------------------------------------------------------------


def _response(number: int, model: str, text: str, calls: list[Call]) -> Json:
    output: list[Json] = [
        {
            "type": "function_call", "id": f"fc_{number}_{place}", "call_id": call.id, "name": call.name,
            "arguments": json.dumps(call.arguments), "status": "completed",
        }
        for place, call in enumerate(calls)
    ]  # fmt: skip
    if text:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        output.append({"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": [part]})
    usage = {
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15,
    }  # fmt: skip
    return {
        "id": f"resp_{number}", "object": "response", "created_at": 1, "status": "completed", "error": None, "incomplete_details": None,
        "instructions": None, "metadata": {}, "model": model, "output": output, "parallel_tool_calls": True, "temperature": 1.0,
        "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": usage,
    }  # fmt: skip


def _response_events(reply: Json) -> Iterator[str]:
    counter = iter(range(1_000_000))

    def event(kind: str, **fields: Any) -> str:
        return _event({"type": kind, "sequence_number": next(counter), **fields}, kind)

    yield event("response.created", response={**reply, "status": "in_progress", "output": [], "usage": None})
    for place, item in enumerate(reply["output"]):
        at = {"output_index": place, "item_id": item["id"]}
        empty = {**item, "status": "in_progress", **({"content": []} if item["type"] == "message" else {"arguments": ""})}
        yield event("response.output_item.added", output_index=place, item=empty)
        if item["type"] == "message":
            part = item["content"][0]
            yield event("response.content_part.added", content_index=0, part={**part, "text": ""}, **at)
            for word in _pieces(part["text"]):
                yield event("response.output_text.delta", content_index=0, delta=word, logprobs=[], **at)
            yield event("response.output_text.done", content_index=0, text=part["text"], logprobs=[], **at)
            yield event("response.content_part.done", content_index=0, part=part, **at)
        else:
            yield event("response.function_call_arguments.delta", delta=item["arguments"], **at)
            yield event("response.function_call_arguments.done", arguments=item["arguments"], name=item["name"], **at)
        yield event("response.output_item.done", output_index=place, item=item)
    yield event("response.completed", response=reply)


# -- Anthropic messages ------------------------------------------------------------------------------------------------------------


def _message(number: int, model: str, text: str, calls: list[Call]) -> Json:
    content: list[Json] = [{"type": "text", "text": text}] if text else []
    content += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in calls]
    return {
        "id": f"msg_{number}", "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 5},
    }  # fmt: skip


def _message_events(reply: Json) -> Iterator[str]:
    def event(kind: str, **fields: Any) -> str:
        return _event({"type": kind, **fields}, kind)

    yield event("message_start", message={**reply, "content": [], "stop_reason": None})
    for place, block in enumerate(reply["content"]):
        empty = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        yield event("content_block_start", index=place, content_block=empty)
        if block["type"] == "text":
            for word in _pieces(block["text"]):
                yield event("content_block_delta", index=place, delta={"type": "text_delta", "text": word})
        else:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            yield event("content_block_delta", index=place, delta=delta)
        yield event("content_block_stop", index=place)
    yield event("message_delta", delta={"stop_reason": reply["stop_reason"], "stop_sequence": None}, usage={"output_tokens": 5})
    yield event("message_stop")


# -- Gemini --------------------------------------------------------------------------------------------------------------------------


def _candidate(number: int, model: str, text: str, calls: list[Call]) -> Json:
    parts: list[Json] = [{"text": text}] if text else []
    parts += [{"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}} for call in calls]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": f"gemini-{number}"}


def _pieces(text: str) -> list[str]:
    """A text in pieces, so that a client has something to join."""
    return [text[at : at + 12] for at in range(0, len(text), 12)]


DIALECTS: dict[str, tuple[Callable[[int, str, str, list[Call]], Json], Callable[[Json], Iterator[str]]]] = {
    "/chat/completions": (_completion, _completion_events),
    "/responses": (_response, _response_events),
    "/messages": (_message, _message_events),
    ":generateContent": (_candidate, lambda reply: iter([_event(reply)])),
}
