"""Sessions as files of JSON lines, and from one store to another, exactly: numbers, pins, gaps of erased turns, metadata, times.

A file has a header, a line for each turn, one for each run of erased numbers, on demand one for each entry of the cache, and an end. Every
line carries a sum over itself and all lines before it, so that whatever was changed, moved or cut is noticed at its line.

Not carried over are the ids of erased turns, of which stores keep digests only: the target does not refuse them, as the source does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from ..errors import StoreError
from ..text.excerpts import excerpt
from ..turns.turn import Turn
from .base import SessionId, Store
from .codec import decode, encode, to_bytes
from .intact import intact

__all__ = ["ImportReport", "copy_session", "export_session", "import_session"]

FORMAT = 1
READ_AT_ONCE, STORED_AT_ONCE, CACHED_AT_ONCE = 1_000, 500, 16  # turns, turns, entries of the cache
LONGEST_BATCH = 16_000_000  # characters of lines: turns may hold pictures

MOST_ERASED = 1_000_000  # turns: each costs a placeholder, so a few lines could claim hours of work

# The names of what this library derives from turns. Others are a framework's own keys, of any form.
_CACHE_NAME = re.compile(
    r"run/[^/]+/\d+-\d+-\d+-\d+-\d+(?:-\d+)?|picture/[^/]+/[^/]+|verified/[^/]+/[^/]+/\d+/(?:passed|refused)|plan/.+|undrawn/[^/]+"
    r"|(?!run/|picture/|verified/|plan/|undrawn/).*",
    re.DOTALL,
)
_SEALED = re.compile(r'(.*),"sum":"([0-9a-f]{16})"\}', re.DOTALL)
_FOREIGN = "line {} does not begin the export of a session, or was changed. Pass a file that `optical-memory export` wrote"
_AGAIN = "Export the session again and import that; what is stored already stays"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did: turns stored now, turns that were there already, and entries of the cache written. Erased ones do not count."""

    session: SessionId
    turns: int
    known: int
    cached: int


def export_session(store: Store, session: SessionId, *, pages: bool = False) -> Iterator[str]:
    """The lines of a session, ASCII and without line feeds, read from the store as they are asked for.

    Args:
        pages: with the cache of what is derived from the turns, so that the target need not draw pages again.

    What is appended meanwhile is left out. Raises `LookupError` for a session that is not there, or is erased meanwhile, and what reading
    raises. Ids of erased turns are not in it.
    """
    names = store.names(session) if pages else []  # before the length is taken, so that no page shows turns that are left out
    length = store.length(session)
    if not length:
        raise LookupError(f"no session {excerpt(session.name)} in {store.url}")
    return _sealed(_entries(store, session, length, names))


def import_session(store: Store, lines: Iterable[str], *, session: SessionId | None = None) -> ImportReport:
    """Store what `export_session` gave, under its own name or as `session`.

    The target must be empty or hold a beginning of the same turns. Those stay as they are, pins included, and the import goes on after
    them: one that was interrupted is taken up again, and a second one adds nothing. Ids of erased turns are not known to the target.

    Raises `ValueError` if the target holds anything else, before anything is written; and for a file that is damaged, cut or of another
    kind, with the line: what stood before it may be stored then. Raises `LengthConflict` if somebody else appends to the target meanwhile.
    """
    opened = _opened(lines)
    at, entry, _ = next(opened)
    named, length = _header(entry, at)
    work = _Import(store, named if session is None else session, length)
    try:
        for batch in _batches(_items(opened, length)):
            work.take(batch)
    finally:
        if work.gaps:
            store.erase(work.session, work.gaps)
    return ImportReport(work.session, work.turns, work.known, work.cached)


def copy_session(
    source: Store, target: Store, session: SessionId, *, as_session: SessionId | None = None, pages: bool = False
) -> ImportReport:
    """Copy a session to another store, or within one as `as_session`, some turns at a time. Copying again adds what is new.

    Raises what `export_session` and `import_session` raise. Ids of erased turns are not known to the target.
    """
    return import_session(target, export_session(source, session, pages=pages), session=session if as_session is None else as_session)


