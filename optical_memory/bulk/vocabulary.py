"""Random conversations in a hundred languages, out of the names that Unicode's CLDR has in each: countries, languages, currencies, days.

Words of a language in its own script and spelling, without a corpus whose licence would have to be looked at. They are in no grammar: a
reader that is trained on them learns letters and words, not what usually follows what. Exact strings (bookings, dates, amounts) are mixed
in, since those are what a memory must not get wrong.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from ..errors import MissingExtra
from ..text.excerpts import excerpt
from ..turns.turn import Turn
from .items import Item

__all__ = ["LANGUAGES", "RandomTalk", "RandomTalks"]

# Those with at least 150 names in CLDR that are not English, less some that hardly anyone writes.
_CODES = """
    en zh hi es fr ar bn pt ru ur id de ja sw mr te tr ta vi ko it th gu fa pl uk ml kn or my pa ro nl ha am yo ig zu xh af el hu cs sv he
    da fi nb sk bg hr sr lt lv et sl sq mk is ga cy eu ca gl be ka hy az kk ky uz tg tk mn ne si km lo bo dz ti so om rw mg ms jv yue kok
    as sd ps ug fo lb fy gd br mt wo ln ff qu mi sc
"""
LANGUAGES = tuple(_CODES.split())
EXACT = 0.35  # of sentences that hold an exact string
SENTENCES = (1, 6)  # of a turn
WORDS = (2, 9)  # names in a sentence
TURNS = (2, 10)


@dataclass(frozen=True, slots=True)
class RandomTalk:
    """A conversation that is determined by seed, number and language."""

    seed: int
    number: int
    language: str

    @property
    def key(self) -> str:
        return f"{self.number:09d}-{self.language}"

    def turns(self) -> list[Turn]:
        """Its turns. Raises `MissingExtra`."""
        chance = random.Random(f"{self.seed}/{self.number}/{self.language}")
        names = _names(self.language)
        return [
            Turn(number=place, id=f"{place}", role="user" if place % 2 else "assistant", content=_said(chance, names))
            for place in range(1, chance.randint(*TURNS) + 1)
        ]


@dataclass(frozen=True, slots=True)
class RandomTalks:
    """So many random conversations, the languages in turn.

    Raises `ValueError` for a language that is not in `LANGUAGES`.
    """

    count: int
    seed: int = 0
    languages: tuple[str, ...] = LANGUAGES

    def __post_init__(self) -> None:
        unknown = [language for language in self.languages if language not in LANGUAGES]
        if unknown:
            raise ValueError(f"unknown language {excerpt(unknown[0])}; known: {' '.join(LANGUAGES)}")
        if not self.languages:
            raise ValueError("no language is named; name some, or take all of LANGUAGES")

    @property
    def name(self) -> str:
        return f"words, seed {self.seed}, languages {' '.join(self.languages)}"

    def items(self) -> Iterator[Item]:
        for number in range(self.count):
            yield RandomTalk(self.seed, number, self.languages[number % len(self.languages)])


def _said(chance: random.Random, names: Sequence[str]) -> str:
    return " ".join(_sentence(chance, names) for _ in range(chance.randint(*SENTENCES)))


def _sentence(chance: random.Random, names: Sequence[str]) -> str:
    words = [chance.choice(names) for _ in range(chance.randint(*WORDS))]
    if chance.random() < EXACT:
        words.insert(chance.randrange(len(words) + 1), _exact(chance))
    return ", ".join(words) + "."


def _exact(chance: random.Random) -> str:
    letters = "".join(chance.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(2))
    return chance.choice(
        (
            f"{letters}-{chance.randrange(10**5):05d}",
            f"20{chance.randrange(20, 30)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}",
            f"{chance.randrange(10**6) / 100:.2f} EUR",
            f"{chance.randrange(16**8):08x}",
            f"{chance.randrange(24):02d}:{chance.randrange(60):02d}",
        )
    )


@cache
def _names(language: str) -> tuple[str, ...]:
    """Names in a language, in an order that does not change from run to run."""
    try:
        from babel import Locale
    except ImportError as exc:
        raise MissingExtra("random conversations", "bulk") from exc
    locale = Locale.parse(language)
    dates = [name for kinds in (locale.months, locale.days) for name in kinds["format"]["wide"].values()]
    return tuple(sorted({*locale.territories.values(), *locale.languages.values(), *locale.currencies.values(), *dates}))
