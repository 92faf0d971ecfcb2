"""A turn as a store writes it down: its record, and the digests that it is found by."""

from __future__ import annotations

from typing import NamedTuple

from ..turns.turn import Turn
from .codec import digest, encode

__all__ = ["Entry", "entry_of"]


class Entry(NamedTuple):
    """A turn that is ready to be stored.

    Attributes:
        digest: of its id.
        record: as `codec.encode` writes it.
        pinned: whether it is pinned.
        calls: digests of the ids of its tool calls, each once.
    """

    digest: bytes
    record: bytes
    pinned: bool
    calls: tuple[bytes, ...]


def entry_of(turn: Turn) -> Entry:
    """Prepare a turn. Raises `InvalidTurn` for one without an id, and for content that JSON cannot hold."""
    calls = tuple({call.id: digest(call.id) for call in turn.tool_calls}.values())
    return Entry(digest(turn.id), encode(turn), turn.pinned, calls)
