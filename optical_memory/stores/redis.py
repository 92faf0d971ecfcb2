"""A store on a Redis server (6.2 or later, or one that speaks like it), with core commands only.

Every session lives in six keys of one hash tag, hence in one slot: `meta` (hash), `log` (list of records, turn n at index n - 1, empty
once erased), `ids` (hash: digest of a turn's id -> number), `calls` (hash: digest of a call's id -> turns that made it), `pins` (sorted
set of numbers), `cache` (hash). A set for each tenant names its sessions.

What this store does not promise: how long a returned append lives on is the server's `appendfsync`; what was erased is gone from the
server's memory, but stays in its append-only file and snapshots until it rewrites them. Search has no index on the server: each process
builds one of its own from the log and keeps it up to date.
"""

from __future__ import annotations

import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from ..errors import MissingExtra, SessionCorrupted, StoreUnavailable, TurnNotFound
from ..turns import Turn
from .base import SessionId, SessionInfo
from .codec import blank, decode, digest, encode, from_bytes, to_bytes
from .local_index import LocalIndexes

__all__ = ["RedisStore"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMEOUT = 5.0  # seconds for one answer, unless the URL says otherwise
CONNECTIONS = 50  # at most; a thread that finds all in use waits
KEYS = ("meta", "log", "ids", "calls", "pins", "cache")
OPTIONS = {
    *("db", "username", "password", "protocol", "socket_timeout", "socket_connect_timeout", "health_check_interval", "max_connections"),
    *("ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"),
}

# Scripts run alone on the server, so a batch is stored as a whole and numbers have no gaps. All begin by comparing the log with its length.
_CHECKED = """
local meta, log, ids, calls, pins = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local length = tonumber(redis.call('HGET', meta, 'length') or '0')
local held = redis.call('LLEN', log)
if held ~= length then return redis.error_reply('CORRUPTED the log holds ' .. held .. ' of ' .. length .. ' turns') end
"""
# ARGV: time, a new generation, then for each turn: digest, record, pinned, number of calls, digests of calls.
_APPEND = (
    _CHECKED
    + """
local answers, at = {}, 3
while ARGV[at] do
  local number, record, fresh = redis.call('HGET', ids, ARGV[at]), ARGV[at + 1], 0
  if not number then
    number, fresh = redis.call('RPUSH', log, record), 1
    redis.call('HSET', ids, ARGV[at], number)
    if ARGV[at + 2] == '1' then redis.call('ZADD', pins, number, number) end
    for call = at + 4, at + 3 + ARGV[at + 3] do redis.call('HINCRBY', calls, ARGV[call], 1) end
  else
    record = redis.call('LINDEX', log, number - 1)
  end
  answers[#answers + 1] = {tonumber(number), redis.call('ZSCORE', pins, number) and 1 or 0, record}
  if fresh == 1 then redis.call('HSET', meta, 'length', number, 'appended', ARGV[1]) end
  at = at + 4 + ARGV[at + 3]
end
redis.call('HSETNX', meta, 'generation', ARGV[2])
return answers
"""
)
# ARGV: number, 1 or 0. Answers with the length, negative if there is no such turn.
_PIN = (
    _CHECKED
    + """
local record = redis.call('LINDEX', log, ARGV[1] - 1)
if not record or record == '' then return {0, length} end
if ARGV[2] == '1' then redis.call('ZADD', pins, ARGV[1], ARGV[1]) else redis.call('ZREM', pins, ARGV[1]) end
return {1, length}
"""
)
# ARGV: for each turn: number, number of calls, digests of calls. Answers with the numbers that were there.
_ERASE = (
    _CHECKED
    + """
local gone, at = {}, 1
while ARGV[at] do
  local record = redis.call('LINDEX', log, ARGV[at] - 1)
  if record and record ~= '' then
    redis.call('LSET', log, ARGV[at] - 1, '')
    redis.call('ZREM', pins, ARGV[at])
    for call = at + 2, at + 1 + ARGV[at + 1] do
      if redis.call('HINCRBY', calls, ARGV[call], -1) < 1 then redis.call('HDEL', calls, ARGV[call]) end
    end
    redis.call('HINCRBY', meta, 'erased', 1)
    gone[#gone + 1] = tonumber(ARGV[at])
  end
  at = at + 2 + ARGV[at + 1]
end
return gone
"""
)
# A damaged session can be erased as well, so nothing is compared here.
_ERASE_SESSION = """
local gone = {}
for index, record in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  if record ~= '' then gone[#gone + 1] = index end
end
redis.call('DEL', unpack(KEYS))
return gone
"""


class RedisStore:
    """`redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, `unix:///path/to/socket`. Safe for threads and after a fork.

    Options in the query are those of redis-py that concern the connection, `?socket_timeout=2` for example. Raises `MissingExtra` without
    redis-py, `StoreUnavailable` if the server does not answer now.
    """

    def __init__(self, url: str) -> None:
        try:
            import redis
        except ImportError as exc:
            raise MissingExtra(f"the store {urlsplit(url).scheme}://", "redis") from exc
        self._url = _masked(_checked(url))
        self._error = redis.RedisError
        options: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "max_connections": CONNECTIONS}
        self._pool = redis.BlockingConnectionPool.from_url(url, timeout=TIMEOUT, **options)
        self._client: Any = redis.Redis(connection_pool=self._pool)
        self._append, self._pin, self._erase, self._erase_session = map(
            self._client.register_script, (_APPEND, _PIN, _ERASE, _ERASE_SESSION)
        )
        self._local = LocalIndexes()
        with self._answering():
            self._client.ping()

    @property
    def url(self) -> str:
        """The URL that opened it, a password replaced by `***`."""
        return self._url

    def append(self, session: SessionId, turns: Sequence[Turn]) -> list[Turn]:
        """Store turns; see `TurnLog.append`. One round trip; one that is repeated after a lost answer changes nothing."""
        arguments: list[bytes | int | str] = [time.time_ns() // 1000, secrets.token_hex(8)]
        for turn in turns:
            calls = _calls(turn)
            arguments += [digest(turn.id), encode(turn), int(turn.pinned), len(calls), *calls]
        if not turns:
            return []
        with self._answering(session):
            # First the name, so that there is no session that a list of sessions would miss.
            self._client.sadd(_tenant_key(session.tenant), to_bytes(session.name))
            answers = self._append(keys=_keys(session), args=arguments)
        return [
            decode(record, number, bool(pinned)) if record else blank(turn, number)
            for turn, (number, pinned, record) in zip(turns, answers, strict=True)
        ]

    def read(self, session: SessionId, start: int = 1, stop: int | None = None) -> list[Turn]:
        """Turns by number; see `TurnLog.read`."""
        first = max(start, 1)
        if stop is not None and stop <= first:
            return []
        last = -1 if stop is None else stop - 1
        meta, log, _, _, pins, _ = _keys(session)
        with self._answering(session), self._client.pipeline(transaction=True) as pipe:
            pipe.hget(meta, "length").llen(log).lrange(log, first - 1, last if last < 0 else last - 1)
            pipe.zrangebyscore(pins, first, "+inf" if last < 0 else last)
            length, held, records, pinned = pipe.execute()
        if int(length or 0) != held:
            raise SessionCorrupted(_damage(session, f"the log holds {held} of {int(length or 0)} turns"))
        pinned_numbers = {int(number) for number in pinned}
        return [decode(record, number, number in pinned_numbers) for number, record in enumerate(records, first) if record]

    def length(self, session: SessionId) -> int:
        """The highest number ever given."""
        with self._answering(session):
            return int(self._client.hget(_keys(session)[0], "length") or 0)

    def known_calls(self, session: SessionId, ids: Collection[str]) -> set[str]:
        """Which of `ids` the session called."""
        wanted = list(ids)
        if not wanted:
            return set()
        with self._answering(session):
            counts = self._client.hmget(_keys(session)[3], [digest(call_id) for call_id in wanted])
        return {call_id for call_id, count in zip(wanted, counts, strict=True) if count}

    def pinned(self, session: SessionId) -> list[int]:
        """Numbers of the pinned turns."""
        with self._answering(session):
            return [int(number) for number in self._client.zrange(_keys(session)[4], 0, -1)]

    def pin(self, session: SessionId, number: int, pinned: bool) -> None:
        """Set or clear a pin. Raises `TurnNotFound`."""
        if number < 1:
            raise TurnNotFound(number, self.length(session))
        with self._answering(session):
            found, length = self._pin(keys=_keys(session), args=[number, int(pinned)])
        if not found:
            raise TurnNotFound(number, length)

    def search(self, session: SessionId, query: str, limit: int) -> list[int]:
        """Numbers of the turns that match, best first. The first search of a process reads the whole log, later ones what is new."""
        with self._answering(session):
            length, *generation = self._client.hmget(_keys(session)[0], "length", "generation", "erased")
        return self._local.search(
            session, query, limit, generation=tuple(generation), length=int(length or 0), read=lambda start: self.read(session, start)
        )

    def sessions(self, tenant: str = "") -> list[SessionInfo]:
        """All sessions of a tenant, by name."""
        with self._answering(), self._client.pipeline(transaction=False) as pipe:
            names = sorted(self._client.smembers(_tenant_key(tenant)))
            ids = [SessionId(from_bytes(name), tenant) for name in names]
            for session in ids:
                pipe.hmget(_keys(session)[0], "length", "erased", "appended")
            rows = [[int(value or 0) for value in row] for row in pipe.execute()]
        return [
            SessionInfo(session, length - erased, EPOCH + timedelta(microseconds=appended))
            for session, (length, erased, appended) in zip(ids, rows, strict=True)
            if length
        ]

    def erase(self, session: SessionId, numbers: Sequence[int] | None = None) -> list[int]:
        """Remove turns, or the session with its cache; see `TurnLog.erase`, and the module for what the server's files keep."""
        self._local.drop(session)
        if numbers is None:
            return self._erase_whole(session)
        arguments: list[bytes | int] = []
        for number in sorted({number for number in numbers if number > 0}):
            for turn in self.read(session, number, number + 1):
                calls = _calls(turn)
                arguments += [number, len(calls), *calls]
        with self._answering(session):
            return list(self._erase(keys=_keys(session), args=arguments)) if arguments else []

    def get(self, session: SessionId, names: Sequence[str]) -> dict[str, bytes]:
        """Those of `names` that are there."""
        if not names:
            return {}
        with self._answering(session):
            found = self._client.hmget(_keys(session)[5], [to_bytes(name) for name in names])
        return {name: data for name, data in zip(names, found, strict=True) if data is not None}

    def put(self, session: SessionId, items: dict[str, bytes]) -> None:
        """Store or replace."""
        if items:
            with self._answering(session):
                self._client.hset(_keys(session)[5], mapping={to_bytes(name): data for name, data in items.items()})

    def names(self, session: SessionId, prefix: str = "") -> list[str]:
        """Names that start with `prefix`, sorted."""
        with self._answering(session):
            names = self._client.hkeys(_keys(session)[5])
        return sorted(name for name in map(from_bytes, names) if name.startswith(prefix))

    def discard(self, session: SessionId, names: Sequence[str]) -> None:
        """Remove; absent names are fine."""
        if names:
            with self._answering(session):
                self._client.hdel(_keys(session)[5], *map(to_bytes, names))

    def close(self) -> None:
        """Close all connections. The store can be used again afterwards."""
        self._pool.disconnect()

    def _erase_whole(self, session: SessionId) -> list[int]:
        tenant = _tenant_key(session.tenant)
        with self._answering(session):
            gone = list(self._erase_session(keys=_keys(session)))
            self._client.srem(tenant, to_bytes(session.name))
            if self._client.exists(_keys(session)[0]):  # another process has begun it anew meanwhile
                self._client.sadd(tenant, to_bytes(session.name))
        return gone

    @contextmanager
    def _answering(self, session: SessionId | None = None) -> Iterator[None]:
        try:
            yield
        except self._error as exc:
            reason = str(exc).removeprefix("CORRUPTED ")
            if session is not None and reason != str(exc):
                raise SessionCorrupted(_damage(session, reason)) from exc
            raise StoreUnavailable(f"the Redis server at {self._url!r} does not answer: {exc}. Is it running, and reachable?") from exc


def _damage(session: SessionId, reason: str) -> str:
    return f"session {session.name!r}: {reason}. Restore the server from a backup, or erase the session"


def _calls(turn: Turn) -> list[bytes]:
    return [digest(call_id) for call_id in sorted({call.id for call in turn.tool_calls})]


def _encoded(text: str) -> str:
    """A part of a key: no colon or brace in it, so no two pairs of parts give the same key."""
    return urlsafe_b64encode(to_bytes(text)).decode().rstrip("=")


def _keys(session: SessionId) -> list[str]:
    return [f"{{om:{_encoded(session.tenant)}:{_encoded(session.name)}}}:{key}" for key in KEYS]


def _tenant_key(tenant: str) -> str:
    return f"om:sessions:{_encoded(tenant)}"


def _checked(url: str) -> SplitResult:
    """A URL in its parts. Errors do not quote it, since its password may be what was misread."""
    scheme = url.partition(":")[0]
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(f"cannot read the {scheme}:// URL: write {scheme}://host:6379/0, a password percent-encoded") from None
    if "@" in parts.path + parts.query or parts.fragment:
        raise ValueError(f"cannot read the {scheme}:// URL: a '/', '?', '#' or '@' in a password must be percent-encoded")
    if scheme != "unix" and parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        raise ValueError(f"cannot read the {scheme}:// URL: {parts.path!r} is no database number. Write {scheme}://host:6379/0")
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if name not in OPTIONS:
            raise ValueError(f"unknown option {name!r} in {_masked(parts)!r}; known: {', '.join(sorted(OPTIONS))}")
    return parts


def _masked(parts: SplitResult) -> str:
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    netloc = f"{name}:***@{host}" if colon else f"{user}{at}{host}"
    query = [(key, "***" if key == "password" else value) for key, value in parse_qsl(parts.query, keep_blank_values=True)]
    return f"{parts.scheme}://{netloc}{parts.path}" + (f"?{urlencode(query, safe='*', quote_via=quote)}" if query else "")