def _entries(store: Store, session: SessionId, length: int, names: list[str]) -> Iterator[dict[str, Any]]:
    yield {"optical_memory": FORMAT, "kind": "session", "session": session.name, "tenant": session.tenant, "length": length}
    due = 1
    for start in range(1, length + 1, READ_AT_ONCE):
        for turn in store.read(session, start, min(start + READ_AT_ONCE, length + 1)):
            if turn.number > due:
                yield {"erased": [due, turn.number - 1]}
            yield {"number": turn.number, "pinned": turn.pinned, "turn": json.loads(encode(turn))}
            due = turn.number + 1
    if store.length(session) < length:  # else the rest would look like turns erased one by one
        raise LookupError(f"session {excerpt(session.name)} in {store.url} was erased while it was read")
    if due <= length:
        yield {"erased": [due, length]}
    for place in range(0, len(names), CACHED_AT_ONCE):
        for name, data in intact(store, session, names[place : place + CACHED_AT_ONCE]).items():
            yield {"cache": name, "data": base64.b64encode(data).decode()}


def _sealed(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    seal = ""
    for count, entry in enumerate(chain(entries, [None]), 1):
        # Escapes keep lone surrogates, and line separators, whatever the file's encoding.
        text = json.dumps(entry or {"end": count}, separators=(",", ":"))[:-1]
        seal = _sum(seal, text)
        yield f'{text},"sum":"{seal}"}}'


def _sum(before: str, text: str) -> str:
    return hashlib.blake2b(to_bytes(before + text), digest_size=8).hexdigest()


def _opened(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Line number, entry and size, from the header on and without the end. `ValueError` at the first line that is not as it was written."""
    seal, at, ended = "", 0, False
    for at, text in ((at, text) for at, line in enumerate(lines, 1) if (text := line.strip())):
        if ended:
            raise ValueError(f"line {at} comes after the end of the export. Import one session at a time, each from a file of its own")
        found = _SEALED.fullmatch(text)
        if not found or _sum(seal, found[1]) != found[2]:
            raise ValueError(f"line {at} is damaged, or lines before it are missing or moved. {_AGAIN}" if seal else _FOREIGN.format(at))
        seal, entry = found[2], json.loads(found[1] + "}")
        ended = "end" in entry
        if not ended:
            yield at, entry, len(text)
    if not ended:
        raise ValueError(f"the file ends after line {at}, and the export does not: it was cut. {_AGAIN}")


def _header(entry: dict[str, Any], at: int) -> tuple[SessionId, int]:
    match entry:
        case {"optical_memory": 1, "kind": "session", "session": str(name), "tenant": str(tenant), "length": int(length)} if length > 0:
            if not name:
                raise ValueError(f"line {at} names its session '': a session's name is a non-empty string. Export it under another name")
            return SessionId(name, tenant), length
        case {"optical_memory": int(version)} if version > FORMAT:
            raise ValueError(f"line {at}: an export of format {version}, and this release knows {FORMAT}. Upgrade optical-memory")
    raise ValueError(_FOREIGN.format(at))


class _Item(NamedTuple):  # a turn (None: erased) with its number, or an entry of the cache, whose number is 0
    at: int
    size: int
    number: int
    turn: Turn | None = None
    name: str = ""
    data: bytes = b""


def _items(lines: Iterable[tuple[int, dict[str, Any], int]], length: int) -> Iterator[_Item]:
    due, erased = 1, 0
    for at, entry, size in lines:
        match entry:
            case {"number": int(first), "pinned": bool(pinned), "turn": dict(record)}:
                last = first
                try:
                    turn: Turn | None = decode(json.dumps(record).encode(), first, pinned)
                except StoreError as exc:
                    raise ValueError(f"line {at}: turn #{first} cannot be read here. Upgrade optical-memory, or export again") from exc
            case {"erased": [int(first), int(last)]}:
                turn, erased = None, erased + last - first + 1
                if erased > MOST_ERASED:  # each takes a number in the target, one by one
                    raise ValueError(f"line {at} makes it {erased:,} erased turns; an import takes {MOST_ERASED:,} at most")
            case {"cache": str(name), "data": str(data)} if due > length:
                if not _CACHE_NAME.fullmatch(name):
                    raise ValueError(f"line {at}: {excerpt(name)} is not a name that this library gives to what it caches. {_AGAIN}")
                yield _Item(at, size, 0, name=name, data=base64.b64decode(data))
                continue
            case _:
                raise ValueError(f"line {at} is not what this release expects there. Upgrade optical-memory, or export again")
        if first != due or not first <= last <= length:
            raise ValueError(f"line {at} has turns #{first} to #{last}; expected is #{due}, of {length}. {_AGAIN}")
        yield from (_Item(at, size, number, turn) for number in range(first, last + 1))
        due = last + 1
    if due <= length:
        raise ValueError(f"turns #{due} to #{length} are not in the file. {_AGAIN}")


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Turns together, or entries of the cache, never both."""
    batch: list[_Item] = []
    size = 0
    for item in items:
        most = STORED_AT_ONCE if item.number else CACHED_AT_ONCE
        if batch and (len(batch) >= most or size + item.size > LONGEST_BATCH or bool(batch[0].number) != bool(item.number)):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    yield batch


class _Import:
    """The target of one import, and how far it is."""

    def __init__(self, store: Store, session: SessionId, length: int) -> None:
        self.session, self.turns, self.known, self.cached = session, 0, 0, 0
        self._store, self._length, self._held = store, length, store.length(session)
        self.gaps: list[int] = []  # placeholders to be erased, all at once: in some stores an erasure rewrites everything

    def take(self, batch: list[_Item]) -> None:
        if not batch[0].number:
            there = intact(self._store, self.session, [item.name for item in batch])
            changed = {item.name: item.data for item in batch if there.get(item.name) != item.data}
            self._store.put(self.session, changed)
            self.cached += len(changed)
        elif known := [item for item in batch if item.number <= self._held]:
            self._compare(known)
        if new := [item for item in batch if item.number > self._held]:
            self._append(new)

    def _compare(self, known: list[_Item]) -> None:
        there = {turn.number: turn for turn in self._store.read(self.session, known[0].number, known[-1].number + 1)}
        for item in known:
            found = there.get(item.number)
            if found and not item.turn and found.id == _placeholder(item.number).id:
                self.gaps.append(item.number)  # of an import that was ended before it could erase it
            elif (found and encode(found)) != (item.turn and encode(item.turn)):
                raise self._differs(item.number)
            self.known += item.turn is not None
        if known[-1].number == self._length < self._held:
            raise self._differs(self._length + 1)

    def _append(self, new: list[_Item]) -> None:
        turns = [item.turn or _placeholder(item.number) for item in new]
        stored = self._store.append(self.session, turns, expected_length=new[0].number - 1)
        self.gaps += [turn.number for item, turn in zip(new, stored, strict=True) if not item.turn and turn.number == item.number]
        if [turn.number for turn in stored] != [item.number for item in new]:  # ids that were erased there, at other numbers
            raise ValueError(f"line {new[0].at} and on: the target knows ids of these turns at other numbers. Import under another name")
        self.turns += sum(item.turn is not None for item in new)

    def _differs(self, number: int) -> ValueError:
        self.gaps.clear()  # nothing was written yet, and nothing will be
        return ValueError(
            f"turn #{number} of session {excerpt(self.session.name)} in {self._store.url} is not that of the export; nothing was stored. "
            "Import under another name, or erase the session first"
        )


def _placeholder(number: int) -> Turn:
    """What is stored to be erased. Its id is the same at every import, so that one that was interrupted is known again."""
    return Turn(id=f"optical-memory/erased/{number}", role="user")
