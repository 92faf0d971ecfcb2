"""Where a record belongs, as the digest that binds it there."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from .base import SessionId
from .codec import to_bytes

__all__ = ["DIGEST_BYTES", "Place"]

DIGEST_BYTES = 16


class Place(NamedTuple):
    """Where a record belongs: a turn of a session by number, or an entry of its cache by name."""

    session: SessionId
    kind: str
    name: str

    def __str__(self) -> str:
        return f"turn #{self.name}" if self.kind == "turn" else f"the cached {self.name!r}"

    @property
    def digest(self) -> bytes:
        """Differs for any two places: every part is written with its length."""
        parts = map(to_bytes, (self.session.tenant, self.session.name, self.kind, self.name))
        return hashlib.blake2b(b"".join(len(part).to_bytes(8) + part for part in parts), digest_size=DIGEST_BYTES).digest()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The number of the turn; none for an entry of the cache."""
        return (int(self.name),) if self.kind == "turn" else ()

    @classmethod
    def of_turn(cls, session: SessionId, number: int) -> Place:
        return cls(session, "turn", str(number))

    @classmethod
    def of_entry(cls, session: SessionId, name: str) -> Place:
        return cls(session, "cache", name)
