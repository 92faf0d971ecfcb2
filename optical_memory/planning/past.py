"""A session, split for a re-plan into candidates for pages and the tail that stays text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from ..archive.page_archive import PageArchive
from ..archive.page_runs import PageRun, merged_spans
from ..archive.undrawn import Undrawn, page_numbers
from ..archive.verified_tiers import Floors
from ..context.wording import page_text
from ..pages.page import Page
from ..pages.sheet import LINE_BOX
from ..pages.tiers import Tier
from ..profiles.pricing import Pricing
from ..turns.attachments import ImageLoad
from ..turns.exchanges import Unit, units_of
from ..turns.turn import Turn
from .candidates import Decision, PageCandidate, TextCandidate
from .forgetting import Forgetting, PageAge
from .imagined import Imagination, ImaginedRange, is_imagined
from .sealing import Sealing, Shortened

__all__ = ["PagePrices", "PageReading", "Past", "past_of", "ranges_left_out"]

NEIGHBOURS = 8  # pages drawn that tell what labels and sidecars of older ones cost
REMEMBERED = 20_000  # pages whose prices are kept; their sidecars are in memory then, some megabytes
RUNS_AT_A_TIME = 64  # runs read together; most policies leave out what is older than that


@dataclass(frozen=True, slots=True)
class Past:
    """A session, split into what stands before the tail, and the tail.

    Attributes:
        candidates: pages and texts before the tail, oldest first.
        faded: runs too old for the policy; their records are not read.
        undrawn: ranges that are not drawn.
        imagined: the pages that they may become.
        text_tokens: tokens of everything before the tail, as plain text; estimated for turns that are not drawn.
        tail_tokens: tokens of the tail as text, and of what may return to it once pages are drawn.
        images: images inside the turns of the tail.
    """

    candidates: Sequence[PageCandidate | TextCandidate]
    faded: Sequence[PageRun]
    undrawn: Sequence[Undrawn]
    imagined: Sequence[ImaginedRange]
    text_tokens: int
    tail: Sequence[Turn]
    tail_tokens: int
    images: ImageLoad

    @property
    def considered(self) -> list[PageCandidate | TextCandidate]:
        """Candidates and imagined pages, oldest first."""
        imagined = [page for each in self.imagined for page in (*each.pages, *each.pinned)]
        return sorted([*self.candidates, *imagined], key=lambda each: (each.first, each.last))


class PagePrices:
    """What pages cost a reader, kept between re-plans."""

    def __init__(self, pricing: Pricing) -> None:
        self._pricing = pricing
        self._beside: dict[Hashable, int] = {}
        self._vision: dict[Hashable, dict[Tier, int]] = {}

    def beside(self, page: Page) -> int:
        """Return the tokens of the label and the sidecar beside a page."""
        key = (page.key, page.index, page.first_turn, page.last_turn, page.segments[0].continued, page.last_said, page.sidecar)
        tokens = self._beside.get(key)
        if tokens is None:
            if len(self._beside) >= REMEMBERED:
                self._beside.clear()
            tokens = self._beside[key] = self._pricing.message(page_text(page))
        return tokens

    def vision(self, page: Page, tiers: Sequence[Tier]) -> dict[Tier, int]:
        """Return the vision tokens of a page at each of `tiers`."""
        key = (page.width, page.height, page.canvas, tuple(tiers))
        if key not in self._vision:
            tokens = self._pricing.profile.page_tokens
            self._vision[key] = {tier: tokens(page.width, page.height, tier, page.canvas) for tier in tiers}
        return self._vision[key]

    def forget(self) -> None:
        """Drop what is remembered, after turns were erased."""
        self._beside.clear()


class PageReading:
    """Reads the pages of a session as candidates of one re-plan.

    Args:
        archive: the session's pages.
        floors: results of the verifier; None without one.
        pins: numbers of the pinned turns.
        length: the log's length.
        newest: the newest turn; ages in hours count back from it.
        imagination: imagines pages that are not drawn.
    """

    def __init__(
        self,
        archive: Callable[[], PageArchive],
        pricing: Pricing,
        prices: PagePrices,
        policy: Forgetting,
        floors: Floors | None,
        *,
        pins: Sequence[int],
        length: int,
        newest: Turn | None,
        imagination: Imagination,
    ) -> None:
        self._archive, self._pricing, self._prices, self._policy, self._floors = archive, pricing, prices, policy, floors
        self.pins, self._length, self._newest = tuple(pins), length, newest
        self._imagination = imagination
        self._pages: dict[str, Page] = {}
        self.shortened: dict[str, Shortened] = {}  # by the key of their oldest page

    def page(self, key: str) -> Page:
        """Return a page that was read before, by key."""
        return self._pages[key]

    def tiers(self, key: str) -> Sequence[Tier]:
        """Return the tiers usable for a page, faintest first: of a document's page, those at which its letters can be read."""
        page, ladder = self._pages[key], self._pricing.profile.ladder
        if page.sheet:
            ladder = tuple(tier for tier in ladder if tier >= page.sheet.floor) or ladder[-1:]
        return self._floors.tiers(page, ladder) if self._floors else ladder

    def candidates(self, sealing: Sealing) -> tuple[list[PageCandidate], list[PageRun], list[ImaginedRange]]:
        """Return candidates, the runs not read, and the imagined pages of ranges.

        Goes back from the newest, until the policy leaves out a page even at importance 1. Older pages are read only if they are pinned.
        """
        self.shortened = {}
        runs, undrawn = sealing.runs, sealing.undrawn if sealing.draws else []
        numbers, found = page_numbers(runs, sealing.numbered), list[PageCandidate]()
        faded: list[PageRun] = []
        imagined: list[ImaginedRange] = []
        after, is_over = 0, False
        for batch in _newest_first(runs, undrawn):
            if isinstance(batch, Undrawn):
                density = sealing.density(batch)
                overhead = mean(page.overhead for page in found[:NEIGHBOURS]) if found else self._pricing.message(sealing.label)
                imagined.append(self._imagination.pages(batch, after, density, int(overhead)))
                after += round(batch.size * density)
                continue
            wanted = [run for run in batch if not is_over or any(run.first <= pin <= run.last for pin in self.pins)]
            faded += [run for run in batch if run not in wanted]
            read = self._read(wanted, _pages_after(batch, after), numbers) if wanted else []
            after += sum(run.pages for run in batch)
            found = read + found
            is_over = is_over or all(self._policy.tier(replace(each.age, importance=1.0)) is None and not each.pinned for each in read)
        return found, faded, imagined

    def _read(self, runs: Sequence[PageRun], after: Mapping[int, int], numbers: Mapping[int, int]) -> list[PageCandidate]:
        """Read the pages of runs.

        Args:
            after: how many pages come after the first page of each run.
            numbers: the number of the first page of each run.
        """
        found: list[PageCandidate] = []
        at = 0
        pages = self._archive().pages(runs[::-1], numbers, boxes=self._floors is not None)  # a verifier looks at pages
        for run in runs[::-1]:
            end = bisect_right(pages, run.last, lo=at, key=lambda page: page.first_turn)
            own, at = pages[at:end], end
            read = [self._candidate(page, run.first, after[run.first] - place) for place, page in enumerate(own)]
            if left := run.text_tokens - sum(page.text_tokens for page in own):  # as text, the run costs what is not drawn of it too
                self.shortened[own[0].key] = Shortened(run, left)
                read[0] = replace(read[0], text_tokens=read[0].text_tokens + left, undrawn_tokens=left)
            found += read
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
            overhead=self._prices.beside(page),
            vision=self._prices.vision(page, self.tiers(page.key)),
            age=PageAge(after, self._length - page.last_turn, _hours_between(page, self._newest), page.importance),
            turns=numbers,
            pinned=any(pin in numbers for pin in self.pins),
            images=page.pictures,
            letter=profile.letter_on_page(page.sheet.letter / LINE_BOX) if page.sheet and page.sheet.letter else None,
            sheet=page.sheet.number if page.sheet else 0,
            enough=self._floors.enough(page, profile.ladder) if self._floors else None,
        )


