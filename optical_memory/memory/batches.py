"""Turns as they are stored: messages converted, with ids and times."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from ..errors import InvalidTurn
from ..turns.from_messages import TurnLike, turn_of
from ..turns.turn import IMPORTED, UNDATED, Turn

__all__ = ["batch_of", "completed_turn", "place_of"]


def batch_of(turns: Sequence[TurnLike]) -> list[Turn]:
    """Prepare turns for storing. Raises `InvalidTurn` or `TypeError`, with the place of the invalid turn."""
    batch: list[Turn] = []
    for place, turn in enumerate(turns):
        try:
            batch.append(completed_turn(turn_of(turn)))
        except (InvalidTurn, TypeError) as exc:
            raise type(exc)(f"{place_of(place, len(turns))}{exc}") from exc
    return batch


def place_of(place: int, of: int) -> str:
    """Where a message stands among others, for errors."""
    return f"message {place + 1} of {of}: " if of > 1 else ""


def completed_turn(turn: Turn) -> Turn:
    """Fill in id and time, and clear the number. An imported turn without a time is marked: the day of the import is not its day."""
    if turn.id and turn.created_at and not turn.number:
        return turn
    note = turn.metadata.get(IMPORTED)
    if turn.created_at is None and isinstance(note, dict):
        turn = turn.model_copy(update={"metadata": {**turn.metadata, IMPORTED: {**note, UNDATED: True}}})
    return turn.model_copy(update={"number": 0, "id": turn.id or uuid.uuid4().hex, "created_at": turn.created_at or datetime.now(UTC)})
