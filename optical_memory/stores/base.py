"""The seams of stores: the turn log, which is the truth, and the cache of what is derived from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from ..turns import Turn

__all__ = ["DerivedCache", "SessionId", "SessionInfo", "Store", "TurnLog"]


class SessionId(NamedTuple):
    """A session's name within a tenant. Any characters; two ids collide only if both parts are equal."""

    name: str
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One line of a list of sessions."""

    id: SessionId
    turns: int
    last_append: datetime | None


class TurnLog(Protocol):
    """The append-only list of turns of each session."""

    def append(self, session: SessionId, turns: Sequence[Turn]) -> list[Turn]:
        """Store all of `turns` or none, numbered on from the session's length, in one atomic and durable step.

        A turn whose id the session holds already is not stored again; the stored one is returned in its place. Ids within one batch count
        too. Raises `StoreUnavailable`.
        """
        ...

    def read(self, session: SessionId, start: int = 1, stop: int | None = None) -> list[Turn]:
        """Turns with start <= number < stop (all from `start` if None), in order. Erased numbers are absent."""
        ...

    def length(self, session: SessionId) -> int:
        """The highest number ever given, 0 for a session that does not exist."""
        ...

    def known_calls(self, session: SessionId, ids: Collection[str]) -> set[str]:
        """Which of `ids` are tool calls that the session made."""
        ...

    def pinned(self, session: SessionId) -> list[int]:
        """Numbers of the pinned turns, in order."""
        ...

    def pin(self, session: SessionId, number: int, pinned: bool) -> None:
        """Set or clear a turn's pin. Raises `TurnNotFound`."""
        ...

    def search(self, session: SessionId, query: str, limit: int) -> list[int]:
        """Numbers of the turns that match, best first, by the terms of `optical_memory.search`."""
        ...

    def sessions(self, tenant: str = "") -> list[SessionInfo]:
        """All sessions of a tenant, by name."""
        ...

    def erase(self, session: SessionId, numbers: Sequence[int] | None = None) -> list[int]:
        """Remove turns, their index entries and all bytes of them from the store's files; the whole session with its cache if None.

        Returns the numbers that were there. Other turns keep theirs, and a number is never given again while its session exists.
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
