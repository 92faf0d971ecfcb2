"""How often later turns need what stood in a turn of some age, counted in a log.

A turn uses an earlier one if it repeats a string that stood there last: an identifier, a path, a quoted text, or a rare name. Most of what
later turns say of earlier ones cannot be counted like this, but how it falls with age can. The rate is fitted by `(1 + age) ** -fall`, a
power law, as human memory's (J. R. Anderson and L. J. Schooler, Psychological Science 2, 1991, found it in newspapers, mail, and speech).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..turns.turn import Turn

__all__ = ["AgeBin", "ages_of_uses", "bins_of", "fall_of"]

SHORTEST, LONGEST = 5, 200  # characters of a string that is counted
TELLING = re.compile(r"[\w./@:+#-]*(?:\d|/\w)[\w./@:+#-]*")  # a digit in it, or a path
QUOTED = re.compile(r'"([^"\n]{5,80})"|`([^`\n]{5,80})`|“([^”\n]{5,80})”')
NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][a-z]{4,}\b", re.MULTILINE)  # capitalised within a sentence
OFTEN = 0.02  # share of a log's turns, above which a string is common and tells nothing
STEEPEST, STEPS = 3.0, 300  # greatest exponent tried, and how many


@dataclass(frozen=True, slots=True)
class AgeBin:
    """Ages from `first` to `last`, in turns.

    Attributes:
        uses: uses of a turn of such an age.
        pairs: pairs of turns that are so far apart.
    """

    first: int
    last: int
    uses: int
    pairs: int

    @property
    def rate(self) -> float:
        """Uses of one turn of such an age by one later turn."""
        return self.uses / max(1, self.pairs)


def ages_of_uses(turns: Sequence[Turn]) -> list[int]:
    """Return the age of each use: for each string of a turn that an earlier one had, turns since it stood there last, at least 1."""
    said = [frozenset(_strings(turn)) for turn in turns]
    common = max(2, OFTEN * len(turns))
    counts = Counter(string for strings in said for string in strings)
    last: dict[str, int] = {}
    ages: list[int] = []
    for place, strings in enumerate(said):
        ages += [place - last[string] for string in sorted(strings) if string in last and counts[string] <= common]
        last |= dict.fromkeys(strings, place)
    return ages


def bins_of(logs: Sequence[tuple[int, Sequence[int]]]) -> list[AgeBin]:
    """Sum uses up by age, in bins that double: 1, 2 to 3, 4 to 7 and so on.

    Args:
        logs: for each log its number of turns, and the ages of its uses.
    """
    longest = max((length for length, _ in logs), default=0)
    uses = Counter(age.bit_length() for _, ages in logs for age in ages)
    bins: list[AgeBin] = []
    for power in range((longest - 1).bit_length() if longest > 1 else 0):
        first, last = 1 << power, min((2 << power) - 1, longest - 1)
        pairs = sum(max(0, length - age) for length, _ in logs for age in range(first, min(last, length - 1) + 1))
        bins.append(AgeBin(first, last, uses[power + 1], pairs))
    return bins


def fall_of(bins: Sequence[AgeBin]) -> float:
    """Return the exponent with which uses fall with age: the most likely one, if uses are Poisson. 0 without uses."""
    uses = sum(each.uses for each in bins)
    if not uses:
        return 0.0
    ages = [(each, math.log1p(math.sqrt(each.first * each.last))) for each in bins]

    def likelihood(fall: float) -> float:
        expected = sum(each.pairs * math.exp(-fall * age) for each, age in ages)
        return -fall * sum(each.uses * age for each, age in ages) - uses * math.log(expected)

    return max((STEEPEST * step / STEPS for step in range(STEPS + 1)), key=likelihood)


def _strings(turn: Turn) -> Iterator[str]:
    """Yield what a turn says that can be recognised in another one."""
    texts = [turn.text, *(call.arguments for call in turn.tool_calls)]
    for text in texts:
        yield from (match[0].strip(".,:;-/") for match in TELLING.finditer(text) if SHORTEST <= len(match[0].strip(".,:;-/")) <= LONGEST)
        yield from (next(filter(None, match.groups())) for match in QUOTED.finditer(text))
        yield from (match[0] for match in NAME.finditer(text))
