"""Where a line may break inside a word, the same in every renderer: after separators, and never inside a name or a number that fits.

A word of at most `WHOLE` characters moves to the next line as it is. A longer one breaks after separators, the strong ones first; between
two digits only if it is very long. What is longer than a line is cut, and each cut is drawn with `CUT_MARK`: a single mark at a
line's end is a cut, and a pair is always one character of the text. The mark is drawn only; no block holds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from ..typography.word_masks import clusters_of
from .compaction import CUT_MARK, JOIN_MARK, cell_count

__all__ = ["CJK", "NO_DICTIONARY", "WHOLE", "cuttable", "parts_of"]

WHOLE = 24  # cells; longer words are paths, hashes or minified JSON, and fill their line instead of moving to the next
NUMBER = 48  # cells; longer numbers with separators are lists, and may break after them

CJK = "\u2e80-\u303f\u3040-\u30ff\u3100-\u312f\u31a0-\u9fff\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff"
NO_DICTIONARY = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"

_SEPARATORS = r",;:=/&?|)\]}._\-@+#%~<>(\[{*!$^"
_NO_NUMBER = r"(?:(?<!\d[,:/=.\-])|(?!\d))"  # not between two digits: 06:30, 2024-05-20, 1.50
# Quotes are taken to open after a colon or a bracket, and to close after a full stop or a closing bracket.
_STRONG = re.compile(rf"(?:(?<=[,;:=])(?=[^,;:=/&?|)\]}}>])|(?<=[/&?|)\]}}])(?=[^{_SEPARATORS}\"'`])){_NO_NUMBER}")
_WEAK = re.compile(rf"(?:(?<=[(\[{{])(?=[^{_SEPARATORS}])|(?<=[._\-@+#%~<>*!$^])(?=[^{_SEPARATORS}\"'`])){_NO_NUMBER}")
_DIGITS = re.compile(r"(?<=\d[,:/=.\-])(?=\d)")
_LINE_END = re.compile(f"(?<=(?<!{JOIN_MARK}){JOIN_MARK})(?!{JOIN_MARK}|$)")
_ALPHANUMERIC = re.compile(r"[^\W_]")
_CACHED = 300  # characters; longer words are rarely met twice


def parts_of(word: str, *, eager: bool = False) -> tuple[str, ...]:
    """Split a word where a line may break; joined, the parts are always `word`.

    Args:
        word: text without spaces.
        eager: also break short words after strong separators: for JSON, which has few spaces.
    """
    return _known_parts(word, eager) if len(word) <= _CACHED else tuple(_parts(word, eager))


@lru_cache(maxsize=4096)
def _known_parts(word: str, eager: bool) -> tuple[str, ...]:
    return tuple(_parts(word, eager))


def _parts(word: str, eager: bool) -> Iterator[str]:
    for line in _LINE_END.split(word) if JOIN_MARK in word else (word,):
        if not eager and cell_count(line) <= WHOLE:
            yield line
            continue
        for strong in _split(_STRONG, line):
            for weak in _split(_WEAK, strong) if cell_count(strong) > WHOLE else (strong,):
                yield from _split(_DIGITS, weak) if cell_count(weak) > NUMBER else (weak,)


def _split(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """Split at every match. A part without letters and digits stays with the one before it, or if it is the first, with the next."""
    waiting: list[str] = []
    has_letters = False
    for part in pattern.split(text):
        lettered = _ALPHANUMERIC.search(part) is not None
        if has_letters and lettered:
            yield "".join(waiting)
            waiting = []
        waiting.append(part)
        has_letters = has_letters or lettered
    yield "".join(waiting)


def cuttable(part: str) -> list[str]:
    """Split a part that must be cut into pieces that must not: clusters; a pair of marks is one, and stays with what precedes it."""
    clusters = list(part) if part.isascii() else clusters_of(part)
    if CUT_MARK not in part and JOIN_MARK not in part:
        return clusters
    pieces: list[str] = []
    for cluster in clusters:
        if pieces and cluster in (CUT_MARK, JOIN_MARK):
            pieces[-1] += cluster
        else:
            pieces.append(cluster)
    return pieces
