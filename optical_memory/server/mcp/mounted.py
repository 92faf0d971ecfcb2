"""MCP over streamable HTTP, at a path in front of any ASGI application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from typing import Any

from ...errors import MissingExtra
from ..addresses import host_of, place_of

try:
    from mcp.server import MCPServer
    from mcp.server.transport_security import TransportSecuritySettings
    from starlette.responses import PlainTextResponse
except ImportError as exc:
    raise MissingExtra("MCP over HTTP", "mcp") from exc

__all__ = ["PATH", "MountedMcp", "stranger"]

PATH = "/mcp"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Refusal = Callable[[Scope], str | None]


def stranger(scope: Scope) -> str | None:
    """Return why a request is refused: it comes from another machine, from a page of another site, or by a name that only leads here.

    The last two are how a web page in a browser on this machine would reach a server on it (DNS rebinding).
    """
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host, origin, client = headers.get(b"host", ""), headers.get(b"origin"), scope.get("client")
    if client is not None and client[0] not in LOOPBACK:
        return "this address answers only to this machine"
    if host_of(f"//{host}") not in LOOPBACK:
        return "the request's Host is not this machine"
    if origin is not None and place_of(origin) != host:
        return "the request comes from a page of another site"
    return None


class MountedMcp:
    """An ASGI application that answers MCP at `/mcp` and hands everything else on.

    It needs no lifespan: it starts with its first request, in that request's event loop, and ends with the loop or with `close`. Requests
    are independent of each other, so any number of processes can serve a store.

    Args:
        server: see `memory_server`.
        others: the application behind it; without one, all other paths are 404.
        refusal: says why a request is refused, or None; by default `stranger`.
    """

    def __init__(self, server: MCPServer[Any], others: Any = None, *, refusal: Refusal = stranger) -> None:
        # The SDK's own check knows fixed hosts only; `refusal` stands in its place.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self._app = server.streamable_http_app(streamable_http_path=PATH, stateless_http=True, transport_security=security)
        self._manager, self._others, self._refusal = server.session_manager, others, refusal
        self._running: asyncio.Task[None] | None = None
        self._started, self._ended = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != PATH:
            return await self._elsewhere(scope, receive, send)
        if refusal := self._refusal(scope):
            return await PlainTextResponse(refusal + "\n", 403)(scope, receive, send)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await self._started.wait()
        await self._app(scope, receive, send)

    async def _elsewhere(self, scope: Scope, receive: Any, send: Any) -> None:
        if self._others is not None:
            await self._others(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse(f"MCP is at {PATH}\n", 404)(scope, receive, send)

    async def _run(self) -> None:
        async with self._manager.run():
            self._started.set()
            await self._ended.wait()

    async def close(self) -> None:
        """End what is under way. Awaited in the event loop of the requests."""
        self._ended.set()
        if self._running is not None:
            await self._running
