"""Claims in a SQLite file, shared by all processes that have it open."""

from __future__ import annotations

import hashlib
import sqlite3
import time

from ..errors import SessionCorrupted
from . import sqlite_sums
from .base import SessionId
from .codec import to_bytes
from .places import Place
from .sqlite_file import SqliteFile

__all__ = ["SqliteClaims"]


class SqliteClaims:
    """Claims on the work of a session. Implements `claims.Claims`; expiry goes by the machine's clock, which all its processes share."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def claim(self, session: SessionId, name: str, holder: str, seconds: float) -> bool:
        """See `claims.Claims`."""
        now, key = time.time(), _key(session, name)
        with self._file.write() as db:
            db.execute("DELETE FROM claim WHERE until <= ?", (now,))
            changed = db.execute(
                "INSERT INTO claim(key, holder, until) VALUES(?, ?, ?) ON CONFLICT(key) DO UPDATE SET until = excluded.until "
                "WHERE holder = excluded.holder",
                (key, holder, now + seconds),
            )
            return changed.rowcount == 1

    def release(self, session: SessionId, name: str, holder: str) -> None:
        """See `claims.Claims`."""
        with self._file.write() as db:
            db.execute("DELETE FROM claim WHERE key = ? AND holder = ?", (_key(session, name), holder))

    def swap(self, session: SessionId, name: str, old: bytes | None, new: bytes) -> bool:
        """See `claims.Claims`."""
        names = (to_bytes(session.tenant), to_bytes(session.name))
        place, field = Place.of_entry(session, name), to_bytes(name)
        with self._file.write() as db:
            if old is None:
                db.execute("INSERT OR IGNORE INTO session(tenant, name) VALUES(?, ?)", names)
            (key,) = db.execute("SELECT key FROM session WHERE tenant = ? AND name = ?", names).fetchone() or (0,)
            if _held(db, key, place) != old:
                return False
            db.execute(
                "INSERT INTO cache(session, name, data) VALUES(?, ?, ?) ON CONFLICT(session, name) DO UPDATE SET data = excluded.data",
                (key, field, new),
            )
            sqlite_sums.note_entries(db, key, [(field, place, new)])
            return True


def _held(db: sqlite3.Connection, key: int, place: Place) -> bytes | None:
    """What is cached; one that is not as it was written counts as absent."""
    row = db.execute(
        "SELECT data, sum FROM cache LEFT JOIN cache_sum USING(key) WHERE session = ? AND name = ?", (key, to_bytes(place.name))
    ).fetchone()
    try:
        return sqlite_sums.checked(place, *row) if row else None
    except SessionCorrupted:
        return None


def _key(session: SessionId, name: str) -> bytes:
    """A digest: a claim that its holder left behind tells no session's name, which may have been erased."""
    parts = b"".join(len(part).to_bytes(8) + part for part in map(to_bytes, (session.tenant, session.name, name)))
    return hashlib.sha256(parts).digest()
