"""Count characters that no available font can draw, by the fonts' own tables, since a browser does not report them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

from .fonts import FontBook
from .word_masks import is_ignorable

__all__ = ["count_missing"]

ALWAYS_THERE = 0x24F  # the end of Latin Extended-B, which the bundled fonts cover
UNDRAWN = ("Cc", "Cs", "Zs", "Zl", "Zp")  # controls and surrogates are replaced, spaces have no glyph


def count_missing(text: str) -> int:
    """Count the characters of `text` without a glyph in Chromium's fonts; it draws a box for each."""
    if text.isascii():
        return 0
    return sum(times for char, times in Counter(text).items() if ord(char) > ALWAYS_THERE and not _is_drawn(char))


@lru_cache(maxsize=20_000)
def _is_drawn(char: str) -> bool:
    if is_ignorable(char) or unicodedata.category(char) in UNDRAWN:
        return True
    return _fonts().face_for((ord(char),), "sans") is not None


@lru_cache(maxsize=1)
def _fonts() -> FontBook:
    return FontBook()
