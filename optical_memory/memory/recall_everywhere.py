"""Find turns by words in all sessions of one tenant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ..stores.base import SessionId, SessionInfo, Store
from ..text.exact_strings import exact_strings
from ..text.excerpts import shape
from ..text.term_index import TermIndex
from ..turns.turn import Turn
from .recall import Period, Recall

__all__ = ["SESSIONS", "Recalled", "recall_everywhere"]

SESSIONS = 1_000  # searched at most; each takes a query of its own
APART = 3  # numbers between turns that are not beside each other, see `text.ranking.NEAR`
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Recalled:
    """A turn that was found, and the name of its session, which the turn's number counts in."""

    session: str
    turn: Turn


def recall_everywhere(
    store: Store, tenant: str, query: str, limit: int, period: Period, *, most_sessions: int = SESSIONS
) -> list[Recalled]:
    """Return at most `limit` turns of any session of `tenant` that match `query`, best first.

    The best turns of each session are ranked together by the terms of `text.search_terms`, with their rarity among these turns. After them
    come those that only their own session finds, by its language or because they stand beside a match, the best of each session first.

    Args:
        most_sessions: look in so many at most: those that were appended to last.

    Raises `TypeError` for a query that is no text; what the store raises if a session cannot be read.
    """
    if not isinstance(query, str):
        raise TypeError(f"turns of many sessions are found by words; got {shape(query)}. Numbers count within a session: ask its `recall`")
    if limit < 1:
        return []
    last = sorted(store.sessions(tenant), key=_appended)[-max(most_sessions, 1) :]
    return _ranked(store, last, query, limit, period)


def _appended(info: SessionInfo) -> datetime:
    return info.last_append or BEFORE_ALL


def _ranked(store: Store, sessions: list[SessionInfo], query: str, limit: int, period: Period) -> list[Recalled]:
    index = TermIndex()
    places: list[tuple[SessionId, int]] = []  # what was found is read again, so that no more than an index of it is held
    ranks: list[int] = []
    literal: set[int] = set()
    exact = exact_strings(query) == [query]  # then those that contain it to the letter come first, as in one session
    for session, rank, turn in _best_of_each(store, sessions, query, limit, period):
        index.add(APART * len(places), turn.text)
        if exact and query in turn.text:
            literal.add(len(places))
        places.append((session, turn.number))
        ranks.append(rank)
    order = [number // APART for number in index.search(query, len(places))]
    order += sorted(set(range(len(places))).difference(order), key=lambda place: (ranks[place], -place))
    best = [*(place for place in order if place in literal), *(place for place in order if place not in literal)][:limit]
    return [Recalled(session.name, turn) for session, number in map(places.__getitem__, best) for turn in _read(store, session, number)]


def _best_of_each(
    store: Store, sessions: list[SessionInfo], query: str, limit: int, period: Period
) -> Iterator[tuple[SessionId, int, Turn]]:
    for info in sessions:
        for rank, turn in enumerate(Recall(store, info.id).saying(query, limit, period)):
            yield info.id, rank, turn


def _read(store: Store, session: SessionId, number: int) -> list[Turn]:
    """The turn, unless it was erased a moment ago."""
    return store.read(session, number, number + 1) if store.length(session) >= number else []
