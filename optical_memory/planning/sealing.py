"""The turns of a session during one re-plan: on pages, not drawn yet, or loose, which is text.

Turns leave the text as ranges that are not drawn. What a plan wants to show of them is drawn then, from the newest on; the rest is planned
from its size, and may be drawn by any later plan.
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from typing import NamedTuple

from ..archive.page_archive import PageArchive
from ..archive.page_runs import PageRun, PagesLost
from ..archive.undrawn import PREFIX, Undrawn, handed_over, kept_free, merged, without
from ..errors import RenderError
from ..pages.page import PageStyle
from ..profiles.pricing import Pricing
from ..stores.base import Readable, SessionId
from ..text.excerpts import said
from ..turns.attached import last_page_of
from ..turns.exchanges import is_document, starts_exchange, units_of
from ..turns.turn import Turn
from .repeats import References, referred_to
from .screening import Screening
from .sizes import BLOCK, Sizes, Tally, blocks, newest_units, units_from
from .triggers import LONG_EXCHANGE, WaterMarks

__all__ = ["Sealing", "Shortened", "Wanted"]

GAUGED, GAUGED_TEXT = 0.25, 3_000  # about so many pages of turns, of which so many characters each, tell how a renderer packs
SMALL_REST = 2.0  # pages; a rest that is this small, or a quarter of what is wanted, is drawn too, so that pages begin where it begins
NEWEST = 1.2  # pages drawn first at an open end of a long range: one, and what an estimate may be wrong by, which stays text
LEAST_DENSITY = 0.01
RETURNING = 0.4  # of a page of text, about as much as does not fill one at an open end
LABEL = "[p123 #123456-123465 2026-01-01]"
RECENT = 64  # runs that tell how many pages a text needs

Wanted = Sequence[tuple[Undrawn, int]]  # how many pages to draw of each range, from its newest turn back


class Shortened(NamedTuple):
    """The run of a long unit that is drawn in part, and the tokens of what is not drawn."""

    run: PageRun
    tokens: int


class Sealing:
    """The pages, the ranges not drawn and the loose turns of a session.

    Of the newest turns, more are held than may stay text: as many tokens as the budget, or as four times the high-water mark. Older ones
    are measured block by block, and not kept in memory.

    Args:
        archive: opens the session's pages; called only when needed, since it may start a browser.
        length: the log's length when the re-plan began; newer turns are read only if they are on pages already.
        draws: False for a reader without usable tiers; nothing is sealed for it.
        marks: the water marks within the budget.
        pins: numbers of the pinned turns.
        screen: keep the units of turns that ask to be obeyed off pages.
        repeats: whether turns may be drawn as references to later ones; see `repeats`.

    Attributes:
        length: length of the log that the plan covers.
        draws: whether turns can become pages; False once a renderer has failed.
        runs: runs of pages, in order.
        undrawn: ranges of turns not drawn, in order.
        loose: turns that are on no page and in no range, oldest first.
        label: what stands beside a page that is not drawn, about.
        redrawn: runs that were drawn again in full.
    """

    def __init__(
        self,
        store: Readable,
        session: SessionId,
        archive: Callable[[], PageArchive],
        pricing: Pricing,
        style: PageStyle,
        *,
        length: int,
        draws: bool,
        marks: WaterMarks,
        budget: int | None,
        pins: Sequence[int] = (),
        screen: bool = False,
        repeats: bool = True,
    ) -> None:
        self._store, self._session, self._archive = store, session, archive
        self._pricing, self._sizes, self._pins, self._budget = pricing, Sizes(pricing, style), tuple(pins), budget
        self.draws = draws
        self.runs = archive().runs() if store.names(session, "run/") else []
        self.length = max(length, self.end)  # another process may have sealed newer turns meanwhile
        self.recorded = archive().undrawn(self.runs, self.length) if draws and store.names(session, PREFIX) else []
        self._spent = [each for each in self.recorded if not each.turns]
        self.undrawn = [each for each in self.recorded if each.turns]
        self.loose: list[Turn] = []
        self.redrawn: list[PageRun] = []
        self._references = References(lambda start: referred_to(archive(), self.runs, start)) if repeats else None
        self._screening = Screening(on=screen)
        self._gauge, self.label = 0.0, LABEL
        self._open_end = 0  # the last turn that left the text; what fills no page before it may return
        self._read_loose(max(LONG_EXCHANGE * marks.high, budget or 0) if draws else budget)

    @property
    def end(self) -> int:
        """Number of the last turn on a page; 0 without pages."""
        return self.runs[-1].last if self.runs else 0

    @property
    def numbered(self) -> list[Undrawn]:
        """What keeps page numbers free: ranges, also those without a turn left."""
        return [*self.undrawn, *self._spent]

    def tail(self) -> list[Turn]:
        """Loose turns after all pages and ranges."""
        end = max([self.end, *(each.last for each in self.undrawn[-1:])])
        return [turn for turn in self.loose if turn.number > end]

    def kept_off_pages(self) -> set[int]:
        """Numbers of turns that always stay text: the opening system turns and the current request."""
        request = [turn for turn in self.loose if starts_exchange(turn)][-1:]
        return {turn.number for turn in (*_opening(self.loose), *request)}

    @property
    def screened(self) -> set[int]:
        """Numbers of the loose turns that ask to be obeyed; none unless they are screened."""
        return {turn.number for turn in self.loose if self._screening.asks(turn)}

    def density(self, each: Undrawn) -> float:
        """Estimate how many pages a page's worth of a range becomes, from the newest pages of the session."""
        recent = self.runs[-RECENT:]
        tokens = sum(run.text_tokens for run in recent)
        if not tokens or not each.size or not each.text_tokens:
            return self._gauge or 1.0
        return sum(run.pages for run in recent) / tokens * each.text_tokens / each.size

    def gauge(self) -> bool:
        """Find out how the renderer packs, if no page tells yet, by drawing some of the newest turns; whether that is known only now."""
        if self.runs or self._gauge or not self.undrawn:
            return False
        last = self.undrawn[-1]
        page = newest_units(self._read, last.first, last.last + 1, self._sizes.size, 1.0)[-BLOCK:]
        self._gauge = 1.0
        with suppress(RenderError):  # shows again when pages are drawn
            if is_document(page[-1]):  # its pages are its own, and tell nothing of how turns are packed
                page = [last_page_of(page[-1])]
            else:
                self._gauge = max(self._filled(page), LEAST_DENSITY)
            self.label = " | ".join([LABEL, *self._archive().sidecar(page)])
        self.undrawn = [replace(each, pages=kept_free(self._gauge * each.size)) for each in self.undrawn]  # no page has a number yet
        return True

    def leave_text(self, start: int) -> None:
        """Move loose turns before `start` into ranges that are not drawn, except those that stay text."""
        if not self.draws:
            return
        kept = self.kept_off_pages() | self._screening.kept(self.loose)
        before = [turn for turn in self.loose if turn.number < start]
        leaving = [turn for turn in before if turn.number not in kept]
        if leaving and leaving[-1] is before[-1] and leaving[-1].number > self.end:
            self._open_end = leaving[-1].number
        ranges = list(map(self._range_of, self._groups(leaving, kept)))
        begin = {run.first for run in self.runs}
        lost = {each.first for each in ranges if each.last + 1 in begin}  # what stood on pages is drawn again as it was
        self.undrawn = merged([*self.undrawn, *ranges], lost)
        self._keep_loose([turn for turn in self.loose if turn.number >= start or turn.number in kept])

    def undoing(self) -> Callable[[], None]:
        """Return a function that makes the split between loose and undrawn turns what it is now."""
        undrawn, spent, loose = list(self.undrawn), list(self._spent), list(self.loose)

        def undo() -> None:
            self.undrawn, self._spent, self.loose = undrawn, spent, loose

        return undo

    def return_newest(self, tokens: int) -> bool:
        """Make the newest turns that left the text undrawn loose again, whole units in at most `tokens`; whether there are any.

        There are none where a page is newer: text in front of it would be read as older than it is.
        """
        last = self.undrawn[-1] if self.undrawn else None
        if last is None or last.last < self.end or tokens <= 0:
            return False
        turns: list[Turn] = []
        for unit in reversed(units_of(newest_units(self._read, last.first, last.last + 1, self._pricing.cost, tokens))):
            tokens -= self._pricing.total(unit)
            if tokens < 0:
                break
            turns = [*unit, *turns]
        if turns:
            self._take(turns)
        return bool(turns)

    def is_open(self, each: Undrawn) -> bool:
        """Whether the text goes on right after a range, so that turns that fill no page may return to it."""
        return each.last == self._open_end

    def returning(self) -> int:
        """Estimate the tokens that will return to the text because they fill no page; 0 if nothing is left to draw at an open end."""
        found = [each for each in self.undrawn if self.draws and self.is_open(each)]
        return sum(round(each.text_tokens * min(1.0, RETURNING / (each.size * self.density(each) or 1.0))) for each in found)

    def fills_page(self, tokens: int) -> bool:
        """Whether so many tokens of text like that at the end fill a page."""
        found = self._sizes.tally(self.tail())
        return tokens * found.size >= found.tokens

    def draw(self, wanted: Wanted, *, partial: bool) -> None:
        """Draw the newest pages of ranges. At an open end, turns that do not fill a page become loose again unless `partial`."""
        for each, pages in wanted:
            if self.draws and pages:
                density = self.density(each)
                is_rest_small = each.size * density - pages <= max(SMALL_REST, pages / 4)
                is_apart = self.is_open(each) and not partial  # the newest page begins where it is full before the text goes on
                enough = float("inf") if is_rest_small else (NEWEST if is_apart else pages) / density
                turns = newest_units(self._read, each.first, each.last + 1, self._sizes.size, enough)
                self._seal(each, turns, pages, seal_last=partial or not self.is_open(each))

    def draw_around(self, number: int) -> None:
        """Draw about a page, from the unit of turn `number` on. Raises `PagesLost` if it was erased meanwhile."""
        for each in [each for each in self.undrawn if each.holds(number)]:
            turns = units_from(self._read, number, each.first, each.last + 1, self._sizes.size, 1 / self.density(each))
            if not turns:
                raise PagesLost([], f"the pinned turn #{number} was erased meanwhile")
            self._seal(each, turns, 1, seal_last=True)

    def draw_in_full(self, firsts: Collection[int]) -> None:
        """Draw the runs that begin with one of these turns again, without references."""
        runs = [run for run in self.runs if run.first in firsts]
        self.redrawn += runs
        self._archive().discard(runs)
        for run in runs:
            turns = self._read(run.first, run.last + 1)
            left = self._not_drawn(turns, run.pages, seal_last=True, same={}) if turns and self.draws else turns
            self._keep_loose([*self.loose, *left])
        self.runs = self._archive().runs()
        if not self.draws:
            self._give_up()

    def lengthen(self, shown: Sequence[Shortened], others: Sequence[Shortened]) -> bool:
        """Draw more of the long units whose oldest page is shown; whether anything changed.

        The pages after a long unit keep their numbers when more of it is drawn: numbers are kept free for it before its own.
        """
        kept = {each.first for each in self._spent}
        new = [each for each in (*shown, *others) if each.run.first not in kept]
        self._spent += [_numbers_before(each) for each in new]
        return any([self._lengthen(each.run) for each in shown]) or bool(new)

    # -- internals -----------------------------------------------------------------------------------------------------------------

    def _filled(self, turns: Sequence[Turn]) -> float:
        """Return how many pages a page's worth of turns like these becomes, by drawing the beginnings of some of them."""
        short = [Turn(number=turn.number, role=turn.role, content=turn.text[:GAUGED_TEXT]) for turn in turns]
        while len(short) > 1 and self._sizes.tally(short[1:]).size > GAUGED:
            del short[0]
        return self._archive().filled(short) / self._sizes.tally(short).size

    def _read(self, start: int, stop: int) -> list[Turn]:
        return self._store.read(self._session, start, stop)

    def _range_of(self, turns: Sequence[Turn]) -> Undrawn:
        """Measure adjacent turns. Between pages, where pages were lost, as many numbers are free as they need; after all pages more."""
        found = self._sizes.tally(turns).as_range(turns[0].number, turns[-1].number)
        size = found.size * self.density(found)
        return replace(found, pages=kept_free(size) if found.last > self.end else max(1, round(size)))

    def _keep_loose(self, turns: Sequence[Turn]) -> None:
        self.loose = sorted(turns, key=lambda turn: turn.number)

    def _read_loose(self, hold: int | None) -> None:
        """Read the turns that no run and no range covers; of a long gap only the newest that cost `hold` tokens, and measure the others."""
        loose: list[Turn] = []
        for start, stop in _gaps(self.runs, self.undrawn, self.length):
            if hold is None or stop - start <= BLOCK:
                loose += self._read(start, stop)
                continue
            held = newest_units(self._read, start, stop, self._pricing.cost, hold)
            need_request = stop > self.length and not any(map(starts_exchange, held))
            loose += self._measure(start, held[0].number if held else stop, need_request=need_request) + held
        self._keep_loose(loose)
        self.undrawn = merged(self.undrawn, {each.first for each in self.recorded})
        if not self.draws:
            self._hold_pins()

    def _measure(self, start: int, stop: int, *, need_request: bool) -> list[Turn]:
        """Measure turns with start <= number < stop as ranges; return those that stay text: opening ones, and the last request."""
        opening = _opening(self._read(1, min(stop, BLOCK))) if start == 1 else []
        first = start + len(opening)
        request: list[Turn] = []
        before, after = Tally(), Tally()
        for block in blocks(self._read, first, stop):
            place = max((at for at, turn in enumerate(block) if starts_exchange(turn)), default=-1) if need_request else -1
            if place >= 0:
                for each in (after, self._sizes.tally(request), self._sizes.tally(block[:place], sampled=True)):
                    before.add(each)
                request, after = [block[place]], Tally()
            after.add(self._sizes.tally(block[place + 1 :], sampled=True))
        edge = request[0].number if request else first - 1
        found = [(before, first, edge - 1), (after, edge + 1, stop - 1)]
        for measured in [tally.as_range(start, end) for tally, start, end in found if tally.turns]:
            self.undrawn.append(replace(measured, pages=kept_free(measured.size * self.density(measured))))
        return opening + request

    def _seal(self, each: Undrawn, turns: Sequence[Turn], pages: int, *, seal_last: bool) -> None:
        """Draw turns of a range, of which about `pages` pages are wanted. What is on no page afterwards is loose.

        A range without turns is dropped: they were erased. What it was thought to hold is in the others, since sizes are shared out.
        """
        if not turns:
            self.undrawn = handed_over(self.undrawn, each)
            return
        same = self._references.choose(turns, self.loose) if self._references else {}
        self._take(self._not_drawn(turns, pages, seal_last=seal_last, same=same))
        if not self.draws:
            self._give_up()

    def _not_drawn(self, turns: Sequence[Turn], pages: int, *, seal_last: bool, same: Mapping[int, int]) -> list[Turn]:
        """Draw turns, with the references `same`, and return those that are on no page afterwards."""
        try:
            for group in self._screening.drawable(turns):
                self._archive().seal(group, pages=pages, seal_last=seal_last or group[-1] is not turns[-1], same=same)
        except PagesLost:
            raise
        except RenderError as exc:
            self._stop_drawing(turns[0].number, exc)
        self.runs = self._archive().runs()
        return [turn for turn in turns if not _is_covered(turn.number, self.runs)]

    def _stop_drawing(self, first: int, exc: RenderError) -> None:
        self.draws = False
        warnings.warn(f"turns from #{first} on stay text: {said(exc)}", RuntimeWarning, stacklevel=2)

    def _lengthen(self, run: PageRun) -> bool:
        try:
            added = self._archive().lengthen(run) if self.draws else 0
        except PagesLost:
            raise
        except RenderError as exc:
            self._stop_drawing(run.first, exc)
            return False
        self.runs = self._archive().runs()
        self._spent = [each.fewer(added) if each.first == run.first else each for each in self._spent]
        return added > 0

    def _take(self, turns: Sequence[Turn]) -> None:
        """Make adjacent turns of a range loose, and leave them and those on pages out of the ranges."""
        taken = PageRun(turns[0].number, turns[-1].number, 0, len(turns), self._pricing.total(turns)) if turns else None
        left = without(self.undrawn, [*self.runs, taken] if taken else self.runs)
        self._spent += [each for each in left if not each.turns]
        self.undrawn = [each for each in left if each.turns]
        self._keep_loose([*self.loose, *turns])

    def _give_up(self) -> None:
        """Make turns that cannot be drawn loose: all without a budget, else the newest that it has room for, and the pinned ones."""
        for each in reversed(self.undrawn):
            room = float("inf") if self._budget is None else self._budget - self._pricing.total(self.loose)
            if room > 0:
                self._take(newest_units(self._read, each.first, each.last + 1, self._pricing.cost, room))
        self._hold_pins()

    def _hold_pins(self) -> None:
        """Make the units of pinned turns loose, where nothing is drawn."""
        for pin in self._pins:
            for each in [each for each in self.undrawn if each.holds(pin)]:
                self._take(units_from(self._read, pin, each.first, each.last + 1, self._sizes.size, 0.0))

    def _groups(self, leaving: Sequence[Turn], kept: set[int]) -> list[list[Turn]]:
        """Group turns, split at pages, at ranges, and at turns that stay text."""
        edges = sorted([*(run.first for run in self.runs), *(each.first for each in self.undrawn), *kept])
        groups: list[list[Turn]] = []
        place = -1
        for turn in leaving:
            if (edge := bisect_right(edges, turn.number)) != place:
                groups.append([])
                place = edge
            groups[-1].append(turn)
        return groups


