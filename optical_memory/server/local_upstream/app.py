"""The local provider as an ASGI application."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from .counting import Counter
from .prompt_cache import AutomaticCache, Bill, Block, MarkedCache
from .rules import check, signature_of
from .script import Answered, scripted
from .wires import WIRES, Refused, WireFormat, newest_text, tool_names

__all__ = ["FAULTS", "LocalUpstream", "Seen"]

FAULTS = ("529", "429", "500", "400", "413", "no answer", "cut", "error event", "garbage", "slow", "no pages")
STATUS = {
    "529": (529, "overloaded_error", "Overloaded"),
    "429": (429, "rate_limit_error", "Too many requests"),
    "500": (500, "api_error", "Internal server error"),
    "400": (400, "invalid_request_error", "this is refused"),
    "413": (413, "request_too_large", "Request exceeds the maximum size"),
    "no pages": (400, "invalid_request_error", "this model takes no images"),
}
PNG = b"iVBORw0KGgo"
COUNTED = {  # what `count_tokens` takes
    *("messages", "model", "system", "tools", "tool_choice", "thinking"),
    *("cache_control", "context_management", "mcp_servers", "output_config", "speed"),
}


@dataclass(slots=True)
class Seen:
    """A request as it arrived, and the bytes of its answer."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    answer: bytearray = field(default_factory=bytearray)
    status: int = 0
    bill: Bill | None = None
    finished: bool = False

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def pages(self) -> int:
        """Number of PNG pictures in the request."""
        return self.body.count(PNG)


