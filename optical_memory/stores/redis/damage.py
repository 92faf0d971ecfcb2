"""Which turns a damaged session has lost."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import SessionCorrupted, StoreError
from ...text.excerpts import excerpt
from ..base import SessionId
from ..codec import DIGEST_BYTES, decode, digest
from ..ranges import ranges
from .cache import RedisCache

__all__ = ["ADVICE", "damage_of", "lost_turns"]

ADVICE = "Restore the server from a backup, or erase the session"


def damage_of(store: RedisCache, session: SessionId, counts: str) -> SessionCorrupted:
    """The error for a session whose log does not hold what it should; `counts` are those of `scripts.PRELUDE`."""
    held, due = counts.split()
    found = f"the log holds {held} of {due} turns"
    missing, exactly = lost_turns(store, session)
    if missing:
        where = ranges(missing)
        found += f"; lost: {where}" if exactly else f"; lost are some of {where}; the others were erased"
    elif int(held) > int(due):
        found = f"the log holds {held} turns, and what is known of them is lost"
    return SessionCorrupted(f"session {excerpt(session.name)}: {found}. {ADVICE}", session=session.name, missing=missing)


def lost_turns(store: RedisCache, session: SessionId) -> tuple[tuple[int, ...], bool]:
    """Numbers of the turns that `meta` knows and the log does not hold, and whether none of them was erased.

    A record that cannot be read counts as lost.
    """
    meta, log, _ = store.layout.keys(session)
    records = store.wire.command("LRANGE", log, 0, -1)
    numbers = _numbers(store.wire.command("HGETALL", meta)) or _numbers(store.wire.command("HGETALL", store.layout.old_keys(session)[0]))
    for record in filter(None, records):
        try:
            numbers.pop(digest(decode(store.cipher.open(record), 1).id), None)  # a loss has moved what follows
        except StoreError:
            continue
    erased = sum(not record for record in records)
    missing = tuple(sorted(numbers.values()))
    return (missing, True) if not erased else (missing if len(missing) > erased else (), False)


def _numbers(fields: Mapping[bytes, bytes]) -> dict[bytes, int]:
    """Turn numbers by the digests of their ids."""
    return {name: int(number) for name, number in fields.items() if len(name) == DIGEST_BYTES}
