"""A store on Redis servers (6.2 or later, Valkey, and what speaks like them), with core commands only. `key_names` lists the keys.

Not promised: durability of an acknowledged append depends on the server's `appendfsync` and replicas; erased turns leave the server's
memory at once, but its files only when it rewrites them (`traces` makes it do so). Search has no index on the server: each process builds
one from the log and keeps it up to date. docs/redis.md lists which settings keep which promise.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from ...errors import LengthConflict, SessionCorrupted, StoreError, StoreUnavailable, TurnNotFound
from ...text.excerpts import excerpt
from ...turns.turn import Turn
from ..base import SessionId, SessionInfo, Trace
from ..codec import blank, decode, digest, encode, texts, to_bytes
from ..encryption import cipher_of
from ..local_index import LocalIndexes
from . import scripts
from .cache import RedisCache, milliseconds
from .connecting import Options, wire_of
from .damage import ADVICE, damage_of
from .entries import Entry, calls_of
from .erasure_traces import traces_of
from .key_names import EXPIRING, KEPT, OPENING
from .server import eviction_warning
from .wire import Said

__all__ = ["RedisStore"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
READ_AT_ONCE = 1_000  # turns a call: the server does nothing else meanwhile
LIST_AT_ONCE = 500  # sessions a call
FAILOVERS = 5  # during one append
CALLS_AT_ONCE = 5_000  # Lua takes some 8,000 values on its stack
_log = logging.getLogger(__name__)


class RedisStore(RedisCache):
    """Sessions on a Redis server.

    Args:
        source: a URL (`connecting` lists their kinds) or a client of redis-py: sync or asyncio; plain, Sentinel or Cluster.
        options: what stands in the query of a URL; beside a client only.
        keys: Fernet keys, newest first, to seal turns and pages with; those of the environment by default.

    Safe for threads and after a fork. On a client of asyncio, made in its running loop, methods are called from other threads, as the async
    twins of `OpticalMemory` do. Raises `MissingExtra` without redis-py, `ValueError` for a URL that makes no sense, `StoreUnavailable` if
    the server does not answer now; inside a running event loop that shows at the first use instead, so that opening never blocks it.
    """

    def __init__(self, source: Any, *, options: Options | None = None, keys: Sequence[str] | None = None) -> None:
        wire, chosen, self._owns_client = wire_of(source, options)
        super().__init__(wire, chosen, cipher_of(keys))
        self._local = LocalIndexes()
        self._expiry = (milliseconds(chosen.pages_ttl), milliseconds(chosen.ttl), chosen.mode.encode())  # of pages; of new sessions
        if not _in_event_loop():
            self.wire.once("PING")
            if warning := eviction_warning(self.wire):
                _log.warning("%s: %s", self.wire.name, warning)

    @property
    def url(self) -> str:
        """The URL that opened it, a password replaced by `***`; for a client, its class."""
        return self.wire.name.strip("'")

    # -- the log -------------------------------------------------------------------------------------------------------------------

    def append(self, session: SessionId, turns: Sequence[Turn], *, expected_length: int | None = None) -> list[Turn]:
        """Store turns; see `TurnLog.append`. One round trip; one that is repeated after a lost answer changes nothing."""
        records = [encode(turn) for turn in turns]
        if not turns:
            return []
        entries = [Entry.of(turn, record) for turn, record in zip(turns, records, strict=True)]
        answers = self._appended(session, entries, expected_length)
        if self.options.replicas:
            answers = self._confirmed(session, entries, expected_length, answers)
        if isinstance(answers, int):  # all are new
            return [decode(record, number, turn.pinned) for number, (turn, record) in enumerate(zip(turns, records, strict=True), answers)]
        return [self._stored(*each, session) for each in zip(turns, records, answers, strict=True)]

    def _appended(self, session: SessionId, entries: Sequence[Entry], expected_length: int | None) -> Any:
        """The answer of the append script. Records are sealed for the numbers that they get; other numbers mean another attempt."""
        leading = [b"" if expected_length is None else expected_length, *self._expiry]
        length, since = self.seals.end_of(session)
        numbers = list(range(length + 1, length + 1 + len(entries)))
        while True:
            arguments = [*leading, *self._arguments(session, entries, numbers, since)]
            try:
                answers = self._run_or_begin(session, arguments)
                break
            except Said as said:
                if said.word == "CONFLICT":
                    raise LengthConflict(session.name, expected_length or 0, int(said.details)) from said
                if said.word != "PLACES":
                    raise self.needs_key(session, said) from said
                since, *numbers = map(int, said.details.split())
        if not self.cipher.seals:
            return answers
        last = answers + len(entries) - 1 if isinstance(answers, int) else max(number for number, *_ in answers)
        self.seals.note_end(session, last, since)
        return answers

    def _arguments(self, session: SessionId, entries: Sequence[Entry], numbers: Sequence[int], since: int) -> Iterator[Any]:
        if not self.cipher.seals:
            yield b""
            for entry in entries:
                yield from (entry.digest, self.cipher.seal(entry.record), b"0", *entry.rest)
            return
        yield since
        for entry, number in zip(entries, numbers, strict=True):  # 0: it is known, and is not stored again
            sealed = self.seals.sealed_turn(session, number, entry.record, since) if number else b""
            yield from (entry.digest, sealed, number, *entry.rest)

    def _run_or_begin(self, session: SessionId, arguments: Sequence[Any]) -> Any:
        try:
            return self._run(session, scripts.APPEND, [b"", *arguments])
        except Said as said:
            if said.word != "ABSENT":
                raise
        return self._begin(session, arguments)

    def _begin(self, session: SessionId, arguments: Sequence[Any]) -> Any:
        """The first append of a session. Its name is noted before, so that none is missing in a list, and as kept once it is there."""
        index, name = self.layout.index(session.tenant), to_bytes(session.name)
        self._check_absent(session)
        self.wire.command("HSET", index, name, OPENING)
        answers = self._run(session, scripts.APPEND, [secrets.token_hex(8), *arguments])
        self.wire.command("HSET", index, name, KEPT if self.options.ttl is None else EXPIRING)
        if self.options.replicas:
            self._confirm(f"{{{index}}}:confirm")
        return answers

    def _confirmed(self, session: SessionId, entries: Sequence[Entry], expected_length: int | None, answers: Any) -> Any:
        """Answers of an append that replicas have. A new primary that never received it gets it again, and its numbers count."""
        meta = self.layout.keys(session)[0]
        for _ in range(FAILOVERS):
            found = self._confirm(self.layout.claim(session, "confirm"), "HMGET", meta, *[entry.digest for entry in entries])
            numbers = [answers + place for place in range(len(entries))] if isinstance(answers, int) else [number for number, *_ in answers]
            if [int(number or 0) for number in found] == numbers:
                return answers
            answers = self._appended(session, entries, expected_length)
        raise StoreUnavailable(f"{self.wire.name} fails over again and again. Append the turns again, with the same ids")

    def _confirm(self, scratch: str, *probe: Any) -> Any:
        """Wait until as many replicas as asked for have what was written; see `Wire.confirmed`."""
        wanted, seconds = self.options.replicas, self.options.retry_for
        reached, answer = self.wire.confirmed(scratch, wanted, seconds, *probe)
        if reached < wanted:
            raise StoreUnavailable(
                f"{self.wire.name} stored it, but {reached} of {wanted} replicas confirmed that in {seconds:g} s. "
                "Do it again (turns with the same ids), or lower replicas"
            )
        return answer

    def read(self, session: SessionId, start: int = 1, stop: int | None = None) -> list[Turn]:
        """Turns by number; see `TurnLog.read`."""
        first, turns = max(start, 1), list[Turn]()
        while stop is None or first < stop:
            size = READ_AT_ONCE if stop is None else min(READ_AT_ONCE, stop - first)
            length, records, pinned = self._run(session, scripts.READ, [first - 1, first + size - 2])
            if not length:
                self._check_absent(session)
            held = set(self._pins(session, pinned))
            if self.cipher.seals:
                self.seals.check_turns(session, list(enumerate(records, first)))
            turns += [self._opened(record, number, number in held, session) for number, record in enumerate(records, first) if record]
            first += size
            if first > length:
                break
        return turns

    def length(self, session: SessionId) -> int:
        """The highest number ever given."""
        return int(self._state(session)[0])

    def known_calls(self, session: SessionId, ids: Collection[str]) -> set[str]:
        """Which of `ids` the session called."""
        wanted, known = list(ids), set[str]()
        for start in range(0, len(wanted), CALLS_AT_ONCE):
            some = wanted[start : start + CALLS_AT_ONCE]
            counts = self._run(session, scripts.CALLS, [digest(call_id) for call_id in some])
            if not any(counts):
                self._state(session)
            known.update(call_id for call_id, count in zip(some, counts, strict=True) if count)
        return known

    def pinned(self, session: SessionId) -> list[int]:
        """Numbers of the pinned turns."""
        return self._pins(session, self._state(session)[3])

    def _pins(self, session: SessionId, text: bytes) -> list[int]:
        if not all(map(bytes.isdigit, text.split())):
            raise SessionCorrupted(f"session {excerpt(session.name)}: its pins cannot be read. {ADVICE}", session=session.name)
        return [int(number) for number in text.split()]

    def pin(self, session: SessionId, number: int, pinned: bool) -> None:
        """Set or clear a pin. Raises `TurnNotFound`."""
        found, length = self._run(session, scripts.PIN, [number, int(pinned)]) if number > 0 else (0, self.length(session))
        if not found:
            if not length:
                self._check_absent(session)
            raise TurnNotFound(number, length)

    def search(self, session: SessionId, query: str, limit: int) -> list[int]:
        """Numbers of the turns that match, best first. The first search of a process reads the whole log, later ones only new turns."""
        length, generation, erased, _ = self._state(session)
        return self._local.search(
            session, query, limit, generation=(generation, erased), length=length, read=lambda start: self.read(session, start)
        )

    def sessions(self, tenant: str = "") -> list[SessionInfo]:
        """All sessions of a tenant, by name."""
        found: list[SessionInfo] = []
        for ids in self.listed(tenant):
            rows = self.wire.each([("HMGET", self.layout.keys(session)[0], "length", "erased", "appended") for session in ids])
            for session, row in zip(ids, rows, strict=True):
                length, erased, appended = (int(value or 0) for value in row)
                if length:
                    found.append(SessionInfo(session, length - erased, EPOCH + timedelta(microseconds=appended)))
        return sorted(found, key=lambda info: info.id)

    def count_sessions(self, tenant: str = "") -> int:
        """How many sessions a tenant has."""
        commands = ([("EXISTS", self.layout.keys(session)[0]) for session in ids] for ids in self.listed(tenant))
        return sum(sum(map(int, self.wire.each(some))) for some in commands)

    def erase(self, session: SessionId, numbers: Sequence[int] | None = None) -> list[int]:
        """Remove turns, or the session with its cache; see `TurnLog.erase`, and the module for what the server's files keep."""
        self._local.drop(session)
        if numbers is None:
            return self._erase_whole(session)
        before: list[int] = []
        arguments: list[Any] = []
        for number in sorted({number for number in numbers if number > 0}):
            calls = self._calls_of(session, number)
            if calls is not None:
                before.append(number)
                arguments += [number, len(calls), *calls]
        if arguments:
            self._run(session, scripts.ERASE, arguments)
            self.discard_nameless(session)
            if self.options.replicas:
                left = self._confirm(self.layout.claim(session, "confirm"), "LINDEX", self.layout.keys(session)[1], before[0] - 1)
                return self.erase(session, numbers) if left else before  # the new primary never received the erasure
        return before  # the script's answer may be that of a second attempt

    def traces(self, session: SessionId, numbers: Sequence[int] | None = None) -> Iterator[Trace]:
        """Search memory, replicas and files for erased turns; the server is told to rewrite its files first."""
        return traces_of(self, session, numbers)

    def _calls_of(self, session: SessionId, number: int) -> list[bytes] | None:
        """Digests of the calls that a turn made; None without such a turn. One that cannot be read can be erased all the same."""
        try:
            turns = self.read(session, number, number + 1)
        except SessionCorrupted as exc:
            if exc.missing != (number,):
                raise
            return []
        except StoreUnavailable:
            raise
        except StoreError:  # no key opens it, or a newer release wrote it
            return []
        return calls_of(turns[0]) if turns else None

    def _erase_whole(self, session: SessionId) -> list[int]:
        index, name = self.layout.index(session.tenant), to_bytes(session.name)
        keys = self.layout.keys(session)
        if self.wire.command("HEXISTS", index, name):
            self.wire.command("HSET", index, name, OPENING)  # from here on a missing log is no loss
        before: list[int] = []
        with suppress(SessionCorrupted):  # something else than a log is there; it goes too
            before = [number for number, record in enumerate(self.wire.command("LRANGE", keys[1], 0, -1), 1) if record]
        gone = self.wire.run(scripts.ERASE_SESSION, [*keys, *self.layout.old_keys(session)])
        self.wire.each([("HDEL", index, name), ("SREM", self.layout.old_index(session.tenant), name)])
        if self.wire.command("EXISTS", keys[0]):  # another process has started it again meanwhile
            self.wire.command("HSET", index, name, OPENING)
        return sorted({*before, *gone})

    # -- expiry --------------------------------------------------------------------------------------------------------------------

    def expire(self, session: SessionId, seconds: float | None, expiry: str = "sliding") -> None:
        """Set the expiry of a session, log included, in seconds; None keeps it for ever.

        Args:
            expiry: `sliding` (after the last append), `sliding-read` (after the last append or reading), `fixed` (from now).

        Raises `LookupError` for a session that is not there.
        """
        if seconds is not None and not seconds > 0:
            raise ValueError(f"a session lives for a positive number of seconds, or for ever with None; got {excerpt(seconds)}")
        mode = Options(expiry=expiry).mode
        index, name = self.layout.index(session.tenant), to_bytes(session.name)
        if not self.length(session):
            raise LookupError(f"no session {excerpt(session.name)} at {self.wire.name}")
        if seconds is not None:
            self.wire.command("HSET", index, name, EXPIRING)  # first, so that expiry is never taken for a loss
        self._run(session, scripts.EXPIRE, [milliseconds(seconds), mode])
        if seconds is None:
            self.wire.command("HSET", index, name, KEPT)

    def close(self) -> None:
        """Close the connections that this store opened. It can be used again afterwards."""
        if self._owns_client:
            self.wire.close()

    # -- internals -----------------------------------------------------------------------------------------------------------------

    def _run(self, session: SessionId, script: scripts.Script, arguments: Sequence[Any] = ()) -> Any:
        """What a script of the log answers; a session of an older layout is brought to this one first. `SessionCorrupted`, `Said`."""
        keys = self.layout.keys(session)
        try:
            try:
                return self.wire.run(script, keys, arguments)
            except Said as said:
                if said.word != "VERSION":
                    raise
                self._migrate(session, int(said.details))
            return self.wire.run(script, keys, arguments)
        except Said as said:
            if said.word != "CORRUPTED":
                raise
            raise damage_of(self, session, said.details) from said
        except SessionCorrupted as exc:
            raise SessionCorrupted(f"session {excerpt(session.name)}: {exc}", session=session.name) from exc

    def _migrate(self, session: SessionId, version: int) -> None:
        if version > scripts.LAYOUT_VERSION:
            raise StoreError(
                f"session {excerpt(session.name)} was written by a newer release (layout {version}; this one knows "
                f"{scripts.LAYOUT_VERSION}). Upgrade optical-memory"
            )
        self.wire.run(scripts.MIGRATE, [*self.layout.keys(session), *self.layout.old_keys(session)], [secrets.token_hex(8)])
        self.wire.command("HSET", self.layout.index(session.tenant), to_bytes(session.name), KEPT)

    def _state(self, session: SessionId) -> Any:
        state = self._run(session, scripts.STATE)
        if not state[0]:
            self._check_absent(session)
        return state

    def _check_absent(self, session: SessionId) -> None:
        """Raises `SessionCorrupted` if a session that is not there should be."""
        index, name = self.layout.index(session.tenant), to_bytes(session.name)
        if self.wire.command("HGET", index, name) == KEPT and not self.wire.command("EXISTS", self.layout.keys(session)[0]):
            raise SessionCorrupted(
                f"session {excerpt(session.name)}: all of it is gone from {self.wire.name}, and nobody erased it. "
                "Restore the server from a backup, or erase the session to begin it anew",
                session=session.name,
            )

    def listed(self, tenant: str) -> Iterator[list[SessionId]]:
        """The sessions that a tenant's index names, some at a time, each once; they may have ended."""
        self._adopt_old_index(tenant)
        cursor, seen = 0, set[bytes]()
        while True:
            cursor, fields = self.wire.command("HSCAN", self.layout.index(tenant), cursor, "COUNT", LIST_AT_ONCE)
            names = [name for name in fields if name not in seen]
            seen.update(names)
            if names:
                yield [SessionId(name, tenant) for name in texts(names).values()]
            if not int(cursor):
                return

    def _adopt_old_index(self, tenant: str) -> None:
        """Move the names that layout 1 kept in a set into the index."""
        old = self.layout.old_index(tenant)
        for name in self.wire.command("SMEMBERS", old):
            self.wire.each([("HSETNX", self.layout.index(tenant), name, OPENING), ("SREM", old, name)])

    def _stored(self, turn: Turn, record: bytes, answer: Any, session: SessionId) -> Turn:
        """A turn as it stands in the log: as given, or as an earlier append left it."""
        number, pinned, earlier = answer
        if earlier == b"":
            return blank(turn, number)
        if earlier is None:
            return decode(record, number, bool(pinned))
        self.seals.check_turns(session, [(number, earlier)])
        return self._opened(earlier, number, bool(pinned), session)

    def _opened(self, record: bytes, number: int, pinned: bool, session: SessionId) -> Turn:
        try:
            return decode(self.seals.turn(session, number, record), number, pinned)
        except SessionCorrupted as exc:
            raise SessionCorrupted(f"session {excerpt(session.name)}: {exc}", session=session.name, missing=exc.missing) from exc


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
