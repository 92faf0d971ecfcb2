"""MCP over streamable HTTP, at a path in front of any ASGI application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from typing import Any

from ...errors import MissingExtra
from ..access import Access

try:
    from mcp.server import MCPServer
    from mcp.server.transport_security import TransportSecuritySettings
    from starlette.responses import PlainTextResponse
except ImportError as exc:
    raise MissingExtra("MCP over HTTP", "mcp") from exc

__all__ = ["PATH", "MountedMcp"]

PATH = "/mcp"
log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Refusal = Callable[[Scope], str | None]


class MountedMcp:
    """An ASGI application that answers MCP at `/mcp` and hands everything else on.

    It needs no lifespan: it starts with its first request, in that request's event loop, and ends with the loop or with `close`. Requests
    are independent of each other, so any number of processes can serve a store.

    Args:
        server: see `memory_server`.
        others: the application behind it; without one, all other paths are 404.
        refusal: says why a request is refused, or None; by default those of `Access`.
    """

    def __init__(self, server: MCPServer[Any], others: Any = None, *, refusal: Refusal | None = None) -> None:
        # The SDK's own check knows fixed hosts only; `refusal` stands in its place.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self._app = server.streamable_http_app(streamable_http_path=PATH, stateless_http=True, transport_security=security)
        self._manager, self._others, self._refusal = server.session_manager, others, refusal or Access().refusal
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
