"""MCP in front of another application of this package, where the extra `mcp` is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import MissingExtra
from ...stores.base import Store

__all__ = ["with_mcp"]


def with_mcp(store: Store, others: Any, refusal: Callable[[Any], str | None]) -> Any:
    """Return an ASGI application that answers MCP at `/mcp` for the sessions of a store, and hands all else on to `others`.

    Without the extra `mcp` it is `others`.

    Args:
        refusal: says why a request to `/mcp` is refused, or None.
    """
    try:
        from .mounted import MountedMcp
        from .server import memory_server
    except MissingExtra:
        return others
    from .memories import Memories

    return MountedMcp(memory_server(Memories(store)), others, refusal=refusal)
