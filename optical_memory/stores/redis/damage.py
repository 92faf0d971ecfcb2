"""What a damaged session has lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import SessionCorrupted, StoreError
from ..base import SessionId
from ..codec import decode, digest

if TYPE_CHECKING:
    from .store import RedisStore

__all__ = ["damage_of", "lost_turns", "ranges"]

COUNTED = ("the log", "the index of ids", "the index of calls", "the list of pins")
ADVICE = "Restore the server from a backup, or erase the session"


def damage_of(store: RedisStore, session: SessionId, counts: str) -> SessionCorrupted:
    """The error for a session whose parts do not hold what they should; `counts` are those of `scripts.PRELUDE`."""
    held, _, due = counts.partition(" of ")
    told = [
        f"{part} holds {has} of {should}{' turns' if part == COUNTED[0] else ''}"
        for part, has, should in zip(COUNTED, held.split(), due.split(), strict=True)
        if has != should
    ]
    missing, exactly = lost_turns(store, session)
    if missing:
        where = ranges(missing)
        told.append(f"lost: {where}" if exactly else f"lost are some of {where}; the others were erased")
    return SessionCorrupted(f"session {session.name!r}: {'; '.join(told)}. {ADVICE}", session=session.name, missing=missing)


def lost_turns(store: RedisStore, session: SessionId) -> tuple[tuple[int, ...], bool]:
    """Numbers of the turns that the index of ids knows and the log does not hold, and whether none of them was erased.

    A record that cannot be read counts as lost.
    """
    _, log, ids, *_ = store.layout.keys(session)
    records = store.wire.command("LRANGE", log, 0, -1)
    answer = store.wire.command("HGETALL", ids)
    numbers = {bytes(key): int(number) for key, number in answer.items()}
    for record in filter(None, records):
        try:
            numbers.pop(digest(decode(store.cipher.open(record), 1).id), None)
        except StoreError:
            continue
    erased = sum(not record for record in records)
    missing = tuple(sorted(numbers.values()))
    return (missing, True) if not erased else (missing if len(missing) > erased else (), False)


def ranges(numbers: tuple[int, ...]) -> str:
    """`turns #1, #3 to #7`."""
    parts: list[str] = []
    start = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            first = numbers[start]
            parts.append(f"#{first}" if first == number else f"#{first} to #{number}")
            start = place + 1
    return ("turns " if len(numbers) > 1 else "turn ") + ", ".join(parts)
