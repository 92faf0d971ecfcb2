"""Serve MCP over standard input and output, or over HTTP on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import anyio

from ...stores.base import open_store
from .memories import Memories
from .mounted import PATH, MountedMcp
from .server import memory_server

__all__ = ["opened_server", "serve_http", "serve_stdio"]

HOST = "127.0.0.1"


@contextmanager
def opened_server(store: str | None, *, may_erase: bool, result_tokens: int, context_tokens: int, **options: Any) -> Iterator[Any]:
    """Open a store and return its MCP server; the store is closed at the end.

    Args:
        options: of `Memories`.

    Raises `StoreError`, `ValueError`.
    """
    with closing(open_store(store)) as opened:
        memories = Memories(opened, **options)
        yield memory_server(memories, may_erase=may_erase, result_tokens=result_tokens, context_tokens=context_tokens)


def serve_stdio(store: str | None, **options: Any) -> None:
    """Serve one client until it closes standard input. Nothing but the protocol is written to standard output.

    Args:
        options: of `opened_server`.
    """
    with opened_server(store, **options) as server:
        try:
            anyio.run(server.run_stdio_async)
        except* BrokenPipeError:
            pass  # the client went without waiting for its answer


def serve_http(store: str | None, *, port: int, ready: Callable[[str], None], **options: Any) -> None:
    """Serve any client on this machine, until the process is asked to end.

    Args:
        port: 0 takes a free one.
        ready: called with the address once it listens.
        options: of `opened_server`.

    Raises `OSError` if the port is taken.
    """
    from ..listening import Server, address_of, bound

    with opened_server(store, **options) as server:
        listener = bound(HOST, port)
        Server(MountedMcp(server), lambda: ready(address_of(listener, HOST) + PATH)).run([listener])
