"""Which turns answer a query best: the same for every store, over whatever index it has of its terms.

1. The query's language is told by its frequent words, or the log's (`languages`). They are looked for only if no other word is found.
2. A word finds all words of its stem in that language (`stems`), as far as the index knows them when it is asked: it holds words only, and
   none of erased turns.
3. A turn's score is BM25 (Robertson and Zaragoza 2009, The Probabilistic Relevance Framework; k1 = 1.2, b = 0.75). Turns are as long as
   those that hold a word of the query are on average.
4. To it comes half of the score of the turns before and after, 0.15 of the next ones: who asks and who answers use different words.
   A turn without any word of the query is found too, where its neighbours put it before one with some.

A query of one word, an identifier above all, is looked for as it is: the turns that hold all of its parts come first, then by BM25.

docs/experiments/recall.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from itertools import chain
from typing import Protocol

from .languages import STOP_WORDS, language_of
from .search_terms import asks, query_terms, rarity
from .stems import beginning, stem

__all__ = ["Postings", "ranked"]

K1, B = 1.2, 0.75
NEAR = (0.5, 0.15)  # of the score of the turns at distance 1 and 2
LARGE_LOG = 1_000  # turns


class Postings(Protocol):
    """What an index tells of the terms of a log."""

    @property
    def turns(self) -> int:
        """How many turns the log holds."""
        ...

    def count(self, term: str, most: int) -> int:
        """How many turns hold a term; `most` if more do."""
        ...

    def beginning(self, start: str) -> Iterable[str]:
        """All terms that begin so."""
        ...

    def matches(self, terms: Sequence[str]) -> Mapping[int, int]:
        """The turns that hold any of the terms, and how often they hold them all together."""
        ...

    def lengths(self) -> Mapping[int, int]:
        """How many terms a turn has: at least of the turns that `matches` has given."""
        ...

    def holds(self, number: int) -> bool:
        """Whether a turn is there, and has any term."""
        ...


def ranked(log: Postings, query: str, limit: int) -> list[int]:
    """Return the numbers of the turns that answer `query`, best first, of equals the newer first, at most `limit`."""
    for terms in query_terms(query) if limit > 0 else []:
        language = language_of(terms, log.count)
        stop = STOP_WORDS[language] if language else frozenset[str]()
        for wanted in ([term for term in terms if term not in stop], [term for term in terms if term in stop]):
            forms = _worth(log, _forms(log, wanted, language))
            if words := [word for each in forms if (word := log.matches(each))]:
                scores = _scores(log, words)
                return _best(log, scores, limit) if asks(query) else _most_parts(log, words, scores, limit)
    return []


def _forms(log: Postings, wanted: Sequence[str], language: str | None) -> list[list[str]]:
    """The words to look for, each with the others of its stem, sorted; each stem once."""
    stems = {term: stem(term, language) for term in wanted}
    firsts = {root or term: term for term, root in reversed(stems.items())}
    return [_of_stem(log, term, stems[term], language) for term in reversed(firsts.values())]


def _of_stem(log: Postings, term: str, root: str | None, language: str | None) -> list[str]:
    if root is None:
        return [term]
    return sorted(other for other in log.beginning(beginning(root)) if stem(other, language) == root)


def _worth(log: Postings, forms: list[list[str]]) -> list[list[str]]:
    """Those worth looking up: in a large log, words that most turns hold hardly change the ranking, and would take most of the time."""
    if log.turns <= LARGE_LOG:
        return forms
    half = log.turns // 2
    return [words for words in forms if max((log.count(word, half + 1) for word in words), default=0) <= half] or forms


def _scores(log: Postings, words: Sequence[Mapping[int, int]]) -> dict[int, float]:
    lengths = log.lengths()
    scores = dict.fromkeys(chain.from_iterable(words), 0.0)
    average = sum(lengths[number] for number in scores) / len(scores)
    fixed, growing = K1 * (1 - B), K1 * B / average
    for word in words:
        weight = rarity(len(word), log.turns) * (K1 + 1)
        for number, count in word.items():
            scores[number] += weight * count / (count + fixed + growing * lengths[number])
    return scores


def _most_parts(log: Postings, words: Sequence[Mapping[int, int]], scores: Mapping[int, float], limit: int) -> list[int]:
    """The turns that hold most of the words, each counted by its rarity; then by score."""
    held = dict.fromkeys(scores, 0.0)
    for word in words:
        weight = rarity(len(word), log.turns)
        for number in word:
            held[number] += weight
    return [number for *_, number in nlargest(limit, ((held[number], score, number) for number, score in scores.items()))]


def _best(log: Postings, scores: Mapping[int, float], limit: int) -> list[int]:
    """The best turns, with the share of their neighbours."""
    matching = nlargest(limit, ((_with_neighbours(scores, number), number) for number in scores))
    return [number for _, number in sorted((*matching, *_beside(log, scores, matching[-1])), reverse=True)[:limit]]


def _beside(log: Postings, scores: Mapping[int, float], last: tuple[float, int]) -> Iterator[tuple[float, int]]:
    """Turns that do not match, but come before the `last` that does. One neighbour at least has the share that this takes."""
    least = last[0] / (2 * sum(NEAR))
    strong = (number for number, score in scores.items() if score >= least)
    for number in {near + step for near in strong for step in (-2, -1, 1, 2)} - scores.keys():
        if (found := (_with_neighbours(scores, number), number)) > last and log.holds(number):
            yield found


def _with_neighbours(scores: Mapping[int, float], number: int) -> float:
    at = scores.get
    near, far = at(number - 1, 0.0) + at(number + 1, 0.0), at(number - 2, 0.0) + at(number + 2, 0.0)
    return at(number, 0.0) + NEAR[0] * near + NEAR[1] * far
