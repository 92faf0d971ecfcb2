"""Where a record belongs, as the digest that binds it there."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

from ..text.excerpts import excerpt
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
        return f"turn #{self.name}" if self.kind == "turn" else f"the cached {excerpt(self.name)}"

    def digest(self, data: bytes = b"") -> bytes:
        """Of the place, and of what stands there. Differs for any two places: every part is written with its length."""
        digest = _begun(*self.session, self.kind).copy()
        digest.update(_with_length(self.name))
        digest.update(data)
        return digest.digest()

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


@lru_cache(maxsize=1_024)
def _begun(session: str, tenant: str, kind: str) -> hashlib.blake2b:
    """What all places of a session's turns share, digested once."""
    return hashlib.blake2b(b"".join(map(_with_length, (tenant, session, kind))), digest_size=DIGEST_BYTES)


def _with_length(part: str) -> bytes:
    data = to_bytes(part)
    return len(data).to_bytes(8) + data
