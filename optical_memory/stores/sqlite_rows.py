"""The rows of a SQLite store: sessions and turns by key, written, read and deleted within a transaction of its file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Sequence
from typing import Any

from ..errors import SessionCorrupted, StoreError
from ..text.excerpts import excerpt
from ..text.search_terms import terms
from ..turns.turn import Turn
from . import sqlite_sums
from .base import SessionId
from .codec import decode, texts, to_bytes
from .entries import Entry
from .places import Place

__all__ = [
    "RESTORE",
    "delete_nameless",
    "delete_session",
    "delete_turns",
    "find_session",
    "find_sessions",
    "insert_turns",
    "key_of_turn",
    "lengthen",
    "make_session",
    "number_of",
    "open_session",
    "span_of",
    "turn_at",
    "turn_row",
    "words_at",
]

MOST_NAMES = 400  # sessions that one statement asks for: SQLite takes 999 values
RESTORE = "Restore the file from a backup"


def key_of_turn(session: int, number: int) -> int:
    return session << 32 | number


def span_of(session: int) -> tuple[int, int]:
    return key_of_turn(session, 0), key_of_turn(session, 0xFFFFFFFF)


def find_session(db: sqlite3.Connection, session: SessionId) -> tuple[int, int]:
    """Key and length of a session; (0, 0) if it does not exist. No session has key 0."""
    return find_sessions(db, [session])[session]


def find_sessions(db: sqlite3.Connection, sessions: Collection[SessionId]) -> dict[SessionId, tuple[int, int]]:
    """`find_session` for many. One pass over the file looks for those that the index does not name: no damage is an empty session."""
    select = "SELECT key, length FROM session WHERE tenant = ? AND name = ?"
    found = {session: db.execute(select, _names(session)).fetchone() or (0, 0) for session in sessions}
    new = [session for session, (key, _) in found.items() if not key]
    for begin in range(0, len(new), MOST_NAMES):
        _refuse_unnamed(db, new[begin : begin + MOST_NAMES])
    return found


def _refuse_unnamed(db: sqlite3.Connection, sessions: Sequence[SessionId]) -> None:
    """Raise `SessionCorrupted` if one of the sessions is in the table of sessions, which its index does not name."""
    values = ",".join(["(?,?)"] * len(sessions))
    select = f"SELECT tenant, name FROM session NOT INDEXED WHERE (tenant, name) IN (VALUES {values}) LIMIT 1"
    if found := db.execute(select, [name for session in sessions for name in _names(session)]).fetchone():
        name = next(session.name for session in sessions if _names(session) == found)
        raise SessionCorrupted(
            f"session {excerpt(name)} is there, and the file's index of sessions does not name it. {RESTORE}", session=name
        )


def _names(session: SessionId) -> tuple[bytes, bytes]:
    return to_bytes(session.tenant), to_bytes(session.name)


def open_session(db: sqlite3.Connection, session: SessionId) -> tuple[int, int]:
    key, length = find_session(db, session)
    return key or make_session(db, session), length


def make_session(db: sqlite3.Connection, session: SessionId) -> int:
    """Add a session that is not there; returns its key."""
    return db.execute("INSERT INTO session(tenant, name) VALUES(?, ?)", _names(session)).lastrowid or 0


def insert_turns(db: sqlite3.Connection, session: SessionId, key: int, first: int, entries: Sequence[Entry]) -> None:
    """Store entries that the session does not hold, numbered on from `first`."""
    numbered = list(enumerate(entries, first))
    rows = [(key_of_turn(key, number), entry.pinned, entry.record) for number, entry in numbered]
    db.executemany("INSERT INTO turn(key, pinned, record) VALUES(?, ?, ?)", rows)
    sqlite_sums.note_turns(db, ((key_of_turn(key, number), Place.of_turn(session, number), entry.record) for number, entry in numbered))
    db.executemany("INSERT INTO turn_id VALUES(?, ?, ?)", [(key, entry.digest, number) for number, entry in numbered])
    db.executemany("INSERT INTO call VALUES(?, ?, ?)", [(key, call, number) for number, entry in numbered for call in entry.calls])


def lengthen(db: sqlite3.Connection, key: int, length: int) -> None:
    now = time.time_ns() // 1000
    db.execute("UPDATE session SET length = ?, appended = ? WHERE key = ? AND length < ?", (length, now, key, length))


def number_of(db: sqlite3.Connection, key: int, digest: bytes) -> int | None:
    row = db.execute("SELECT number FROM turn_id WHERE session = ? AND digest = ?", (key, digest)).fetchone()
    return row[0] if row else None


def turn_row(db: sqlite3.Connection, key: int, number: int) -> tuple[Any, Any, Any] | None:
    """Pin, record and checksum of a turn."""
    select = "SELECT pinned, record, sum FROM turn LEFT JOIN turn_sum USING(key) WHERE key = ?"
    row: tuple[Any, Any, Any] | None = db.execute(select, (key_of_turn(key, number),)).fetchone()
    return row


def turn_at(session: SessionId, number: int, pinned: Any, record: Any, kept: Any) -> Turn:
    return decode(sqlite_sums.checked(Place.of_turn(session, number), record, kept), number, bool(pinned))


def words_at(session: SessionId, number: int, row: tuple[Any, Any, Any]) -> list[str] | None:
    """The terms by which a turn is indexed; None if its record does not tell: it is damaged, or of a newer release."""
    try:
        return terms(turn_at(session, number, *row).text)
    except StoreError:
        return None


def delete_turns(db: sqlite3.Connection, key: int, numbers: Sequence[int]) -> None:
    turn_keys = [(key_of_turn(key, number),) for number in numbers]
    db.executemany("DELETE FROM turn WHERE key = ?", turn_keys)
    db.executemany("INSERT INTO erased VALUES(?)", turn_keys)
    db.execute("DELETE FROM call WHERE session = ? AND (session << 32 | number) IN (SELECT key FROM erased)", (key,))


def delete_nameless(db: sqlite3.Connection, key: int) -> None:
    """Cached entries that nobody can discard, since their names are damaged: they may hold what the turns said."""
    entries = db.execute("SELECT key, name FROM cache NOT INDEXED WHERE session = ?", (key,)).fetchall()
    known = texts(name for _, name in entries)
    db.executemany("DELETE FROM cache WHERE key = ?", [(entry,) for entry, name in entries if name not in known])


def delete_session(db: sqlite3.Connection, key: int) -> None:
    for table in ("turn_id", "call", "cache"):
        db.execute(f"DELETE FROM {table} WHERE session = ?", (key,))
    db.execute("DELETE FROM erased WHERE key BETWEEN ? AND ?", span_of(key))
    db.execute("DELETE FROM session WHERE key = ?", (key,))
