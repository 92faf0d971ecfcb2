"""Turns laid out together: whole units, of about so many tokens of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..turns.exchanges import Exchange, exchanges_of
from ..turns.turn import Turn

__all__ = ["chunk_of"]


def chunk_of(turns: Sequence[Turn], tokens: int, cost: Callable[[Turn], int]) -> tuple[list[Exchange], bool]:
    """Return the first exchanges of `turns`, about `tokens` of text, and whether that is all. A long exchange is cut between units.

    A unit counts as half of `tokens` at most: what follows a longer one fills its last page, which avoids laying it out twice.
    """
    near = _near(turns, 2 * tokens, cost)
    taken: list[Exchange] = []
    total = used = 0
    for exchange in near:
        units = []
        for unit in exchange:
            if total >= tokens:
                break
            units.append(unit)
            total += min(tokens // 2, sum(map(cost, unit)))
            used += len(unit)
        if units:
            taken.append(tuple(units))
        if len(units) < len(exchange):
            break
    return taken, used == len(turns)


def _near(turns: Sequence[Turn], tokens: int, cost: Callable[[Turn], int]) -> list[Exchange]:
    """Return the exchanges of about the first `tokens` of `turns`. Avoids grouping 100,000 turns for a chunk of a few hundred."""
    end = total = 0
    while end < len(turns) and total < tokens:
        total += min(tokens // 4, cost(turns[end]))
        end += 1
    near = exchanges_of(turns[:end])
    if end == len(turns):
        return near
    whole = [*near[:-1], near[-1][:-1]]  # the last unit may continue beyond the cut
    return [exchange for exchange in whole if exchange] or _near(turns, 2 * tokens, cost)
