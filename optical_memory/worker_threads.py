"""Blocking work in a worker thread, for the async twins of methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["in_thread"]

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(*args, **kwargs)` in a worker thread.

    Raises what it raises. A `StopIteration` becomes a `RuntimeError`, as in a generator: asyncio cannot set it on a future, so that an
    `await` of it would never return.
    """

    def guarded() -> T:
        try:
            return function(*args, **kwargs)
        except StopIteration as exc:
            raise RuntimeError(f"{getattr(function, '__qualname__', function)!s} raised StopIteration") from exc

    import asyncio  # the caller has it; who calls nothing asynchronous is spared it

    return await asyncio.to_thread(guarded)
