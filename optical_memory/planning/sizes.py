"""Sizes of turns that nobody lays out: estimated pages and tokens, and units found by reading back from a turn.

Turns are read in blocks, so that a log of any length is measured in the memory of one block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..archive.undrawn import Undrawn
from ..pages.page import PageStyle
from ..profiles.pricing import Pricing
from ..turns.exchanges import starts_exchange, units_of
from ..turns.turn import DocumentContent, Turn

__all__ = ["BLOCK", "Sizes", "Tally", "blocks", "newest_units", "units_from"]

BLOCK = 200  # turns read at a time
SAMPLE = 31  # of so many turns one is counted exactly; odd, so that both speakers' turns are among them
LINES_BESIDE = 1.5  # lines of a column that a turn takes beside its characters: its head, and what is left of its last line
PICTURE = 0.5  # of a page that an image in a turn takes
FAR = 2_000  # turns back that the call of a tool result is searched for
NEAR = 64  # turns back that the beginning of an exchange is searched for

Read = Callable[[int, int], Sequence[Turn]]  # the turns with start <= number < stop


@dataclass(slots=True)
class Tally:
    """Turns measured so far."""

    turns: int = 0
    size: float = 0.0
    tokens: int = 0
    counted_size: float = 0.0
    importance: float = 0.0
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, other: Tally) -> None:
        """Add turns that come after those so far."""
        self.oldest = self.oldest if self.turns else other.oldest
        self.newest = other.newest if other.turns else self.newest
        self.importance = max(self.importance, other.importance)
        self.turns, self.size = self.turns + other.turns, self.size + other.size
        self.tokens, self.counted_size = self.tokens + other.tokens, self.counted_size + other.counted_size

    def as_range(self, first: int, last: int) -> Undrawn:
        """Return the turns as the range first to last, no page number kept free. Tokens not counted follow from the size."""
        tokens = round(self.tokens * self.size / self.counted_size) if self.counted_size else 0
        return Undrawn(first, last, self.turns, 0, self.size, tokens, self.importance, self.oldest, self.newest)


class Sizes:
    """Measures turns for one reader and style."""

    def __init__(self, pricing: Pricing, style: PageStyle) -> None:
        self._pricing = pricing
        wide, high = style.cell
        line = (style.width - 2 * style.margin - (style.columns - 1) * style.gutter) * style.scale / wide  # characters
        self._page = max(1.0, line * (style.height - 2 * style.margin) * style.scale / high)
        self._beside = LINES_BESIDE * line / style.columns

    def size(self, turn: Turn) -> float:
        """Estimate the pages that a turn fills: those of its documents, and its words."""
        if turn.documents:
            rest = tuple(part for part in turn.parts if not isinstance(part, DocumentContent))
            beside = self.size(turn.model_copy(update={"content": rest})) if rest else 0.0
            return beside + sum(len(part.pages) for part in turn.documents)
        text = turn.text
        characters = len(text) if text.isascii() else (len(text) + len(text.encode("utf-8", "surrogatepass"))) / 2  # ideographs are wide
        pictures = 0 if isinstance(turn.content, str) else len(turn.images)
        return (characters + self._beside) / self._page + PICTURE * pictures

    def tally(self, turns: Iterable[Turn], *, sampled: bool = False) -> Tally:
        """Measure turns. With `sampled`, count the tokens of the first and of every 31st only."""
        found = Tally()
        for place, turn in enumerate(turns):
            size = self.size(turn)
            counted = not sampled or place % SAMPLE == 0
            tokens = self._pricing.cost(turn) if counted else 0
            found.add(Tally(1, size, tokens, size if counted else 0.0, turn.importance, turn.created_at, turn.created_at))
        return found


def blocks(read: Read, first: int, stop: int) -> Iterator[Sequence[Turn]]:
    """Yield the turns with first <= number < stop, some at a time, oldest first."""
    for start in range(first, stop, BLOCK):
        yield read(start, min(start + BLOCK, stop))


def newest_units(read: Read, first: int, stop: int, measure: Callable[[Turn], float], enough: float) -> list[Turn]:
    """Return the newest turns with first <= number < stop that measure `enough` together, and more up to where an exchange begins.

    Where no exchange begins near, from a unit's beginning on. All, if they measure less.
    """
    held: list[Turn] = []
    start, step = stop, BLOCK
    while start > first:
        begin = max(first, start - step)
        held, start, step = [*read(begin, start), *held], begin, 2 * step
        place = _beginning(held, measure, enough)
        if place is not None and (place > 0 or start == first) and (start == first or _is_whole(held, place)):
            return held[place:]
    return held


def units_from(read: Read, number: int, first: int, stop: int, measure: Callable[[Turn], float], enough: float) -> list[Turn]:
    """Return the unit that holds turn `number`, of the turns with first <= number < stop, and units after it until they measure `enough`.

    Empty if there is no such turn. A unit that is longer than `NEAR` turns is cut.
    """
    end = min(stop, number + NEAR)
    near = units_of(read(max(first, number - NEAR), end))
    found: list[Turn] = []
    for unit in near:
        is_cut = unit is near[-1] and end < stop
        if unit[-1].number >= number and (not found or (not is_cut and sum(map(measure, found)) < enough)):
            found += unit
    return found if any(turn.number == number for turn in found) else []


def _beginning(turns: Sequence[Turn], measure: Callable[[Turn], float], enough: float) -> int | None:
    """Return the place from which on turns measure enough and begin an exchange, or a unit; None if they measure less."""
    total, place = 0.0, len(turns)
    while total < enough and place > 0:
        place -= 1
        total += measure(turns[place])
    if total < enough:
        return None
    starts: list[int] = []
    at = 0
    for unit in units_of(turns):
        if at <= place:
            starts.append(at)
        at += len(unit)
    near = [at for at in starts if at >= place - NEAR and starts_exchange(turns[at])]
    return near[-1] if near else starts[-1]


def _is_whole(turns: Sequence[Turn], place: int) -> bool:
    """Whether every result from `place` on has its call there; a call is not searched for further back than `FAR` turns."""
    made = {call.id for turn in turns[place:] for call in turn.tool_calls}
    return place > FAR or all(call_id in made for turn in turns[place:] for call_id in turn.answered_calls)
