"""A turn on its way into a log."""

from __future__ import annotations

from typing import NamedTuple

from ...turns.turn import Turn
from ..codec import digest

__all__ = ["Entry", "calls_of"]


class Entry(NamedTuple):
    """What the append script takes of a turn: the record is sealed last, for the number that it gets."""

    digest: bytes
    record: bytes
    rest: tuple[bytes, ...]

    @classmethod
    def of(cls, turn: Turn, record: bytes) -> Entry:
        calls = calls_of(turn)
        return cls(digest(turn.id), record, (b"1" if turn.pinned else b"0", b"%d" % len(calls), *calls))


def calls_of(turn: Turn) -> list[bytes]:
    """Digests of the calls that a turn makes."""
    return [digest(call_id) for call_id in sorted({call.id for call in turn.tool_calls})]
