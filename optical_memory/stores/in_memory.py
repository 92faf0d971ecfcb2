"""A store in this process's memory: for tests, trials, and conversations that need not outlive it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import unquote

from ..errors import LengthConflict, TurnNotFound
from ..text.term_index import TermIndex
from ..turns.turn import Turn
from .base import SessionId, SessionInfo, Trace
from .codec import blank, decode, digest, encode

__all__ = ["MemoryStore"]


class MemoryStore:
    """`memory://` is a store of its own; `memory://name` is the same one wherever in this process it is opened, until the process ends.

    Turns are held as their records, so that what comes back is what any other store would give, and no caller can change it.
    """

    def __init__(self, url: str = "memory://") -> None:
        name = url.removeprefix("memory://")
        if "?" in name:
            raise ValueError(f"unknown options in {url!r}: a memory store has none. Write memory:// or memory://name")
        self._url = url
        self._sessions = _shared(unquote(name)) if name else _Sessions()

    @property
    def url(self) -> str:
        """The URL that opened it."""
        return self._url

    @property
    def claims(self) -> MemoryStore:
        """Claims among the threads of this process."""
        return self

    def claim(self, session: SessionId, name: str, holder: str, seconds: float) -> bool:
        """See `claims.Claims`."""
        now, key = time.monotonic(), (SessionId(*session), name)
        with self._sessions.lock:
            held = self._sessions.claims.get(key)
            if held and held[0] != holder and held[1] > now:
                return False
            self._sessions.claims[key] = holder, now + seconds
            return True

    def release(self, session: SessionId, name: str, holder: str) -> None:
        """See `claims.Claims`."""
        key = (SessionId(*session), name)
        with self._sessions.lock:
            if self._sessions.claims.get(key, ("",))[0] == holder:
                del self._sessions.claims[key]

    def swap(self, session: SessionId, name: str, old: bytes | None, new: bytes) -> bool:
        """See `claims.Claims`."""
        with self._sessions.lock:
            if self._sessions.peek(session).cache.get(name) != old:
                return False
            self._sessions.open(session).cache[name] = bytes(new)
            return True

    def append(self, session: SessionId, turns: Sequence[Turn], *, expected_length: int | None = None) -> list[Turn]:
        """Store turns; see `TurnLog.append`."""
        records = [encode(turn) for turn in turns]
        with self._sessions.lock:
            held = self._sessions.peek(session)
            if expected_length not in (None, len(held.log)) and not held.knows(turns):
                raise LengthConflict(session.name, expected_length or 0, len(held.log))
            return self._sessions.open(session).append(turns, records) if turns else []

    def read(self, session: SessionId, start: int = 1, stop: int | None = None) -> list[Turn]:
        """Turns by number; see `TurnLog.read`."""
        with self._sessions.lock:
            return self._sessions.peek(session).read(start, stop)

    def length(self, session: SessionId) -> int:
        """The highest number ever given."""
        with self._sessions.lock:
            return len(self._sessions.peek(session).log)

    def known_calls(self, session: SessionId, ids: Collection[str]) -> set[str]:
        """Which of `ids` the session called."""
        with self._sessions.lock:
            calls = self._sessions.peek(session).calls
            return {call_id for call_id in ids if calls.get(call_id)}

    def pinned(self, session: SessionId) -> list[int]:
        """Numbers of the pinned turns."""
        with self._sessions.lock:
            return sorted(self._sessions.peek(session).pins)

    def pin(self, session: SessionId, number: int, pinned: bool) -> None:
        """Set or clear a pin. Raises `TurnNotFound`."""
        with self._sessions.lock:
            self._sessions.peek(session).pin(number, pinned)

    def search(self, session: SessionId, query: str, limit: int) -> list[int]:
        """Numbers of the turns that match, best first."""
        with self._sessions.lock:
            return self._sessions.peek(session).index.search(query, limit)

    def sessions(self, tenant: str = "") -> list[SessionInfo]:
        """All sessions of a tenant, by name."""
        with self._sessions.lock:
            held = [(session, state) for session, state in self._sessions.items.items() if session.tenant == tenant and state.log]
            return [SessionInfo(session, state.turns, state.last_append) for session, state in sorted(held, key=lambda pair: pair[0])]

    def erase(self, session: SessionId, numbers: Sequence[int] | None = None) -> list[int]:
        """Remove turns, or the session; see `TurnLog.erase`. Python frees the memory; it does not overwrite it."""
        with self._sessions.lock:
            if numbers is not None:
                return self._sessions.peek(session).erase(numbers)
            state = self._sessions.items.pop(session, _Session())
            return [number for number, record in enumerate(state.log, 1) if record is not None]

    def get(self, session: SessionId, names: Sequence[str]) -> dict[str, bytes]:
        """Those of `names` that are there."""
        with self._sessions.lock:
            cache = self._sessions.peek(session).cache
            return {name: cache[name] for name in names if name in cache}

    def put(self, session: SessionId, items: dict[str, bytes]) -> None:
        """Store or replace."""
        with self._sessions.lock:
            self._sessions.open(session).cache.update({name: bytes(data) for name, data in items.items()})

    def names(self, session: SessionId, prefix: str = "") -> list[str]:
        """Names that start with `prefix`, sorted."""
        with self._sessions.lock:
            return sorted(name for name in self._sessions.peek(session).cache if name.startswith(prefix))

    def discard(self, session: SessionId, names: Sequence[str]) -> None:
        """Remove; absent names are fine."""
        with self._sessions.lock:
            for name in names:
                self._sessions.peek(session).cache.pop(name, None)

    def traces(self, session: SessionId, numbers: Sequence[int] | None) -> Iterator[Trace]:
        """Nothing but the log and the pages is kept, and no file."""
        yield Trace("process", True, "the store keeps no file")

    def close(self) -> None:
        """Nothing to release: a named store lives on, an unnamed one goes with its last reference."""


class _Session:
    """One session's log and what is known about it. `log[n - 1]` is the record of turn n, None once erased."""

    def __init__(self) -> None:
        self.log: list[bytes | None] = []
        self.numbers: dict[bytes, int] = {}
        self.calls: defaultdict[str, set[int]] = defaultdict(set)
        self.pins: set[int] = set()
        self.index = TermIndex()
        self.cache: dict[str, bytes] = {}
        self.last_append: datetime | None = None

    @property
    def turns(self) -> int:
        return sum(record is not None for record in self.log)

    def knows(self, turns: Iterable[Turn]) -> bool:
        return all(digest(turn.id) in self.numbers for turn in turns)

    def append(self, turns: Sequence[Turn], records: Sequence[bytes]) -> list[Turn]:
        stored = []
        for turn, record in zip(turns, records, strict=True):
            key = digest(turn.id)
            if key not in self.numbers:
                self._add(turn, record, key)
            stored.append(self._turn(self.numbers[key]) or blank(turn, self.numbers[key]))
        return stored

    def _add(self, turn: Turn, record: bytes, key: bytes) -> None:
        self.log.append(record)
        number = self.numbers[key] = len(self.log)
        for call in turn.tool_calls:
            self.calls[call.id].add(number)
        if turn.pinned:
            self.pins.add(number)
        self.index.add(number, turn.text)
        self.last_append = datetime.now(UTC)

    def _turn(self, number: int) -> Turn | None:
        record = self.log[number - 1]
        return None if record is None else decode(record, number, number in self.pins)

    def read(self, start: int, stop: int | None) -> list[Turn]:
        end = len(self.log) + 1 if stop is None else min(stop, len(self.log) + 1)
        return [turn for turn in map(self._turn, range(max(start, 1), end)) if turn]

    def pin(self, number: int, pinned: bool) -> None:
        if number not in self._held([number]):
            raise TurnNotFound(number, len(self.log))
        (self.pins.add if pinned else self.pins.discard)(number)

    def erase(self, numbers: Iterable[int]) -> list[int]:
        held = self._held(numbers)
        for number in held:
            self.log[number - 1] = None
            self.pins.discard(number)
            self.index.remove(number)
        for callers in self.calls.values():
            callers.difference_update(held)
        self.calls = defaultdict(set, {call_id: callers for call_id, callers in self.calls.items() if callers})
        return held

    def _held(self, numbers: Iterable[int]) -> list[int]:
        return [number for number in sorted(set(numbers)) if 1 <= number <= len(self.log) and self.log[number - 1] is not None]


class _Sessions:
    """The sessions of one store, and the lock that every use of them takes."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.items: dict[SessionId, _Session] = {}
        self.claims: dict[tuple[SessionId, str], tuple[str, float]] = {}

    def open(self, session: SessionId) -> _Session:
        return self.items.setdefault(SessionId(*session), _Session())

    def peek(self, session: SessionId) -> _Session:
        return self.items.get(session) or _Session()


_NAMED: dict[str, _Sessions] = {}  # what makes a named store one store is that this process has one table of names


def _shared(name: str) -> _Sessions:
    return _NAMED.setdefault(name, _Sessions())
