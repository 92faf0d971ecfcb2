"""Salience: score the sentences of a page by how much they matter, without a model.

A sentence's score is the sum of named reasons, which `why` returns. Weights were fitted by hand on two of the evaluation's conversations
and measured on others (docs/experiments.md).

Content is hostile: every pattern takes runs possessively and starts only where a run starts, so that a text is split in linear time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from .exact_strings import exact_strings
from .search_terms import rarity, terms

__all__ = ["COMMON", "WEIGHTS", "Rarity", "sentences", "why", "worth"]

LONGEST = 240  # characters of a piece; text without sentences (JSON, logs) is cut at a comma or a space before that
SHORTEST_CUT = 120  # characters of a piece cut so
EFFORT = 10  # extra characters that a sentence costs: separators, and the blank rest of a line

_COMMON_WORDS = (  # too common to tell anything on any page
    "a about after all also am an and any are as at be been before but by can could did do does for from get go got had has have he her "
    "here him his how i if in into is it its just like me more much my no not now of off on one or our out over really she so some than "
    "that the their them then there these they this those to too up us very was we were what when where which who will with would you your"
)
COMMON = frozenset(_COMMON_WORDS.split())
_PLEASANTRY = re.compile(
    r"\b(?:thanks?|thank you|wow|hey|hi|hello|bye|goodbye|welcome|congrat\w{0,12}|cool|awesome|amazing|great|nice|lovely|glad|appreciate|"
    r"sounds?|sorry to hear|take care|good (?:to|luck|morning|evening|night|job)|well done|no worries|no problem|of course|let me know|"
    r"love (?:it|that)|how are you|how about you|what about you|what's up|feel free|happy to help|so (?:happy|proud|sweet))\b"
    r"|谢谢|感谢|你好|您好|再见|不客气|好的|没问题|شكرا|مرحبا",
    re.IGNORECASE,
)
_DECISION = re.compile(
    r"\b(?:decided?|decision|agreed?|chose|chosen|will|must|plan(?:ned|ning)?|deadline|due|booked|cancel\w{0,6}|confirmed?|changed?|"
    r"because|never|always|prefer\w{0,4}|called|named|bought|started?|moved)\b|决定|必须|预订|取消|确认|因为",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<=[^\s.!?…:\"“] )[A-Z][\w'’-]*+")
_DIGITS = re.compile(r"\d++")
_END = re.compile(
    r"(?<![.!?…؟۔।])[.!?…؟۔।]++[\"'”’)\]*_]*+(?=\s)|(?<![。！？])[。！？]++[」』”’）]*+|\n++",
)
_ABBREVIATION = re.compile(r"(?:\b[A-Za-z]|\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No|approx|Jr|Sr))\.\Z")
_NOT_NAMES = frozenset(("I", "I'm", "I've", "I'd", "I'll", "I’m", "I’ve", "I’d", "I’ll"))

WEIGHTS = {
    "rare words": 1.0,  # for each unit of inverse document frequency among the page's turns
    "numbers": 2.0,  # each run of digits
    "exact strings": 2.0,  # each string that a sidecar would hold
    "names": 1.0,  # each capitalised word inside a sentence
    "decision": 2.0,
    "heading": 6.0,
    "importance": 24.0,  # at importance 1; as much less at 0
    "pleasantry": -4.0,  # each
    "question": -6.0,
    "exclamation": -3.0,
}


def sentences(text: str) -> list[tuple[int, int]]:
    """Return start and end of the sentences of `text`, in order; they cover all but white space. A line's end always ends one."""
    spans: list[tuple[int, int]] = []
    start = 0
    for stop in [*(match.end() for match in _END.finditer(text) if not _is_abbreviation(text, match)), len(text)]:
        spans += _pieces(text, start, stop)
        start = stop
    return spans


def _is_abbreviation(text: str, match: re.Match[str]) -> bool:
    return match[0] == "." and _ABBREVIATION.search(text[max(0, match.start() - 8) : match.end()]) is not None


def _pieces(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield a sentence without surrounding white space, cut if it is too long; nothing for white space alone."""
    body = text[start:stop]
    stop = start + len(body.rstrip())
    start += len(body) - len(body.lstrip())
    while stop - start > LONGEST:
        window = text[start + SHORTEST_CUT : start + LONGEST]
        cut = start + SHORTEST_CUT + max(window.rfind(","), window.rfind("，"), window.rfind(" ")) + 1
        cut = cut if cut > start + SHORTEST_CUT else start + LONGEST
        yield start, cut
        start = cut
    if start < stop:
        yield start, stop


class Rarity:
    """Rarity of the words of a page's turns."""

    def __init__(self, texts: Iterable[str]) -> None:
        told = [set(terms(text)) for text in texts]
        self._held, self._texts = Counter(term for found in told for term in found), len(told)

    def of(self, text: str) -> float:
        """Return the summed rarity of the different words in `text`."""
        return sum(rarity(self._held[term], self._texts) for term in sorted(set(terms(text)) - COMMON))


def why(sentence: str, rare: Rarity, *, importance: float = 0.5) -> dict[str, float]:
    """Return the score of a sentence by reason; reasons that do not apply are left out.

    Args:
        importance: importance of its turn, 0 to 1; 0.5 is neutral.
    """
    end = sentence.rstrip("\"'”’)]*_ ")[-1:]
    counts = {
        "rare words": rare.of(sentence),
        "numbers": len(_DIGITS.findall(sentence)),
        "exact strings": len(exact_strings(sentence)),
        "names": len(set(_NAME.findall(sentence)) - _NOT_NAMES),
        "decision": len(_DECISION.findall(sentence)),
        "heading": sentence.startswith("#"),
        "importance": 2 * importance - 1,
        "pleasantry": len(_PLEASANTRY.findall(sentence)),
        "question": end in tuple("?？؟"),
        "exclamation": end in tuple("!！"),
    }
    return {reason: WEIGHTS[reason] * count for reason, count in counts.items() if count}


def worth(sentence: str, rare: Rarity, *, importance: float = 0.5) -> float:
    """Return the score of a sentence per character that it takes; the greatest are put on a page first."""
    return sum(why(sentence, rare, importance=importance).values()) / (len(sentence) + EFFORT)
