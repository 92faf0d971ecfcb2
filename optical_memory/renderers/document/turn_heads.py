"""The run-in head of a turn: `#42 user`, with the tool's name for a tool's turn. The same for every renderer."""

from __future__ import annotations

from collections.abc import Sequence

from ...turns.exchanges import Exchange
from ...turns.repeated import RepeatedTurn
from ...turns.turn import Turn
from .compaction import visible

__all__ = ["head_labels", "reference_to", "speaker_labels"]

NAME_LENGTH = 60  # characters of a speaker's or tool's name that are drawn; the log keeps the rest


def head_labels(exchange: Exchange) -> list[str]:
    """Return the text after the number of each turn of `exchange`, in order: `tool get_user`, or `same as #41, tool get_user`.

    The reference comes first: a name, which a message may choose, cannot pass for one.
    """
    turns = (turn for unit in exchange for turn in unit)
    return [
        f"{reference_to(turn.same_as)}, {label}" if isinstance(turn, RepeatedTurn) else label
        for turn, label in zip(turns, speaker_labels(exchange), strict=True)
    ]


def reference_to(number: int) -> str:
    """Return what is drawn in place of words that another turn has."""
    return f"same as #{number}"


def speaker_labels(exchange: Exchange) -> list[str]:
    """Return the speaker of each turn of `exchange`, in order: the role, and the speaker's or tool's name if known."""
    return [_label(turn, unit) for unit in exchange for turn in unit]


def _label(turn: Turn, unit: Sequence[Turn]) -> str:
    name = turn.name or _called_tool(turn, unit)
    return f"{turn.role} {visible(name[:NAME_LENGTH]).strip()}" if name else turn.role


def _called_tool(turn: Turn, unit: Sequence[Turn]) -> str:
    """Return the tool whose call a tool turn answers: chat formats name it at the call only."""
    if turn.role != "tool" or not turn.tool_call_id:
        return ""
    return next((call.name for other in unit for call in other.tool_calls if call.id == turn.tool_call_id), "")
