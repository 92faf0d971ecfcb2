"""Whether a server still holds erased turns: in memory, at its replicas, in its files.

The append-only file and the snapshot keep erased turns until they are rewritten, so a rewrite is requested first. Managed services forbid
some of these commands; a place that cannot be checked is reported as such.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import OpticalMemoryError, StoreUnavailable
from ...text.excerpts import said
from ..base import SessionId, Trace
from ..codec import to_bytes
from .cache import RedisCache

__all__ = ["traces_of"]

REWRITE_SECONDS = 120.0  # for a server to rewrite its files; then report that it has not finished
REPLICA_SECONDS = 10.0
POLL = 0.05  # seconds


class Unfinished(OpticalMemoryError):
    """A server did not finish a request in time."""


def traces_of(store: RedisCache, session: SessionId, numbers: Sequence[int] | None) -> Iterator[Trace]:
    """Search for turns, or for the whole session if None."""
    yield _in_memory(store, session, numbers)
    key = store.layout.claim(session, "traces")  # in the session's slot; it need not exist
    for place, search in (("replicas", _replicas), ("append-only file", _rewritten_log), ("snapshot", _snapshot)):
        try:
            yield Trace(place, *search(store, key))
        except OpticalMemoryError as exc:
            yield Trace(place, None, str(exc))


def _in_memory(store: RedisCache, session: SessionId, numbers: Sequence[int] | None) -> Trace:
    keys = store.layout.keys(session)
    if numbers is None:
        left = sum(map(int, store.wire.each([("EXISTS", key) for key in keys])))
        listed = int(store.wire.command("HEXISTS", store.layout.index(session.tenant), to_bytes(session.name)))
        gone = not left and not listed
        return Trace("server", gone, "no key of the session, nor its name" if gone else f"{left} of its keys, {listed} entries of its name")
    records = store.wire.each([("LINDEX", keys[1], number - 1) for number in numbers])
    held = [number for number, record in zip(numbers, records, strict=True) if record]
    return Trace("server", not held, f"records of turns {held} are there" if held else "the records are empty; the numbers stay taken")


def _replicas(store: RedisCache, key: str) -> tuple[bool | None, str]:
    connected = int(_information(store, key, "replication").get("connected_slaves", 0))
    if not connected:
        return True, "the server has none"
    reached, _ = store.wire.confirmed(key, connected, REPLICA_SECONDS)
    return reached >= connected, f"{reached} of {connected} have done what the server did; their files are not looked at"


def _rewritten_log(store: RedisCache, key: str) -> tuple[bool | None, str]:
    if _information(store, key, "persistence").get("aof_enabled") != "1":
        return True, "the server keeps none"
    _when_idle(store, key)
    _ask(store, key, "BGREWRITEAOF")
    after = _when_idle(store, key)
    done = after.get("aof_last_bgrewrite_status") == "ok"
    return done or None, "written anew after the erasure" if done else "the server could not write it anew: look into its log"


def _snapshot(store: RedisCache, key: str) -> tuple[bool | None, str]:
    before = _when_idle(store, key)
    if before.get("rdb_saves") == "0" and not _saves(store, key):
        return True, "the server makes none"
    _ask(store, key, "BGSAVE")
    after = _when_idle(store, key)
    done = after.get("rdb_last_bgsave_status") == "ok"
    return done or None, "written anew after the erasure" if done else "the server could not write it anew: look into its log"


def _saves(store: RedisCache, key: str) -> bool:
    """Whether the server is set to make snapshots; true if it does not say."""
    try:
        answer = _ask(store, key, "CONFIG", "GET", "save")
    except Unfinished:
        return True
    return bool({_text(name): _text(value) for name, value in answer.items()}.get("save"))


def _when_idle(store: RedisCache, key: str) -> Mapping[str, str]:
    """The section `persistence` of INFO, once no file is being written."""
    deadline = time.monotonic() + REWRITE_SECONDS
    while time.monotonic() < deadline:
        state = _information(store, key, "persistence")
        busy = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
        if not any(int(state.get(name, 0)) for name in busy):
            return state
        time.sleep(POLL)
    raise Unfinished(f"the server has been writing its files for {REWRITE_SECONDS:g} s and is not done: ask again later")


def _information(store: RedisCache, key: str, section: str) -> Mapping[str, str]:
    answer: Mapping[str, Any] = _ask(store, key, "INFO", section)
    return {_text(name): _text(value) for name, value in answer.items()}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _ask(store: RedisCache, key: str, *command: str) -> Any:
    try:
        return store.wire.at(key, *command)
    except StoreUnavailable as exc:
        raise Unfinished(f"{command[0]} did not work: {said(exc.__cause__ or exc)}") from exc