class LocalUpstream:
    """Answers all four formats from a script, bills as providers do, and fails when asked to.

    Args:
        minimum: tokens of the shortest prefix that is cached.
        picture_price: by how much pictures cost more than the published formula says.

    Attributes:
        seen: all requests.
        faults: what happens to the next requests, in order; empty strings for none.
        refuses_pages: whether every request with a picture is answered with 400.
        counts_tokens: whether it has `count_tokens`; a gateway may not.
        delay: seconds between the pieces of a stream.
        compress: whether answers are compressed if the client takes gzip.
    """

    def __init__(self, *, minimum: int = 1_024, picture_price: float = 1.0) -> None:
        self.seen: list[Seen] = []
        self.faults: deque[str] = deque()
        self.refuses_pages = False
        self.counts_tokens = True
        self.delay = 0.0
        self.compress = False
        self.counter = Counter(picture_price)
        self._marked, self._automatic = MarkedCache(minimum), AutomaticCache(minimum)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        seen = Seen(scope["method"], scope["raw_path"].decode(), scope["query_string"].decode(), headers, body)
        self.seen.append(seen)
        fault = self.faults.popleft() if self.faults and seen.method == "POST" else ""
        if fault == "no answer":
            await self._closed(send)
            return
        response = await asyncio.to_thread(self._response, seen, fault)
        await response(scope, receive, send)

    def _response(self, seen: Seen, fault: str) -> Response:
        wire = _wire(seen.path)
        if seen.method == "POST" and seen.path.endswith("/messages/count_tokens"):
            if not self.counts_tokens:
                return self._kept(seen, Response(b"{}", 404, media_type="application/json"))
            return self._kept(seen, self._counted(seen))
        if wire is None or seen.method != "POST":
            return self._kept(seen, Response(_other(seen), 200, media_type="application/json", headers={"x-local": "yes"}))
        if fault == "no pages" and not seen.pages:
            fault = ""
        if fault in STATUS or (self.refuses_pages and seen.pages):
            return self._refusal(seen, wire, *STATUS[fault or "no pages"])
        if fault == "garbage":
            return self._kept(seen, Response(b"<html>no json \xff\x00", 200, media_type="text/html"))
        body = seen.json
        model = str(body.get("model") or seen.path.split("/models/")[-1].partition(":")[0])
        try:
            check(wire.name, body)
            bill = seen.bill = self._bill(wire.name, model, body)
        except (Refused, ValueError) as exc:
            return self._refusal(seen, wire, 400, "invalid_request_error", str(exc))
        answered = self._signed(wire.name, body, scripted(newest_text(body, wire), tool_names(body)))
        if body.get("stream") or "streamGenerateContent" in seen.path:
            return self._stream(seen, wire, model, answered, bill, fault)
        whole = wire.whole(model, answered, bill)
        return self._kept(seen, self._packed(seen, json.dumps(whole).encode(), "application/json"))

    def _counted(self, seen: Seen) -> Response:
        """Count a request of Anthropic's, for nothing. A field that only a request for an answer has is refused."""
        body = seen.json
        if unknown := sorted(set(body) - COUNTED):
            error = WIRES["anthropic"].error(400, "invalid_request_error", f"{unknown[0]}: Extra inputs are not permitted")
            return Response(json.dumps(error), 400, media_type="application/json")
        tokens = sum(block.tokens for block in self._blocks("anthropic", str(body["model"]), body))
        return Response(json.dumps({"input_tokens": tokens}), 200, media_type="application/json")

    def _signed(self, wire: str, body: Mapping[str, Any], answered: Answered) -> Answered:
        """Think only where the request asks for it."""
        kind = (body.get("thinking") or {}).get("type") if wire == "anthropic" else None
        return replace(answered, signature=signature_of(body, len(body["messages"]))) if kind in ("adaptive", "enabled") else answered

    def _refusal(self, seen: Seen, wire: WireFormat, status: int, kind: str, text: str) -> Response:
        return self._kept(seen, Response(json.dumps(wire.error(status, kind, text)), status, media_type="application/json"))

    def _kept(self, seen: Seen, response: Response) -> Response:
        seen.answer += bytes(response.body)
        seen.status, seen.finished = response.status_code, True
        return response

    def _packed(self, seen: Seen, content: bytes, kind: str) -> Response:
        if not self._compresses(seen):
            return Response(content, media_type=kind)
        return Response(gzip.compress(content), media_type=kind, headers={"content-encoding": "gzip"})

    def _compresses(self, seen: Seen) -> bool:
        return self.compress and "gzip" in dict(seen.headers).get("accept-encoding", "")

    # -- streams -------------------------------------------------------------------------------------------------------------------

    def _stream(self, seen: Seen, wire: WireFormat, model: str, answered: Answered, bill: Bill, fault: str) -> Response:
        seen.status = 200
        events = list(wire.events(model, answered, bill))
        if wire.name == "chat" and not (seen.json.get("stream_options") or {}).get("include_usage"):
            events = [event for event in events if not (isinstance(event[1], Mapping) and event[1].get("usage"))]
        headers = {"content-encoding": "gzip"} if self._compresses(seen) else {}
        chunks = self._chunks(seen, [_event(name, data) for name, data in events], wire, fault)
        return _CutResponse(chunks, fault == "cut", media_type="text/event-stream", headers=headers)

    async def _chunks(self, seen: Seen, events: Sequence[bytes], wire: WireFormat, fault: str) -> AsyncIterator[bytes]:
        packer = zlib.compressobj(wbits=31) if self._compresses(seen) else None
        for chunk in self._faulty(events, wire, fault):
            if fault == "slow":
                await asyncio.sleep(0.3)
            elif self.delay:
                await asyncio.sleep(self.delay)
            packed = packer.compress(chunk) + packer.flush(zlib.Z_SYNC_FLUSH) if packer else chunk
            seen.answer += packed
            yield packed
        if packer:
            rest = packer.flush()
            seen.answer += rest
            yield rest
        seen.finished = fault != "cut"

    def _faulty(self, events: Sequence[bytes], wire: WireFormat, fault: str) -> Iterator[bytes]:
        if fault == "cut":
            yield from events[: len(events) // 2]
        elif fault == "error event":
            yield from events[:3]
            yield _event("error", wire.error(529, "overloaded_error", "Overloaded"))
        else:
            yield from events

    async def _closed(self, send: Any) -> None:
        send.__self__.transport.close()
        await asyncio.sleep(0.05)

    # -- bills ---------------------------------------------------------------------------------------------------------------------

    def _bill(self, wire: str, model: str, body: Mapping[str, Any]) -> Bill:
        blocks = list(self._blocks(wire, model, body))
        if wire == "anthropic":
            return self._marked.bill(model, blocks)
        return self._automatic.bill(model, blocks)

    def _blocks(self, wire: str, model: str, body: Mapping[str, Any]) -> Iterator[Block]:
        """Yield the blocks of a request in the order in which providers read them: tools, system prompt, messages."""
        yield from (self.counter.block(model, tool) for tool in body.get("tools") or ())
        for name in ("system", "instructions", "systemInstruction"):
            system = body.get(name)
            yield from (self.counter.block(model, each) for each in (system if isinstance(system, list) else [system] if system else []))
        messages = body.get(WIRES[wire].messages) or ()
        for message in [{"role": "user", "content": messages}] if isinstance(messages, str) else messages:
            content = message.get("content") or message.get("parts")
            around = str(message.get("role", ""))
            if wire in ("anthropic", "gemini", "chat") and isinstance(content, list) and not message.get("tool_calls"):
                yield from (self.counter.block(model, block, around=around) for block in content)
            elif wire == "anthropic":
                yield self.counter.block(model, {"type": "text", "text": content}, around=around)
            else:
                yield self.counter.block(model, message)


class _CutResponse(StreamingResponse):
    """A stream that may end without its end: the connection is closed in the middle."""

    def __init__(self, content: AsyncIterator[bytes], cut: bool, **rest: Any) -> None:
        super().__init__(content, **rest)
        self._cut = cut

    async def stream_response(self, send: Any) -> None:
        if not self._cut:
            await super().stream_response(send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self.body_iterator:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        send.__self__.transport.close()
        await asyncio.sleep(0.05)


def _wire(path: str) -> WireFormat | None:
    if path.endswith("/messages"):
        return WIRES["anthropic"]
    if path.endswith("/chat/completions"):
        return WIRES["chat"]
    if path.endswith("/responses"):
        return WIRES["responses"]
    return WIRES["gemini"] if "enerateContent" in path else None


def _other(seen: Seen) -> str:
    return json.dumps({"path": seen.path, "query": seen.query, "method": seen.method, "bytes": len(seen.body)})


def _event(name: str, data: Any) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()
