"""Embedding levels and visual order of mixed left-to-right and right-to-left text: the Unicode bidirectional algorithm, by python-bidi.

Explicit embeddings, overrides and isolates are ignored, so that a hostile override cannot reorder a page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from bidi import get_base_level, get_display  # type: ignore[import-untyped]
from bidi.mirror import MIRRORED  # type: ignore[import-untyped]

__all__ = ["base_level", "has_rtl", "levels_of", "mirrored", "visual_order"]

T = TypeVar("T")

# Blocks whose letters have the classes R and AL (DerivedBidiClass.txt): Hebrew to Arabic Extended-A, presentation forms, plane 1.
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_UNHEARD = re.compile("[\u202a-\u202e\u2066-\u2069\ud800-\udfff]")  # explicit formats; and lone surrogates, which libraries reject
_NOTHING = "\u200b"  # of the class BN: ignored, with the level of the character before it
_SEPARATORS = "\t\n\x0b\r\x1c\x1d\x1e\x1f\x85\u2029"  # the classes S and B
_LINE_ENDS = re.compile("[\n\r\x1c-\x1e\x85\u2029]")  # the class B
_MIRRORED = str.maketrans(MIRRORED)
_PIECE = re.compile("[A-Za-z]+|[\u05d0-\u05ea]+|[\u0620-\u064a]+|[0-9]+| +|.", re.DOTALL)  # each of one class, and so of one level


def has_rtl(text: str) -> bool:
    """Whether any character may run right to left."""
    return _RTL.search(text) is not None


def base_level(text: str) -> int:
    """Return the paragraph's direction: 1 if its first strong character runs right to left (rules P2, P3), else 0. Ignores line ends."""
    flat = _LINE_ENDS.sub(" ", _UNHEARD.sub(_NOTHING, text))
    return int(get_base_level(flat)) if flat else 0


def levels_of(text: str, base: int) -> list[int]:
    """Return the embedding level of every character of one paragraph, before rule L1 of each line; odd levels run right to left."""
    pieces = _PIECE.findall(_UNHEARD.sub(_NOTHING, text))
    firsts = "".join(piece[0] for piece in pieces)
    levels = [base if first in _SEPARATORS else level for first, level in zip(firsts, _resolved(firsts, base), strict=True)]
    return [level for piece, level in zip(pieces, levels, strict=True) for _ in piece]


def _resolved(text: str, base: int) -> list[int]:
    """Return python-bidi's levels. They are in its debugging output only, one per byte, after the text and the classes."""
    dump: str = get_display(text, base_dir="LR"[base], debug=True)
    listed = dump.rpartition("\n    levels: [\n")[2].partition("\n    ],")[0] if text else ""
    levels = [int(word[:-1]) for word in listed.split()[1::3]]  # "Level(", "1,", "),", "Level(" ...
    return [level for byte, level in zip(text.encode(), levels, strict=True) if byte & 0xC0 != 0x80]


def mirrored(text: str) -> str:
    """Mirror brackets and similar characters (rule L4), for right-to-left text that is drawn glyph by glyph."""
    return text.translate(_MIRRORED)


def visual_order(items: Sequence[T], levels: Sequence[int]) -> list[T]:
    """Return items of one line from left to right (rule L2): from the highest level down to the lowest odd one, runs are reversed."""
    # Not by python-bidi: it orders characters, and these are words, already broken into lines.
    ordered = list(zip(items, levels, strict=True))
    odd = [level for level in levels if level & 1]
    for threshold in range(max(levels, default=0), min(odd, default=1) - 1, -1):
        start = 0
        while start < len(ordered):
            end = start
            while end < len(ordered) and ordered[end][1] >= threshold:
                end += 1
            ordered[start:end] = reversed(ordered[start:end])
            start = max(end, start + 1)
    return [item for item, _ in ordered]
