"""Recall by meaning, with a model that the user brings: nearest vectors, mixed with the order by words."""

from __future__ import annotations

import heapq
import math
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import mul
from typing import Protocol

from ..stores.base import SessionId, Store

__all__ = ["Embedder", "Meanings", "mixed"]

AT_ONCE = 64  # turns given to the embedder together
EVEN = 60  # how little the first ranks count more than later ones: k of reciprocal rank fusion (Cormack et al., SIGIR 2009), their value

Vector = Sequence[float]


class Embedder(Protocol):
    """Turns texts into vectors whose cosine says how near their meanings are."""

    def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return a vector for each text, in their order, all of one length."""
        ...


class Meanings:
    """The vectors of one session's turns. Each turn is embedded once, when first searched for; vectors live in this object alone."""

    def __init__(self, embedder: Embedder, store: Store, session: SessionId) -> None:
        self._embedder, self._store, self._session = embedder, store, session
        self._vectors: dict[int, Vector] = {}  # of length 1, by number
        self._seen = 0
        self._lock = threading.Lock()

    def nearest(self, query: str, limit: int) -> list[int]:
        """Return the numbers of the turns nearest to `query`, at most `limit`, best first; of equal ones the newest first.

        Linear in the turns of the session. Raises what the embedder raises, `ValueError` for vectors that do not fit, `StoreUnavailable`.
        """
        with self._lock:
            self._embed_new()
            [asked] = self._embedded([query])
            near = {number: sum(map(mul, asked, vector)) for number, vector in self._vectors.items() if self._fits(asked, vector)}
        return heapq.nlargest(limit, near, key=lambda number: (near[number], number))

    def forget(self) -> None:
        """Drop all vectors: turns were erased."""
        with self._lock:
            self._vectors, self._seen = {}, 0

    def _embed_new(self) -> None:
        if self._store.length(self._session) < self._seen:  # another process erased the session
            self._vectors, self._seen = {}, 0
        while found := self._store.read(self._session, self._seen + 1, self._seen + 1 + AT_ONCE):
            said = [turn for turn in found if turn.text]
            self._vectors.update(zip((turn.number for turn in said), self._embedded([turn.text for turn in said]), strict=True))
            self._seen = found[-1].number

    def _embedded(self, texts: Sequence[str]) -> list[Vector]:
        vectors = self._embedder.embed(texts) if texts else []
        if len(vectors) != len(texts):
            raise ValueError(f"the embedder returned {len(vectors)} vectors for {len(texts)} texts; return one for each, in their order")
        return [_of_length_one(vector) for vector in vectors]

    @staticmethod
    def _fits(asked: Vector, vector: Vector) -> bool:
        if len(asked) != len(vector):
            raise ValueError(f"the embedder returned vectors of {len(vector)} and of {len(asked)} numbers; they must be of one length")
        return True


def _of_length_one(vector: Vector) -> Vector:
    length = math.hypot(*vector)
    if not math.isfinite(length):
        raise ValueError("the embedder returned a vector with a number that is not finite")
    return [value / length for value in vector] if length else [0.0] * len(vector)


def mixed(orders: Iterable[Sequence[int]]) -> list[int]:
    """Mix orders of turns into one, by the sum of 1 / (60 + rank) over the orders; of equal turns the first seen comes first."""
    scores: defaultdict[int, float] = defaultdict(float)
    for order in orders:
        for rank, number in enumerate(order, 1):
            scores[number] += 1 / (EVEN + rank)
    return sorted(scores, key=lambda number: -scores[number])
