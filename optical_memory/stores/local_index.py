"""Search for stores that have no index: each process keeps one of its own, brought up to date before it is asked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from ..text.term_index import TermIndex
from ..turns.turn import Turn
from .base import SessionId

__all__ = ["LocalIndexes"]

SESSIONS_HELD = 32  # indexes of so many sessions stay in memory; the one not asked for longest goes first


@dataclass(slots=True)
class _Held:
    generation: Hashable
    length: int
    terms: TermIndex


class LocalIndexes:
    """Term indexes by session. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[SessionId, _Held] = OrderedDict()

    def search(
        self, session: SessionId, query: str, limit: int, *, generation: Hashable, length: int, read: Callable[[int], list[Turn]]
    ) -> list[int]:
        """Numbers of the turns that match, best first.

        Args:
            session: whose index.
            query: what to look for.
            limit: how many at most.
            generation: changes whenever something was erased; the index then starts anew.
            length: the session's length.
            read: gives the turns from a number on; asked only for those that the index does not hold yet.
        """
        with self._lock:
            held = self._held.pop(session, None)
            if held is None or held.generation != generation or held.length > length:
                held = _Held(generation, 0, TermIndex())
            if held.length < length:
                for turn in read(held.length + 1):
                    if turn.number <= length:
                        held.terms.add(turn.number, turn.text)
                held.length = length
            self._held[session] = held
            if len(self._held) > SESSIONS_HELD:
                self._held.popitem(last=False)
            return held.terms.search(query, limit)

    def drop(self, session: SessionId) -> None:
        """Forget a session's index."""
        with self._lock:
            self._held.pop(session, None)