def past_of(sealing: Sealing, reading: PageReading, pricing: Pricing, start: int = 0) -> Past:
    """Split the session at turn `start`, or right after the last page if that is later or `start` is 0."""
    tail = [turn for turn in sealing.tail() if turn.number >= start]
    before = [turn for turn in sealing.loose if not tail or turn.number < tail[0].number]
    pages, faded, imagined = reading.candidates(sealing)
    texts = _text_candidates(before, sealing.kept_off_pages().union(reading.pins), pricing)
    candidates: list[PageCandidate | TextCandidate] = [*pages, *texts]
    candidates.sort(key=lambda each: (each.first, each.last))
    stretches: list[PageRun | Undrawn] = [*sealing.runs, *sealing.undrawn]
    tokens = sum(each.text_tokens for each in stretches) + pricing.total(before)
    tail_tokens = pricing.total(tail) + (0 if start else sealing.returning())
    return Past(candidates, faded, sealing.undrawn, imagined, tokens, tail, tail_tokens, pricing.attachments(tail))


def ranges_left_out(past: Past, decisions: Sequence[Decision]) -> tuple[tuple[tuple[int, int], ...], int]:
    """Return the ranges (first, last) of turns left out, and the number of turns in them."""
    decisions = [each for each in decisions if not is_imagined(each.candidate)]
    shown = {number for decision in decisions if decision.shown for number in decision.candidate.turns}
    unread: list[PageRun | Undrawn] = [*past.faded, *past.undrawn]
    hidden = {number for decision in decisions if not decision.shown for number in decision.candidate.turns} - shown
    out = sorted(number for number in hidden if not _is_undrawn(past.undrawn, number))  # those are imagined as text
    ranges = [(each.first, each.last) for each in unread] + [(number, number) for number in out]
    return tuple(merged_spans(ranges)), len(out) + sum(each.turns for each in unread)


