"""Decide where a new page begins.

Renderers measure and draw; this module decides, so that all renderers decide alike. It is greedy and ignores everything after the current
unit. So a page can be redrawn later from its own turns alone, to the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

__all__ = ["Measured", "page_starts"]

WORTH_BREAKING = 0.9  # a page this full may end early to keep the next exchange whole; on an emptier one that wastes more than it saves
IMPATIENCE = 0.25  # lowers that threshold for every page since the last clean break, so that every run of pages ends


class Measured(NamedTuple):
    """A unit's height in layout pixels, laid out in one column, its exchange, and whether the exchange begins a page in any case."""

    height: float
    exchange: int
    fresh: bool = False


def page_starts(units: Sequence[Measured], capacity: float) -> list[int]:
    """Return the indices of the units that begin a new page, the first one included.

    Args:
        units: the units in order.
        capacity: height that a page holds over all its columns.

    An exchange that fits on a page stays whole if the page before is at least nine tenths full; otherwise its units do. Everything else
    continues over as many pages as it needs; the more pages since the last clean break, the sooner a unit begins a new one.
    """
    packing = _Packing(capacity)
    for _, group in groupby(enumerate(units), key=lambda pair: pair[1].exchange):
        members = list(group)
        if members[0][1].fresh:
            packing.begin_page()
        whole = sum(unit.height for _, unit in members)
        if packing.fits(whole) or packing.is_worth_breaking(whole):
            packing.place(members[0][0], whole)
            continue
        for index, unit in members:
            packing.place(index, unit.height)
    return packing.starts


class _Packing:
    """Pages being filled: where each begins, and how full the last one is."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.starts: list[int] = []
        self._used = 0.0
        self._flowed = 0
        self._is_over = False

    def fits(self, height: float) -> bool:
        return self._used + height <= self.capacity

    def is_worth_breaking(self, height: float) -> bool:
        """Whether a new page should begin before something of `height` that does not fit on this one."""
        needed = max(0.0, WORTH_BREAKING - IMPATIENCE * self._flowed)
        return height <= self.capacity and self._used >= needed * self.capacity

    def begin_page(self) -> None:
        """Leave the rest of the page blank."""
        self._used, self._flowed, self._is_over = 0.0, 0, True

    def place(self, index: int, height: float) -> None:
        """Place something of `height` that begins with unit `index` here or on a new page."""
        if self._is_over or not self.starts or (not self.fits(height) and self.is_worth_breaking(height)):
            self.starts.append(index)
            self._used, self._flowed, self._is_over = 0.0, 0, False
        self._used += height
        while self._used > self.capacity:
            self._used -= self.capacity
            self._flowed += 1
