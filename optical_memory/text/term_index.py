"""An index of terms in memory, for stores that have none of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from .ranking import ranked
from .search_terms import terms

__all__ = ["TermIndex"]

HEAD = 2  # letters by which words are kept together, to find all that begin alike


class TermIndex:
    """An inverted index in memory: the frequency of each term in each turn. `ranking.Postings`, and `search` over it. Not thread-safe."""

    def __init__(self) -> None:
        self._postings: dict[str, dict[int, int]] = {}
        self._lengths: dict[int, int] = {}
        self._heads: dict[str, dict[str, None]] = {}

    @property
    def turns(self) -> int:
        return len(self._lengths)

    def add(self, number: int, text: str) -> None:
        """Add a turn's text. Each number must be added only once."""
        found = terms(text)
        self._lengths[number] = len(found)
        for term, count in Counter(found).items():
            if term not in self._postings:
                self._postings[term] = {}
                self._heads.setdefault(term[:HEAD], {})[term] = None
            self._postings[term][number] = count

    def remove(self, number: int) -> None:
        """Remove a turn; an unknown one is ignored. Takes time proportional to the vocabulary."""
        if self._lengths.pop(number, None) is None:
            return
        for term in [term for term, turns in self._postings.items() if turns.pop(number, None) and not turns]:
            del self._postings[term], self._heads[term[:HEAD]][term]

    def search(self, query: str, limit: int) -> list[int]:
        """Return the numbers of the turns that answer `query`, best first, at most `limit`."""
        return ranked(self, query, limit)

    def count(self, term: str, most: int) -> int:
        return min(len(self._postings.get(term, ())), most)

    def beginning(self, start: str) -> Iterable[str]:
        return [term for term in self._heads.get(start[:HEAD], ()) if term.startswith(start)]

    def matches(self, terms: Sequence[str]) -> Mapping[int, int]:
        found = [turns for term in terms if (turns := self._postings.get(term))]
        if len(found) == 1:
            return found[0]
        counts = Counter[int]()
        for turns in found:
            counts.update(turns)
        return counts

    def lengths(self) -> Mapping[int, int]:
        return self._lengths

    def holds(self, number: int) -> bool:
        return self._lengths.get(number, 0) > 0
