"""Check every session on the servers of a store, and the server settings that durability depends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ...errors import SessionCorrupted, StoreError
from ...text.excerpts import excerpt
from ..base import SessionId
from ..codec import decode, digest, texts, to_bytes
from ..intact import intact
from ..ranges import ranges
from . import scripts
from .key_names import EXPIRING, KEPT, OPENING
from .server import eviction_warning, information, persistence_warning
from .store import RedisStore
from .wire import Said

__all__ = ["CheckReport", "Problem", "check", "rotate"]

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Problem:
    """An error or a warning, with advice.

    Attributes:
        session: whose it is; None for the server's.
    """

    level: str
    what: str
    advice: str
    session: SessionId | None = None


@dataclass(slots=True)
class CheckReport:
    """Counts of what was checked, and the problems found."""

    sessions: int = 0
    turns: int = 0
    erased: int = 0
    caches: int = 0
    tenants: int = 0
    unsealed: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        return any(problem.level == "error" for problem in self.problems)


def check(store: RedisStore, *, repair: bool = False) -> CheckReport:
    """Check every session of every tenant, record by record, with `SCAN` and never `KEYS`.

    Args:
        repair: put sessions that no list names back on their tenant's list, and take off those that ended. Nothing else is changed, except
            that sessions of an older layout are brought to this one, as any use of them does.

    Raises `StoreUnavailable`.
    """
    report = CheckReport()
    report.problems += _of_server(store)
    parts, tenants = _scanned(store)
    report.tenants = len(tenants | {session.tenant for session in parts})
    logs = {session for session, held in parts.items() if held - {"cache"}}
    report.caches = sum(held == {"cache"} for held in parts.values())
    for session in sorted(logs):
        _check_session(store, session, report)
    for tenant in sorted(tenants | {session.tenant for session in logs}):
        report.problems += _of_list(store, tenant, {session for session in logs if session.tenant == tenant}, repair=repair)
    return report


def rotate(store: RedisStore) -> tuple[int, int]:
    """Seal with the newest key, for its place, whatever is not: returns how many turns and how many cached entries were sealed again.

    From then on the sessions take bound records alone. Cached entries that cannot be opened are removed: they can be made again. Raises
    `WrongKey` for such a turn, `SessionCorrupted` for one that somebody else put there; finished ones stay as they are.
    """
    turns = entries = 0
    for session, held in sorted(_scanned(store)[0].items()):
        entries += _rotated_cache(store, session)  # first: where the whole log is bound, an unbound entry is refused
        if held - {"cache"}:
            turns += _rotated_log(store, session)
        if held - {"cache"} and int(store.wire.command("HGET", store.layout.keys(session)[0], "since") or 0) != 1:
            _bind(store, session)
    return turns, entries


def _of_server(store: RedisStore) -> Iterator[Problem]:
    if warning := eviction_warning(store.wire):
        yield Problem("warning", warning, "CONFIG SET maxmemory-policy volatile-lru, and the same in its configuration file")
    if warning := persistence_warning(store.wire):
        yield Problem("warning", warning, "docs/redis.md says what each setting costs and keeps")
    if not information(store.wire, "memory"):
        yield Problem("warning", "the server does not say how it makes room and what it keeps on disk", "look into its settings")


def _scanned(store: RedisStore) -> tuple[dict[SessionId, set[str]], set[str]]:
    """The parts of each session that are there, and the tenants that have a list."""
    parts: dict[SessionId, set[str]] = {}
    tenants: set[str] = set()
    for key in store.wire.scan(f"*{store.layout.namespace}:*"):
        if found := store.layout.session_of(key):
            session, part = found
            if not part.startswith("claim:"):
                parts.setdefault(session, set()).add(part)
        elif (tenant := store.layout.tenant_of(key)) is not None:
            tenants.add(tenant)
    return parts, tenants


def _check_session(store: RedisStore, session: SessionId, report: CheckReport) -> None:
    try:
        length = store.length(session)
    except StoreError as exc:
        report.problems.append(Problem("error", str(exc).removeprefix(f"session {excerpt(session.name)}: "), "", session))
        return
    report.sessions += length > 0
    meta, log, _ = store.layout.keys(session)
    for start in range(0, length, AT_ONCE):
        records = store.wire.command("LRANGE", log, start, min(start + AT_ONCE, length) - 1)
        report.turns += sum(map(bool, records))
        report.erased += sum(not record for record in records)
        report.unsealed += sum(not store.cipher.is_current(record) for record in records if record)
        report.problems += _of_records(store, session, meta, list(enumerate(records, start + 1)))


def _of_records(store: RedisStore, session: SessionId, meta: bytes, records: Sequence[tuple[int, bytes]]) -> Iterator[Problem]:
    named: dict[int, bytes] = {}
    unreadable: list[int] = []
    try:
        store.seals.check_turns(session, records)
    except SessionCorrupted as exc:
        unreadable += exc.missing
    for number, record in records:
        try:
            if record and number not in unreadable:
                named[number] = digest(decode(store.seals.turn(session, number, record), number).id)
        except SessionCorrupted:
            unreadable.append(number)
        except StoreError as exc:
            yield Problem("error", f"turn #{number}: {exc}", "", session)
    found = store.wire.command("HMGET", meta, *named.values()) if named else []
    strangers = [number for number, known in zip(named, found, strict=True) if known is None or int(known) != number]
    for numbers, what in ((sorted(unreadable), "cannot be read"), (strangers, "stand where another one should")):
        if numbers:
            advice = "restore the server from a backup, or erase these turns"
            yield Problem("error", f"the records of {ranges(tuple(numbers))} {what}", advice, session)


def _of_list(store: RedisStore, tenant: str, logs: Iterable[SessionId], *, repair: bool) -> Iterator[Problem]:
    """Whether a tenant's list names the sessions that are there, and no others."""
    index = store.layout.index(tenant)
    states = {session: store.wire.command("HGET", index, to_bytes(session.name)) for some in store.listed(tenant) for session in some}
    logs = set(logs)
    for session in sorted(logs - states.keys()):
        yield Problem("error", "it is not in its tenant's list", "repaired" if repair else "run again with --repair", session)
        if repair:
            store.wire.command("HSET", index, to_bytes(session.name), OPENING)
    for session in sorted(states.keys() - logs):
        if states[session] == KEPT:
            yield Problem(
                "error", "all of it is gone, and nobody erased it", "restore the server from a backup, or erase the session", session
            )
        elif repair:
            store.wire.command("HDEL", index, to_bytes(session.name))
        elif states[session] == EXPIRING:
            continue  # it expired
        else:
            yield Problem("warning", "it is listed, and has no turn", "an append that was cut short; --repair takes it off", session)


