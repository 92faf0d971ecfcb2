"""Checksums of the records in a SQLite file, over what they hold and where they belong: a bit that flipped is told from what was written.

They stand in tables of their own, so that earlier releases can use the file beside this one. What these write has no checksum: it is read
as it is. Triggers drop the checksum of a row that is deleted or rewritten, whichever release does so.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from ..errors import SessionCorrupted
from ..text.excerpts import excerpt
from .codec import VERSION
from .places import Place

__all__ = ["checked", "note_entries", "note_turns", "prepare"]

_TABLES = """
CREATE TABLE IF NOT EXISTS turn_sum(key INTEGER PRIMARY KEY, sum BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS cache_sum(key INTEGER PRIMARY KEY, sum BLOB NOT NULL);
CREATE TRIGGER IF NOT EXISTS turn_deleted AFTER DELETE ON turn BEGIN DELETE FROM turn_sum WHERE key = old.key; END;
CREATE TRIGGER IF NOT EXISTS cache_deleted AFTER DELETE ON cache BEGIN DELETE FROM cache_sum WHERE key = old.key; END;
CREATE TRIGGER IF NOT EXISTS cache_changed AFTER UPDATE OF data ON cache BEGIN DELETE FROM cache_sum WHERE key = old.key; END;
"""


def prepare(db: sqlite3.Connection) -> None:
    """Make the tables in a file that has none."""
    for statement in _TABLES.strip().split("\n"):
        db.execute(statement)


def note_turns(db: sqlite3.Connection, turns: Iterable[tuple[int, Place, bytes]]) -> None:
    """Keep the sums of turns, given as key, place and record."""
    db.executemany("INSERT OR REPLACE INTO turn_sum VALUES(?, ?)", [(key, _sum(place, record)) for key, place, record in turns])


def note_entries(db: sqlite3.Connection, session: int, entries: Iterable[tuple[bytes, Place, bytes]]) -> None:
    """Keep the sums of cached entries that were just written, given as name, place and data."""
    db.executemany(
        "INSERT OR REPLACE INTO cache_sum SELECT key, ? FROM cache WHERE session = ? AND name = ?",
        [(_sum(place, data), session, name) for name, place, data in entries],
    )


def checked(place: Place, record: Any, kept: Any) -> bytes:
    """A record that is as it was written. Raises `SessionCorrupted`.

    Args:
        kept: the sum in the file; None for a record of an earlier release.
    """
    if isinstance(record, bytes) and (kept is None or kept == _sum(place, record)):
        return record
    if place.kind == "turn":
        advice = f"Restore the file from a backup, or erase the turn{_of_newer_release(record)}"
    else:
        advice = "It can be made again: discard it"
    raise SessionCorrupted(
        f"session {excerpt(place.session.name)}: the record of {place} is not as it was written. {advice}",
        session=place.session.name,
        missing=place.numbers,
    )


def _sum(place: Place, record: bytes) -> bytes:
    return place.digest(record)


def _of_newer_release(record: Any) -> str:
    try:
        version = int(json.loads(record)["v"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    if version == VERSION:
        return ""
    return f". It says that it is of version {version}, and this one knows {VERSION}: if so, Upgrade optical-memory"
