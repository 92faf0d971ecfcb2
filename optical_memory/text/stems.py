"""Words of one stem: `adopting`, `adopted` and `adoption` are `adopt`. By Snowball's algorithms, one a language (snowballstem.org)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import import_module

__all__ = ["beginning", "stem"]

LEAST = 3  # letters; shorter words have no endings to take off
LONGEST = 40
_STEMMED = {"russian": re.compile(r"[а-я]+")}
_LATIN = re.compile(r"[a-z]+")
_MADE_UP = "ielfs"  # y is written i, a final e put back, ability abl; Dutch hardens v and z
_SHORT_I = re.compile(r"(?<=[аеиоуыюя])и$")  # terms have lost the mark of its last letter, by which Russian tells endings


@lru_cache(maxsize=50_000)
def stem(word: str, language: str | None) -> str | None:
    """Return the stem of a term in a language of `languages`. None for what has none: numbers, identifiers, other scripts, short words."""
    if language is None or not LEAST <= len(word) <= LONGEST or not _STEMMED.get(language, _LATIN).fullmatch(word):
        return None
    return _stemmer(language)(_SHORT_I.sub("й", word) if language == "russian" else word)


def beginning(stem: str) -> str:
    """Return how the words of a stem begin. Some stems end in a letter that is made up: `fli` of fly and flies, `hope` of hoping."""
    return stem[:-1] if len(stem) > 2 and stem[-1] in _MADE_UP else stem


@cache
def _stemmer(language: str) -> Callable[[str], str]:
    # The class itself: the package's own function would take PyStemmer where that is installed, whose release may differ.
    module = import_module(f"snowballstemmer.{language}_stemmer")
    found: Callable[[str], str] = getattr(module, f"{language.capitalize()}Stemmer")().stemWord
    return found
