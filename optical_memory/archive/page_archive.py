"""The sealed pages of a session: drawn once, stored, and redrawn if their images were lost.

Pages are stored in *runs*: the fewest adjacent pages that begin and end between units. A run's name holds what planning needs without its
record, so that a session of any length is planned from a list of names and the records of the pages in question.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ..errors import RenderError, SessionCorrupted
from ..pages.page import Page, PageStyle, run_key
from ..profiles.pricing import Pricing
from ..renderers.base import RenderedPage, Renderer
from ..stores.base import Readable, SessionId
from ..stores.claims import claimed
from ..stores.intact import intact
from ..text.exact_strings import sidecar_of
from ..turns.attachments import image_load
from ..turns.exchanges import Exchange, exchanges_of
from ..turns.redaction import Redactor, redacted_turn
from ..turns.turn import Turn
from .abridged_pages import shaped, shares_of
from .codec import decode_pages, encode_pages
from .page_runs import PageRun, PagesLost, discard_runs, runs_named, without_overlaps

__all__ = ["PageArchive", "sealed_name"]

CHUNK_TOKENS = 24_000  # text laid out at a time, about a dozen pages: enough to fill the browser's tabs, and small enough for memory


@dataclass(slots=True)
class ArchiveCounts:
    """Counters since the archive was opened."""

    pages_sealed: int = 0
    pages_redrawn: int = 0
    render_failures: int = 0


class PageArchive:
    """The pages of one session under one layout (renderer, style, counting, redactor)."""

    def __init__(
        self,
        store: Readable,
        session: SessionId,
        renderer: Renderer,
        style: PageStyle,
        pricing: Pricing,
        *,
        sidecar_tokens: int,
        redactor: Redactor | None = None,
    ) -> None:
        self._store, self._session, self._renderer, self._style = store, session, renderer, style
        self._pricing, self._sidecar_tokens, self._redactor = pricing, sidecar_tokens, redactor
        basis = [renderer.name, renderer.fingerprint, asdict(style), pricing.counted_with, sidecar_tokens]
        self._fingerprint = renderer.fingerprint
        if redactor:
            basis.append([redactor.name, redactor.fingerprint])
            self._fingerprint += f" {redactor.name} {redactor.fingerprint}"
        self.layout = hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:12]
        self.counts = ArchiveCounts()
        self._drawn_to = 0  # the last turn found on a page so far

    def runs(self) -> list[PageRun]:
        """Return all runs, in order, without overlaps.

        Two processes that seal the same turns at once may store overlapping runs, if one lost its claim. Every process then keeps the same
        ones, by `without_overlaps`, and discards the others; a plan with one of their pages is made again.
        """
        found = runs_named(self._store.names(self._session, f"run/{self.layout}/"))
        runs = without_overlaps(found)
        if len(runs) < len(found):
            self.discard([run for run in found if run not in runs])
        self._drawn_to = max([self._drawn_to, *(run.last for run in runs[-1:])])
        return runs

    def pages(self, runs: Sequence[PageRun], first_index: int = 1) -> list[Page]:
        """Return the pages of adjacent runs; `first_index` is the index of the first. Raises `PagesLost`."""
        records = intact(self._store, self._session, [run.name(self.layout) for run in runs])
        pages: list[Page] = []
        lost: list[PagesLost] = []
        index = first_index
        for run in runs:
            try:
                found = self._read(run, records.get(run.name(self.layout)))
            except PagesLost as exc:
                lost.append(exc)
                continue
            pages += [replace(page, index=index + place) for place, page in enumerate(found)]
            index += run.pages
        if lost:
            raise PagesLost([run for each in lost for run in each.runs], lost[0].why)
        return pages

    def damaged(self) -> list[PageRun]:
        """Return all runs whose record is missing or damaged. Reads every record, so only for repair."""
        try:
            self.pages(self.runs())
        except PagesLost as exc:
            return list(exc.runs)
        return []

    def _read(self, run: PageRun, record: bytes | None) -> list[Page]:
        if record is None:
            raise PagesLost([run], "the store no longer has their record")
        try:
            return decode_pages(record)
        except SessionCorrupted as exc:
            raise PagesLost([run], str(exc)) from exc

    def seal(self, turns: Sequence[Turn], *, seal_last: bool) -> int:
        """Draw and store pages of `turns`; return the number of the first turn that is on no page.

        Args:
            seal_last: seal the last page even if it is not full. If False, turns that do not fill a page are left off.

        Raises `RenderError`, keeping the pages sealed before; `PagesLost` if one of the turns was erased meanwhile.
        """
        rest, chunk = list(turns), CHUNK_TOKENS
        while rest:
            exchanges, is_all = self._chunk(rest, chunk)
            try:
                drawn = self._redacted(exchanges)
                rendered = self._render(drawn, seal_last=seal_last and is_all)
            except RenderError:
                self.counts.render_failures += 1
                raise
            costs = {turn.number: self._pricing.cost(turn) for exchange in exchanges for unit in exchange for turn in unit}  # masked or not
            last = self._record(list(_whole_runs(rendered, drawn)), costs)
            rest = rest[bisect_right(rest, last, key=lambda turn: turn.number) :]
            if is_all:
                break
            chunk = CHUNK_TOKENS if last else chunk * 2
        return rest[0].number if rest else turns[-1].number + 1

    def redraw(self, page: Page) -> dict[str, bytes]:
        """Redraw the images of a page's run, store and return them by name. Raises `PagesLost` if they differ from the sealed ones."""
        run, recorded = self._run_of(page)
        with claimed(self._store, self._session, f"redraw/{run.name(self.layout)}") as shared:
            names = [sealed_name(each) for each in recorded]
            found = intact(self._store, self._session, names) if shared else {}
            return found if len(found) == len(names) else self._redrawn(run, recorded)

    def _redrawn(self, run: PageRun, recorded: Sequence[Page]) -> dict[str, bytes]:
        try:
            turns = self._store.read(self._session, run.first, run.last + 1)
            rendered = self._render(self._redacted(exchanges_of(turns)), seal_last=True)
        except RenderError as exc:
            self.counts.render_failures += 1
            raise PagesLost([run], str(exc)) from exc
        if [page.segments for page in rendered] != [page.segments for page in recorded]:
            raise PagesLost([run], "drawn again, they came out unlike the sealed ones")
        pictures = _pictures(recorded, rendered)
        self._store.put(self._session, pictures)
        if not self._store.names(self._session, run.name(self.layout)):
            self._store.discard(self._session, list(pictures))
            raise PagesLost([run], "they were erased while they were drawn again")
        self.counts.pages_redrawn += len(rendered)
        return pictures

    def _render(self, exchanges: Sequence[Exchange], *, seal_last: bool) -> list[RenderedPage]:
        rendered = self._renderer.render(exchanges, self._style, seal_last=seal_last)
        if not self._style.crop:
            return rendered
        from ..renderers.cropping import cropped  # Pillow is slow to import, and not every session draws

        return [cropped(page, self._style) for page in rendered]

    def drawn_turns(self, page: Page) -> list[Turn]:
        """Return the turns on a page as they were drawn, redacted. Raises `RenderError`."""
        turns = self._store.read(self._session, page.first_turn, page.last_turn + 1)
        return [turn for exchange in self._redacted([(tuple(turns),)]) for unit in exchange for turn in unit]

    def shaped(self, page: Page) -> bytes | None:
        """Draw the abridged page at the size of its sealed image; None if that is not possible. See `abridged_pages`."""
        run, pages = self._run_of(page)
        turns = self._store.read(self._session, run.first, run.last + 1)
        if len(turns) != run.turns:  # a turn was erased, so the positions of the others are unknown
            return None
        try:
            drawn = [turn for exchange in self._redacted(exchanges_of(turns)) for unit in exchange for turn in unit]
            rendered = shaped(self._renderer, self._style, page, shares_of(page, pages, drawn))
        except PagesLost:
            raise
        except (RenderError, ValueError):  # for example no room for larger letters
            self.counts.render_failures += 1
            return None
        return rendered.png if rendered else None

    def _run_of(self, page: Page) -> tuple[PageRun, list[Page]]:
        """Return the run of a page, and all its pages. Raises `PagesLost` if another run holds its turns now."""
        for run in self.runs():
            if run.first <= page.first_turn <= run.last:
                pages = self.pages([run])
                if any(each.key == page.key for each in pages):
                    return run, pages
        raise PagesLost([], f"the page {page.key!r} of turns #{page.first_turn} to #{page.last_turn} is not recorded any more")

    def discard(self, runs: Sequence[PageRun]) -> int:
        """Discard runs of this layout with their images; return the number of pages."""
        return discard_runs(self._store, self._session, [run.name(self.layout) for run in runs])

    def _chunk(self, turns: Sequence[Turn], tokens: int) -> tuple[list[Exchange], bool]:
        """Return the first exchanges of `turns`, about `tokens` of text, and whether that is all. A long exchange is cut between units.

        A unit counts as half of `tokens` at most: what follows a longer one fills its last page, which avoids laying it out twice.
        """
        near = self._near(turns, 2 * tokens)
        taken: list[Exchange] = []
        total = used = 0
        for exchange in near:
            units = []
            for unit in exchange:
                if total >= tokens:
                    break
                units.append(unit)
                total += min(tokens // 2, sum(self._pricing.cost(turn) for turn in unit))
                used += len(unit)
            if units:
                taken.append(tuple(units))
            if len(units) < len(exchange):
                break
        return taken, used == len(turns)

    def _near(self, turns: Sequence[Turn], tokens: int) -> list[Exchange]:
        """Return the exchanges of about the first `tokens` of `turns`. Avoids grouping 100,000 turns for a chunk of a few hundred."""
        end = total = 0
        while end < len(turns) and total < tokens:
            total += min(tokens // 4, self._pricing.cost(turns[end]))
            end += 1
        near = exchanges_of(turns[:end])
        if end == len(turns):
            return near
        whole = [*near[:-1], near[-1][:-1]]  # the last unit may continue beyond the cut
        return [exchange for exchange in whole if exchange] or self._near(turns, 2 * tokens)

    def _redacted(self, exchanges: Sequence[Exchange]) -> list[Exchange]:
        """Redact `exchanges` before they are drawn. Raises `RenderError` if the redactor fails."""
        redactor = self._redactor
        if redactor is None:
            return list(exchanges)
        try:
            return [tuple(tuple(redacted_turn(turn, redactor) for turn in unit) for unit in exchange) for exchange in exchanges]
        except Exception as exc:
            kind = type(exc).__name__
        raise RenderError(f"the redactor {redactor.name!r} failed: {kind}")  # without its cause, which may quote what it was given

    def _record(self, runs: Sequence[tuple[Sequence[RenderedPage], Sequence[Turn]]], costs: Mapping[int, int]) -> int:
        """Store runs and their images; return the last turn's number, 0 for no runs."""
        last = 0
        for rendered, turns in runs:
            pages = self._pages_of(rendered, turns, costs)
            last = turns[-1].number
            run = PageRun(turns[0].number, last, len(pages), len(turns), sum(page.text_tokens for page in pages))
            self._store.put(self._session, {**_pictures(pages, rendered), run.name(self.layout): encode_pages(pages)})
            if len(self._store.read(self._session, run.first, run.last + 1)) != run.turns:
                self.discard([run])
                raise PagesLost([run], "a turn on them was erased while they were drawn")
            if last <= self._drawn_to:  # the store lost its cache
                self.counts.pages_redrawn += len(pages)
            else:
                self.counts.pages_sealed += len(pages)
        return last

    def _pages_of(self, rendered: Sequence[RenderedPage], turns: Sequence[Turn], costs: Mapping[int, int]) -> list[Page]:
        key = run_key(self._renderer.name, self._fingerprint, self._style, exchanges_of(turns))
        by_number = {turn.number: turn for turn in turns}
        done = dict.fromkeys(by_number, 0)
        area = dict.fromkeys(by_number, 0)
        for page in rendered:
            for number, size in _areas(page).items():
                area[number] += size
        pages = []
        for place, drawn in enumerate(rendered):
            tokens, texts = 0, []
            for number, size in _areas(drawn).items():
                turn, start, end = by_number[number], done[number], done[number] + size
                tokens += _cut(costs[number], end, area[number]) - _cut(costs[number], start, area[number])
                texts.append(turn.text[_cut(len(turn.text), start, area[number]) : _cut(len(turn.text), end, area[number])])
                done[number] = end
            sidecar = sidecar_of(texts, max_tokens=self._sidecar_tokens, count=self._pricing.count)
            pages.append(_page(f"{key}-{place}", drawn, by_number, tokens, sidecar))
        return pages


def _pictures(pages: Sequence[Page], rendered: Sequence[RenderedPage]) -> dict[str, bytes]:
    """Return the sealed images by their names in the store."""
    return {sealed_name(page): drawn.png for page, drawn in zip(pages, rendered, strict=True)}


def sealed_name(page: Page) -> str:
    """Return the name of a page's sealed image in the store."""
    return f"picture/{page.key}/sealed"


def _page(key: str, drawn: RenderedPage, turns: dict[int, Turn], tokens: int, sidecar: tuple[str, ...]) -> Page:
    return Page(
        key=key,
        index=0,
        segments=drawn.segments,
        text_tokens=tokens,
        sidecar=sidecar,
        width=drawn.width,
        height=drawn.height,
        importance=max(turns[segment.turn].importance for segment in drawn.segments),
        last_said=turns[drawn.last_turn].created_at,
        fill=drawn.fill,
        missing_glyphs=drawn.missing_glyphs,
        canvas=drawn.canvas,
        pictures=image_load(turns[segment.turn] for segment in drawn.segments if not segment.continued),
    )


def _areas(page: RenderedPage) -> dict[int, int]:
    """Return the area of each turn on a page, in square pixels; at least 1, so that shares can be computed."""
    return {segment.turn: max(1, sum(box.width * box.height for box in segment.boxes)) for segment in page.segments}


def _cut(whole: int, part: int, of: int) -> int:
    """Scale `part` of `of` to 0..whole; the ends are exact."""
    return whole * part // of


def _whole_runs(rendered: Sequence[RenderedPage], exchanges: Sequence[Exchange]) -> Iterator[tuple[list[RenderedPage], list[Turn]]]:
    """Group drawn pages into runs; drop the pages of a last unit that is not drawn completely."""
    units = [unit for exchange in exchanges for unit in exchange]
    unit_of = {turn.number: place for place, unit in enumerate(units) for turn in unit}
    group: list[RenderedPage] = []
    for place, page in enumerate(rendered):
        group.append(page)
        unit = units[unit_of[page.last_turn]]
        ends_unit = page.last_turn == unit[-1].number and not page.segments[-1].continues
        follows = rendered[place + 1].first_turn if place + 1 < len(rendered) else None
        if ends_unit and (follows is None or unit_of[follows] != unit_of[page.last_turn]):
            first, last = unit_of[group[0].first_turn], unit_of[page.last_turn]
            yield group, [turn for member in units[first : last + 1] for turn in member]
            group = []
