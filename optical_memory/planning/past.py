"""A session, split for a re-plan into candidates for pages and the tail that stays text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..archive.page_archive import PageArchive
from ..archive.page_runs import PageRun
from ..archive.verified_tiers import Floors
from ..context.wording import page_text
from ..pages.page import Page
from ..pages.tiers import Tier
from ..profiles.pricing import Pricing
from ..turns.attachments import ImageLoad
from ..turns.exchanges import Unit, units_of
from ..turns.turn import Turn
from .candidates import Decision, PageCandidate, TextCandidate
from .forgetting import Forgetting, PageAge
from .sealing import Sealing

__all__ = ["PageReading", "Past", "past_of", "ranges_left_out"]

RUNS_AT_A_TIME = 64  # runs read together; most policies leave out what is older than that


@dataclass(frozen=True, slots=True)
class Past:
    """A session, split into what stands before the tail, and the tail.

    Attributes:
        candidates: pages and texts before the tail, oldest first.
        faded: runs too old for the policy; their records are not read.
        text_tokens: tokens of everything before the tail, as plain text.
        tail_tokens: tokens of the tail as text.
        images: images inside the turns of the tail.
    """

    candidates: Sequence[PageCandidate | TextCandidate]
    faded: Sequence[PageRun]
    text_tokens: int
    tail: Sequence[Turn]
    tail_tokens: int
    images: ImageLoad


class PageReading:
    """Reads the pages of a session as candidates of one re-plan.

    Args:
        archive: the session's pages.
        floors: results of the verifier; None without one.
        pins: numbers of the pinned turns.
        length: the log's length.
        newest: the newest turn; ages in hours count back from it.
    """

    def __init__(
        self,
        archive: Callable[[], PageArchive],
        pricing: Pricing,
        policy: Forgetting,
        floors: Floors | None,
        *,
        pins: Sequence[int],
        length: int,
        newest: Turn | None,
    ) -> None:
        self._archive, self._pricing, self._policy, self._floors = archive, pricing, policy, floors
        self.pins, self._length, self._newest = tuple(pins), length, newest
        self._pages: dict[str, Page] = {}
        self.shortened: dict[str, PageRun] = {}  # runs of which not all is drawn, by the key of their oldest page

    def page(self, key: str) -> Page:
        """Return a page that was read before, by key."""
        return self._pages[key]

    def tiers(self, key: str) -> Sequence[Tier]:
        """Return the tiers usable for a page, faintest first."""
        ladder = self._pricing.profile.ladder
        return self._floors.tiers(self._pages[key], ladder) if self._floors else ladder

    def candidates(self, runs: Sequence[PageRun]) -> tuple[list[PageCandidate], list[PageRun]]:
        """Return candidates and the runs not read. Reads newest first, until the policy leaves out a page even at importance 1."""
        found: list[PageCandidate] = []
        after, total = 0, sum(run.pages for run in runs)
        for batch in _batches(runs[::-1], RUNS_AT_A_TIME):
            read = self._read(batch[::-1], after, total)
            after += sum(run.pages for run in batch)
            found = read + found
            if all(self._policy.tier(replace(each.age, importance=1.0)) is None and not each.pinned for each in read):
                older = [run for run in runs if run.last < batch[-1].first]
                pinned = [run for run in older if any(run.first <= pin <= run.last for pin in self.pins)]
                held = [each for run in pinned for each in self._read([run], _pages_after(run, runs), total)]
                return held + found, [run for run in older if run not in pinned]
        return found, []

    def _read(self, runs: Sequence[PageRun], after: int, total: int) -> list[PageCandidate]:
        """Read the pages of adjacent runs; `after` of `total` pages are newer."""
        count = sum(run.pages for run in runs)
        pages = self._archive().pages(runs, first_index=total - after - count + 1)
        run_of = {page.key: run for run in runs for page in pages if run.first <= page.first_turn <= run.last}
        found = [self._candidate(page, run_of[page.key].first, total - page.index) for page in pages]
        return self._with_undrawn(found, list(run_of.values()))

    def _with_undrawn(self, pages: Sequence[PageCandidate], runs: Sequence[PageRun]) -> list[PageCandidate]:
        """Add the tokens of what is not drawn of a long unit to the oldest page of its run, so that the run costs all of them as text."""
        left = {run.first: run.text_tokens for run in runs}
        for page in pages:
            left[page.run] -= page.text_tokens
        of = {run.first: run for run in runs}
        found: list[PageCandidate] = []
        for page in pages:
            if tokens := left.pop(page.run, 0):
                self.shortened[page.key] = of[page.run]
                page = replace(page, text_tokens=page.text_tokens + tokens)
            found.append(page)
        return found

    def _candidate(self, page: Page, run: int, after: int) -> PageCandidate:
        self._pages[page.key] = page
        profile = self._pricing.profile
        numbers = tuple(segment.turn for segment in page.segments)
        return PageCandidate(
            key=page.key,
            index=page.index,
            first=page.first_turn,
            last=page.last_turn,
            run=run,
            text_tokens=page.text_tokens,
            overhead=self._pricing.message(page_text(page)),
            vision={tier: profile.page_tokens(page.width, page.height, tier, page.canvas) for tier in self.tiers(page.key)},
            age=PageAge(after, self._length - page.last_turn, _hours_between(page, self._newest), page.importance),
            turns=numbers,
            pinned=any(pin in numbers for pin in self.pins),
            images=page.pictures,
            enough=self._floors.enough(page, profile.ladder) if self._floors else None,
        )


def past_of(sealing: Sealing, reading: PageReading, pricing: Pricing, start: int = 0) -> Past:
    """Split the session at turn `start`, or right after the last page if that is later or `start` is 0."""
    tail = [turn for turn in sealing.tail() if turn.number >= start]
    before = [turn for turn in sealing.loose if not tail or turn.number < tail[0].number]
    pages, faded = reading.candidates(sealing.runs)
    texts = _text_candidates(before, sealing.kept_off_pages().union(reading.pins), pricing)
    candidates: list[PageCandidate | TextCandidate] = [*pages, *texts]
    candidates.sort(key=lambda each: (each.first, each.last))
    tokens = sum(run.text_tokens for run in sealing.runs) + pricing.total(before)
    return Past(candidates, faded, tokens, tail, pricing.total(tail), pricing.attachments(tail))


def ranges_left_out(past: Past, decisions: Sequence[Decision]) -> tuple[tuple[tuple[int, int], ...], int]:
    """Return the ranges (first, last) of turns left out, and the number of turns in them."""
    shown = {number for decision in decisions if decision.shown for number in decision.candidate.turns}
    out = sorted({number for decision in decisions if not decision.shown for number in decision.candidate.turns} - shown)
    ranges = [(run.first, run.last) for run in past.faded] + [(number, number) for number in out]
    return tuple(_merged(ranges)), len(out) + sum(run.turns for run in past.faded)


def _text_candidates(turns: Sequence[Turn], kept: set[int], pricing: Pricing) -> list[TextCandidate]:
    return [_text_candidate(unit, pricing, protected=any(turn.number in kept for turn in unit)) for unit in units_of(turns)]


def _text_candidate(unit: Unit, pricing: Pricing, *, protected: bool) -> TextCandidate:
    numbers = tuple(turn.number for turn in unit)
    return TextCandidate(numbers[0], numbers[-1], pricing.total(unit), numbers, protected, pricing.attachments(unit))


def _batches(runs: Sequence[PageRun], size: int) -> Iterator[Sequence[PageRun]]:
    for start in range(0, len(runs), size):
        yield runs[start : start + size]


def _pages_after(run: PageRun, runs: Sequence[PageRun]) -> int:
    return sum(other.pages for other in runs if other.first > run.last)


def _hours_between(page: Page, newest: Turn | None) -> float:
    """Return the hours from a page's last turn to the newest turn; 0 if either has no time."""
    if newest is None or newest.created_at is None or page.last_said is None:
        return 0.0
    return max(0.0, (newest.created_at - page.last_said).total_seconds() / 3600)


def _merged(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sort ranges (first, last), and merge adjacent ones."""
    current: tuple[int, int] | None = None
    for first, last in sorted(ranges):
        if current and first <= current[1] + 1:
            current = (current[0], max(current[1], last))
            continue
        if current:
            yield current
        current = (first, last)
    if current:
        yield current
