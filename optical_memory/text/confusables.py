"""Lint for confusable strings: how ambiguous a string is for a reader that cannot tell confusable characters apart.

In an image, only the word around them tells confusable characters apart. *Doubt* is the ambiguity that remains: log2(size of the group)
bits for each confusable character, 0 inside a spelled word or a number. So `Illinois` and `2015` have none, `AI` has the doubt of its I,
and `lO0k` that of l, O and 0. The groups are characters that OCR engines and people confuse (Unicode Technical Standard 39) and pairs
that were misread in measurements (docs/experiments.md). The time is linear in the length of the string.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

__all__ = ["HOMOGLYPHS", "doubt"]

TWINS = ("Il1|", "O0", "S5", "B8", "Z2", "G6")
PAIRS = ("rn", "cl", "vv")  # confused with m, d and w
CYRILLIC = dict(zip("аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅԌԚԜ", "aeopcyxijshdqwABEKMHOPCTYXIJSGQW", strict=True))
GREEK = dict(zip("ονΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ovABEZHIKMNOPTYX", strict=True))
HOMOGLYPHS = CYRILLIC | GREEK  # letters of another script -> the Latin letter that is drawn alike
TWO_SCRIPTS = 16.0  # bits; readers do not expect both scripts in one word, even if it occurs often

_BITS = {sign: math.log2(len(group)) for group in TWINS for sign in group}
_RUN = re.compile(r"[^\W_]+")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_LOOKALIKES = frozenset(HOMOGLYPHS.values())
_FOREIGN = re.compile(f"[{''.join(HOMOGLYPHS)}]")
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[A-Z]|\d+|[^A-Za-z\d]+")
_PAIR = re.compile("|".join(PAIRS))
_VOWEL = re.compile("[aeiouyAEIOUY]")
SHORTEST_WORD = 3  # letters; fewer, or without a vowel, do not disambiguate


@lru_cache(maxsize=8_192)  # names and numbers come again and again in a log
def doubt(string: str) -> float:
    """Return the doubt of a string in bits, see above; 0 for words and numbers."""
    return sum(map(_run_doubt, _RUN.findall(string)))


def _run_doubt(run: str) -> float:
    """Return the doubt of adjacent letters and digits. Latin letters among homoglyphs of another script may be of either."""
    if _LATIN.search(run) and (foreign := len(_FOREIGN.findall(run))):
        return TWO_SCRIPTS + foreign + sum(char in _LOOKALIKES for char in run)
    if run.isdecimal():
        return 0.0
    pieces = _PIECE.findall(run)
    return sum(_piece_doubt(piece, alone=len(pieces) == 1) for piece in pieces)


def _piece_doubt(piece: str, *, alone: bool) -> float:
    """Return the doubt of a piece split by case and kind: `get` and `Id` in `getId`, `a`, `17` and `b` in `a17b`.

    Letters alone (`In`, `OK`, `API`) are read as a word of one case, which leaves an I among capitals in doubt: a small l has its shape.
    """
    if _is_word(piece):
        return 0.0
    if alone:
        return _BITS["I"] * piece.count("I") if piece.isupper() else 0.0
    return sum(_BITS.get(sign, 0.0) for sign in piece) + len(_PAIR.findall(piece))


def _is_word(piece: str) -> bool:
    long = len(piece) > SHORTEST_WORD if piece.isupper() else len(piece) >= SHORTEST_WORD
    return long and piece.isalpha() and bool(_VOWEL.search(piece))
