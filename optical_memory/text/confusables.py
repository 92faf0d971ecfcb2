"""The lint for confusable strings: how much of a string is in doubt for a reader who sees it, but cannot tell its signs from their twins.

A picture shows a sign's shape; which of two signs of nearly one shape it is, the word around it has to tell. *Doubt* is what the word
leaves open: log2(signs in the group) bits for each sign with twins, 0 for those inside what is spelled as a word or is plainly a number.
So `Illinois` and `2015` have none, `AI` has the doubt of its I, and `lO0k` that of l, O and 0. The groups are signs that OCR engines and
people take for each other (Unicode Technical Standard 39 calls them confusable) and pairs that were misread by measurement
(docs/experiments.md). Every character is looked at a bounded number of times.
"""

from __future__ import annotations

import math
import re

__all__ = ["doubt"]

TWINS = ("Il1|", "O0", "S5", "B8", "Z2", "G6")
PAIRS = ("rn", "cl", "vv")  # taken for m, d and w
CYRILLIC = dict(zip("аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅԌԚԜ", "aeopcyxijshdqwABEKMHOPCTYXIJSGQW", strict=True))
GREEK = dict(zip("ονΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ovABEZHIKMNOPTYX", strict=True))
HOMOGLYPHS = CYRILLIC | GREEK  # letters of another script -> the Latin letter that is drawn alike
TWO_SCRIPTS = 16.0  # bits; that one word holds both is what no reader looks for, however often the word stands on a page

_BITS = {sign: math.log2(len(group)) for group in TWINS for sign in group}
_RUN = re.compile(r"[^\W_]+")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_LOOKALIKES = frozenset(HOMOGLYPHS.values())
_FOREIGN = re.compile(f"[{''.join(HOMOGLYPHS)}]")
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[A-Z]|\d+|[^A-Za-z\d]+")
_PAIR = re.compile("|".join(PAIRS))
_VOWEL = re.compile("[aeiouyAEIOUY]")
SHORTEST_WORD = 3  # letters; in fewer, or without a vowel, the spelling tells nothing


def doubt(string: str) -> float:
    """Bits that are in doubt, see above; 0 for a string of words and numbers."""
    return sum(map(_run_doubt, _RUN.findall(string)))


def _run_doubt(run: str) -> float:
    """Of letters and digits without a gap. Latin letters among lookalikes of another script may be of either."""
    if _LATIN.search(run) and (foreign := len(_FOREIGN.findall(run))):
        return TWO_SCRIPTS + foreign + sum(char in _LOOKALIKES for char in run)
    if run.isdecimal():
        return 0.0
    pieces = _PIECE.findall(run)
    return sum(_piece_doubt(piece, alone=len(pieces) == 1) for piece in pieces)


def _piece_doubt(piece: str, *, alone: bool) -> float:
    """Of a piece that case and kind set apart: `get` and `Id` in `getId`, `a`, `17` and `b` in `a17b`.

    Letters by themselves (`In`, `OK`, `API`) are read as a word of one case, which leaves the I among capitals: a small l looks like one.
    """
    if _is_word(piece):
        return 0.0
    if alone:
        return _BITS["I"] * piece.count("I") if piece.isupper() else 0.0
    return sum(_BITS.get(sign, 0.0) for sign in piece) + len(_PAIR.findall(piece))


def _is_word(piece: str) -> bool:
    long = len(piece) > SHORTEST_WORD if piece.isupper() else len(piece) >= SHORTEST_WORD
    return long and piece.isalpha() and bool(_VOWEL.search(piece))
