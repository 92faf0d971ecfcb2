"""Identifiers that an agent uses again: is the exact string still available when it is needed?

A probe is a value in a tool call's arguments that last occurred several messages before. With everything before the call in the memory, the
exact string must be available: as text, in a page's sidecar, on a readable page, or by recall. One wrong character fails.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import BudgetTooSmall
from ..memory.optical_memory import OpticalMemory
from ..renderers.document.turn_heads import head_labels
from ..turns.exchanges import exchanges_of
from ..turns.turn import Turn
from .legibility import Legibility
from .policies import RECALLED

__all__ = ["PLACES", "Probe", "cut_offers", "probe", "probes_of"]

SHORTEST = 5  # characters of a value; shorter ones are not identifiers
PIECE = re.compile(r"[\w./@:+-]+")


PLACES = ("as text", "in a sidecar", "on a page", "by recall", "nowhere", "budget too small")


@dataclass(frozen=True, slots=True)
class Probe:
    """A value that the call in turn `turn` needs, last seen in turn `seen`."""

    turn: int
    value: str
    seen: int


def probes_of(turns: Sequence[Turn], gap: int) -> list[Probe]:
    """Find values in the arguments of calls that last occurred at least `gap` turns before; each turn's values once."""
    found: list[Probe] = []
    last: dict[str, int] = {}
    for turn in turns:
        values = dict.fromkeys(value for call in turn.tool_calls for value in _values(call.arguments))
        for value in values:
            seen = last.get(value) or next((other.number for other in reversed(turns[: turn.number - 1]) if value in other.text), 0)
            if seen and turn.number - seen >= gap:
                found.append(Probe(turn.number, value, seen))
            last[value] = turn.number
    return found


def cut_offers(turns: Sequence[Turn], probes: Sequence[Probe], budget: int, cost: Callable[[Turn], int]) -> int:
    """Count the values available if the newest turns that fit are kept as text and the oldest are cut."""
    held = 0
    for each in probes:
        spent = 0
        for turn in reversed(turns[: each.turn - 1]):
            spent += cost(turn)
            if spent > budget:
                break
            if each.value in turn.text:
                held += 1
                break
    return held


def probe(
    memory: OpticalMemory,
    turns: Sequence[Turn],
    probes: Sequence[Probe],
    budget: int,
    legibility: Legibility,
    advance: Callable[[int], None] = lambda steps: None,
) -> Counter[str]:
    """Count the values available at each of `PLACES`, each at the first place.

    Args:
        memory: an empty memory; turns are appended up to each probe.
        turns: the whole conversation.
        probes: those of `probes_of`, in order.
    """
    offered: Counter[str] = Counter()
    done = 0
    labels = _labels(turns)
    for each in probes:
        memory.extend(turns[done : each.turn - 1])
        done = each.turn - 1
        offered[_place(memory, turns[:done], each.value, budget, legibility, labels)] += 1
        advance(1)
    return offered


def _place(memory: OpticalMemory, before: Sequence[Turn], value: str, budget: int, legibility: Legibility, labels: dict[int, str]) -> str:
    try:
        context = memory.context(budget)
    except BudgetTooSmall:
        return "budget too small"
    if any(value in turn.text for turn in context.turns):
        return "as text"
    if any(value in exact for part in context.pages for exact in part.page.sidecar):
        return "in a sidecar"
    holders = {turn.number: turn for turn in before if value in turn.text}
    shown = [(part.page, part.tier) for part in context.pages]
    if any(legibility.shows(turn, labels[number], shown, value) for number, turn in reversed(holders.items())):
        return "on a page"
    asked = next((turn.text for turn in reversed(before) if turn.role == "user"), "")
    return "by recall" if any(value in turn.text for turn in memory.recall(asked, RECALLED)) else "nowhere"


def _labels(turns: Sequence[Turn]) -> dict[int, str]:
    return {
        turn.number: label
        for exchange in exchanges_of(turns)
        for turn, label in zip((turn for unit in exchange for turn in unit), head_labels(exchange), strict=True)
    }


def _values(arguments: str) -> Iterator[str]:
    """Yield possible identifiers in the arguments of a call: parts of its strings with a digit, and paths."""
    try:
        pending = [json.loads(arguments)]
    except (ValueError, RecursionError):
        return
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str):
            yield from (piece for piece in map(_stripped, PIECE.findall(value)) if len(piece) >= SHORTEST and _is_telling(piece))


def _stripped(piece: str) -> str:
    return piece.strip(".,:;-")


def _is_telling(piece: str) -> bool:
    return "/" in piece.strip("/") or any(map(str.isdigit, piece))
