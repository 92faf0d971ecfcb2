"""How turns belong together: units that must not be parted, and exchanges that read as one.

A *unit* is a turn alone, or an assistant turn with tool calls and everything up to the last of their results. A provider rejects a request
that holds one half of a unit, so text and picture meet only between units. An *exchange* is a user turn and all that follows up to the
next user turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from .turn import ToolResultContent, Turn

__all__ = ["Exchange", "Unit", "exchanges_of", "open_calls", "starts_exchange", "units_of"]

Unit = tuple[Turn, ...]
Exchange = tuple[Unit, ...]


def starts_exchange(turn: Turn) -> bool:
    """Whether a turn opens a new exchange: a user speaks, and does not merely hand over tool results."""
    return turn.role == "user" and not any(isinstance(part, ToolResultContent) for part in turn.parts)


def units_of(turns: Sequence[Turn]) -> list[Unit]:
    """Cut turns, in log order, into units. A call without a result in `turns` binds nothing but its own turn."""
    last_member = _last_members(turns)
    units: list[Unit] = []
    start = 0
    while start < len(turns):
        end = start
        position = start
        while position <= end:  # a result may itself sit in a turn that makes calls: follow the chain
            end = max(end, last_member.get(position, position))
            position += 1
        units.append(tuple(turns[start : end + 1]))
        start = end + 1
    return units


def exchanges_of(turns: Sequence[Turn]) -> list[Exchange]:
    """Group the units of `turns` into exchanges. What stands before the first user turn is an exchange too."""
    exchanges: list[list[Unit]] = []
    for unit in units_of(turns):
        if not exchanges or starts_exchange(unit[0]):
            exchanges.append([])
        exchanges[-1].append(unit)
    return [tuple(units) for units in exchanges]


def open_calls(turns: Sequence[Turn]) -> list[str]:
    """Ids of calls in `turns` that no later turn of `turns` answers, in order."""
    waiting: list[str] = []
    for turn in turns:
        for call_id in turn.answered_calls:
            if call_id in waiting:
                waiting.remove(call_id)
        waiting += [call.id for call in turn.tool_calls]
    return waiting


def _last_members(turns: Sequence[Turn]) -> dict[int, int]:
    """For each position that makes calls: the position of the last result to one of them.

    Call ids repeat in real logs, so a result answers the nearest earlier call of its id that is still open.
    """
    waiting: dict[str, list[int]] = {}
    last: dict[int, int] = {}
    for position, turn in enumerate(turns):
        for call_id in turn.answered_calls:
            if callers := waiting.get(call_id):
                last[callers.pop()] = position
        for call in turn.tool_calls:
            waiting.setdefault(call.id, []).append(position)
    return last
