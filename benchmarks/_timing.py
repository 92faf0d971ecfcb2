"""The clock of the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["timed"]


def timed(call: Callable[[], object]) -> float:
    """Milliseconds that one call takes."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1_000
