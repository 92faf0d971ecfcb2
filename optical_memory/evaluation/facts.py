"""Facts: the sentences of the evidence that hold a question's answer.

An answer may be readable although much of its page is not. So the unit of measurement is the sentence with the answer's words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..renderers.document.blocks_of_turn import blocks_of
from ..text.salience import sentences
from ..turns.turn import Turn
from ..verification.words import content_words, plain, words_of
from .conversations import Question

__all__ = ["Fact", "facts_of"]

LEAST_HELD = 0.5  # share of an answer's words in the evidence; below this it is not a quotation, so reading cannot be measured by it


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence of a turn, normalised by `words.plain`, and the words of the answer in it."""

    turn: int
    statement: str
    words: frozenset[str]


def facts_of(question: Question, turns: Mapping[int, Turn], row_width: int) -> tuple[Fact, ...]:
    """Return the facts that answer the question: for each word of the answer the first sentence that holds it.

    Of several answers, uses the one with most words in the evidence; () if it holds less than half of each.

    Args:
        turns: turns with evidence, by number.
        row_width: characters of a row of code on the page.
    """
    told = [(number, plain(text)) for number in question.evidence for text in _statements(turns[number], row_width)]
    held = frozenset(word for _, statement in told for word in content_words(statement))
    answers = [content_words(answer) for answer in question.answers]
    best = max(answers, key=lambda words: len(words & held) / max(1, len(words)), default=frozenset[str]())
    if not best or len(best & held) < LEAST_HELD * len(best):
        return ()
    found: dict[tuple[int, str], set[str]] = {}
    for word in sorted(best & held):
        place = next(place for place in told if word in content_words(place[1]))
        found.setdefault(place, set()).add(word)
    return tuple(Fact(number, statement, frozenset(words)) for (number, statement), words in found.items())


def _statements(turn: Turn, row_width: int) -> Sequence[str]:
    text = words_of(blocks_of(turn, row_width=row_width))
    return [text[start:stop] for start, stop in sentences(text)]
