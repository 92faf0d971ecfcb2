"""Group turns into units, which must not be split, and exchanges.

A *unit* is a turn alone, or an assistant turn with tool calls and everything up to the last of their results. Providers reject a request
with half a unit, so pages and text change over only between units. An *exchange* is a user turn and all that follows up to the next user
turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from .turn import ToolResultContent, Turn

__all__ = ["Exchange", "Unit", "exchanges_of", "is_document", "open_calls", "starts_exchange", "units_of"]

Unit = tuple[Turn, ...]
Exchange = tuple[Unit, ...]


def starts_exchange(turn: Turn) -> bool:
    """Whether a turn opens a new exchange: a user's turn with more than tool results, and more than documents, which ask nothing."""
    if turn.role != "user" or any(isinstance(part, ToolResultContent) for part in turn.parts):
        return False
    return not is_document(turn)


def is_document(turn: Turn) -> bool:
    """Whether a turn is an attached document, or several, and nothing else."""
    return not isinstance(turn.content, str) and 0 < len(turn.documents) == len(turn.content)


def units_of(turns: Sequence[Turn]) -> list[Unit]:
    """Split turns, in log order, into units. A call without a result in `turns` does not extend its unit."""
    last_member = _last_members(turns)
    units: list[Unit] = []
    start = 0
    while start < len(turns):
        end = start
        position = start
        while position <= end:  # a turn with a result may make calls itself: follow the chain
            end = max(end, last_member.get(position, position))
            position += 1
        units.append(tuple(turns[start : end + 1]))
        start = end + 1
    return units


def exchanges_of(turns: Sequence[Turn]) -> list[Exchange]:
    """Group the units of `turns` into exchanges. Turns before the first user turn form one too."""
    exchanges: list[list[Unit]] = []
    for unit in units_of(turns):
        if not exchanges or starts_exchange(unit[0]):
            exchanges.append([])
        exchanges[-1].append(unit)
    return [tuple(units) for units in exchanges]


def open_calls(turns: Sequence[Turn]) -> list[str]:
    """Return the ids of calls in `turns` that no later turn answers, in order."""
    waiting: list[str] = []
    for turn in turns:
        for call_id in turn.answered_calls:
            if call_id in waiting:
                waiting.remove(call_id)
        waiting += turn.waiting_calls
    return waiting


def _last_members(turns: Sequence[Turn]) -> dict[int, int]:
    """Return for each position that makes calls the position of the last result of one of them.

    Call ids repeat in real logs, so a result answers the nearest earlier call of its id that is still open.
    """
    waiting: dict[str, list[int]] = {}
    last: dict[int, int] = {}
    for position, turn in enumerate(turns):
        for call_id in turn.answered_calls:
            if callers := waiting.get(call_id):
                last[callers.pop()] = position
        for call_id in turn.waiting_calls:
            waiting.setdefault(call_id, []).append(position)
    return last
