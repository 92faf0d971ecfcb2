"""Sealing the records of sessions for their places, and opening them.

A record that is sealed for no place (an earlier release wrote it, or no key was there) is read in a session that may hold such records, and
refused in one that may not. What tells them apart is on the server too, so it is taken from several places: the session's `meta`, its first
and last turn, and what is read beside. Whoever replaces all of these at once passes an old session for a new one; `unbound=refuse` takes
no such record at all.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress

from ...errors import SessionCorrupted, StoreError
from ...text.excerpts import excerpt
from ..base import SessionId
from ..encryption import Cipher, is_bound
from ..places import Place
from ..ranges import ranges
from .connecting import Options
from .key_names import Layout
from .wire import Wire

__all__ = ["Seals"]

ENDS_KEPT = 4_096  # sessions whose length is remembered, so that an append seals for the right numbers at once
NEVER = 1 << 62  # a number that no turn has
ADVICE = "Restore the server from a backup, or erase {}. Records from before there was a key: `optical-memory redis rotate` seals them"


class Seals:
    """What is sealed and opened for the sessions of one store."""

    def __init__(self, wire: Wire, options: Options, cipher: Cipher) -> None:
        if options.unbound == "refuse" and not cipher.seals:
            raise ValueError("unbound='refuse' needs a key. Set OPTICAL_MEMORY_ENCRYPTION_KEYS")
        self._wire, self._layout, self._cipher = wire, Layout(options.namespace), cipher
        self._refuses = options.unbound == "refuse"
        self._ends: OrderedDict[SessionId, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    # -- the log -------------------------------------------------------------------------------------------------------------------

    def end_of(self, session: SessionId) -> tuple[int, int]:
        """Length of a log, and the number from which on it is bound, as last seen: a guess, which the server checks."""
        return self._ends.get(session, (0, 1))

    def note_end(self, session: SessionId, length: int, since: int) -> None:
        """Remember for the next append."""
        with self._lock:
            self._ends[session] = (length, since)
            self._ends.move_to_end(session)
            if len(self._ends) > ENDS_KEPT:
                self._ends.popitem(last=False)

    def sealed_turn(self, session: SessionId, number: int, record: bytes, since: int) -> bytes:
        return self._cipher.seal(record, Place.of_turn(session, number), since)

    def turn(self, session: SessionId, number: int, record: bytes) -> bytes:
        """What the record of a turn holds. Raises `WrongKey`, `SessionCorrupted`; `check_turns` is asked before."""
        return self._cipher.open(record, Place.of_turn(session, number) if self._cipher.seals else None)

    def check_turns(self, session: SessionId, records: Sequence[tuple[int, bytes]]) -> None:
        """Raises `SessionCorrupted` if one of the records, with their numbers, is not sealed for its place and has to be."""
        unbound = [number for number, record in records if record and not is_bound(record)]
        if not self._cipher.seals or not unbound:
            return
        since = 0 if self._refuses else min([NEVER, *self._evidence(session, records)])
        if bad := tuple(number for number in unbound if number >= since):
            raise SessionCorrupted(
                f"session {excerpt(session.name)}: the records of {ranges(bad)} are not sealed for their places, and this "
                f"session's have to be: somebody else put them there. {ADVICE.format('these turns')}",
                session=session.name,
                missing=bad,
            )

    # -- the cache -----------------------------------------------------------------------------------------------------------------

    def sealed_entry(self, session: SessionId, name: str, data: bytes) -> bytes:
        return self._cipher.seal(data, Place.of_entry(session, name))

    def entry(self, session: SessionId, name: str, data: bytes) -> bytes:
        """What a cached entry holds.

        Raises `WrongKey`; `SessionCorrupted` if it is another's, or is not sealed for its place and has to be.
        """
        opened = self._cipher.open(data, Place.of_entry(session, name))
        if self._cipher.seals and not is_bound(data) and (self._refuses or min([NEVER, *self._evidence(session, [])]) <= 1):
            raise SessionCorrupted(
                f"session {excerpt(session.name)}: the cached {excerpt(name)} is not sealed for its place, and this session's have to be: "
                f"somebody else put it there. {ADVICE.format('it')}",
                session=session.name,
            )
        return opened

    # -- internals -----------------------------------------------------------------------------------------------------------------

    def _evidence(self, session: SessionId, records: Sequence[tuple[int, bytes]]) -> Iterator[int]:
        """Numbers from which on all turns of a session are bound, as several places tell."""
        meta, log, _ = self._layout.keys(session)
        commands = [("HGET", meta, "since"), ("LLEN", log), ("LINDEX", log, 0), ("LINDEX", log, -1)]
        noted, length, first, last = self._wire.each(commands)
        if noted and noted.isdigit():
            yield int(noted)
        bound = [(number, record) for number, record in records if is_bound(record)]
        for number, record in {*bound[:1], *bound[-1:], (1, first or b""), (int(length), last or b"")}:
            if is_bound(record):
                with suppress(StoreError):  # it is told when it is read
                    yield self._cipher.unpack(record, Place.of_turn(session, number)).since
