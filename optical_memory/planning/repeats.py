"""Repeated words: which turns are drawn as a reference to a later turn with the same words, and whether a plan keeps that turn.

A reference is only as good as the turn that it names, so that turn must be in every context that shows the reference, as text or on pages
no fainter. Hence references lead forward, to the newest copy known when a page is sealed: pages fade and leave oldest first. And the named
turn is never a reference itself. Where pins, importance, prices or a verifier reverse that order, `unresolved` finds it, and the pages
are drawn again in full.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet

from ..archive.page_archive import PageArchive
from ..archive.page_runs import PageRun
from ..context.plan import Plan, TextItem
from ..pages.page import Page, referents_of
from ..pages.tiers import Tier
from ..renderers.document.long_units import is_long
from ..turns.exchanges import units_of
from ..turns.repeated import Words, words_of_turn
from ..turns.turn import Turn
from .candidates import PageCandidate, TextCandidate

__all__ = ["LEAST_CHARACTERS", "References", "referred_to", "unresolved"]

LEAST_CHARACTERS = 120  # without white space: two rows of a column. A reference takes up to a row itself, and has to be looked up


class References:
    """Chooses the references of one re-plan.

    Args:
        owed: returns the turns from a number on that sealed pages refer to, so that they are drawn in full; see `referred_to`.
    """

    def __init__(self, owed: Callable[[int], Collection[int]]) -> None:
        self._owed, self._in_full = owed, set[int]()
        self._known_from: int | None = None  # owed turns are known from here on
        self._words: dict[int, Words | None] = {}
        self._newest: dict[Words, int] = {}  # of the turns drawn in full so far

    def choose(self, turns: Sequence[Turn], loose: Sequence[Turn]) -> dict[int, int]:
        """Return which of the `turns` that are drawn next become references, each with the number of the turn that has its words.

        Args:
            loose: turns that are text. All others that a reference may name were passed as `turns` before, or are among them.
        """
        newest = dict(self._newest)
        self._read([*turns, *loose])
        for turn in (*turns, *loose):
            if words := self._words.get(turn.number):
                newest[words] = max(turn.number, newest.get(words, 0))
        said = {turn.number: words for turn in turns if (words := self._words.get(turn.number))}
        repeating = {number: newest[words] for number, words in said.items() if newest[words] > number}
        start = min(repeating, default=None)
        if start is not None and (self._known_from is None or start < self._known_from):
            self._in_full.update(self._owed(start))
            self._known_from = start
        same = {number: other for number, other in repeating.items() if number not in self._in_full}
        self._in_full.update(same.values())
        for number, words in said.items():
            if number not in same:
                self._newest[words] = max(number, self._newest.get(words, 0))
        return same

    def _read(self, turns: Sequence[Turn]) -> None:
        """Learn the words of turns, except of long units: only sections of those are drawn, so their words may be on no page."""
        for unit in units_of(sorted(turns, key=lambda turn: turn.number)):
            long = any(turn.number not in self._words for turn in unit) and is_long(unit)
            for turn in unit:
                if turn.number not in self._words:
                    words = words_of_turn(turn) if not long and len(turn.text) >= LEAST_CHARACTERS else None
                    self._words[turn.number] = words if words and _has_rows(words) else None


def _has_rows(words: Words) -> bool:
    return sum(len(piece) for text, _ in words[1] for piece in text.split()) >= LEAST_CHARACTERS


def referred_to(archive: PageArchive, runs: Sequence[PageRun], start: int) -> set[int]:
    """Return the turns from number `start` on that sealed pages refer to. Raises `PagesLost`."""
    pages = archive.pages([run for run in runs if run.reach >= start])
    return set(referents_of(pages).values())


def unresolved(
    plan: Plan, candidates: Sequence[PageCandidate | TextCandidate], tail: Sequence[Turn], page_of: Callable[[str], Page]
) -> set[int]:
    """Return the runs, by their first turn, of shown pages with a reference that cannot be followed in the plan's context.

    Args:
        candidates: what the plan chose from.
        tail: the turns after them.
        page_of: returns the page of a candidate by key.
    """
    shown = {item.key: item.tier for item in plan.pages}
    referring = [
        (candidate.run, shown[candidate.key], page_of(candidate.key).same_as)
        for candidate in candidates
        if isinstance(candidate, PageCandidate) and candidate.key in shown
    ]
    referents = {reference.of for _, _, references in referring for reference in references}
    if not referents:
        return set()
    sharpness = _sharpness(plan, candidates, tail, page_of, referents)
    return {
        run
        for run, tier, references in referring
        for reference in references
        if (found := sharpness.get(reference.of)) is None or found < tier
    }


def _sharpness(
    plan: Plan,
    candidates: Sequence[PageCandidate | TextCandidate],
    tail: Sequence[Turn],
    page_of: Callable[[str], Page],
    referents: AbstractSet[int],
) -> dict[int, Tier | None]:
    """Return the faintest tier at which the words of each of `referents` are shown.

    The sharpest for text; None if part of them is not shown.
    """
    shown = {item.key: item.tier for item in plan.pages}
    found: dict[int, Tier | None] = {}
    for candidate in candidates:
        if isinstance(candidate, PageCandidate) and not referents.isdisjoint(candidate.turns):
            page = page_of(candidate.key)
            tier = shown.get(candidate.key) if not page.section else None  # other sections may not be drawn
            elsewhere = {reference.turn for reference in page.same_as}
            for number in candidate.turns:
                found[number] = _fainter(found.get(number, tier), None if number in elsewhere else tier)
    return found | dict.fromkeys(_as_text(plan, candidates, tail, referents), max(Tier))


def _fainter(one: Tier | None, other: Tier | None) -> Tier | None:
    return None if one is None or other is None else min(one, other)


def _as_text(
    plan: Plan, candidates: Sequence[PageCandidate | TextCandidate], tail: Sequence[Turn], numbers: AbstractSet[int]
) -> Iterator[int]:
    """Yield those of the turns `numbers` that are text in the plan's context."""
    yield from (turn.number for turn in tail)
    texts = [(item.first, item.last) for item in plan.items if isinstance(item, TextItem)]
    told = {number for candidate in candidates for number in candidate.turns if number in numbers}
    yield from (number for number in told if any(first <= number <= last for first, last in texts))
