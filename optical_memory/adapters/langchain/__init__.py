"""LangChain: middleware for `create_agent`, `show` for LangGraph and any other loop over messages.

Message histories, the classic memory and byte stores are modules of this package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .history import as_runnable
    from .middleware import OpticalMemoryMiddleware
    from .showing import ashow, show

__all__ = ["OpticalMemoryMiddleware", "as_runnable", "ashow", "show"]

_HOMES = {"OpticalMemoryMiddleware": ".middleware", "as_runnable": ".history", "ashow": ".showing", "show": ".showing"}


def __getattr__(name: str) -> Any:
    """Import on first use: `history` and `byte_stores` need langchain-core alone, and the middleware needs all of LangChain."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
