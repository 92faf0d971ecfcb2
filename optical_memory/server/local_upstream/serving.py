"""Serve an ASGI application from a thread of this process, on a free port of this machine."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from ..listening import Server

__all__ = ["Serving"]


class Serving:
    """`with Serving(app) as address:` serves the application until the block ends.

    Args:
        close: awaited in the server's event loop at the end.
    """

    def __init__(self, app: Any, close: Callable[[], Awaitable[None]] | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small writes wait for the client's acknowledgement
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server, self._close = Server(app, log_level="critical", date_header=False), close
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self) -> None:
        await self._server.serve([self._socket])
        if self._close is not None:
            await self._close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()
