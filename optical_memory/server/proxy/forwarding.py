"""Send requests on and answers back, chunk by chunk, without changing a byte."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from .routes import Headers, Route, request_headers, response_headers

__all__ = ["Answer", "ClientGone", "Receive", "Send", "Upstreams", "cut", "overloaded", "read_body"]

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

CONNECT_SECONDS = 30.0
IDLE_SECONDS = 4.0  # a connection to an upstream is closed after; before the 5 s after which common servers close it under a request
LOOPBACK = ("localhost", "127.0.0.1", "::1")
OVERLOADED = 529  # all known clients send again after it, and none throws its history away


class ClientGone(Exception):
    """The client hung up."""


class Answer:
    """An answer of an upstream whose body has not been read yet."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Headers = response_headers(response.headers.raw)

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, not decoded. Raises `httpx.TransportError` if it is cut."""
        return self._response.stream.__aiter__()  # type: ignore[union-attr]

    async def close(self) -> None:
        """Close it; the connection too, if the body was not read to its end."""
        with suppress(httpx.TransportError):
            await self._response.aclose()


class Upstreams:
    """Connections to upstreams. Takes the proxies of the environment, as clients do; not for this machine itself."""

    def __init__(self) -> None:
        self._transports: dict[str, httpx.AsyncHTTPTransport] = {}
        self._context: ssl.SSLContext | None = None

    async def send(self, route: Route, method: str, headers: Headers, body: bytes | AsyncIterator[bytes] | None) -> Answer:
        """Send a request and return its answer once its headers are there. Raises `httpx.TransportError`."""
        length = len(body) if isinstance(body, bytes) else None
        request = httpx.Request(
            method,
            route.origin,
            headers=request_headers(headers, route.origin, length=length),
            content=body,
            extensions={"target": route.target, "timeout": {"connect": CONNECT_SECONDS}},
        )
        return Answer(await self._transport(route.origin).handle_async_request(request))

    def _transport(self, origin: str) -> httpx.AsyncHTTPTransport:
        if origin not in self._transports:
            if self._context is None:
                self._context = httpx.create_ssl_context()
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=IDLE_SECONDS)
            self._transports[origin] = httpx.AsyncHTTPTransport(verify=self._context, limits=limits, proxy=_proxy(origin))
        return self._transports[origin]

    async def close(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            await transport.aclose()


def _proxy(origin: str) -> httpx.Proxy | None:
    parts = urlsplit(origin)
    url = getproxies().get(parts.scheme) or getproxies().get("all")
    if not url or parts.hostname in LOOPBACK or proxy_bypass(parts.hostname or ""):
        return None
    return httpx.Proxy(url if "://" in url else f"http://{url}")


async def read_body(receive: Receive) -> AsyncIterator[bytes]:
    """Yield a request's body as it arrives. Raises `ClientGone`."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


def overloaded(upstream: str, origin: str, why: str) -> tuple[int, Headers, bytes]:
    """Return the answer if an upstream cannot be reached: an error that clients take as a reason to send again, and for nothing else."""
    message = f"optical-memory could not reach the upstream {upstream!r} at {origin}: {why}"
    error = {"type": "error", "error": {"type": "overloaded_error", "code": OVERLOADED, "status": "UNAVAILABLE", "message": message}}
    body = json.dumps(error).encode()
    return OVERLOADED, [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())], body


async def cut(send: Send, receive: Receive) -> None:
    """Close the client's connection, as the upstream has closed ours: before any answer, or in the middle of one."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)  # Uvicorn's; ASGI has no message for this
    if transport is None:
        raise ConnectionResetError("the upstream closed the connection")
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
