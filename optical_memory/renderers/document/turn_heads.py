"""The run-in head of a turn: `#42 user`, with the tool's name for a tool's turn. The same for every renderer."""

from __future__ import annotations

from collections.abc import Sequence

from ...turns.exchanges import Exchange
from ...turns.parts import TurnPart
from ...turns.turn import Turn
from .compaction import visible

__all__ = ["head_labels", "speaker_of"]

NAME_LENGTH = 60  # characters of a speaker's or tool's name that are drawn; the log keeps the rest


def head_labels(exchange: Exchange) -> list[str]:
    """Return the text after the number of each turn of `exchange`, in order: the role, and the speaker's or tool's name if known.

    A part of a long turn is numbered: `user 2/16`.
    """
    return [_label(turn, unit) for unit in exchange for turn in unit]


def _label(turn: Turn, unit: Sequence[Turn]) -> str:
    name = speaker_of(turn, unit)
    label = f"{turn.role} {visible(name[:NAME_LENGTH]).strip()}" if name else turn.role
    return f"{label} {turn.part}/{turn.of}" if isinstance(turn, TurnPart) and turn.of > 1 else label


def speaker_of(turn: Turn, unit: Sequence[Turn]) -> str:
    """Return the speaker's name of a turn of `unit`, or its tool's; empty if it is not known."""
    return turn.name or _called_tool(turn, unit)


def _called_tool(turn: Turn, unit: Sequence[Turn]) -> str:
    """Return the tool whose call a tool turn answers: chat formats name it at the call only."""
    if turn.role != "tool" or not turn.tool_call_id:
        return ""
    return next((call.name for other in unit for call in other.tool_calls if call.id == turn.tool_call_id), "")
