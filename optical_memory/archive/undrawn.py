"""Ranges of turns that no page holds yet: known by their size, drawn once a plan is to show them.

One small record per layout, beside the runs. It holds numbers and times, none of the turns' words. It may be lost: the log is measured
again then. Where it contradicts the sealed runs, those are right.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from math import ceil

from .page_runs import PageRun

__all__ = [
    "PREFIX",
    "Undrawn",
    "decode_undrawn",
    "encode_undrawn",
    "handed_over",
    "kept_free",
    "merged",
    "page_numbers",
    "with_erased",
    "without",
]

PREFIX = "undrawn/"
VERSION = 1
MOST = 10**12  # pages, tokens


@dataclass(frozen=True, slots=True)
class Undrawn:
    """Turns first to last, not drawn yet.

    Attributes:
        turns: how many there are; erased numbers do not count.
        pages: page numbers kept free for them, more than they should need, so that pages after them keep theirs.
        size: estimated number of pages.
        text_tokens: estimated cost as plain text.
        importance: the greatest importance of its turns.
        oldest, newest: times of the first and the last turn, if known.
        is_stored: whether it comes from the store, so that pages after it may have been sent with their numbers. Once all its turns are
            drawn or erased, it stays without turns, and `first` is the first turn of the page before which numbers are free.
    """

    first: int
    last: int
    turns: int
    pages: int
    size: float
    text_tokens: int
    importance: float = 0.5
    oldest: datetime | None = None
    newest: datetime | None = None
    is_stored: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        is_range = 1 <= self.first <= self.last and 0 <= self.turns <= self.last - self.first + 1
        if not is_range or not all(0 <= number <= MOST for number in (self.pages, self.size, self.text_tokens)):
            raise ValueError(f"no range of turns: {self!r}")

    def holds(self, number: int) -> bool:
        """Whether a turn's number is in the range."""
        return self.first <= number <= self.last

    def part(self, first: int, last: int, *, share: float, left: Undrawn) -> Undrawn:
        """Return turns first to last with a `share` of what is `left` of this range."""
        turns = min(round(share * left.turns), last - first + 1)
        pages, tokens = round(share * left.pages), round(share * left.text_tokens)
        return replace(self, first=first, last=last, turns=turns, pages=pages, size=share * left.size, text_tokens=tokens)

    def fewer(self, pages: int) -> Undrawn:
        """Return the range with so many page numbers less kept free."""
        return replace(self, pages=max(0, self.pages - pages))

    def spent(self, first: int, pages: int) -> list[Undrawn]:
        """Return what stays of the range when no turn is left of it: `pages` free numbers before turn `first`, if they count."""
        spent = replace(self, first=first, last=first, turns=0, pages=pages, size=0.0, text_tokens=0)
        return [spent] if pages > 0 and self.is_stored else []


def merged(ranges: Iterable[Undrawn], alone: Collection[int] = ()) -> list[Undrawn]:
    """Sort ranges, and merge those with nothing between them, except ranges that begin with a turn of `alone` with those before them."""
    found: list[Undrawn] = []
    for each in sorted(ranges, key=lambda each: each.first):
        if found and found[-1].last + 1 == each.first and each.first not in alone:
            found[-1] = _joined(found[-1], each)
        else:
            found.append(each)
    return found


def _joined(one: Undrawn, other: Undrawn) -> Undrawn:
    return Undrawn(
        one.first,
        other.last,
        one.turns + other.turns,
        one.pages + other.pages,
        one.size + other.size,
        one.text_tokens + other.text_tokens,
        max(one.importance, other.importance),
        one.oldest,
        other.newest,
        one.is_stored or other.is_stored,
    )


def without(ranges: Sequence[Undrawn], taken: Sequence[PageRun]) -> list[Undrawn]:
    """Return what is left of `ranges` beside the turns `taken`, which are on pages, or text; with the page numbers that those do not use.

    Between two that are taken, sizes are shared out by the numbers of turns.
    """
    found: list[Undrawn] = []
    for each in ranges:
        inside = sorted(run for run in taken if run.first <= each.last and each.first <= run.last)
        found += _without(each, inside) if inside and each.turns else [each]
    return found


