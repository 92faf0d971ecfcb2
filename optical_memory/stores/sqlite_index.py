"""The full-text index of the SQLite store: an FTS5 table that holds the terms of `optical_memory.text.search_terms`, and nothing else.

Every term is written as `session:term`. So a search reads the postings of its own session only, however many share the file.
Turns that were stored in bulk are listed in `unindexed` until their session is searched.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from ..errors import StoreError
from ..text.search_terms import TERM_PUNCTUATION, terms
from .codec import decode

__all__ = [
    "SqlitePostings",
    "add",
    "available",
    "create",
    "has_unindexed",
    "index_some",
    "note_unindexed",
    "prepare",
    "remove",
    "unindexed",
]

# Raise it whenever `search.terms` changes. An index is emptied of a turn by its terms, and Python versions differ in their Unicode tables.
TERMS = f"3/{unicodedata.unidata_version}"
AT_ONCE = 256  # turns that are indexed while other writers wait
VALUES = 500  # in a statement
BETWEEN = "BETWEEN ? AND ?"

_UNINDEXED = """
CREATE TABLE IF NOT EXISTS unindexed(key INTEGER PRIMARY KEY);
CREATE TRIGGER IF NOT EXISTS turn_unindexed_deleted AFTER DELETE ON turn BEGIN DELETE FROM unindexed WHERE key = old.key; END;
"""


def available(db: sqlite3.Connection) -> bool:
    """Whether this SQLite was built with FTS5."""
    return bool(db.execute("SELECT sqlite_compileoption_used('ENABLE_FTS5')").fetchone()[0])


def create(db: sqlite3.Connection) -> None:
    """Make the tables."""
    # The tokenizer only cuts at spaces: whatever is not ASCII is part of a token, and the listed punctuation too.
    db.execute(f"CREATE VIRTUAL TABLE turn_index USING fts5(terms, content='', tokenize=\"ascii tokenchars '{TERM_PUNCTUATION}'\")")
    db.execute("CREATE TABLE index_terms(version TEXT PRIMARY KEY) WITHOUT ROWID")


def prepare(db: sqlite3.Connection) -> bool:
    """Note that this process's terms are in the index from now on. False if the file has none."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'turn_index'").fetchone():
        return False
    if not db.execute("SELECT 1 FROM index_terms WHERE version = ?", (TERMS,)).fetchone():
        db.execute("INSERT INTO index_terms VALUES(?)", (TERMS,))
    for statement in _UNINDEXED.strip().split("\n"):
        db.execute(statement)
    return True


def note_unindexed(db: sqlite3.Connection, keys: Iterable[int]) -> None:
    """Put off indexing turns, given by key, until their session is searched."""
    db.executemany("INSERT INTO unindexed VALUES(?)", [(key,) for key in keys])


def unindexed(db: sqlite3.Connection, span: tuple[int, int]) -> set[int]:
    """Keys, of those from the first to the last of `span`, of turns that are not indexed yet."""
    return {key for (key,) in db.execute(f"SELECT key FROM unindexed WHERE key {BETWEEN}", span)}


def has_unindexed(db: sqlite3.Connection, span: tuple[int, int]) -> bool:
    """Whether any turn of these keys is not indexed yet."""
    return bool(db.execute(f"SELECT 1 FROM unindexed JOIN turn USING(key) WHERE key {BETWEEN} LIMIT 1", span).fetchone())


def index_some(db: sqlite3.Connection, span: tuple[int, int]) -> None:
    """Index the first of the turns of these keys that are not indexed yet."""
    select = f"SELECT key, record FROM unindexed JOIN turn USING(key) WHERE key {BETWEEN} ORDER BY key LIMIT {AT_ONCE}"
    for key, record in db.execute(select, span).fetchall():
        add(db, key, _terms(record) or [])
        db.execute("DELETE FROM unindexed WHERE key = ?", (key,))


def add(db: sqlite3.Connection, key: int, found: Sequence[str]) -> None:
    """Index a turn by its terms."""
    if found:
        db.execute("INSERT INTO turn_index(rowid, terms) VALUES(?, ?)", (key, _text(key, found)))


def remove(db: sqlite3.Connection, words: Mapping[int, list[str] | None]) -> None:
    """Take turns, given as key and terms, out of the index; None for terms that are not known. Call it after their rows are deleted.

    Leaves no trace of their terms, for which the index is written anew as a whole.
    """
    exact = None not in words.values() and db.execute("SELECT version FROM index_terms").fetchall() == [(TERMS,)]
    if not exact or _few_are_left(db, len(words)):
        _rebuild(db)
        return
    gone = [(key, _text(key, found)) for key, found in words.items() if found]
    try:
        db.executemany("INSERT INTO turn_index(turn_index, rowid, terms) VALUES('delete', ?, ?)", gone)
        db.execute("INSERT INTO turn_index(turn_index) VALUES('optimize')")
    except sqlite3.DatabaseError as exc:
        if not _is_damage(exc):
            raise
        _rebuild(db)  # the index is damaged, and is made of nothing but turns


