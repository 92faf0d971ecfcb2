"""Turns that ask to be obeyed, kept off pages with their units: see `text.screening`."""

from __future__ import annotations

from collections.abc import Sequence

from ..text.screening import asks_to_be_obeyed
from ..turns.exchanges import units_of
from ..turns.turn import Turn

__all__ = ["Screening"]


class Screening:
    """Tells which turns may stand on pages: all, unless it is on."""

    def __init__(self, *, on: bool) -> None:
        self._on, self._asking = on, dict[int, bool]()

    def asks(self, turn: Turn) -> bool:
        """Whether a turn asks to be obeyed. Instructions of the system may."""
        if not self._on or turn.role in ("system", "developer"):
            return False
        if turn.number not in self._asking:
            self._asking[turn.number] = asks_to_be_obeyed(f"{turn.name or ''}\n{turn.text}")
        return self._asking[turn.number]

    def kept(self, turns: Sequence[Turn]) -> set[int]:
        """Return the numbers of the turns whose unit holds one that asks to be obeyed: a call and its results stay together."""
        asking = (unit for unit in units_of(turns) if any(map(self.asks, unit))) if self._on else ()
        return {turn.number for unit in asking for turn in unit}

    def drawable(self, turns: Sequence[Turn]) -> list[list[Turn]]:
        """Group adjacent turns that may stand on pages."""
        kept, groups, before = self.kept(turns), list[list[Turn]](), None
        for turn in turns:
            if turn.number not in kept:
                if before is None:
                    groups.append([])
                groups[-1].append(turn)
            before = None if turn.number in kept else turn
        return groups
