"""Claims in a SQLite file, shared by all processes that have it open."""

from __future__ import annotations

import hashlib
import time

from .base import SessionId
from .codec import to_bytes
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
        values = {"tenant": to_bytes(session.tenant), "session": to_bytes(session.name), "name": to_bytes(name), "old": old, "new": new}
        key = "(SELECT key FROM session WHERE tenant = :tenant AND name = :session)"
        with self._file.write() as db:
            if old is not None:
                update = f"UPDATE cache SET data = :new WHERE session = {key} AND name = :name AND data = :old"
                return db.execute(update, values).rowcount == 1
            db.execute("INSERT OR IGNORE INTO session(tenant, name) VALUES(:tenant, :session)", values)
            insert = f"INSERT OR IGNORE INTO cache(session, name, data) VALUES({key}, :name, :new)"
            return db.execute(insert, values).rowcount == 1


def _key(session: SessionId, name: str) -> bytes:
    """A digest: a claim that its holder left behind tells no session's name, which may have been erased."""
    parts = b"".join(len(part).to_bytes(8) + part for part in map(to_bytes, (session.tenant, session.name, name)))
    return hashlib.sha256(parts).digest()
