"""A local provider and a proxy in front of it, both over real HTTP, and conversations to send through them."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from optical_memory.server.local_upstream.app import LocalUpstream, Seen
from optical_memory.server.local_upstream.serving import Serving
from optical_memory.server.proxy.serve import Proxy
from optical_memory.server.proxy.settings import ProxySettings
from tests.remembered import REMEMBERED

CLAUDE = "claude-opus-4-8"
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # all is plain HTTP here; httpx would read the machine's certificates for every request
TOOLS = [
    {"name": "Bash", "description": "Run a command.", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}
]


@dataclass
class Rig:
    """The provider, the proxy, and their addresses."""

    upstream: LocalUpstream
    proxy: Proxy
    direct: str
    address: str

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None, *, address: str | None = None) -> httpx.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"content-type": "application/json", "x-api-key": "secret-key", **(headers or {})}
        return httpx.post((address or self.address) + path, content=data, headers=given, timeout=60, verify=PLAIN)

    def get(self, path: str) -> Any:
        return httpx.get(self.address + path, timeout=30, verify=PLAIN).json()

    def _calls(self, since: float) -> list[dict[str, Any]]:
        return [call for call in self.get("/api/requests?limit=1000") if float(call["time"]) >= since]

    @property
    def last(self) -> Seen:
        return self.upstream.seen[-1]

    def settled(self, calls: int, *, since: float = 0.0) -> list[dict[str, Any]]:
        """Wait until so many calls that began after `since` are settled; return them, newest first.

        A call is settled after its answer, so a test that shares its proxy with others says since when its own calls began.
        """
        until = time.monotonic() + 20
        while len(found := self._calls(since)) < calls and time.monotonic() < until:
            time.sleep(0.02)
        assert len(found) >= calls
        return sorted(found, key=lambda call: -float(call["time"]))


@contextmanager
def rig(*, picture_price: float = 1.0, **settings: Any) -> Iterator[Rig]:
    upstream = LocalUpstream(picture_price=picture_price)
    with Serving(upstream) as provider:
        given = {"store": "memory://", "renderer": REMEMBERED, "draw_wait": 60.0, "probe": False, **settings}
        base = dict.fromkeys(("anthropic", "openai", "gemini", "other"), provider.address)
        proxy = Proxy.of(ProxySettings(upstreams=base, **given))
        proxy.load()
        with Serving(proxy.app, close=proxy.close) as server:
            yield Rig(upstream, proxy, provider.address, server.address)


def claude(rounds: int, *, last: str = "", seed: str = "a", size: int = 4_000, **fields: Any) -> dict[str, Any]:
    """Return a request of Anthropic's with so many rounds of tool calls, in the manner of Claude Code."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"Work on task {seed}."}]
    for at in range(rounds):
        call = {"type": "tool_use", "id": f"toolu_{seed}{at}", "name": "Bash", "input": {"command": f"cat part{at}.txt"}}
        messages.append({"role": "assistant", "content": [{"type": "text", "text": f"Round {at}."}, call]})
        text = f"part {at} of {seed}: " + " ".join(f"line{at}x{each} holds value {at * each};" for each in range(size // 30))
        messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"toolu_{seed}{at}", "content": text}]})
    if last:
        messages += [{"role": "assistant", "content": "Done."}, {"role": "user", "content": [{"type": "text", "text": last}]}]
    content = messages[-1]["content"]
    if isinstance(content, list):
        content[-1]["cache_control"] = {"type": "ephemeral"}
    system = [
        {"type": "text", "text": "x-billing: cc 123"},
        {"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Rules. " * 300, "cache_control": {"type": "ephemeral"}},
    ]
    head = {"model": CLAUDE, "messages": messages, "system": system, "tools": TOOLS, "max_tokens": 1_000, "unknown_field": {"b": 1, "a": 2}}
    return {**head, **fields}
