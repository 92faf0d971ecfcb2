"""Servers that the benchmark of the proxy runs as processes: a provider that streams at once, and a bare pass-through in httpx.

`python -m benchmarks._proxy_servers provider PORT` and `... bare PORT PROVIDER_URL`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

CHUNK = b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "delta": {"text": "' + b"word " * 100 + b'"}}\n\n'
HOP = {b"connection", b"transfer-encoding", b"host", b"keep-alive"}


async def _answer(request: Request) -> Response:
    """Stream as many chunks as the header asks for, after as many milliseconds."""
    async for _ in request.stream():
        pass
    chunks, wait = (int(request.headers.get(name, "0")) for name in ("x-chunks", "x-wait"))

    async def body() -> AsyncIterator[bytes]:
        await asyncio.sleep(wait / 1_000)
        for _ in range(chunks):
            yield CHUNK

    return StreamingResponse(body(), media_type="text/event-stream")


def _bare(provider: str) -> Starlette:
    client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None, max_keepalive_connections=None))

    async def pass_on(request: Request) -> Response:
        headers = [(name, value) for name, value in request.headers.raw if name not in HOP]
        asked = client.build_request("POST", provider + request.url.path, headers=headers, content=await request.body())
        answer = await client.send(asked, stream=True)
        given = {name: value for name, value in answer.headers.items() if name.encode() not in HOP}
        return StreamingResponse(answer.aiter_raw(), answer.status_code, given)

    return Starlette(routes=[Route("/{path:path}", pass_on, methods=["POST"])])


def main() -> None:
    """Serve until ended."""
    kind, port, *rest = sys.argv[1:]
    app: Any = Starlette(routes=[Route("/{path:path}", _answer, methods=["POST"])]) if kind == "provider" else _bare(rest[0])
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="critical", access_log=False, timeout_keep_alive=120)


if __name__ == "__main__":
    main()
