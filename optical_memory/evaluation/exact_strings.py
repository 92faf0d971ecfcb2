"""Exact strings at every tier: is each in a sidecar, in text, or found by recall?

Images are not read here. A string that a reader cannot read must be found by a turn number that is text in the request (the label of a
page, the ranges left out), or by the string itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ..context.context import Context, PagePart
from ..memory.optical_memory import OpticalMemory
from ..pages.page import referents_of
from ..text.exact_strings import exact_strings
from ..turns.turn import Turn

__all__ = ["PLACES", "found_by_search", "places_of", "strings_of"]

PLACES = ("as text", "in a sidecar", "by number", "nowhere")
_NAMED = re.compile(r"#(\d+)(?:\(continued\))?(?:-#?(\d+))?")


def strings_of(turns: Sequence[Turn]) -> dict[int, list[str]]:
    """Return the exact strings of each turn, by its number."""
    return {turn.number: exact_strings(turn.text) for turn in turns}


def found_by_search(memory: OpticalMemory, strings: Mapping[int, Sequence[str]]) -> int:
    """Count the strings for which `recall` of the string itself returns a turn that contains it literally."""
    held = {string: any(string in turn.text for turn in memory.recall(string)) for found in strings.values() for string in set(found)}
    return sum(held[string] for found in strings.values() for string in found)


def places_of(memory: OpticalMemory, context: Context, strings: Mapping[int, Sequence[str]]) -> Counter[str]:
    """Count where the strings of each turn are found from a context, each at the first of `PLACES`."""
    as_text = {turn.number for turn in context.turns}
    named, referents = _numbers_named(context), referents_of(part.page for part in context.pages)
    beside: dict[int, list[str]] = {}
    for part in context.pages:
        for segment in part.page.segments:
            beside.setdefault(segment.turn, []).append(part.text)
    found: Counter[str] = Counter()
    for number, exact in strings.items():
        recalled = memory.recall(number)[0].text if number in named else ""
        for string in exact:
            if referents.get(number, number) in as_text:
                found["as text"] += 1
            elif any(string in text for text in beside.get(referents.get(number, number), ())):
                found["in a sidecar"] += 1
            else:
                found["by number" if string in recalled else "nowhere"] += 1
    return found


def _numbers_named(context: Context) -> set[int]:
    """Return the turn numbers that are text in the request: in the labels of its pages, and in the ranges left out."""
    labels = [part.text.partition("]")[0] for part in context.parts if isinstance(part, PagePart)]
    said = [*labels, *re.findall(r"Turns left out: [^.]*", context.framing)]
    spans = [(int(match[1]), int(match[2] or match[1])) for text in said for match in _NAMED.finditer(text)]
    return {number for first, last in spans for number in range(first, last + 1)}
