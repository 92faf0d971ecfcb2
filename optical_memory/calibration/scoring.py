"""Score a calibration: exact matches, character errors, intervals, and wrong answers apart from abstentions.

- Character error rate: Levenshtein's edits (insertions, deletions, substitutions; Soviet Physics Doklady 10, 1966) of all answers, over the
  characters of their truths. A probe without an answer counts for the exact rate only.
- Wilson's score interval (J. American Statistical Association 22, 1927): for k of n, with z the normal quantile,
  (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). It holds where nearly all answers are right, as the plain p -+ z s does not.
- A confident wrong answer is one that was given and is not exact. It is worse than none, since a model does not recall a turn that it
  believes to know.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

from ..verification.alignment import faults
from ..verification.words import TYPOGRAPHIC

__all__ = ["Answered", "Score", "edits", "normal", "score", "wilson"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A probe and the reader's answer; None if it abstained, or left out the probe's number.

    Attributes:
        spaced: whether spaces count. Not in text that a page breaks anywhere, where a line's end may or may not be a space.
    """

    number: int
    truth: str
    answer: str | None
    spaced: bool = True

    @property
    def is_exact(self) -> bool:
        return self.answer is not None and normal(self.answer, spaced=self.spaced) == normal(self.truth, spaced=self.spaced)

    @property
    def outcome(self) -> str:
        """`exact`, `wrong` or `abstained`."""
        return "abstained" if self.answer is None else "exact" if self.is_exact else "wrong"


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of probes; rates and intervals follow from them.

    Attributes:
        edits, characters: totals over the answers given.
    """

    probes: int = 0
    exact: int = 0
    wrong: int = 0
    edits: int = 0
    characters: int = 0

    @property
    def abstained(self) -> int:
        return self.probes - self.exact - self.wrong

    @property
    def exact_rate(self) -> float:
        return self.exact / max(1, self.probes)

    @property
    def error_rate(self) -> float:
        """Character error rate of the answers given. May exceed 1."""
        return self.edits / max(1, self.characters)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the exact rate, 95 %."""
        return wilson(self.exact, self.probes)

    def __add__(self, other: Score) -> Score:
        return Score(
            self.probes + other.probes,
            self.exact + other.exact,
            self.wrong + other.wrong,
            self.edits + other.edits,
            self.characters + other.characters,
        )


def score(answers: Iterable[Answered]) -> Score:
    """Count the answers."""
    total = Score()
    for item in answers:
        truth = normal(item.truth, spaced=item.spaced)
        given = item.answer is not None
        distance = edits(truth, normal(item.answer or "", spaced=item.spaced)) if given else 0
        total += Score(1, item.is_exact, item.outcome == "wrong", distance, len(truth) if given else 0)
    return total


def normal(text: str, *, spaced: bool = True) -> str:
    """Normalise a text for comparison: composed characters, single spaces or none, straight quotes and hyphens."""
    return (" " if spaced else "").join(unicodedata.normalize("NFC", text).translate(TYPOGRAPHIC).split())


def edits(truth: str, answer: str) -> int:
    """Return Levenshtein's distance."""
    return sum(faults(truth, answer, whole=True)) if truth else len(answer)


def wilson(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of `hits` of `trials`; (0, 1) without trials."""
    if not 0 <= hits <= trials:
        raise ValueError(f"{hits} hits of {trials} trials cannot be")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence={confidence!r} is not between 0 and 1")
    if trials == 0:
        return 0.0, 1.0
    z, rate = NormalDist().inv_cdf((1 + confidence) / 2), hits / trials
    middle = rate + z * z / (2 * trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return (max(0.0, (middle - half) / scale) if hits else 0.0), (min(1.0, (middle + half) / scale) if hits < trials else 1.0)
