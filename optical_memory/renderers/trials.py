"""What was made of turns that are laid out several times, with few changes between: kept until they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from ..turns.turn import Turn

__all__ = ["Trials"]

MOST = 1_000  # turns; those of some dozens of pages

T = TypeVar("T")


class Trials(Generic[T]):
    """Rows or HTML of turns, by all that determines them. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[Hashable, T] = {}

    def of(self, turn: Turn, beside: Hashable, make: Callable[[], T]) -> T:
        """Return what was made of an equal turn, else what `make` returns. `beside` is what else determines it."""
        if type(turn) is not Turn or not isinstance(turn.content, str) or turn.tool_calls or turn.extra:
            return make()
        key = (beside, turn.number, turn.role, turn.name, turn.content)
        made = self._known.get(key)  # another thread may forget it at any time
        if made is None:
            if len(self._known) >= MOST:
                self._known.clear()
            made = self._known[key] = make()
        return made

    def forget(self) -> None:
        """Drop everything, once the pages are drawn."""
        self._known.clear()
