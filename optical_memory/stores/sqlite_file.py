"""The file under the SQLite store: connections, transactions, the schema, and removing the bytes of what was deleted."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import SessionCorrupted, StoreError, StoreUnavailable
from . import sqlite_index, sqlite_sums
from .sqlite_header import APPLICATION_ID, check_owner

__all__ = ["SCHEMA_VERSION", "SqliteFile"]

SCHEMA_VERSION = 1

# A turn's key is its session's key times 2**32 plus its number: a session's turns lie side by side, and a range of them is one scan.
# Ids of turns and calls are kept as digests. The id of an erased turn stays in turn_id, and its key in `erased`.
_SCHEMA = """
CREATE TABLE session(key INTEGER PRIMARY KEY AUTOINCREMENT, tenant BLOB NOT NULL, name BLOB NOT NULL,
                     length INTEGER NOT NULL DEFAULT 0, appended INTEGER, UNIQUE(tenant, name));
CREATE TABLE turn(key INTEGER PRIMARY KEY, pinned INTEGER NOT NULL, record BLOB NOT NULL);
CREATE INDEX turn_pinned ON turn(key) WHERE pinned;
CREATE TABLE turn_id(session INTEGER NOT NULL, digest BLOB NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(session, digest)) WITHOUT ROWID;
CREATE TABLE call(session INTEGER NOT NULL, digest BLOB NOT NULL, number INTEGER NOT NULL,
                  PRIMARY KEY(session, digest, number)) WITHOUT ROWID;
