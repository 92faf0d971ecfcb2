"""The turns of each conversation, word for word, in the store's log: what a client drops or compacts is still there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ...errors import InvalidTurn
from ...stores.base import SessionId, Store
from ...turns.from_messages import turn_of
from ...turns.turn import Turn
from .wire.request import Entry

__all__ = ["TENANT", "ProxyLog"]

TENANT = "proxy"


class ProxyLog:
    """Writes the turns of conversations. Blocking: call it in a thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, conversation: str, entries: Sequence[Entry], known: int) -> None:
        """Append what a request holds beyond its first `known` entries. Raises `StoreError`.

        A turn that is there already is not stored again: its id says what it is, and how many equal ones stand before it.
        """
        turns = [turn for at, turn in enumerate(_turns(entries)) if turn is not None and at >= known]
        if turns:
            self._store.append(SessionId(conversation, TENANT), turns)

    def erase(self, conversations: Sequence[str]) -> None:
        """Erase conversations from the log. Raises `StoreError`."""
        for conversation in conversations:
            self._store.erase(SessionId(conversation, TENANT))


def _turns(entries: Sequence[Entry]) -> Iterator[Turn | None]:
    """Yield the turn of each entry; None for instructions, and for what is no turn."""
    seen: Counter[bytes] = Counter()
    for entry in entries:
        seen[entry.key] += 1
        yield _turn(entry, seen[entry.key]) if entry.message else None


def _turn(entry: Entry, number: int) -> Turn | None:
    try:
        return turn_of(entry.message).model_copy(update={"id": f"{entry.key.hex()}-{number}"})
    except InvalidTurn:
        return None
