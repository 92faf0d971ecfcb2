"""Whose a SQLite file is, found out before anything is done to it.

Opening another program's database to write can change it: its journal mode, its write-ahead log. So its header is read as bytes, and where
that does not tell, SQLite looks at it without the right to write.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ..errors import SessionCorrupted, StoreError, StoreUnavailable

__all__ = ["APPLICATION_ID", "check_owner"]

APPLICATION_ID = 0x4F4D454D  # "OMEM": tells this library's files from other programs'
MAGIC = b"SQLite format 3\0"
HEADER_BYTES, APPLICATION_AT = 100, 68  # https://www.sqlite.org/fileformat.html, "The Database Header"


def check_owner(path: Path) -> None:
    """Raises `StoreError` for another program's database, `SessionCorrupted` for a file that is no database.

    An empty file, and a database without any table, are taken over. The file is not changed.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError as exc:
        raise StoreUnavailable(f"cannot open {str(path)!r}: {exc.strerror}. Choose a file that can be read and written") from exc
    if not header or header[APPLICATION_AT : APPLICATION_AT + 4] == APPLICATION_ID.to_bytes(4):
        return
    if not header.startswith(MAGIC):
        raise SessionCorrupted(f"the SQLite file {str(path)!r} cannot be read: it is no database. Restore it, or name another file")
    application, version, tables = _looked_at(path)
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreError(f"{str(path)!r} is another program's database; name a file of its own for the memory")


def _looked_at(path: Path) -> tuple[int, int, int]:
    """Application, version and number of tables. What is still in a write-ahead log counts."""
    log = path.with_name(f"{path.name}-wal")
    pending = log.exists() and log.stat().st_size > 0
    mode = "mode=ro" if pending else "mode=ro&immutable=1"  # without it, reading alone would make side files
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as db:
            application, version = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version"))
            return application, version, int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    except sqlite3.OperationalError as exc:
        raise StoreUnavailable(f"the SQLite file {str(path)!r} does not answer: {exc}") from exc
    except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:
        raise SessionCorrupted(f"the SQLite file {str(path)!r} cannot be read: {exc}. Restore it from a backup") from exc
