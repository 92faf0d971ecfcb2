"""Turns to pages: where a new page begins.

Renderers measure and draw; the decision is made here, so that every renderer decides alike. It is greedy and looks at nothing that comes
after the unit at hand. That is what lets a page be drawn again later from its own turns alone, to the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

__all__ = ["Measured", "page_starts"]

WORTH_BREAKING = 0.9  # a page this full may end early to keep the next exchange whole; an emptier one would waste what it saves
IMPATIENCE = 0.25  # so much less full it needs to be for every page since the last clean break: no run of pages goes on for ever


class Measured(NamedTuple):
    """A unit's height in layout pixels, laid out in one column, and the exchange that it belongs to."""

    height: float
    exchange: int


def page_starts(units: Sequence[Measured], capacity: float) -> list[int]:
    """Indices of the units that begin a new page, the first one included.

    Args:
        units: the units in order.
        capacity: heights that a page holds over all its columns.

    An exchange that fits on a page stays whole if the page before is at least nine tenths full; failing that, its units do. Everything
    else flows on, over as many pages as it takes; the longer pages have flowed into each other, the sooner a unit begins a new one.
    """
    packing = _Packing(capacity)
    for _, group in groupby(enumerate(units), key=lambda pair: pair[1].exchange):
        members = list(group)
        whole = sum(unit.height for _, unit in members)
        if packing.fits(whole) or packing.is_worth_breaking(whole):
            packing.place(members[0][0], whole)
            continue
        for index, unit in members:
            packing.place(index, unit.height)
    return packing.starts


class _Packing:
    """Pages being filled: where each began, and how full the last one is."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.starts: list[int] = []
        self._used = 0.0
        self._flowed = 0

    def fits(self, height: float) -> bool:
        return self._used + height <= self.capacity

    def is_worth_breaking(self, height: float) -> bool:
        """Whether a new page should begin before something of `height` that does not fit on this one."""
        needed = max(0.0, WORTH_BREAKING - IMPATIENCE * self._flowed)
        return height <= self.capacity and self._used >= needed * self.capacity

    def place(self, index: int, height: float) -> None:
        """Put something of `height` that begins with unit `index` here or on a new page."""
        if not self.starts or (not self.fits(height) and self.is_worth_breaking(height)):
            self.starts.append(index)
            self._used, self._flowed = 0.0, 0
        self._used += height
        while self._used > self.capacity:
            self._used -= self.capacity
            self._flowed += 1
