"""Recall by meaning: an embedder that knows which words mean the same, mixed with the order by words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from optical_memory import OpticalMemory
from optical_memory.memory.embedding import mixed
from tests.support import RuledRenderer

MEANINGS = [{"car", "automobile", "vehicle"}, {"doctor", "physician"}, {"buy", "purchase"}, {"rain", "shower"}]
NUMBERS = 64  # of a vector: one for each meaning, the rest for other words by their letters


class Synonyms:
    """A small real embedder: counts of words, where those that mean the same count as one."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.texts += texts
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * NUMBERS
        for word in text.lower().replace(".", " ").split():
            known = [place for place, words in enumerate(MEANINGS) if word in words]
            vector[known[0] if known else len(MEANINGS) + sum(word.encode()) % (NUMBERS - len(MEANINGS))] += 1.0
        return vector


SAID = [
    "The old automobile would not start.",
    "It cost $30 at the harbour.",
    "A physician came at noon.",
    "We had a shower in May.",
    *(f"Number {number} was on the list." for number in range(40)),
]


def opened(embedder: object | None, store: str = "memory://") -> OpticalMemory:
    memory = OpticalMemory("s", store=store, embedder=embedder)  # type: ignore[arg-type]
    memory.extend([("user", text) for text in SAID])
    return memory


def test_a_turn_without_any_word_of_the_query_is_found_by_its_meaning() -> None:
    assert [turn.number for turn in opened(None).recall("vehicle")] == []
    memory = opened(Synonyms())
    assert memory.recall("vehicle")[0].number == 1
    assert memory.recall("doctor")[0].number == 3
    assert {turn.number for turn in memory.recall("vehicle doctor", limit=2)} == {1, 3}


@pytest.mark.parametrize("exact", ["$30", "It cost $30 at the harbour."])
def test_what_stands_there_to_the_letter_comes_first(exact: str) -> None:
    assert opened(Synonyms()).recall(exact)[0].number == 2


def test_each_turn_is_embedded_once_and_new_ones_when_they_are_searched() -> None:
    embedder = Synonyms()
    memory = opened(embedder)
    assert embedder.texts == [], "append calls no model"
    memory.recall("rain")
    memory.recall("rain")
    assert sorted(embedder.texts) == sorted([*SAID, "rain", "rain"])
    memory.append(("user", "Another vehicle came."))
    assert len(SAID) + 1 in [turn.number for turn in memory.recall("car")]
    assert embedder.texts.count("Another vehicle came.") == 1


def test_erased_turns_are_found_no_more_and_their_vectors_are_dropped() -> None:
    memory = opened(Synonyms())
    assert memory.recall("vehicle")[0].number == 1
    memory.erase([1])
    assert memory._meanings is not None and memory._meanings._vectors == {}
    assert 1 not in [turn.number for turn in memory.recall("vehicle")]
    memory.erase()
    memory.append(("user", "A physician."))
    assert [turn.text for turn in memory.recall("doctor")] == ["A physician."]


def test_a_question_finds_its_turns_by_meaning_too() -> None:
    recalled = []
    for embedder in (None, Synonyms()):
        memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(), embedder=embedder)
        memory.extend([("user", text) for text in (*SAID, *(f"{number} and nothing else was said. " * 9 for number in range(200)))])
        recalled.append(1 in memory.context(1_000, question="vehicle").plan.recalled)
    assert recalled == [False, True]


class Faulty:
    def __init__(self, vectors: list[list[float]]) -> None:
        self.vectors = vectors

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return self.vectors


@pytest.mark.parametrize(
    ("vectors", "message"),
    [([[1.0]], "1 vectors for 44 texts"), ([[float("nan")]] * 44, "not finite")],
)
def test_vectors_that_do_not_fit_are_refused(vectors: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        opened(Faulty(vectors)).recall("vehicle")


def test_vectors_of_two_lengths_are_refused() -> None:
    class Growing(Synonyms):
        def embed(self, texts: Sequence[str]) -> list[list[float]]:
            return [[1.0] * (1 + len(self.texts)) for self.texts in [[*self.texts, *texts]] for _ in texts]

    with pytest.raises(ValueError, match="of one length"):
        opened(Growing()).recall("vehicle")


def test_orders_are_mixed_by_rank() -> None:
    assert mixed([[1, 2, 3], [3, 1]]) == [1, 3, 2]
    assert mixed([[], [5, 4]]) == [5, 4]
