"""The seams of stores: the turn log, which is the truth, and the cache of what is derived from it."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable
from urllib.parse import quote

from ..errors import UnknownName
from ..turns.turn import Turn

if TYPE_CHECKING:
    from .entries import Entry

__all__ = [
    "Appended",
    "BulkLog",
    "DerivedCache",
    "Readable",
    "SessionId",
    "SessionInfo",
    "Store",
    "Trace",
    "TurnHistory",
    "TurnLog",
    "default_url",
    "open_store",
]


class SessionId(NamedTuple):
    """A session's name within a tenant. Any characters; two ids collide only if both parts are equal."""

    name: str
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One line of a list of sessions: how many turns it holds, erased ones not counted, and when the last was appended (UTC)."""

    id: SessionId
    turns: int
    last_append: datetime | None


@dataclass(frozen=True, slots=True)
class Trace:
    """Whether a place is clean of what was erased: true, false, or None if it cannot be told."""

    place: str
    clean: bool | None
    details: str


class TurnHistory(Protocol):
    """Turns to look at, by number."""

    def read(self, session: SessionId, start: int = 1, stop: int | None = None) -> list[Turn]:
        """Turns with start <= number < stop (all from `start` if None), in order. Erased numbers are absent.

        Raises `SessionCorrupted` if others are absent too.
        """
        ...

    def length(self, session: SessionId) -> int:
        """The highest number ever given, 0 for a session that does not exist."""
        ...

    def pinned(self, session: SessionId) -> list[int]:
        """Numbers of the pinned turns, in order."""
        ...


class TurnLog(TurnHistory, Protocol):
    """The append-only list of turns of each session."""

    def append(self, session: SessionId, turns: Sequence[Turn], *, expected_length: int | None = None) -> list[Turn]:
        """Store all of `turns` or none, numbered on from the session's length, in one atomic and durable step.

        Args:
            expected_length: store only if the session is so long now; otherwise raise `LengthConflict`, unless all of `turns` are known.

        A turn whose id the session holds already is not stored again; the stored one is returned in its place. Ids within one batch count
        too. An id that was erased stays erased: nothing is stored, and an empty turn with its old number comes back. What comes back is
        what `read` gives. Raises `StoreUnavailable`, or `InvalidTurn` for a turn without an id or with content that JSON cannot hold.
        """
        ...

    def known_calls(self, session: SessionId, ids: Collection[str]) -> set[str]:
        """Which of `ids` are tool calls that the session made."""
        ...

    def pin(self, session: SessionId, number: int, pinned: bool) -> None:
        """Set or clear a turn's pin. Raises `TurnNotFound`."""
        ...

    def search(self, session: SessionId, query: str, limit: int) -> list[int]:
        """Numbers of the turns that match, best first, by the terms of `optical_memory.text.search_terms`."""
        ...

    def sessions(self, tenant: str = "") -> list[SessionInfo]:
        """All sessions of a tenant, by name."""
        ...

    def erase(self, session: SessionId, numbers: Sequence[int] | None = None) -> list[int]:
        """Remove turns, their index entries and all bytes of them from the store's files; the whole session with its cache if None.

        Returns the numbers that were there. Other turns keep theirs, and a number is never given again while its session exists.
        """
        ...


class Appended(NamedTuple):
    """What became of the turns of one session: how many were stored now, and the number of the session's last turn."""

    new: int
    last: int


@runtime_checkable
class BulkLog(Protocol):
    """A log that can also take turns of many sessions at once."""

    def append_entries(self, batches: Sequence[tuple[SessionId, Sequence[Entry]]]) -> list[Appended]:
        """Store the turns of all sessions or none, in one durable step; a turn whose id a session holds is not stored again.

        They are indexed when their session is first searched.
        """
        ...


class DerivedCache(Protocol):
    """Named bytes of a session that can be made again from its log: plans, page records, pictures. May be lost at any time."""

    def get(self, session: SessionId, names: Sequence[str]) -> dict[str, bytes]:
        """Those of `names` that are there."""
        ...

    def put(self, session: SessionId, items: dict[str, bytes]) -> None:
        """Store or replace."""
        ...

    def names(self, session: SessionId, prefix: str = "") -> list[str]:
        """Names that start with `prefix`, sorted."""
        ...

    def discard(self, session: SessionId, names: Sequence[str]) -> None:
        """Remove, so that no byte of them stays in the store's files. Absent names are fine."""
        ...


class Readable(TurnHistory, DerivedCache, Protocol):
    """What a context is made from: turns, and a cache of what is derived from them."""


@runtime_checkable
class Store(TurnLog, DerivedCache, Protocol):
    """Both, behind one URL."""

    @property
    def url(self) -> str:
        """The URL that opened it, a password replaced by `***`."""
        ...

    def close(self) -> None:
        """Release connections and files."""
        ...


_STORES = {
    "memory": "optical_memory.stores.in_memory:MemoryStore",
    "sqlite": "optical_memory.stores.sqlite:SqliteStore",
    **dict.fromkeys(
        ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"),
        "optical_memory.stores.redis:RedisStore",
    ),
}


def default_url() -> str:
    """The URL of the store in the user's data folder, `sqlite:////home/alice/.local/share/optical-memory/memory.sqlite3` on Linux."""
    from platformdirs import user_data_path  # not needed by those who name their store

    return f"sqlite:///{quote((user_data_path('optical-memory') / 'memory.sqlite3').as_posix())}"


def open_store(url: str | None = None) -> Store:
    """A store by URL. Without one, or for a bare `sqlite://`, it is the SQLite file of `default_url()`.

    `memory://` (or `memory://name`, shared within the process), `sqlite:///relative/path`, `sqlite:////absolute/path`,
    `redis://host:port/db`, `rediss://...` (TLS), `unix:///path/to/socket`. Options go into the query: `sqlite:///x.db?synchronous=full`.

    Raises `UnknownName` for another scheme, `ValueError` for a URL or an option that makes no sense, `MissingExtra`, `StoreUnavailable`.
    """
    url = default_url() if url in (None, "sqlite://") else str(url)
    scheme, colon, _ = url.partition("://")
    if scheme not in _STORES or not colon:
        # A URL that is not understood is not quoted: it may hold a password. A path holds none.
        is_path = bool(url) and not colon and ":" not in url and "@" not in url
        hint = f". For the SQLite file {url!r} write sqlite:///{quote(url)}" if is_path else ""
        raise UnknownName("store", scheme.partition(":")[0] + colon, [f"{known}://" for known in _STORES], hint)
    module, _, factory = _STORES[scheme].partition(":")
    store: Store = getattr(importlib.import_module(module), factory)(url)
    return store
