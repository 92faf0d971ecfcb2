"""Anthropic's free `count_tokens` as a probe: what a request would have had as text, counted by the provider itself.

It is asked once for each change of pages, after the client has its answer, with the client's own key. Between two changes the difference
between pages and their text stays the same.
"""

from __future__ import annotations

import asyncio
import json

import httpx

from .forwarding import Upstreams
from .routes import Headers, Route
from .wire.request import Request

__all__ = ["Probe"]

COUNTED = (  # what `count_tokens` takes of a request; it refuses anything else
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "cache_control",
    "context_management",
    "mcp_servers",
    "output_config",
    "speed",
)
NOT_THERE = (404, 405, 501)
SECONDS = 15.0
MOST_BYTES = 100_000  # of an answer, which has a hundred


class Probe:
    """Counts requests as text. One at a time; an upstream without the path is not asked again.

    Args:
        on: whether it asks at all.
    """

    def __init__(self, upstreams: Upstreams, *, on: bool) -> None:
        self._upstreams, self._on = upstreams, on
        self._without: set[str] = set()
        self._one = asyncio.Lock()

    def may_ask(self, route: Route) -> bool:
        """Whether a request to this route can be counted."""
        return self._on and route.wire is not None and route.wire.name == "anthropic" and route.origin not in self._without

    async def tokens(self, route: Route, headers: Headers, request: Request) -> int | None:
        """Return the tokens of a request as its client sent it; None if the provider does not say."""
        members = [f"{json.dumps(name)}:{request.text[span.start : span.end]}" for name, span in request.fields.items() if name in COUNTED]
        body = ("{" + ",".join(members) + "}").encode("utf-8", "surrogatepass")
        path, _, query = route.target.partition(b"?")
        target = path + b"/count_tokens" + (b"?" + query if query else b"")
        plain = [(name, value) for name, value in headers if name not in (b"accept-encoding", b"accept")]
        asked = Route(route.upstream, route.origin, target, None)
        async with self._one:
            try:
                async with asyncio.timeout(SECONDS):
                    return await self._asked(asked, [*plain, (b"accept-encoding", b"identity")], body)
            except (httpx.TransportError, TimeoutError, ValueError, KeyError, TypeError):
                return None

    async def _asked(self, route: Route, headers: Headers, body: bytes) -> int | None:
        answer = await self._upstreams.send(route, "POST", headers, body)
        try:
            if answer.status in NOT_THERE:
                self._without.add(route.origin)
            if answer.status != 200:
                return None
            read = b""
            async for chunk in answer.chunks():
                read += chunk
                if len(read) > MOST_BYTES:
                    return None
            return int(json.loads(read)["input_tokens"])
        finally:
            await answer.close()