def _few_are_left(db: sqlite3.Connection, gone: int) -> bool:
    """Whether indexing what is left is less work than taking out what is gone; false if it cannot be read."""
    try:
        return int(db.execute("SELECT count(*) FROM turn").fetchone()[0]) < gone
    except sqlite3.DatabaseError as exc:
        if not _is_damage(exc):
            raise
        return False


def _is_damage(exc: sqlite3.Error) -> bool:
    return exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CORRUPT


class SqlitePostings:
    """The terms of one session, within a transaction: `text.ranking.Postings`. The key of its turn n is `session << 32 | n`."""

    def __init__(self, db: sqlite3.Connection, session: int, turns: int) -> None:
        self._db, self._session, self.turns = db, session, turns
        self._found = set[int]()
        # Views of the index that only this connection sees; nothing of them is in the file.
        for kind in ("instance", "row"):
            db.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.term_{kind} USING fts5vocab('main', 'turn_index', '{kind}')")

    def count(self, term: str, most: int) -> int:
        select = "SELECT count(*) FROM (SELECT 1 FROM turn_index(?) LIMIT ?)"
        return int(self._db.execute(select, (f'"{self._session}:{term}"', most)).fetchone()[0])

    def beginning(self, start: str) -> list[str]:
        first = f"{self._session}:{start}"
        rows = self._db.execute("SELECT term FROM temp.term_row WHERE term >= ? AND term < ?", (first, f"{first}\U0010ffff"))
        return [term[len(first) - len(start) :] for (term,) in rows]

    def matches(self, terms: Sequence[str]) -> Mapping[int, int]:
        found: dict[int, int] = {}
        for some in _parts(terms):
            places = ", ".join("?" * len(some))
            select = f"SELECT doc & 4294967295, count(*) FROM temp.term_instance WHERE term IN ({places}) GROUP BY doc"
            rows = self._db.execute(select, [f"{self._session}:{term}" for term in some])
            found |= {number: found.get(number, 0) + count for number, count in rows}
        self._found |= found.keys()
        return found

    def lengths(self) -> dict[int, int]:
        lengths: dict[int, int] = {}
        for some in _parts(sorted(self._found)):
            select = f"SELECT id & 4294967295, sz FROM turn_index_docsize WHERE id IN ({', '.join('?' * len(some))})"
            rows = self._db.execute(select, [self._session << 32 | number for number in some]).fetchall()
            lengths |= {number: size[0] if len(size) == 1 else _length(size) for number, size in rows}
        if len(lengths) != len(self._found):
            raise sqlite3.DatabaseError("the search index does not know how long a turn is")
        return lengths

    def holds(self, number: int) -> bool:
        key = self._session << 32 | number
        return number > 0 and bool(self._db.execute("SELECT 1 FROM turn_index_docsize WHERE id = ?", (key,)).fetchone())


def _parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    """As many as any SQLite takes in one statement."""
    return [values[start : start + VALUES] for start in range(0, len(values), VALUES)]


def _length(size: bytes) -> int:
    """How many terms a turn has: the one number in its row of FTS5's sizes, 7 bits a byte (https://sqlite.org/fileformat2.html#varint)."""
    return reduce(lambda length, byte: length << 7 | byte & 0x7F, size, 0)


def _text(key: int, found: Sequence[str]) -> str:
    prefix = f"{key >> 32}:"
    return prefix + f" {prefix}".join(found)


def _terms(record: bytes) -> list[str] | None:
    try:
        return terms(decode(record, 1).text)
    except StoreError:
        return None


def _rebuild(db: sqlite3.Connection) -> None:
    """Index all turns that are left anew.

    It is less work where few are left, and the only way where terms are not known exactly: another version of Python or of this library has
    written, or a record cannot be read.
    """
    db.execute("INSERT INTO turn_index(turn_index) VALUES('delete-all')")
    for key, record in db.execute("SELECT key, record FROM turn"):
        add(db, key, _terms(record) or [])
    db.execute("DELETE FROM unindexed")
    db.execute("DELETE FROM index_terms")
    db.execute("INSERT INTO index_terms VALUES(?)", (TERMS,))
