"""Listen on an address, and say when it is ready."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from ..errors import MissingExtra

try:
    import uvicorn
except ImportError as exc:
    raise MissingExtra("a server", "server") from exc

__all__ = ["Server", "address_of", "bound"]


class Server(uvicorn.Server):
    """Uvicorn's, without its logs of calls and its lifespan, which says when it listens.

    Args:
        app: an ASGI application.
        ready: called once it listens.
        settings: of `uvicorn.Config`, in place of these ones.
    """

    def __init__(self, app: Any, ready: Callable[[], None] = lambda: None, **settings: Any) -> None:
        plain = {"log_config": None, "log_level": "warning", "access_log": False, "lifespan": "off", "ws": "none", "server_header": False}
        ends = {"timeout_graceful_shutdown": 1}  # a stream of events never ends by itself
        super().__init__(uvicorn.Config(app, **{**plain, **ends, **settings}))
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
