"""Which key holds what.

A session has six keys, and claims on its work, of one hash tag, hence in one slot: `meta` (hash: version, length, counts, times), `log`
(list of records, turn n at index n - 1, empty once erased), `ids` (hash: digest of a turn's id -> number), `calls` (hash: digest of a
call's id -> turns that made it), `pins` (sorted set of numbers), `cache` (hash of what is derived). For each tenant a hash names its
sessions, with what is to be expected of each: that is how the loss of a whole session is told from a session that never was.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from ..base import SessionId
from ..codec import digest, from_bytes, to_bytes

__all__ = ["EXPIRING", "KEPT", "OPENING", "PARTS", "Layout"]

PARTS = ("meta", "log", "ids", "calls", "pins", "cache")

OPENING = b"opening"  # being made or erased: it may be there or not
KEPT = b"kept"  # lives until it is erased: must be there
EXPIRING = b"expiring"  # has an end: may be gone


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys of one namespace. Raises `ValueError` for a namespace that would not make safe keys."""

    namespace: str = "om"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", self.namespace):
            raise ValueError(f"a namespace has letters, digits, '.', '_' and '-' only; got {self.namespace!r}")

    def keys(self, session: SessionId) -> list[str]:
        """Those of `PARTS`, in that order."""
        return [f"{self.tag(session)}:{part}" for part in PARTS]

    def claim(self, session: SessionId, name: str) -> str:
        return f"{self.tag(session)}:claim:{digest(name).hex()}"

    def tag(self, session: SessionId) -> str:
        return f"{{{self.namespace}:{_encoded(session.tenant)}:{_encoded(session.name)}}}"

    def index(self, tenant: str) -> str:
        """The hash of a tenant's sessions: name -> OPENING, KEPT or EXPIRING."""
        return f"{self.namespace}:index:{_encoded(tenant)}"

    def old_index(self, tenant: str) -> str:
        """The set that named a tenant's sessions in layout 1."""
        return f"{self.namespace}:sessions:{_encoded(tenant)}"

    def session_of(self, key: bytes) -> tuple[SessionId, str] | None:
        """The session that a key belongs to, and the part; None for a key that is no session's of this namespace."""
        match = re.fullmatch(rb"\{%b:([\w-]*):([\w-]*)\}:(.+)" % re.escape(self.namespace.encode()), key)
        return (SessionId(_decoded(match[2]), _decoded(match[1])), match[3].decode()) if match else None

    def tenant_of(self, key: bytes) -> str | None:
        """The tenant whose index, of this layout or the first, a key is."""
        match = re.fullmatch(rb"%b:(?:index|sessions):([\w-]*)" % re.escape(self.namespace.encode()), key)
        return _decoded(match[1]) if match else None


def _encoded(text: str) -> str:
    """A part of a key: no colon or brace in it, so no two pairs of parts give the same key."""
    return urlsafe_b64encode(to_bytes(text)).decode().rstrip("=")


def _decoded(part: bytes) -> str:
    return from_bytes(urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
