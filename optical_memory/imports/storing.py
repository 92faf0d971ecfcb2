"""Store the conversations of an export as sessions: all of them or, if one cannot be read, none; what is there already stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

from ..errors import UnknownToolCall
from ..memory.batches import completed_turn
from ..memory.optical_memory import OpticalMemory
from ..stores.base import BulkLog, SessionId, Store, open_store
from ..stores.entries import Entry, entry_of
from ..text.excerpts import excerpt
from ..turns.turn import Turn
from .base import Conversation, Format, Message
from .completing import ROWS, completed, turns_of
from .reading import Found, Source, errors_of, opened
from .spool import Spool, without_messages

__all__ = ["Imported", "import_into"]

DEFAULT_SESSION = "default"
SQLITE = "sqlite:"
AT_ONCE = 4_000_000  # bytes of records that are stored in one step; other writers wait for some 0.1 s
SESSIONS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one conversation.

    Attributes:
        session: the name of its session.
        new: turns stored now.
        known: turns that were there already.
        last: the number of the session's last turn.
        title: what the export calls the conversation.
        format: the name of the format that read it.
    """

    session: str
    new: int
    known: int
    last: int
    title: str
    format: str


def import_into(
    store: str | Store | None,
    source: str | os.PathLike[str] | IO[bytes],
    *,
    session: str | None = None,
    tenant: str = "",
    formats: Sequence[Format] | None = None,
    redact: bool = False,
    label: str | None = None,
    progress: Callable[[str, int, int | None], None] = lambda step, done, total: None,
) -> list[Imported]:
    """Import every conversation of an export. A second import adds what is new, and nothing twice.

    All of it is read before anything is stored, so that an export with one broken conversation leaves the store as it was.

    Args:
        store: a store's URL, or a store; the SQLite file in the user's data folder if None.
        source: a file of JSON or JSON lines, a zip archive or a folder of them, or a binary stream that can be sought in.
        session: the session of the only conversation; the beginning of the names (`session/id`) if there are several, and of those
            of its asides. By default a session is named `format/id`, and a conversation without an id goes into `default`.
        formats: the formats to ask, in order; all that `formats()` gives by default.
        redact: mask secrets before a turn is stored.
        label: the source's name in errors.
        progress: called with the step (`reading`, then `importing`), the conversations done so far, and their number once it is known.

    Raises `UnknownExport` or `InvalidTurn`, with the file and the place, before anything is stored; `OSError`, `StoreError`.
    """
    read = opened(source, formats, label)
    owned = store is None or isinstance(store, str)
    with Spool() as spool:
        count, mains, strangers = _checked(read, progress, None if redact or not _takes_many(store) else spool)
        target = open_store(store) if store is None or isinstance(store, str) else store
        try:
            naming = _Naming(target, tenant, session, many=(mains or count) > 1)
            _refuse(strangers, naming, target, tenant)
            done: dict[int, Imported] = {}
            if isinstance(target, BulkLog):
                done = _store_new(target, spool, naming, lambda stored: progress("importing", stored, count))
            for place, found in enumerate(read.found() if len(done) < count else (), 1):
                if place not in done:
                    done[place] = _store(target, found, naming.name_of(found), tenant, redact)
                    progress("importing", len(done), count)
            return [done[place] for place in sorted(done)]
        finally:
            if owned:
                target.close()


def _takes_many(store: str | Store | None) -> bool:
    """Whether a store takes new sessions at once, so that what is read need not be read again."""
    return isinstance(store, BulkLog) if store is not None and not isinstance(store, str) else (store or SQLITE).startswith(SQLITE)


@dataclass(frozen=True, slots=True)
class _Stranger:
    """A result whose call its conversation does not make."""

    found: Found
    call: str
    message: int


def _checked(read: Source, progress: Callable[[str, int, int | None], None], spool: Spool | None) -> tuple[int, int, list[_Stranger]]:
    """Read everything, so that whatever is wrong is said before anything is stored. Returns how many conversations there are, and mains."""
    count = mains = 0
    strangers: list[_Stranger] = []
    for count, found in enumerate(read.found(), 1):
        made: set[str] = set()
        turns = turns_of(_complete(found, {}), found.where, exact=found.conversation.exact)
        for place, turn in enumerate(turns, 1):
            strangers += [_Stranger(without_messages(found), call, place) for call in turn.answered_calls if call not in made]
            made.update(call.id for call in turn.tool_calls)
        if spool is not None:
            with errors_of(found.where, found.format):
                spool.add(found, [entry_of(completed_turn(turn)) for turn in turns])
        mains += not found.conversation.parent
        progress("reading", count, None)
    return count, mains, strangers


def _refuse(strangers: Sequence[_Stranger], naming: _Naming, store: Store, tenant: str) -> None:
    for one in strangers:
        session = naming.name_of(one.found)
        if not store.known_calls(SessionId(session, tenant), [one.call]):
            raise UnknownToolCall(
                f"{one.found.where}, message {one.message}: the tool result answers call {excerpt(one.call)}, which session {session!r} "
                "never saw; import the messages that make the call first"
            )