CREATE TABLE erased(key INTEGER PRIMARY KEY);
CREATE TABLE cache(key INTEGER PRIMARY KEY, session INTEGER NOT NULL, name BLOB NOT NULL, data BLOB NOT NULL, UNIQUE(session, name));
CREATE TABLE scrub(asked INTEGER NOT NULL, done INTEGER NOT NULL);
INSERT INTO scrub VALUES(0, 0);
"""


# Added to files of earlier versions when they are opened; versions that do not know it leave it alone.
_CLAIMS = "CREATE TABLE IF NOT EXISTS claim(key BLOB PRIMARY KEY, holder TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID"


class SqliteFile:
    """Connections to one database file, handed out one to a thread at a time.

    Safe for threads, and across `os.fork`: a child leaves its parent's connections alone and opens its own.

    Args:
        path: the file; it and its folder are made if absent, readable by their owner only.
        synchronous: SQLite's `synchronous`: "normal" or "full".
        timeout: seconds to wait for another writer.
        index: "auto", or "none" for a new file without a full-text index.
    """

    def __init__(self, path: Path, *, synchronous: str = "normal", timeout: float = 30.0, index: str = "auto") -> None:
        self.path = path
        self._synchronous = synchronous
        self._timeout = timeout
        self._pools: dict[int, _Pool] = {}
        _make_private(path)
        check_owner(path)
        with self._connection() as db:
            self.indexed = self._prepare(db, want_index=index != "none")
        try:
            self.scrub()
        except StoreUnavailable as exc:
            warnings.warn(f"an earlier erasure is not finished: {exc}", stacklevel=4)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees the file as it is at the first statement, until the block ends."""
        with self._connection() as db, _transaction(db, "BEGIN"):
            yield db

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A connection that writes alone; all is kept if the block ends, nothing if it raises."""
        # SQLite lets waiting writers sleep and poll; within a process a lock hands over at once.
        with self._pool.write_lock, self._connection() as db, _transaction(db, "BEGIN IMMEDIATE"):
            yield db

    def scrub(self) -> None:
        """Finish what deletions have asked for: leave no byte of a deleted row in the database, its write-ahead log or its free space.

        Rewrites the file. Raises `StoreUnavailable` if another connection is in the way for longer than the timeout; the request stays in
        the file, and the next deletion or opening takes it up.
        """
        with self._pool.write_lock, self._connection() as db:
            asked, done = db.execute("SELECT asked, done FROM scrub").fetchone()
            if asked == done:
                return
            db.execute("VACUUM")  # secure_delete alone leaves copies behind where rows have moved between pages
            if db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise StoreUnavailable(
                    f"the rows are deleted, but another connection is reading {str(self.path)!r}: their bytes are still in the file. "
                    "They go with the next erasure, or when the file is next opened"
                )
            db.execute("UPDATE scrub SET done = max(done, ?)", (asked,))

    def unscrubbed(self) -> str:
        """Where bytes of deleted rows may still be; empty if nowhere."""
        with self.read() as db:
            asked, done = db.execute("SELECT asked, done FROM scrub").fetchone()
            free = db.execute("PRAGMA freelist_count").fetchone()[0]
        if asked != done:
            return (
                "a deletion is not finished: another connection was reading. It goes on with the next one, or when the file is next opened"
            )
        return f"{free} free pages are in the file, and this SQLite does not overwrite them" if free and not self._overwrites() else ""

    def _overwrites(self) -> bool:
        """Whether SQLite overwrites what it deletes with zeros, so that a free page holds no old bytes."""
        with self._connection() as db:
            return bool(db.execute("PRAGMA secure_delete").fetchone()[0])

    def close(self) -> None:
        """Close all idle connections. The file can be used again afterwards."""
        pool = self._pool
        while pool.idle:
            pool.idle.pop().close()

    @property
    def _pool(self) -> _Pool:
        # Pools of a parent process are kept, unused: closing its connections here could drop locks that it relies on.
        return self._pools.get(os.getpid()) or self._pools.setdefault(os.getpid(), _Pool())

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        pool = self._pool
        try:
            db = pool.idle.pop() if pool.idle else self._connect()
        except IndexError:  # another thread took the last one
            db = self._connect()
        with _translated(self.path):
            try:
                yield db
            except BaseException:
                db.close()  # whatever state it is in, the next one starts clean
                raise
            pool.idle.append(db)

    def _connect(self) -> sqlite3.Connection:
        with _translated(self.path):
            db = sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
            db.text_factory = _text
            db.execute(f"PRAGMA synchronous = {self._synchronous}")
            db.execute("PRAGMA secure_delete = ON")
            return db

    def _prepare(self, db: sqlite3.Connection, want_index: bool) -> bool:
        _use_write_ahead_log(db, self._timeout)
        with _transaction(db, "BEGIN IMMEDIATE"):
            version, application = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id"))
            if version == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
                _create(db, want_index and sqlite_index.available(db))
            elif application != APPLICATION_ID:
                raise StoreError(f"{str(self.path)!r} is another program's database; name a file of its own for the memory")
            elif version > SCHEMA_VERSION:
                raise StoreError(f"{str(self.path)!r} has schema {version}; this version knows {SCHEMA_VERSION}. Upgrade optical-memory")
            db.execute(_CLAIMS)
            sqlite_sums.prepare(db)
            return sqlite_index.prepare(db)


class _Pool:
    def __init__(self) -> None:
        self.idle: list[sqlite3.Connection] = []
        self.write_lock = threading.Lock()


def _make_private(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite gives its side files the rights of the main one
    except OSError as exc:
        raise StoreUnavailable(f"cannot open {str(path)!r}: {exc.strerror}. Choose a file that can be written") from exc


def _create(db: sqlite3.Connection, indexed: bool) -> None:
    for statement in _SCHEMA.split(";\n"):
        db.execute(statement)
    if indexed:
        sqlite_index.create(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _use_write_ahead_log(db: sqlite3.Connection, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:  # two processes switch at once; here SQLite does not wait by itself
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def _transaction(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode == sqlite3.SQLITE_ERROR or not _is_whole(path, exc):
            raise _damaged(path, exc) from exc  # or a statement makes no sense: a table is not as it was made
        raise StoreUnavailable(f"the SQLite file {str(path)!r} does not answer: {exc}") from exc
    except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:  # also the words of an error may be damaged
        raise _damaged(path, exc) from exc


def _is_whole(path: Path, exc: sqlite3.OperationalError) -> bool:
    """Whether a file is not to blame for an error that a damaged page number causes too: a disk that is full, or does not read."""
    if exc.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return True
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError:
        return True
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return False


def _damaged(path: Path, exc: Exception) -> SessionCorrupted:
    return SessionCorrupted(f"the SQLite file {str(path)!r} cannot be read: {exc}. Restore it from a backup")


def _text(data: bytes) -> str:
    """Text of the file. What is damaged is no reason to raise, least of all with what it holds."""
    return data.decode(errors="surrogateescape")
