"""Listen on an address, and say when it is ready."""

from __future__ import annotations

import socket
from collections.abc import Callable

from ..errors import MissingExtra

try:
    import uvicorn
except ImportError as exc:
    raise MissingExtra("a server", "server") from exc

__all__ = ["Server", "address_of", "bound"]


class Server(uvicorn.Server):
    """Uvicorn's, which says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def bound(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises `OSError`, which names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio sets it only where the protocol is named, as above
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise OSError(exc.errno, f"cannot listen on {host}:{port}: {exc.strerror}") from exc
    return listener


def address_of(listener: socket.socket, host: str) -> str:
    """Return the URL of a listening socket."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
