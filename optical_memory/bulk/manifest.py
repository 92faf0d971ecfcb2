"""What a bulk job has done: an SQLite file in its folder, by which a job that was killed goes on where it was.

A batch is *staged* first: its worker writes its files below `staging/`. Then the manifest takes the batch's items, failures and files in
one transaction: that is the moment at which they are done. Then the files are moved to their places. A job that is killed before the
transaction has done nothing, and the batch is worked on again; one that is killed after it moves the files when it is started again.
So the folder holds each output once, and no output of an item that is not in the manifest.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from ..errors import OpticalMemoryError
from ..text.excerpts import excerpt
from .items import key_digest

__all__ = ["DEAD_LETTERS", "DeadLetter", "Done", "FolderBusy", "Manifest", "Receipt", "new_run"]

VERSION = 1
FILE, DEAD_LETTERS, STAGING, LOCK = "manifest.sqlite3", "dead-letter.jsonl", "staging", "lock"
SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY, staged TEXT NOT NULL, pages INTEGER, bytes INTEGER, seconds REAL);
CREATE TABLE IF NOT EXISTS items (digest TEXT PRIMARY KEY, batch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, batch INTEGER NOT NULL, moved INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (digest TEXT PRIMARY KEY, letter TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unmoved ON files (moved) WHERE moved = 0;
"""


