"""The default store: one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import LengthConflict, SessionCorrupted, TurnNotFound
from ..text.excerpts import excerpt
from ..text.ranking import ranked
from ..text.search_terms import terms
from ..turns.turn import Turn
from . import sqlite_index, sqlite_sums
from .base import Appended, SessionId, SessionInfo, Trace
from .codec import blank, digest, texts, to_bytes
from .entries import Entry, entry_of
from .local_index import LocalIndexes
from .places import Place
from .ranges import ranges
from .sqlite_claims import SqliteClaims
from .sqlite_file import SqliteFile
from .sqlite_rows import (
    RESTORE,
    delete_nameless,
    delete_session,
    delete_turns,
    find_session,
    find_sessions,
    insert_turns,
    key_of_turn,
    lengthen,
    make_session,
    number_of,
    open_session,
    span_of,
    turn_at,
    turn_row,
    words_at,
)

__all__ = ["SqliteStore"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CACHED = "SELECT data, sum FROM cache LEFT JOIN cache_sum USING(key) WHERE session = ? AND name = ?"


class SqliteStore:
    """`sqlite:///relative.db`, `sqlite:////absolute.db`, with options as a query.

    Options:
        synchronous: `normal` (default): what `append` has returned survives the end of the process, `kill -9` too. `full`: it survives a
            loss of power as well, for one fsync per append.
        timeout: seconds to wait for another process that writes; 30 if not given.
        index: `none` makes a new file without a full-text index, smaller by about a half; search then reads the log once per process.
            A SQLite without FTS5 makes such files by itself.

    What `append` stores is indexed at once; the turns of an import are when their session is first searched.
    Any number of threads and processes may use one file, on a local disk. Appending and reading cost the same in a session of any length.
    Deleting, by `erase` or `discard`, rewrites the whole file, so that no byte of what was deleted stays in it: give many at once.
    Filesystems and disks may keep old blocks of a file; that is out of reach here.
    """

    def __init__(self, url: str) -> None:
        path, options = _parse(url)
        self._url = url
        self._file = SqliteFile(
            path,
            synchronous=options.get("synchronous", "normal"),
            timeout=float(options.get("timeout", 30.0)),
            index=options.get("index", "auto"),
        )
        self._local = LocalIndexes()
        self.claims = SqliteClaims(self._file)

    @property
    def url(self) -> str:
        """The URL that opened it."""
        return self._url

    def append(self, session: SessionId, turns: Sequence[Turn], *, expected_length: int | None = None) -> list[Turn]:
        """Store turns; see `TurnLog.append`."""
        entries = [entry_of(turn) for turn in turns]
        if not entries:
            return []
        known = self._known(session, entries)
        # What takes time happens before the file is locked.
        given = {entry.digest: turn for entry, turn in zip(reversed(entries), reversed(turns), strict=True)}
        words = {name: self._terms(turn) for name, turn in given.items() if name not in known}
        with self._file.write() as db:
            key, length = open_session(db, session)
            if expected_length not in (None, length) and any(number_of(db, key, entry.digest) is None for entry in entries):
                raise LengthConflict(session.name, expected_length or 0, length)
            numbers = []
            for entry in entries:
                number = number_of(db, key, entry.digest)
                if number is None:
                    number = length = length + 1
                    insert_turns(db, session, key, number, [entry])
                    if self._file.indexed:
                        found = words[entry.digest] if entry.digest in words else self._terms(given[entry.digest])
                        sqlite_index.add(db, key_of_turn(key, number), found)
                numbers.append(number)
            lengthen(db, key, length)
            rows = [turn_row(db, key, number) for number in numbers]
        return [
            turn_at(session, number, *row) if row else blank(turn, number) for turn, number, row in zip(turns, numbers, rows, strict=True)
        ]

    def append_entries(self, batches: Sequence[tuple[SessionId, Sequence[Entry]]]) -> list[Appended]:
        """Store the turns of many sessions; see `BulkLog.append_entries`."""
        with self._file.write() as db:
            found = find_sessions(db, {session for session, _ in batches})
            done: list[Appended] = []
            for session, entries in batches:
                key, length = found[session]
                key = key or make_session(db, session)
                done.append(self._append_entries(db, session, key, length, entries))
                found[session] = key, done[-1].last
            return done

    def _append_entries(self, db: sqlite3.Connection, session: SessionId, key: int, length: int, entries: Sequence[Entry]) -> Appended:
        each: dict[bytes, Entry] = {}
        for entry in entries:
            each.setdefault(entry.digest, entry)
        new = [entry for entry in each.values() if not length or number_of(db, key, entry.digest) is None]
        if new:
            insert_turns(db, session, key, length + 1, new)
            if self._file.indexed:
                sqlite_index.note_unindexed(db, (key_of_turn(key, number) for number in range(length + 1, length + len(new) + 1)))
            lengthen(db, key, length + len(new))
        return Appended(len(new), length + len(new))

    def read(self, session: SessionId, start: int = 1, stop: int | None = None) -> list[Turn]:
        """Turns by number; see `TurnLog.read`."""
        with self._file.read() as db:
            key, length = find_session(db, session)
            first, last = max(start, 1), length if stop is None else min(stop - 1, length)
            if first > last:
                return []
            span = (key_of_turn(key, first), key_of_turn(key, last))
            select = "SELECT key, pinned, record, sum FROM turn LEFT JOIN turn_sum USING(key) WHERE key BETWEEN ? AND ? ORDER BY key"
            rows = db.execute(select, span).fetchall()
            (erased,) = db.execute("SELECT count(*) FROM erased WHERE key BETWEEN ? AND ?", span).fetchone()
            beyond = db.execute(
                "SELECT max(key) FROM turn WHERE key BETWEEN ? AND ?", (key_of_turn(key, length + 1), span_of(key)[1])
            ).fetchone()[0]
        if beyond is not None:
            raise SessionCorrupted(
                f"session {excerpt(session.name)} holds {length} turns by its own account, and #{beyond & 0xFFFFFFFF} is there. {RESTORE}",
                session=session.name,
            )
        if len(rows) + erased != last - first + 1:
            raise SessionCorrupted(
                f"session {excerpt(session.name)} is missing turns: of #{first} to #{last}, {len(rows)} are there and {erased} were "
                f"erased. {RESTORE}",
                session=session.name,
            )
        return [turn_at(session, turn_key & 0xFFFFFFFF, *row) for turn_key, *row in rows]

    def length(self, session: SessionId) -> int:
        """The highest number ever given."""
        with self._file.read() as db:
            return find_session(db, session)[1]

    def known_calls(self, session: SessionId, ids: Collection[str]) -> set[str]:
        """Which of `ids` the session called."""
        with self._file.read() as db:
            key, _ = find_session(db, session)
            return {
                call_id
                for call_id in ids
                if db.execute("SELECT 1 FROM call WHERE session = ? AND digest = ?", (key, digest(call_id))).fetchone()
            }

    def pinned(self, session: SessionId) -> list[int]:
        """Numbers of the pinned turns."""
        with self._file.read() as db:
            key, length = find_session(db, session)
            rows = db.execute("SELECT key FROM turn WHERE pinned AND key BETWEEN ? AND ? ORDER BY key", span_of(key)).fetchall()
        numbers = [turn_key & 0xFFFFFFFF for (turn_key,) in rows]
        if numbers and numbers[-1] > length:
            raise SessionCorrupted(f"session {excerpt(session.name)} has {length} turns, and #{numbers[-1]} is pinned. {RESTORE}")
        return numbers

    def pin(self, session: SessionId, number: int, pinned: bool) -> None:
        """Set or clear a pin. Raises `TurnNotFound`."""
        with self._file.write() as db:
            key, length = find_session(db, session)
            found = 1 <= number <= length
            if not found or not db.execute("UPDATE turn SET pinned = ? WHERE key = ?", (pinned, key_of_turn(key, number))).rowcount:
                raise TurnNotFound(number, length)

    def search(self, session: SessionId, query: str, limit: int) -> list[int]:
        """Numbers of the turns that match, best first."""
        self._index_the_rest(session)
        with self._file.read() as db:
            key, length = find_session(db, session)
            if not length or limit <= 0:
                return []
            (erased,) = db.execute("SELECT count(*) FROM erased WHERE key BETWEEN ? AND ?", span_of(key)).fetchone()
            if self._file.indexed:
                return ranked(sqlite_index.SqlitePostings(db, key, length - erased), query, limit)
        return self._local.search(
            session, query, limit, generation=(key, erased), length=length, read=lambda start: self.read(session, start)
        )

    def _index_the_rest(self, session: SessionId) -> None:
        """Index what was stored in bulk, in steps that let other writers in between."""
        more = self._file.indexed
        while more:
            with self._file.read() as db:
                span = span_of(find_session(db, session)[0])
                more = sqlite_index.has_unindexed(db, span)
            if more:
                with self._file.write() as db:
                    sqlite_index.index_some(db, span)

    def sessions(self, tenant: str = "") -> list[SessionInfo]:
        """All sessions of a tenant, by name."""
        with self._file.read() as db:
            rows = db.execute(
                "SELECT name, length - (SELECT count(*) FROM erased WHERE erased.key BETWEEN session.key << 32 AND session.key + 1 << 32), "
                "appended FROM session WHERE tenant = ? AND length > 0 ORDER BY name",
                (to_bytes(tenant),),
            ).fetchall()
        if len(names := texts(name for name, *_ in rows)) < len(rows):
            raise SessionCorrupted(f"the name of a session in {self._url} cannot be read. {RESTORE}")
        return [SessionInfo(SessionId(names[name], tenant), turns, EPOCH + timedelta(microseconds=at)) for name, turns, at in rows]

    def erase(self, session: SessionId, numbers: Sequence[int] | None = None) -> list[int]:
        """Remove turns, or the session with its cache; see `TurnLog.erase`.

        Raises `StoreUnavailable` if another connection keeps the file from being rewritten: the turns are gone from the log then, and a
        second call finishes the work; `SessionCorrupted` if damage keeps some turns, or bytes, where they are: the rest is gone then.
        """
        erased, damaged = self._deleted(session, numbers)
        self._local.drop(session)
        try:
            self._file.scrub()
        except SessionCorrupted as exc:
            raise SessionCorrupted(
                f"session {excerpt(session.name)}: erased from the log, but the file is damaged and cannot be written anew: bytes may "
                f"be left ({exc}). Copy the sessions to a new file with `optical-memory copy`, then delete this one",
                session=session.name,
            ) from exc
        if damaged:
            raise SessionCorrupted(
                f"session {excerpt(session.name)}: {ranges(damaged)} cannot be erased, since the file is damaged there; all else was. "
                "Copy the other sessions to a new file with `optical-memory copy`, then delete this one",
                session=session.name,
                missing=damaged,
            )
        return erased

    def _deleted(self, session: SessionId, numbers: Sequence[int] | None) -> tuple[list[int], tuple[int, ...]]:
        """Numbers of the turns that were deleted, and of those that damage to the file keeps there."""
        try:
            return self._delete(session, numbers), ()
        except SessionCorrupted:
            wanted = range(1, self.length(session) + 1) if numbers is None else sorted(set(numbers))
        erased: list[int] = []
        damaged: list[int] = []
        for number in wanted:  # one by one, so that what can be deleted is
            try:
                erased += self._delete(session, [number])
            except SessionCorrupted:
                damaged.append(number)
        if numbers is None and not damaged:
            self._delete(session, None)
        return erased, tuple(damaged)

    def _delete(self, session: SessionId, numbers: Sequence[int] | None) -> list[int]:
        with self._file.write() as db:
            key, length = find_session(db, session)
            wanted = range(1, length + 1) if numbers is None else sorted({number for number in numbers if 1 <= number <= length})
            held = {number: row for number in wanted if (row := turn_row(db, key, number))}
            unindexed = sqlite_index.unindexed(db, span_of(key)) if self._file.indexed else set()
            indexed = [number for number in held if key_of_turn(key, number) not in unindexed] if self._file.indexed else []
            words = {key_of_turn(key, number): words_at(session, number, held[number]) for number in indexed}
            delete_turns(db, key, list(held))
            if held:
                delete_nameless(db, key)
            if words:
                sqlite_index.remove(db, words)
            if numbers is None:
                delete_session(db, key)
            if held or numbers is None:
                db.execute("UPDATE scrub SET asked = asked + 1")
        return list(held)

    def get(self, session: SessionId, names: Sequence[str]) -> dict[str, bytes]:
        """Those of `names` that are there. Raises `SessionCorrupted` for one that is not as it was written."""
        with self._file.read() as db:
            key, _ = find_session(db, session)
            found = {name: db.execute(CACHED, (key, to_bytes(name))).fetchone() for name in names}
        return {name: sqlite_sums.checked(Place.of_entry(session, name), *row) for name, row in found.items() if row}

    def put(self, session: SessionId, items: dict[str, bytes]) -> None:
        """Store or replace."""
        if not items:
            return
        with self._file.write() as db:
            key, _ = open_session(db, session)
            db.executemany(
                "INSERT INTO cache(session, name, data) VALUES(?, ?, ?) ON CONFLICT(session, name) DO UPDATE SET data = excluded.data",
                [(key, to_bytes(name), data) for name, data in items.items()],
            )
            sqlite_sums.note_entries(db, key, [(to_bytes(name), Place.of_entry(session, name), data) for name, data in items.items()])

    def names(self, session: SessionId, prefix: str = "") -> list[str]:
        """Names that start with `prefix`, sorted."""
        start = to_bytes(prefix)
        with self._file.read() as db:
            # No name holds the byte 255, so it bounds all that begin with the prefix.
            values = (find_session(db, session)[0], start, start + b"\xff")
            rows = db.execute("SELECT name FROM cache WHERE session = ? AND name >= ? AND name < ? ORDER BY name", values).fetchall()
        return list(texts(name for (name,) in rows).values())

    def discard(self, session: SessionId, names: Sequence[str]) -> None:
        """Remove names and all bytes of them; absent ones are fine. Raises `StoreUnavailable` like `erase`."""
        with self._file.write() as db:
            key, _ = find_session(db, session)
            deleted = db.executemany("DELETE FROM cache WHERE session = ? AND name = ?", [(key, to_bytes(name)) for name in names]).rowcount
            if deleted > 0:
                db.execute("UPDATE scrub SET asked = asked + 1")
        self._file.scrub()

    def traces(self, session: SessionId, numbers: Sequence[int] | None) -> Iterator[Trace]:
        """Whether the file still holds bytes of what was deleted. What filesystems and disks keep is out of reach."""
        left = self._file.unscrubbed()
        yield Trace("file", not left, left or "it was rewritten after the last deletion; no free page, and no older write-ahead log")

    def close(self) -> None:
        """Release the file. The store can be used again afterwards."""
        self._file.close()

    def _known(self, session: SessionId, entries: Sequence[Entry]) -> set[bytes]:
        with self._file.read() as db:
            key, length = find_session(db, session)
            return {entry.digest for entry in entries if length and number_of(db, key, entry.digest)}

    def _terms(self, turn: Turn) -> list[str]:
        return terms(turn.text) if self._file.indexed else []


def _parse(url: str) -> tuple[Path, dict[str, str]]:
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if parts.netloc or not path or path == ":memory:":
        raise ValueError(f"cannot read {url!r}: write sqlite:///relative/path.db, sqlite:////absolute/path.db, or memory://")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = {"synchronous": ("normal", "full"), "timeout": (), "index": ("auto", "none")}
    for name, value in options.items():
        if name not in known:
            raise ValueError(f"unknown option {name!r} in {url!r}; known: {', '.join(sorted(known))}")
        if known[name] and value not in known[name]:
            raise ValueError(f"unknown value {excerpt(value)} of {name!r} in {url!r}; known: {', '.join(known[name])}")
        if name == "timeout" and not value.replace(".", "", 1).isdecimal():
            raise ValueError(f"timeout {excerpt(value)} in {url!r} is no number of seconds")
    return Path(path).expanduser(), options
