"""Serve the inspector for a store, without a proxy."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import closing

from ...errors import MissingExtra
from ...stores.base import open_store
from ..access import LOOPBACK, Access
from ..listening import Server, address_of, bound
from ..mcp.mounting import with_mcp

try:
    import jinja2  # noqa: F401
    import starlette  # noqa: F401
except ImportError as exc:
    raise MissingExtra("the inspector", "server") from exc

from .app import Inspector
from .proxy_window import ProxyWindow

__all__ = ["serve_inspector"]


def serve_inspector(store: str | None, *, host: str, port: int, token: str | None, may_erase: bool, ready: Callable[[str], None]) -> None:
    """Serve until the process is asked to end.

    Args:
        token: what a browser must show; made up for a host that is not this machine, if there is none.
        ready: called with the address to open once it listens; it has the token.

    Raises `StoreError`, `ValueError`, `OSError`.
    """
    token = token or (None if host in LOOPBACK else secrets.token_urlsafe(24))
    with closing(open_store(store)) as opened:
        access = Access(token)
        inspector = Inspector(opened, access, ProxyWindow(opened), may_erase=may_erase)
        app = with_mcp(opened, inspector, access.refusal) if may_erase else inspector  # its tool `remember` writes
        listener = bound(host, port)
        address = address_of(listener, host) + (f"/?token={token}" if token else "/")
        Server(app, lambda: ready(address)).run([listener])
