"""The keys of a store and their contents.

A session has three keys, and claims on its work, of one hash tag, hence in one slot:

    meta    hash: the version of the layout, the log's length, times, pins; the digest of each turn's id -> its number;
            `call ` and the digest of a call's id -> how many turns made it
    log     list of records, turn n at index n - 1, empty once erased
    cache   hash of derived data

For each tenant a hash lists its sessions with their expected state, so that the loss of a whole session differs from a session that never
existed.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache

from ..base import SessionId
from ..codec import digest, from_bytes, to_bytes

__all__ = ["EXPIRING", "KEPT", "OPENING", "PARTS", "Layout"]

PARTS = ("meta", "log", "cache")
OLD_PARTS = ("ids", "calls", "pins")  # of layout 1

OPENING = b"opening"  # being created or erased: may exist or not
KEPT = b"kept"  # no expiry: must exist
EXPIRING = b"expiring"  # has an expiry: may be gone


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys of one namespace. Raises `ValueError` for a namespace that would not make safe keys."""

    namespace: str = "om"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", self.namespace):
            raise ValueError(f"a namespace has letters, digits, '.', '_' and '-' only; got {self.namespace!r}")

    def keys(self, session: SessionId) -> tuple[bytes, ...]:
        """Those of `PARTS`, in that order."""
        return _keys(self.namespace, session)

    def old_keys(self, session: SessionId) -> tuple[bytes, ...]:
        """Those of `OLD_PARTS`."""
        return tuple(f"{self.tag(session)}:{part}".encode() for part in OLD_PARTS)

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


@lru_cache(maxsize=4_096)
def _keys(namespace: str, session: SessionId) -> tuple[bytes, ...]:
    tag = Layout(namespace).tag(session)
    return tuple(f"{tag}:{part}".encode() for part in PARTS)


def _encoded(text: str) -> str:
    """A part of a key: no colon or brace in it, so no two pairs of parts give the same key."""
    return urlsafe_b64encode(to_bytes(text)).decode().rstrip("=")


def _decoded(part: bytes) -> str:
    return from_bytes(urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
