"""The sidecar: a page's exact strings as text beside it.

A reader of an image corrects prose and guesses ids. So what cannot be guessed is sent as text: ids, hashes, amounts, dates, addresses,
paths, versions, flags, constants, and other strings with confusable characters (`confusables`).
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from .confusables import doubt
from .exact_patterns import spans_in
from .labels import label_text

__all__ = ["exact_strings", "sidecar_of"]

ENOUGH_BITS = 60.0  # impossible to guess; more bits add no value
LEAST_BITS = 7.0  # easier to guess than this is not worth the tokens
WORD_BITS, YEAR_BITS = 3.0, 4.0
SEPARATOR_TOKENS = 1  # between two strings of a sidecar

_SHORT_WORDS = (
    "jan feb mar apr may jun jul aug sep oct nov dec am pm st nd rd th of the and for not www com org net io py js ts json html css xml "
    "md txt yml ms kg km cm mm kb mb gb tb usd eur gbp id ids get set url api src lib bin usr etc tmp var opt dev env doc docs est utc"
)
_COMMON_SHORT = frozenset(_SHORT_WORDS.split())
_LOWER, _UPPER = r"[A-Z]?[a-z]++(?![^\W\d_A-Za-z])", r"[A-Z]+(?![^\W\d_A-Z])"  # the humps of a name in camel case
_RUNS = re.compile(rf"\d+|{_LOWER}|{_UPPER}|[^\W\d_]+?(?=[A-Z\W\d_]|$)|[\W_]")


def exact_strings(text: str) -> list[str]:
    """Return the strings in `text` that must not be misread, in order of appearance, each once; of overlapping ones the longer.

    Strings of more than 200 characters are left out.
    """
    return list(dict.fromkeys(string for _, string in _found(text)))


def sidecar_of(
    texts: Iterable[str], *, max_tokens: int, count: Callable[[str], int], seen: Mapping[str, int] | None = None
) -> tuple[str, ...]:
    """Return the exact strings of a page, rarest and hardest to guess first, as many as `max_tokens` allow.

    Args:
        texts: the texts of the page's turns, in order.
        max_tokens: most tokens of all strings, including one per separator.
        count: counts tokens.
        seen: how often each string occurs on other pages of the session; common ones come later.

    A string inside a kept one is dropped. Of equals the earlier comes first. Deterministic.
    """
    times = Counter(string for text in texts for _, string in _found(text))  # a dict: in order of appearance
    worth = {string: _worth(string, number + (seen or {}).get(string, 0)) for string, number in times.items()}
    ranked = sorted((string for string in worth if worth[string] >= LEAST_BITS), key=lambda string: -worth[string])
    kept: dict[str, int] = {}
    left = max_tokens
    for string in ranked:
        if left <= SEPARATOR_TOKENS:
            break
        if any(string in other for other in kept):
            continue
        inside = [other for other in kept if other in string]
        cost = count(string) + SEPARATOR_TOKENS - sum(kept[other] for other in inside)
        if cost <= left:
            left -= cost
            kept = {other: tokens for other, tokens in kept.items() if other not in inside}
            kept[string] = cost + sum(kept.get(other, 0) for other in inside)
    return tuple(dict.fromkeys(map(label_text, kept)))  # an amount may have a line feed before its unit


def _found(text: str) -> list[tuple[int, str]]:
    """Find strings and their offsets, without overlaps: longer ones win."""
    candidates = sorted(spans_in(text), key=lambda span: (span[0] - span[1], span[0]))
    taken: list[tuple[int, int]] = []
    for start, end in candidates:
        place = bisect_left(taken, (start, end))
        if (place == 0 or taken[place - 1][1] <= start) and (place == len(taken) or taken[place][0] >= end):
            taken.insert(place, (start, end))
    return [(start, text[start:end]) for start, end in taken]


def _worth(string: str, times: int) -> float:
    """Estimate the value of a string in bits: those to guess it, and its doubt (`confusables`), less what its repetitions tell."""
    return _bits(string) - 2 * math.log2(times)


@lru_cache(maxsize=8_192)
def _bits(string: str) -> float:
    return min(sum(map(_run_bits, _RUNS.findall(string))) + doubt(string), ENOUGH_BITS)


def _run_bits(run: str) -> float:
    """Estimate the bits of a run of digits, of letters, or of one symbol: log2(10) per digit, 4 per letter of a code, 3 for a word."""
    if run.isdigit():
        telling = len(run.rstrip("0"))
        return YEAR_BITS if re.fullmatch(r"(?:19|20)\d\d", run) else math.log2(10) * telling + 0.5 * (len(run) - telling)
    if not run.isalpha():
        return 0.5
    spelled = run.islower() if len(run) == 3 else len(run) > 3 and (run.isupper() or run[1:].islower())
    wordlike = spelled and any(char in "aeiouyAEIOUY" for char in run)
    return WORD_BITS if wordlike or run.lower() in _COMMON_SHORT or not run.isascii() else 4.0 * len(run)