def _numbers_before(each: Shortened) -> Undrawn:
    """Return the page numbers to keep free for what is not drawn of a long unit."""
    run = each.run
    size = run.pages * each.tokens / max(1, run.text_tokens - each.tokens)
    return Undrawn(run.first, run.first, 0, kept_free(size), 0.0, 0, is_stored=True)


def _opening(turns: Sequence[Turn]) -> list[Turn]:
    """Return the system turns that a log begins with."""
    pairs = takewhile(lambda pair: pair[1].number == pair[0] and pair[1].role in ("system", "developer"), enumerate(turns, 1))
    return [turn for _, turn in pairs]


def _gaps(runs: Sequence[PageRun], ranges: Sequence[Undrawn], length: int) -> Iterator[tuple[int, int]]:
    """Yield the turns up to `length` that neither runs nor ranges cover, as start and stop."""
    start = 1
    for first, last in sorted([*((run.first, run.last) for run in runs), *((each.first, each.last) for each in ranges)]):
        if first > start:
            yield start, first
        start = max(start, last + 1)
    if start <= length:
        yield start, length + 1


def _is_covered(number: int, runs: Sequence[PageRun]) -> bool:
    """Whether a turn is on a page; runs must be sorted and disjoint."""
    place = bisect_right(runs, number, key=lambda run: run.first)
    return place > 0 and number <= runs[place - 1].last