def _is_undrawn(undrawn: Sequence[Undrawn], number: int) -> bool:
    at = bisect_right(undrawn, number, key=lambda each: each.first) - 1
    return at >= 0 and number <= undrawn[at].last


def _text_candidates(turns: Sequence[Turn], kept: set[int], pricing: Pricing) -> list[TextCandidate]:
    return [_text_candidate(unit, pricing, protected=any(turn.number in kept for turn in unit)) for unit in units_of(turns)]


def _text_candidate(unit: Unit, pricing: Pricing, *, protected: bool) -> TextCandidate:
    numbers = tuple(turn.number for turn in unit)
    return TextCandidate(numbers[0], numbers[-1], pricing.total(unit), numbers, protected, pricing.attachments(unit))


def _newest_first(runs: Sequence[PageRun], undrawn: Sequence[Undrawn]) -> Iterator[list[PageRun] | Undrawn]:
    """Yield runs, some at a time, and ranges one by one, the newest first."""
    stretches: list[PageRun | Undrawn] = [*runs, *undrawn]
    batch: list[PageRun] = []
    for each in sorted(stretches, key=lambda each: -each.first):
        if batch and (len(batch) == RUNS_AT_A_TIME or isinstance(each, Undrawn)):
            yield batch
            batch = []
        if isinstance(each, Undrawn):
            yield each
        else:
            batch.append(each)
    if batch:
        yield batch


def _pages_after(batch: Sequence[PageRun], after: int) -> dict[int, int]:
    """Return how many pages come after the first page of each run of `batch`, newest first; `after` come after all of them."""
    found: dict[int, int] = {}
    for run in batch:
        after += run.pages
        found[run.first] = after - 1
    return found


def _hours_between(page: Page, newest: Turn | None) -> float:
    """Return the hours from a page's last turn to the newest turn; 0 if either has no time."""
    if newest is None or newest.created_at is None or page.last_said is None:
        return 0.0
    return max(0.0, (newest.created_at - page.last_said).total_seconds() / 3600)
