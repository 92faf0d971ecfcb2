"""The proxy as an ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import httpx

from ..inspector.app import PREFIX as INSPECTOR
from ..inspector.app import Inspector
from .accounts import Accounts
from .api import OWN_PATHS, Api
from .calls import Call, Calls
from .forwarding import Answer, ClientGone, Receive, Send, Upstreams, cut, overloaded, read_body
from .origins import Origins
from .recall.rounds import Offer, Rounds
from .rewriting import Outgoing, Rewriter
from .routes import Headers, Route, Router, header
from .spans import Spans
from .usage import AnswerCopy

__all__ = ["ProxyApp"]

MOST_BUFFERED = 64 * 2**20  # bytes of a request that may be rewritten; a larger one goes on as it arrives
REFUSED = (400, 413, 415, 422)  # answers to a rewritten request after which the original is sent
TRACED = ("traceparent", "tracestate")  # the client's span
UNREACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol, httpx.LocalProtocolError)


class ProxyApp:
    """Answers its own paths; sends everything else on, rewritten or as it came."""

    def __init__(
        self,
        router: Router,
        upstreams: Upstreams,
        rewriter: Rewriter,
        accounts: Accounts,
        calls: Calls,
        api: Api,
        inspector: Inspector | None = None,
        spans: Spans | None = None,
        origins: Origins | None = None,
    ) -> None:
        self._origins = origins or Origins()
        self._router, self._upstreams, self._rewriter = router, upstreams, rewriter
        self._accounts, self._calls, self._api, self._inspector, self._spans = accounts, calls, api, inspector, spans

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return
        own = not header(scope["headers"], b"x-optical-memory-upstream")
        if own and scope["path"] in OWN_PATHS:
            await self._api(scope, receive, send)
        elif own and self._inspector is not None and (scope["path"].startswith(INSPECTOR) or _opens(scope)):
            await self._inspector(scope, receive, send)  # type: ignore[arg-type]
        elif "websocket" in header(scope["headers"], b"upgrade").lower():
            await _answer(send, 426, [(b"upgrade", b"HTTP/1.1"), (b"connection", b"upgrade"), (b"content-length", b"0")], b"")
        elif scope["method"] == "HEAD" and scope["path"] == "/":
            await _answer(send, 200, [(b"content-length", b"0")], b"")
        elif refusal := self._origins.refusal(scope):
            body = f"{refusal}\n".encode()
            await _answer(send, 403, [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())], body)
        else:
            await self._exchange(scope, receive, send)

    async def _exchange(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers: Headers = list(scope["headers"])
        call = Call(scope["method"], scope["path"], client=header(headers, b"user-agent")[:80])
        route = self._router.route(scope["method"], scope["raw_path"], scope["query_string"], headers)
        if route is None:
            await _answer(send, 404, [(b"content-type", b"text/plain"), (b"content-length", b"25")], b"no upstream of that name\n")
            return
        call.upstream, call.origin, call.wire = route.upstream, route.origin, route.wire.name if route.wire else ""
        exchange = _Exchange(self._upstreams, self._rewriter, route, headers, scope, receive, send, call)
        try:
            await exchange.run()
        finally:
            call.total_ms = round((time.perf_counter() - exchange.began) * 1000, 2)
            self._rewriter.in_background(self._settled(exchange, call, {name: header(headers, name.encode()) for name in TRACED}))

    async def _settled(self, exchange: _Exchange, call: Call, traced: Mapping[str, str]) -> None:
        try:
            if exchange.sent is not None:
                await self._accounts.settle(exchange.sent, call, exchange.copy)
        finally:
            self._calls.add(call)
            if self._spans is not None:
                self._spans.add(call, traced)


class _Exchange:
    """One request and its answer."""

    def __init__(
        self,
        upstreams: Upstreams,
        rewriter: Rewriter,
        route: Route,
        headers: Headers,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
        call: Call,
    ) -> None:
        self._upstreams, self._rewriter, self._route, self._headers, self._scope = upstreams, rewriter, route, headers, scope
        self._receive, self._send, self._call = receive, send, call
        self.began = time.perf_counter()
        self.sent: Outgoing | None = None
        self.copy: AnswerCopy | None = None
        self._body_read = asyncio.Event()
        self._is_complete = False

    async def run(self) -> None:
        """Send the request on and the answer back; stop at once if the client hangs up."""
        work = asyncio.ensure_future(self._work())
        watch = asyncio.ensure_future(self._client_gone())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and not self._call.end and not self._is_complete:
                self._call.end = "the client hung up"
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)
        if not work.cancelled() and (failure := work.exception()) and not isinstance(failure, ClientGone):
            raise failure

    async def _client_gone(self) -> None:
        await self._body_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _work(self) -> None:
        try:
            answer = await self._answered()
        except UNREACHED as exc:
            status, headers, body = overloaded(self._route.upstream, self._route.origin, type(exc).__name__)
            self._call.status, self._call.end = status, f"not reached: {type(exc).__name__}"
            await _answer(self._send, status, headers, body)
            return
        except httpx.TransportError as exc:
            self._call.end = f"no answer: {type(exc).__name__}"
            await cut(self._send, self._gone)
            return
        await self._relay(answer)

    async def _gone(self) -> dict[str, Any]:
        """Stand in for `receive`, which the watching task waits on."""
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    async def _answered(self) -> Answer:
        """Send the request, and return the answer that the client is to get."""
        if self._route.wire is None or header(self._headers, b"content-encoding") or self._is_signed():
            return await self._upstreams.send(self._route, self._scope["method"], self._headers, self._streamed(()))
        body, more = await self._buffered()
        if more is not None:
            return await self._upstreams.send(self._route, self._scope["method"], self._headers, more)
        self._body_read.set()
        return await self._maybe_rewritten(body)

    async def _maybe_rewritten(self, body: bytes) -> Answer:
        read = time.perf_counter()
        sent = self.sent = await self._rewriter.outgoing(self._route, self._headers, self._scope["query_string"], body)
        call = self._call
        call.model, call.reason, call.bytes_in = sent.request.model if sent.request else "", sent.reason, len(body)
        call.rewritten, call.pages = sent.splice is not None, sent.splice.pages if sent.splice else 0
        call.bytes_sent = len(sent.body) if sent.body is not None else len(body)
        call.own_ms = round((time.perf_counter() - read) * 1000, 3)
        if sent.offer is not None:  # the answer is read on the way
            self._headers = [(name, value) for name, value in self._headers if name != b"accept-encoding"]
            self._headers.append((b"accept-encoding", b"identity"))
        answer = await self._post(body if sent.body is None else sent.body)
        if answer.status not in REFUSED:
            return answer
        if sent.splice is not None:
            answer = await self._original(sent, answer, body)
        return await self._without_reasoning(sent, answer)

    async def _post(self, body: bytes) -> Answer:
        return await self._upstreams.send(self._route, "POST", self._headers, body)

    async def _original(self, sent: Outgoing, answer: Answer, body: bytes) -> Answer:
        """Send the original of a request with pages that was refused."""
        await answer.close()
        call = self._call
        call.refused, call.rewritten, call.pages, call.reason = answer.status, False, 0, f"refused: {answer.status}"
        original = await self._post(body)
        self._rewriter.refused(sent, answer.status, also_original=original.status in REFUSED)
        sent.body = sent.splice = sent.offer = None
        return original

    async def _without_reasoning(self, sent: Outgoing, answer: Answer) -> Answer:
        """Send a text that was refused again without the reasoning that was written after pages, if there is any."""
        text = self._rewriter.without_bound_reasoning(sent) if answer.status == 400 and sent.body is None else None
        if text is None:
            return answer
        again = await self._post(text)
        if again.status in REFUSED:
            await again.close()
            return answer
        await answer.close()
        self._rewriter.returned(sent)
        if self._call.refused:
            self._rewriter.refused(sent, self._call.refused, also_original=False)
        return again

    async def _relay(self, answer: Answer) -> None:
        """Send the answer to the client as it arrives."""
        call = self._call
        call.status, call.first_byte_ms = answer.status, round((time.perf_counter() - self.began) * 1000, 2)
        if self.sent is not None:
            is_stream = header(answer.headers, b"content-type").startswith("text/event-stream")
            self.copy = AnswerCopy(header(answer.headers, b"content-encoding"), is_stream=is_stream)
            self._rewriter.after(self.sent)
        try:
            if self.sent is not None and self.sent.offer is not None and self.copy is not None and 200 <= answer.status < 300:
                await self._relay_rounds(self.sent, self.sent.offer, answer, self.copy)
                return
            await self._send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            send, keep = self._send, self.copy.add if self.copy is not None else None
            async for chunk in answer.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if keep is not None:
                    keep(chunk)
        except httpx.TransportError as exc:
            call.end = f"cut: {type(exc).__name__}"
            await cut(self._send, self._gone)
            return
        finally:
            with suppress(asyncio.CancelledError):
                await asyncio.shield(answer.close())
        await self._sent({"type": "http.response.body", "body": b"", "more_body": False})

    async def _sent(self, message: dict[str, Any]) -> None:
        """Send a part of the answer; after its end the client may hang up."""
        self._is_complete = message.get("more_body") is False
        await self._send(message)

    async def _relay_rounds(self, sent: Outgoing, offer: Offer, answer: Answer, copy: AnswerCopy) -> None:
        """Send one answer to the client, whatever number of rounds it takes."""
        rewriter = self._rewriter
        rounds = Rounds(
            offer,
            self._post,
            lambda call: rewriter.look_up(sent, call),
            lambda visible, exchange: rewriter.keep(sent, visible, exchange),
            self._sent,
        )
        try:
            await rounds.relay(answer, copy)
        finally:
            self._call.recalls, sent.bills = rounds.recalls, rounds.bills
            with suppress(asyncio.CancelledError):
                await asyncio.shield(rounds.close())

    # -- the request's body --------------------------------------------------------------------------------------------------------

    async def _buffered(self) -> tuple[bytes, AsyncIterator[bytes] | None]:
        """Return the whole body; or, for one that is too large, an iterator over it."""
        chunks: list[bytes] = []
        size = 0
        body = read_body(self._receive)
        async for chunk in body:
            chunks.append(chunk)
            size += len(chunk)
            if size > MOST_BUFFERED:
                self._call.reason = "too large"
                return b"", self._streamed(tuple(chunks), body)
        return b"".join(chunks), None

    def _streamed(self, first: tuple[bytes, ...], rest: AsyncIterator[bytes] | None = None) -> AsyncIterator[bytes] | None:
        """Return an iterator over a body as it arrives; None for a request without one."""
        names = {name for name, _ in self._headers}
        if rest is None and not names & {b"content-length", b"transfer-encoding"}:
            self._body_read.set()
            return None
        return self._chunks(first, rest or read_body(self._receive))

    async def _chunks(self, first: tuple[bytes, ...], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        for chunk in first:
            yield chunk
        async for chunk in rest:
            yield chunk
        self._body_read.set()

    def _is_signed(self) -> bool:
        """Whether the request's signature covers its body, as AWS wants it."""
        names = (b"x-amz-content-sha256", b"content-md5", b"digest", b"content-digest")
        return any(header(self._headers, name) for name in names) or header(self._headers, b"authorization").startswith("AWS4")


def _opens(scope: dict[str, Any]) -> bool:
    """Whether a browser opens the proxy's address."""
    return scope["path"] == "/" and scope["method"] == "GET" and "text/html" in header(scope["headers"], b"accept")


async def _answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
