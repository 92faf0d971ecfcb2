"""What is known about each conversation, and its place in the store."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from ...memory.message_list import TENANT
from ...stores.base import SessionId, Store
from ...stores.claims import claims_of
from .turn_log import ProxyLog

__all__ = ["LAST_CALLS", "Record", "Records", "Totals"]

HOME = SessionId("conversations", "optical-memory-proxy")
BEGUN = "begun/"
TRIES = 5
BEGUN_SECONDS = 3_600.0  # a line's record is stored when its first answer has ended
LAST_CALLS = 10  # calls with pages over which a conversation must not have cost more than its text
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Totals:
    """Sums over a conversation's calls. Costs are in tokens of uncached input.

    Attributes:
        calls, rewritten: requests, and those sent with pages.
        input, write, write_long, read, output: tokens billed by kind, as the provider reported them.
        cost: what the input has cost; `text_cost` what it would have cost as text under the same cache state.
        refused: rewritten requests that the provider refused.
        recalls: calls of `recall_memory` that the proxy has answered.
        estimated: calls whose answer said nothing about usage.
    """

    calls: int = 0
    rewritten: int = 0
    input: int = 0
    write: int = 0
    write_long: int = 0
    read: int = 0
    output: int = 0
    cost: float = 0.0
    text_cost: float = 0.0
    refused: int = 0
    recalls: int = 0
    estimated: int = 0


@dataclass(slots=True)
class Record:
    """One line of a conversation: plain data, stored as JSON.

    Attributes:
        id: its own name; `conversation` is shared by the lines (epochs, forks) of a conversation that the client named.
        group: see `Identity.group`.
        keys: hashes of its last request's entries.
        profile: the reader that its plan was made for.
        state: the state of its plan; see `MessageListMemory`.
        planned: entries of talk when the plan was made; 0 without one.
        floor: entries in front of the talk then.
        bound: entries when the plan's pages were first sent; 0 while they were not.
        returned: entries when the provider first refused it as text, for reasoning written after pages; 0 if it did not.
        beginning: hash of what the pages replace.
        text_only: why it is sent as text; empty if it is not.
        differences: text cost minus cost of its last calls with pages, without those that changed the pages.
        changes: the same of more calls, with those that changed the pages.
        cached: tokens of its last request that the provider may have cached, as text; and when that was.
        gap: tokens of the text in place of the pages less those of the pages, as the provider counted; None if it did not.
        gap_of: hash of what these pages replace, as `beginning`.
        changes_of_pages: the last times when other pages were sent: when, at which call, why, how many, and up to which message.
        logged: entries that the turn log holds.
        home: name of the session in the store that holds its pages.
        recalled: what the model has recalled and said on the way to answers, by anchor; see `recall.exchanges`.
        recall_off: whether a request that offered the tool was refused.
        reasons: number of calls by the reason for which they were sent as text.
    """

    id: str
    conversation: str
    group: str
    wire: str = ""
    model: str = ""
    client: str = ""
    keys: list[str] = field(default_factory=list)
    profile: str = ""
    state: dict[str, Any] | None = None
    planned: int = 0
    floor: int = 0
    bound: int = 0
    returned: int = 0
    beginning: str = ""
    text_only: str = ""
    differences: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    cached: int = 0
    cached_at: float = 0.0
    changes_of_pages: list[dict[str, Any]] = field(default_factory=list)
    logged: int = 0
    gap: int | None = None
    gap_of: str = ""
    home: str = ""
    epoch: int = 1
    created: float = field(default_factory=time.time)
    used: float = field(default_factory=time.time)
    totals: Totals = field(default_factory=Totals)
    recalled: dict[str, Any] = field(default_factory=dict)
    recall_off: bool = False
    reasons: dict[str, int] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({"v": 1, **asdict(self)}).encode()

    @classmethod
    def decoded(cls, data: bytes) -> Self | None:
        """Return the record of JSON; None if it is damaged or of another release."""
        try:
            values = json.loads(data)
            known = {each.name for each in fields(cls)}
            record = cls(**{name: value for name, value in values.items() if name in known})
            record.totals = Totals(**values.get("totals", {}))
        except (ValueError, TypeError, AttributeError):
            return None
        return record


class Records:
    """Records in a store, by group. Blocking: call it in a thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._one_writer = threading.Lock()  # else an older state of a record could be stored after a newer one

    @property
    def are_shared(self) -> bool:
        """Whether other processes may write too: to Redis they do, to a file of one proxy they do not."""
        return not self._store.url.startswith("sqlite:")

    def of_group(self, group: str) -> list[Record]:
        """Return the records of a group. Raises `StoreError`."""
        return list(self._read(self._store.names(HOME, f"record/{group}/")))

    def all(self) -> list[Record]:
        """Return all records, the last used first. Raises `StoreError`."""
        return sorted(self._read(self._store.names(HOME, "record/")), key=lambda record: -record.used)

    def write(self, records: Sequence[Record]) -> None:
        """Store records. Raises `StoreError`."""
        if records:
            with self._one_writer:
                self._store.put(HOME, {_name(record): record.encoded() for record in records})

    def name_of_new(self, group: str, beginning: str, name: str) -> str:
        """Return the name of a new line: `name`, or the one that another process gave to the same beginning a moment ago.

        Two processes may get the first requests of a conversation at once, before either has stored its record. Raises `StoreError`.
        """
        claims, entry = claims_of(self._store), f"{BEGUN}{group}/{beginning}"
        for _ in range(TRIES if claims is not None else 0):
            held = self._store.get(HOME, [entry]).get(entry)
            given, when = json.loads(held) if held else ("", 0.0)
            if time.time() - when < BEGUN_SECONDS:
                return str(given)
            if claims is not None and claims.swap(HOME, entry, held, json.dumps([name, time.time()]).encode()):
                return name
        return name

    def get(self, name: str) -> Any:
        """Return a value of the proxy itself; None if absent. Raises `StoreError`."""
        data = self._store.get(HOME, [name]).get(name)
        return json.loads(data) if data else None

    def put(self, name: str, value: Any) -> None:
        """Store a value of the proxy itself. Raises `StoreError`."""
        self._store.put(HOME, {name: json.dumps(value).encode()})

    def expire(self, seconds: float) -> int:
        """Remove conversations that were not used for so long, with their pages; return how many."""
        records = self.all()
        old = [record for record in records if time.time() - record.used > seconds]
        kept = {record.home for record in records if time.time() - record.used <= seconds}
        for home in {record.home for record in old} - kept - {""}:
            session = SessionId(home, TENANT)
            self._store.discard(session, self._store.names(session))
        if old:
            self._store.discard(HOME, [_name(record) for record in old])
        begun = self._store.get(HOME, self._store.names(HOME, BEGUN))
        self._store.discard(HOME, [name for name, data in begun.items() if time.time() - json.loads(data)[1] > BEGUN_SECONDS])
        ended = {record.conversation for record in old} - {record.conversation for record in records if record not in old}
        ProxyLog(self._store).erase(sorted(ended))
        return len(old)

    def _read(self, names: Sequence[str]) -> Iterator[Record]:
        for data in self._store.get(HOME, names).values():
            record = Record.decoded(data)
            if record is not None:
                yield record


def _name(record: Record) -> str:
    return f"record/{record.group}/{record.id}"