def _complete(found: Found, stored: Mapping[str, Any]) -> list[Message]:
    """The messages of a conversation with their ids, less the rows that are `stored` (ids of turns, and what their import noted)."""
    with errors_of(found.where, found.format):
        return completed(found.conversation, found.format, stored)


class _Naming:
    """Names of sessions. A conversation goes on where it was imported before, whether it was alone then or among others."""

    def __init__(self, store: Store, tenant: str, session: str | None, *, many: bool) -> None:
        self._store, self.tenant, self._session, self._many = store, tenant, session, many

    def sessions(self) -> set[SessionId]:
        """Those that are there."""
        return {info.id for info in self._store.sessions(self.tenant)}

    def name_of(self, found: Found) -> str:
        if (parent := found.conversation.parent) and self._session is not None:
            main = replace(found, conversation=Conversation(parent, ()), key=parent)
            return f"{self.name_of(main)}/{found.key.removeprefix(f'{parent}/')}"
        if self._session is None:
            if found.conversation.id or (self._many and found.key):
                return f"{found.format}/{found.key}"
            return DEFAULT_SESSION if not self._many else f"{found.format}/1"
        among = f"{self._session}/{found.key or 1}"
        first, other = (among, self._session) if self._many else (self._session, among)
        return other if found.conversation.id and not self._holds(first, found) and self._holds(other, found) else first

    def _holds(self, name: str, found: Found) -> bool:
        """Whether this conversation was imported into that session."""
        id = SessionId(name, self.tenant)
        notes = (turn.metadata.get("import") for turn in self._store.read(id, 1, 2)) if self._store.length(id) else ()
        return any(isinstance(note, dict) and note.get("conversation") == found.conversation.id for note in notes)


def _store_new(store: BulkLog, spool: Spool, naming: _Naming, progress: Callable[[int], None]) -> dict[int, Imported]:
    """Store the conversations whose sessions are new, many in one step. Returns them by their place in the export.

    A session that is there needs what the export says word for word: which of its rows are known decides what becomes of the others.
    """
    done: dict[int, Imported] = {}
    waiting: dict[int, tuple[Found, SessionId, list[Entry]]] = {}
    taken = naming.sessions()
    size = 0
    for place, (found, entries) in enumerate(spool, 1):
        session = SessionId(naming.name_of(found), naming.tenant)
        if session in taken:
            continue
        taken.add(session)
        waiting[place] = found, session, entries
        size += sum(len(entry.record) for entry in entries)
        if size > AT_ONCE or len(waiting) >= SESSIONS_AT_ONCE:
            done |= _stored_at_once(store, waiting)
            waiting, size = {}, 0
            progress(len(done))
    if waiting:
        done |= _stored_at_once(store, waiting)
        progress(len(done))
    return done


def _stored_at_once(store: BulkLog, waiting: Mapping[int, tuple[Found, SessionId, list[Entry]]]) -> dict[int, Imported]:
    stored = store.append_entries([(session, entries) for _, session, entries in waiting.values()])
    return {
        place: Imported(session.name, new, len(entries) - new, last, found.conversation.title, found.format)
        for (place, (found, session, entries)), (new, last) in zip(waiting.items(), stored, strict=True)
    }


def _store(store: Store, found: Found, session: str, tenant: str, redact: bool) -> Imported:
    with OpticalMemory(session, store=store, tenant=tenant, redact=redact) as memory:
        stored = _stored(memory, found)
        turns = turns_of(_complete(found, stored), found.where, exact=found.conversation.exact)
        memory.extend(_with_calls(turns, stored, store, memory.session))
        new = sum(1 for turn in turns if turn.id not in stored)
        return Imported(session, new, len(turns) - new, len(memory), found.conversation.title, found.format)


def _with_calls(turns: Sequence[Turn], stored: Mapping[str, Any], store: Store, session: SessionId) -> list[Turn]:
    """The turns, and before a result whose call the session will not hold, that call.

    A call is missing where its message was stored before the model had made it: the message is known by then, and its rest is not stored.
    """
    new = [turn for turn in turns if turn.id not in stored]
    made = {call.id: call for turn in turns for call in turn.tool_calls}
    missing = {id for turn in new for id in turn.answered_calls} - {call.id for turn in new for call in turn.tool_calls}
    missing -= store.known_calls(session, sorted(missing)) if missing else set()
    done: list[Turn] = []
    for turn in turns:
        for id in [id for id in turn.answered_calls if id in missing and id in made]:
            missing.discard(id)
            note: Any = turn.metadata | {"import": {"made": "the message with this call was imported before it was complete"}}
            own = f"{turn.id}-call-{len(done)}"
            done.append(Turn(id=own, role="assistant", tool_calls=(made[id],), created_at=turn.created_at, metadata=note))
        done.append(turn)
    return done


def _stored(memory: OpticalMemory, found: Found) -> dict[str, Any]:
    """Ids of the session's imported turns, and of the rows that they were made of, with what the import noted."""
    stored: dict[str, Any] = {}
    for turn in memory.turns() if len(memory) else ():
        if isinstance(note := turn.metadata.get("import"), dict):
            stored[turn.id] = note
            stored |= dict.fromkeys(map(str, rows), note) if isinstance(rows := note.get(ROWS), list) else {}
    return stored
