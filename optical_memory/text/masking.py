"""Put marks in the place of secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .secrets_in_text import Hit, split_hits

__all__ = ["masked", "redacted"]

PASSES = 8  # masking one secret may expose another beside it; longer chains do not occur by chance
MARK = re.compile(r"\[redacted:[a-z-]{1,60}\]")


def redacted(text: str, hits: Callable[[str], Iterable[Hit]]) -> str:
    """`text` with every secret that `hits` finds masked; the same object if there is none."""
    for _ in range(PASSES):
        changed = masked(text, hits(text))
        if changed == text:
            changed = masked(text, split_hits(text))
        if changed == text:
            return text
        text = changed
    return text


def masked(text: str, hits: Iterable[Hit]) -> str:
    """Replace every hit by a mark; overlapping hits get one, of the kind that begins first and is longest."""
    spans = sorted((hit for hit in hits if hit[0] < hit[1]), key=lambda hit: (hit[0], -hit[1]))
    if not spans:
        return text
    marks = [match.span() for match in MARK.finditer(text)]
    place = 0
    pieces: list[str] = []
    done = 0
    merged: list[Hit] = []
    for start, end, kind in spans:
        while place < len(marks) and marks[place][1] <= start:
            place += 1
        if place < len(marks) and marks[place][0] <= start and end <= marks[place][1]:
            continue
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]), merged[-1][2])
        else:
            merged.append((start, end, kind))
    for start, end, kind in merged:
        pieces += [text[done:start], f"[redacted:{kind}]"]
        done = end
    return "".join([*pieces, text[done:]])