def _without(whole: Undrawn, inside: Sequence[PageRun]) -> list[Undrawn]:
    gaps: list[tuple[int, int]] = []
    start = whole.first
    for run in inside:
        if run.first > start:
            gaps.append((start, run.first - 1))
        start = max(start, run.last + 1)
    if start <= whole.last:
        gaps.append((start, whole.last))
    numbers = sum(last - first + 1 for first, last in gaps)
    turns = min(numbers, max(0, whole.turns - sum(run.turns for run in inside)))
    pages = max(0, whole.pages - sum(run.pages for run in inside))
    if not turns:
        return whole.spent(inside[0].first, pages)
    tokens = max(0, whole.text_tokens - sum(run.text_tokens for run in inside))
    size = whole.size * min(1.0, tokens / whole.text_tokens if whole.text_tokens else turns / whole.turns)
    left = replace(whole, turns=turns, pages=pages, size=size, text_tokens=tokens)
    parts = [whole.part(first, last, share=(last - first + 1) / numbers, left=left) for first, last in gaps]
    return _exact(parts, turns)


def _exact(parts: list[Undrawn], turns: int) -> list[Undrawn]:
    """Correct the rounded numbers of turns, so that they add up to `turns`."""
    missing = turns - sum(part.turns for part in parts)
    for place, part in enumerate(parts):
        most = part.last - part.first + 1
        step = max(-part.turns, min(missing, most - part.turns))
        parts[place], missing = replace(part, turns=part.turns + step), missing - step
    return [each for part in parts for each in ([part] if part.turns else part.spent(part.first, part.pages))]


def handed_over(ranges: Sequence[Undrawn], empty: Undrawn) -> list[Undrawn]:
    """Return the ranges without `empty`, whose numbers are all erased; its turns go to others that have room for them."""
    found = [each for each in ranges if each != empty]
    left = empty.turns
    for place, each in enumerate(found):
        if each.turns and (more := min(left, each.last - each.first + 1 - each.turns)):
            found[place] = replace(each, turns=each.turns + more)
            left -= more
    return found


def with_erased(ranges: Sequence[Undrawn], numbers: Iterable[int]) -> list[Undrawn]:
    """Return the ranges after the turns `numbers` were erased."""
    found: list[Undrawn] = []
    for each in ranges:
        left = each.turns - sum(each.holds(number) for number in set(numbers))
        if left > 0:
            share = left / each.turns
            found.append(replace(each, turns=left, size=share * each.size, text_tokens=round(share * each.text_tokens)))
        else:
            found += each.spent(each.first, each.pages)
    return found


def page_numbers(runs: Sequence[PageRun], ranges: Sequence[Undrawn]) -> Mapping[int, int]:
    """Return the number of the first page of each run, by the run's first turn: counted from 1, numbers kept free included."""
    numbers: dict[int, int] = {}
    count = 1
    stretches: list[PageRun | Undrawn] = [*runs, *ranges]
    for each in sorted(stretches, key=lambda each: (each.first, isinstance(each, PageRun))):
        if isinstance(each, PageRun):
            numbers[each.first] = count
        count += each.pages
    return numbers


def encode_undrawn(ranges: Sequence[Undrawn]) -> bytes:
    """Encode the record of a layout."""
    return json.dumps({"v": VERSION, "ranges": [_to_json(each) for each in ranges]}, separators=(",", ":")).encode("ascii")


def decode_undrawn(data: bytes | None, length: int) -> list[Undrawn]:
    """Decode a record for a log of `length` turns. What cannot be right is dropped: its turns are measured again."""
    with suppress(ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        record = json.loads(data or b"{}")
        if record.get("v") == VERSION:
            ranges = sorted((_from_json(each) for each in record["ranges"]), key=lambda each: each.first)
            disjoint = all(one.last < other.first for one, other in pairwise(each for each in ranges if each.turns))
            return [each for each in ranges if each.last <= length] if disjoint else []
    return []


def _to_json(each: Undrawn) -> list[object]:
    times = [moment and moment.isoformat() for moment in (each.oldest, each.newest)]
    return [each.first, each.last, each.turns, each.pages, round(each.size, 3), each.text_tokens, each.importance, *times]


def _from_json(values: Sequence[object]) -> Undrawn:
    first, last, turns, pages, size, tokens, importance, *times = values
    oldest, newest = (datetime.fromisoformat(str(moment)) if moment else None for moment in times)
    whole = [int(str(number)) for number in (first, last, turns, pages, tokens)]
    return Undrawn(
        whole[0], whole[1], whole[2], whole[3], float(str(size)), whole[4], float(str(importance)), oldest, newest, is_stored=True
    )


def kept_free(size: float) -> int:
    """Return how many page numbers to keep free for an estimated number of pages."""
    return ceil(2 * size) + 1
