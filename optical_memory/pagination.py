"""Turns to pages: where a new page begins.

Renderers measure and draw; the decision is made here, so that every renderer decides alike. It is greedy and looks at nothing that comes
after the unit at hand. That is what lets a page be drawn again later from its own turns alone, to the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Measured", "page_starts"]

WORTH_BREAKING = 0.75  # a page this full may end early to keep the next exchange whole; an emptier one would waste what it saves


class Measured(NamedTuple):
    """A unit's height in layout pixels, laid out in one column, and the exchange that it belongs to."""

    height: float
    exchange: int


def page_starts(units: Sequence[Measured], capacity: float) -> list[int]:
    """Indices of the units that begin a new page, the first one included.

    Args:
        units: the units in order.
        capacity: heights that a page holds over all its columns.

    An exchange that fits on a page stays whole if the page before is at least three quarters full; so does a unit of a longer exchange.
    Everything else flows on, over as many pages as it takes.
    """
    starts: list[int] = [0] if units else []
    used = 0.0
    index = 0
    while index < len(units):
        size = _exchange_end(units, index) - index
        group = [sum(unit.height for unit in units[index : index + size])]
        if group[0] > capacity:
            group = [unit.height for unit in units[index : index + size]]
        for offset, height in enumerate(group):
            if _breaks_before(used, height, capacity):
                starts.append(index + offset)
                used = 0.0
            used += height
            while used > capacity:
                used -= capacity
        index += size
    return starts


def _exchange_end(units: Sequence[Measured], start: int) -> int:
    end = start
    while end < len(units) and units[end].exchange == units[start].exchange:
        end += 1
    return end


def _breaks_before(used: float, height: float, capacity: float) -> bool:
    if used == 0.0 or used + height <= capacity:
        return False
    return height <= capacity and used >= WORTH_BREAKING * capacity
