"""Embedding levels and visual order of mixed left-to-right and right-to-left text.

The Unicode bidirectional algorithm (UAX #9) without explicit embeddings, overrides and isolates: those characters count as nothing, so a
hostile override cannot reorder a page. Rules W1 to W7, N1, N2, I1, I2, L1 and L2 are kept; paired brackets (N0) are treated as neutrals.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby
from typing import TypeVar

__all__ = ["base_level", "has_rtl", "levels_of", "visual_order"]

T = TypeVar("T")

# Blocks whose letters have the classes R and AL (DerivedBidiClass.txt): Hebrew to Arabic Extended-A, presentation forms, plane 1.
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_EXPLICIT = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN"}
_NEUTRAL = {"B", "S", "WS", "ON"}
_NUMBERS = {"EN", "AN"}


def has_rtl(text: str) -> bool:
    """Whether any character may run right to left."""
    return _RTL.search(text) is not None


def base_level(text: str) -> int:
    """The paragraph's direction: 1 if its first strong character runs right to left (rules P2, P3), else 0."""
    for char in text:
        kind = unicodedata.bidirectional(char)
        if kind == "L":
            return 0
        if kind in ("R", "AL"):
            return 1
    return 0


def levels_of(text: str, base: int) -> list[int]:
    """The embedding level of every character of one paragraph; an odd level runs right to left."""
    original = [unicodedata.bidirectional(char) or "L" for char in text]
    kept = [index for index, kind in enumerate(original) if kind not in _EXPLICIT]
    strong = "R" if base else "L"
    kinds = _resolve_neutrals(_resolve_weak([original[index] for index in kept], strong), strong)
    levels = [-1] * len(text)
    for index, kind in zip(kept, kinds, strict=True):
        levels[index] = base if original[index] in ("B", "S") else _level(kind, base)
    for index, level in enumerate(levels):  # what was left out goes with what stands before it
        if level < 0:
            levels[index] = levels[index - 1] if index else base
    return levels


def _level(kind: str, base: int) -> int:
    if kind == "R":
        return base | 1
    if kind in _NUMBERS:
        return base + 1 if base else 2
    return base + (base & 1)


def _resolve_weak(kinds: list[str], strong: str) -> list[str]:
    kinds = _resolve_marks(kinds, strong)
    kinds = _resolve_separators(kinds)
    last = strong
    for index, kind in enumerate(kinds):
        if kind in ("L", "R"):
            last = kind
        elif kind == "EN" and last == "L":  # W7
            kinds[index] = "L"
    return kinds


def _resolve_marks(kinds: list[str], strong: str) -> list[str]:
    """W1 to W3: marks take their base's class, digits after Arabic letters become Arabic numbers, Arabic letters R."""
    result: list[str] = []
    before, letter = strong, strong
    for kind in kinds:
        kind = before if kind == "NSM" else kind
        before = kind
        if kind in ("L", "R", "AL"):
            letter = kind
        result.append("AN" if kind == "EN" and letter == "AL" else "R" if kind == "AL" else kind)
    return result


def _resolve_separators(kinds: list[str]) -> list[str]:
    """W4 to W6: a separator between two numbers of a kind joins them, terminators beside a number belong to it, the rest is neutral."""
    for index in range(1, len(kinds) - 1):
        before, kind, after = kinds[index - 1 : index + 2]
        if before == after and ((kind == "ES" and before == "EN") or (kind == "CS" and before in _NUMBERS)):
            kinds[index] = before
    resolved: list[str] = []
    runs = [(kind, len(list(run))) for kind, run in groupby(kinds)]
    for place, (kind, length) in enumerate(runs):
        beside = {runs[near][0] for near in (place - 1, place + 1) if 0 <= near < len(runs)}
        if kind == "ET":
            kind = "EN" if "EN" in beside else "ON"
        resolved += ["ON" if kind in ("ES", "CS") else kind] * length
    return resolved


def _resolve_neutrals(kinds: list[str], strong: str) -> list[str]:
    """N1 and N2: neutrals between two of a direction take it, all others the paragraph's."""
    resolved: list[str] = []
    runs = [(neutral, list(run)) for neutral, run in groupby(kinds, key=lambda kind: kind in _NEUTRAL)]
    for place, (neutral, run) in enumerate(runs):
        if not neutral:
            resolved += run
            continue
        before = _direction(runs[place - 1][1][-1]) if place else strong
        after = _direction(runs[place + 1][1][0]) if place + 1 < len(runs) else strong
        resolved += [before if before == after else strong] * len(run)
    return resolved


def _direction(kind: str) -> str:
    return "R" if kind in _NUMBERS else kind


def visual_order(items: Sequence[T], levels: Sequence[int]) -> list[T]:
    """Items of one line from left to right (rule L2): from the highest level down to the lowest odd one, runs are turned round."""
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
