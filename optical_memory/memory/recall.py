"""Find turns, word for word: by number, by words, by time."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from ..archive.page_runs import merged_spans
from ..errors import TurnNotFound
from ..stores.base import SessionId, Store
from ..text.exact_strings import exact_strings
from ..text.excerpts import excerpt
from ..turns.exchanges import exchanges_of, starts_exchange
from ..turns.turn import Turn
from .embedding import Meanings, mixed

__all__ = ["Period", "Recall", "to_the_letter"]

LITERAL_REACH = 2_000  # matches checked for an exact string, if none of the best contains it
AT_ONCE = 10  # matches read together
MIXED = 50  # turns of each order, by words and by meaning, that are mixed at least
REACH = 64  # turns to either side of a match that are searched for its exchange


@dataclass(frozen=True, slots=True)
class Period:
    """The times t with since <= t < until. None leaves that end open; a time without a zone is UTC."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for moment in (self.since, self.until):
            if not isinstance(moment, datetime | None):
                raise TypeError(f"since and until are datetimes; got {excerpt(moment)}")

    @property
    def bounded(self) -> bool:
        return self.since is not None or self.until is not None

    def __contains__(self, turn: Turn) -> bool:
        moment = turn.said_at
        if moment is None:
            return not self.bounded
        return (self.since is None or moment >= _zoned(self.since)) and (self.until is None or moment < _zoned(self.until))


@dataclass(frozen=True, slots=True)
class Recall:
    """Finds turns in the log of one session.

    Attributes:
        meanings: the vectors of its turns; None without an embedder.
    """

    store: Store
    session: SessionId
    meanings: Meanings | None = None

    def turn(self, number: int) -> Turn:
        """Return a turn by number. Raises `TurnNotFound`, or `TypeError` for a number that is not an integer."""
        number = operator.index(number)
        found = self.store.read(self.session, number, number + 1) if number >= 1 else []
        if not found:
            raise TurnNotFound(number, self.store.length(self.session))
        return found[0]

    def numbered(self, numbers: Iterable[int], period: Period) -> list[Turn]:
        """Return the turns `numbers`, in that order. Raises `TurnNotFound`."""
        return [turn for turn in map(self.turn, numbers) if turn in period]

    def saying(self, query: str, limit: int, period: Period) -> list[Turn]:
        """Return at most `limit` turns that match `query`, best first; for an exact string ($30, -n, 2.0e-5), literal matches first."""
        return to_the_letter(query, limit, lambda most: self._matching(query, most, period))

    def _matching(self, query: str, limit: int, period: Period) -> list[Turn]:
        numbers = self._numbers(query, self.store.length(self.session) if period.bounded else limit)
        found = (turn for start in range(0, len(numbers), AT_ONCE) for turn in self._read(numbers[start : start + AT_ONCE]))
        return list(islice((turn for turn in found if turn in period), limit))

    def _numbers(self, query: str, limit: int) -> list[int]:
        """Return the numbers of turns, best first: by words, and by meaning too where there is an embedder."""
        if self.meanings is None or limit < 1 or not query.strip():
            return self.store.search(self.session, query, limit)
        most = max(limit, MIXED)
        return mixed([self.store.search(self.session, query, most), self.meanings.nearest(query, most)])[:limit]

    def _read(self, numbers: Sequence[int]) -> list[Turn]:
        """The turns `numbers`, in that order. Those that follow each other are read together; erased ones are left out."""
        turns: dict[int, Turn] = {}
        for first, last in merged_spans((number, number) for number in numbers):
            turns |= {turn.number: turn for turn in self.store.read(self.session, first, last + 1)}
        return [turns[number] for number in numbers if number in turns]

    def said(self, limit: int, period: Period) -> list[Turn]:
        """Return the first `limit` turns of a period."""
        return [turn for turn in self.store.read(self.session, 1) if turn in period][:limit]

    def with_exchanges(self, turns: Sequence[Turn]) -> list[Turn]:
        """Return the whole exchange around each turn, in log order, each turn once."""
        around = {turn.number: turn for found in turns for turn in self._exchange_of(found)}
        return [around[number] for number in sorted(around)]

    def _exchange_of(self, turn: Turn) -> list[Turn]:
        near = self.store.read(self.session, max(1, turn.number - REACH), turn.number + REACH)
        start = max((other.number for other in near if other.number <= turn.number and starts_exchange(other)), default=0)
        for exchange in exchanges_of([other for other in near if other.number >= start]):
            members = [member for unit in exchange for member in unit]
            if any(member.number == turn.number for member in members):
                return members
        return [turn]


def to_the_letter(query: str, limit: int, matching: Callable[[int], list[Turn]]) -> list[Turn]:
    """Return the best `limit` matches; for an exact string, those that contain it literally come first.

    A search index drops punctuation: for `$30` it finds every 30. `matching(n)` returns n matches, best first.
    """
    found = matching(limit)
    if exact_strings(query) != [query] or limit < 1:
        return found
    near = found if any(query in turn.text for turn in found) else matching(LITERAL_REACH)
    literal = [turn for turn in near if query in turn.text]
    return [*literal, *(turn for turn in found if turn not in literal)][:limit]


def _zoned(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