def _rotated_log(store: RedisStore, session: SessionId) -> int:
    """From the last turn to the first, so that every record can say truly that from its number on all are bound."""
    keys, done = store.layout.keys(session), 0
    length = store.length(session)
    for start in reversed(range(0, length, AT_ONCE)):
        records = list(enumerate(store.wire.command("LRANGE", keys[1], start, min(start + AT_ONCE, length) - 1), start + 1))
        store.seals.check_turns(session, records)
        for number, record in reversed(records):
            if record and not store.cipher.is_current(record):
                done += _rotated(store, session, number, record, number)
    return done


def _rotated(store: RedisStore, session: SessionId, number: int, record: bytes, since: int) -> int:
    """Seal one record anew; 0 if it was erased meanwhile."""
    sealed = store.seals.sealed_turn(session, number, store.seals.turn(session, number, record), since)
    try:
        return int(store.wire.run(scripts.REPLACE, store.layout.keys(session), [number, record, sealed]))
    except Said as said:
        raise StoreError(f"session {excerpt(session.name)}: {said}; run `optical-memory redis check`") from said


def _bind(store: RedisStore, session: SessionId) -> None:
    """Note that the session holds bound records alone: in `meta`, and in its last turn, which is harder to change."""
    keys = store.layout.keys(session)
    length = store.length(session)
    last = store.wire.command("LINDEX", keys[1], -1)
    if length and last:
        _rotated(store, session, length, last, 1)
    store.wire.run(scripts.BIND, keys)


def _rotated_cache(store: RedisStore, session: SessionId) -> int:
    cache, done = store.layout.keys(session)[2], 0
    store.discard_nameless(session)
    for field_name, name in texts(store.wire.command("HKEYS", cache)).items():
        data = store.wire.command("HGET", cache, field_name)
        if data is None or store.cipher.is_current(data):
            continue
        opened = intact(store, session, [name])
        if opened:
            store.put(session, opened)
            done += 1
        else:
            store.discard(session, [name])
    return done