class FolderBusy(OpticalMemoryError):
    """Another job is at work in the folder."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An item that failed.

    Attributes:
        item: its key.
        step: the stage that failed: `draw`, `encode`, `read`, ...
        error: the name of the exception.
        why: its message.
        advice: what to do.
    """

    item: str
    step: str
    error: str
    why: str
    advice: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a worker made of a batch.

    Attributes:
        number: the batch's.
        staged: folder below `staging/` with its files; the paths in `files` are the same there and in the job's folder.
        done: keys of the items that are in the files.
        failed: the other ones.
        pages: pages that were made, read or encoded.
        bytes: size of the files.
        seconds: time of the work, waiting not counted.
    """

    number: int
    staged: str
    done: tuple[str, ...] = ()
    failed: tuple[DeadLetter, ...] = ()
    files: tuple[str, ...] = ()
    pages: int = 0
    bytes: int = 0
    seconds: float = field(default=0.0, compare=False)


class Manifest:
    """The manifest of a job's folder. One job at a time has it open.

    Args:
        folder: made if missing. Must hold another run of the same job, or nothing.
        about: what determines the outputs: the job, its settings, its source. Plain JSON.

    Raises `FolderBusy`; `ValueError` for a folder that holds something else, or outputs of another job or of other settings.
    """

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        others = [path.name for path in folder.iterdir() if path.name not in (FILE, LOCK)]
        if others and not (folder / FILE).exists():
            raise ValueError(
                f"{str(folder)!r} holds {excerpt(sorted(others)[0])} and no manifest; name an empty folder, or one of an earlier run"
            )
        self._lock = _locked(folder / LOCK)
        try:
            self._db = sqlite3.connect(folder / FILE, isolation_level=None)
            # A commit that is lost with the power would be redone, but its files may have been moved: so it is flushed.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(SCHEMA)
            self._same_job(about)
            self._move_what_is_committed()
            shutil.rmtree(folder / STAGING, ignore_errors=True)
            self._letters = self._write_letters()
        except BaseException:
            self._lock.close()
            raise

    def is_done(self, key: str) -> bool:
        """Whether an item is done, or has failed for good."""
        digest = key_digest(key)
        return any(self._db.execute(f"SELECT 1 FROM {table} WHERE digest = ?", (digest,)).fetchone() for table in ("items", "dead"))

    def next_number(self) -> int:
        """The number of the next batch."""
        return int(self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM batches").fetchone()[0])

    def commit(self, receipt: Receipt) -> bool:
        """Take a batch over and move its files to their places. False, with its files dropped, if its items are there already.

        Raises `OpticalMemoryError` if only some are: a stage gave an item twice.
        """
        known = [self.is_done(key) for key in (*receipt.done, *(letter.item for letter in receipt.failed))]
        if known and all(known):
            shutil.rmtree(self.folder / STAGING / receipt.staged, ignore_errors=True)
            return False
        if any(known):
            raise OpticalMemoryError(
                f"batch {receipt.number} holds {sum(known)} of {len(known)} items that are done already; nothing of it was taken"
            )
        lines = [(key_digest(letter.item), json.dumps(asdict(letter), ensure_ascii=False)) for letter in receipt.failed]
        with self._transaction():
            row = (receipt.number, receipt.staged, receipt.pages, receipt.bytes, receipt.seconds)
            self._db.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?)", row)
            self._db.executemany("INSERT INTO items VALUES (?, ?)", [(key_digest(key), receipt.number) for key in receipt.done])
            self._db.executemany("INSERT INTO dead VALUES (?, ?)", [(digest, _storable(line)) for digest, line in lines])
            self._db.executemany("INSERT INTO files VALUES (?, ?, 0)", [(path, receipt.number) for path in receipt.files])
        for _, line in lines:
            self._letters.write(_storable(line) + "\n")
        self._letters.flush()
        self._move_what_is_committed()
        shutil.rmtree(self.folder / STAGING / receipt.staged, ignore_errors=True)
        return True

    def forget_failures(self) -> int:
        """Let failed items be tried again; return their number."""
        count = int(self._db.execute("DELETE FROM dead").rowcount)
        self._letters.close()
        self._letters = self._write_letters()
        return count

    def counts(self) -> dict[str, int]:
        """Items done, items failed, pages and bytes, all runs together."""
        one = self._db.execute
        pages, size = one("SELECT coalesce(sum(pages), 0), coalesce(sum(bytes), 0) FROM batches").fetchone()
        done, failed = (int(one(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in ("items", "dead"))
        return {"done": done, "failed": failed, "pages": int(pages), "bytes": int(size)}

    def copy_of_done(self, path: Path) -> None:
        """Write the keys of what is done to an SQLite file that nobody changes, for workers on other machines."""
        self._db.execute("ATTACH ? AS copy", (str(path),))
        try:
            self._db.execute("CREATE TABLE copy.done (digest TEXT PRIMARY KEY) WITHOUT ROWID")
            self._db.execute("INSERT INTO copy.done SELECT digest FROM items UNION SELECT digest FROM dead")
        finally:
            self._db.execute("DETACH copy")

    def close(self) -> None:
        """Remove what is staged and release the folder."""
        shutil.rmtree(self.folder / STAGING, ignore_errors=True)
        self._letters.close()
        self._db.close()
        self._lock.close()

    # -- inside ----------------------------------------------------------------------------------------------------------------------

    def _same_job(self, about: dict[str, Any]) -> None:
        wanted = {name: json.dumps(value, sort_keys=True) for name, value in {"version": VERSION, **about}.items()}
        found = dict(self._db.execute("SELECT name, value FROM about"))
        if not found:
            self._db.executemany("INSERT INTO about VALUES (?, ?)", list(wanted.items()))
            return
        for name in sorted(set(wanted) | set(found)):
            if wanted.get(name) != found.get(name):
                before, now = (excerpt(given.get(name, "none")) for given in (found, wanted))
                raise ValueError(
                    f"{str(self.folder)!r} holds outputs with {name} {before}, not {now}; "
                    "name another folder, or run with the settings of before"
                )

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def _move_what_is_committed(self) -> None:
        """Move files whose batch is committed. A file that is in its place already was moved before a kill."""
        query = "SELECT files.path, batches.staged, batches.number FROM files JOIN batches ON files.batch = batches.number WHERE moved = 0"
        moved: list[tuple[str]] = []
        for path, staged, number in self._db.execute(query).fetchall():
            place, source = self.folder / path, self.folder / STAGING / staged / path
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                source.replace(place)
            except FileNotFoundError:
                if not place.exists():
                    raise OpticalMemoryError(
                        f"{path!r} of batch {number} is in the manifest of {str(self.folder)!r}, and no such file is there: "
                        "the folder was changed by hand. Run the job into another folder"
                    ) from None
            moved.append((path,))
        if moved:
            with self._transaction():
                self._db.executemany("UPDATE files SET moved = 1 WHERE path = ?", moved)

    def _write_letters(self) -> Any:
        """Write the dead-letter file anew from the manifest, which is the truth; return it open, to be appended to."""
        path = self.folder / DEAD_LETTERS
        staged = path.with_suffix(".new")
        with staged.open("w", encoding="utf-8") as file:
            file.writelines(line + "\n" for (line,) in self._db.execute("SELECT letter FROM dead ORDER BY digest"))
        staged.replace(path)
        return path.open("a", encoding="utf-8")


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("ROLLBACK" if kind else "COMMIT")


def _storable(line: str) -> str:
    """JSON with every character escaped where half a surrogate pair is among them."""
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(json.loads(line))
    return line


def _locked(path: Path) -> Any:
    """An open file that is locked until it is closed, or its process ends in whatever way. Raises `FolderBusy`."""
    file = path.open("a+")
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        file.close()
        raise FolderBusy(f"another job is at work in {str(path.parent)!r}; wait for it, or name another folder") from exc
    return file


class Done:
    """The keys in a file of `Manifest.copy_of_done`, looked up on disk: memory does not grow with them."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{quote(str(path))}?immutable=1", uri=True)

    def __contains__(self, key: str) -> bool:
        return self._db.execute("SELECT 1 FROM done WHERE digest = ?", (key_digest(key),)).fetchone() is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()


def new_run(folder: Path) -> Path:
    """Make and return the staging folder of a run."""
    run = folder / STAGING / f"{time.time_ns():x}-{os.getpid()}"
    run.mkdir(parents=True)
    return run
