"""The sealed pages of a session: drawn once, stored, and redrawn if their images were lost.

Pages are stored in *runs*: the fewest adjacent pages that begin and end between units. A run's name holds what planning needs without its
record, so that a session of any length is planned from a list of names and the records of the pages in question.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

from ..errors import OpticalMemoryError, RenderError, SessionCorrupted
from ..pages.page import Page, PageStyle, referents_of, run_key
from ..profiles.pricing import Pricing
from ..renderers.base import RenderedPage, Renderer
from ..renderers.document.long_units import sections_of, with_sections
from ..stores.base import Readable, SessionId
from ..stores.claims import claimed
from ..stores.intact import intact
from ..text.exact_strings import sidecar_of
from ..text.excerpts import said
from ..turns.attached import PICTURE_SIDE, single_page, without_files
from ..turns.exchanges import Exchange, Unit, exchanges_of
from ..turns.parts import TurnPart, part_of
from ..turns.redaction import Redactor, redacted_turns
from ..turns.repeated import with_references
from ..turns.turn import DocumentContent, Turn
from .abridged_pages import Share, shaped_together, shares_of
from .chunks import chunk_of
from .codec import decode_pages, encode_pages
from .drawn_ahead import AT_ONCE, Drawing
from .drawn_pages import contents_of, page_of, sheet_of_text, whole_runs
from .long_units import by_section, costs_of, is_document_page, newest_sections, sections_before, stretches_of
from .page_runs import PageRun, PagesLost, discard_runs, merged_spans, runs_named, without_overlaps
from .undrawn import PREFIX, Undrawn, decode_undrawn, encode_undrawn, without

__all__ = ["PageArchive", "sealed_name"]

CHUNK_TOKENS = 24_000  # text laid out at a time, about a dozen pages: enough to fill the browser's tabs, and small enough for memory
DECODED = 32 * 2**20  # bytes of records whose pages are kept for the next re-plan, about ten thousand pages


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
        repeats: bool = True,
        screened: bool = False,
        drawn: Callable[[int], None] = lambda pages: None,
        drawing: Drawing = AT_ONCE,
    ) -> None:
        self._told_drawn, self._drawing = drawn, drawing
        self._store, self._session, self._renderer, self._style = store, session, renderer, style
        self._pricing, self._sidecar_tokens, self._redactor = pricing, sidecar_tokens, redactor
        basis = [renderer.name, renderer.fingerprint, style.key_fields, pricing.counted_with, sidecar_tokens]
        self._fingerprint = renderer.fingerprint
        if redactor:
            basis.append([redactor.name, redactor.fingerprint])
            self._fingerprint += f" {redactor.name} {redactor.fingerprint}"
        # Pages sealed with other settings may have references, or hold what screening keeps off them.
        basis += [name for name, is_set in (("in full", not repeats), ("screened", screened)) if is_set]
        self.layout = hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:12]
        self.counts = ArchiveCounts()
        self._document_renderer: Renderer | None = None
        self._decoded: dict[str, tuple[bytes, list[Page]]] = {}  # records of runs by name, and their pages without boxes
        self._decoded_bytes = 0
        self._drawn: list[tuple[int, int]] = []  # turns (first, last) found on pages so far

    def runs(self) -> list[PageRun]:
        """Return all runs, in order, without overlaps.

        Two processes that seal the same turns at once may store overlapping runs, if one lost its claim. Every process then keeps the same
        ones, by `without_overlaps`, and discards the others; a plan with one of their pages is made again.
        """
        found = runs_named(self._store.names(self._session, f"run/{self.layout}/"))
        runs = without_overlaps(found)
        if len(runs) < len(found):
            spans = {(run.first, run.last) for run in runs}
            shorter = [run for run in found if run not in runs and (run.first, run.last) in spans]
            self._store.discard(self._session, [run.name(self.layout) for run in shorter])  # the images belong to the longer one too
            self.discard([run for run in found if run not in runs and run not in shorter])
        self._drawn = list(merged_spans([*self._drawn, *((run.first, run.last) for run in runs)]))
        return runs

    def undrawn(self, runs: Sequence[PageRun], length: int) -> list[Undrawn]:
        """Return the ranges of a log of `length` turns that are known not to be drawn, beside the pages of `runs`."""
        return without(decode_undrawn(self._undrawn_record(), length), runs)

    def keep_undrawn(self, ranges: Sequence[Undrawn]) -> None:
        """Store the ranges that are not drawn, in place of those stored before."""
        data = encode_undrawn(ranges)
        if data != self._undrawn_record():
            self._store.put(self._session, {PREFIX + self.layout: data})

    def _undrawn_record(self) -> bytes | None:
        name = PREFIX + self.layout
        return intact(self._store, self._session, [name]).get(name)

    def pages(self, runs: Sequence[PageRun], numbers: Mapping[int, int] | None = None, *, boxes: bool = True) -> list[Page]:
        """Return the pages of runs. Raises `PagesLost`.

        Args:
            numbers: the number of each run's first page, by the run's first turn; see `page_numbers`. Without it, pages count from 1.
            boxes: False leaves out the boxes of segments, for planning.
        """
        names = [run.name(self.layout) for run in runs]
        records = intact(self._store, self._session, names)
        pages: list[Page] = []
        lost: list[PagesLost] = []
        count = 1
        for run, name in zip(runs, names, strict=True):
            index = numbers[run.first] if numbers else count
            count += run.pages
            try:
                pages += self._read(run, records.get(name), index) if boxes else self._planned(run, name, records.get(name), index)
            except PagesLost as exc:
                lost.append(exc)
        if lost:
            raise PagesLost([run for each in lost for run in each.runs], lost[0].why)
        return pages

    def _planned(self, run: PageRun, name: str, record: bytes | None, index: int) -> list[Page]:
        """Return the pages of a run without boxes. Records that the store still has, unchanged, are not decoded again."""
        known = self._decoded.get(name)
        if known and known[0] == record and known[1][0].index == index:
            return known[1]
        pages = self._read(run, record, index, boxes=False)
        assert record is not None, "else `_read` raises"
        self._decoded_bytes += len(record) - (len(known[0]) if known else 0)
        if self._decoded_bytes > DECODED:
            self.forget()
            self._decoded_bytes = len(record)
        self._decoded[name] = record, pages
        return pages

    def forget(self) -> None:
        """Clear the cache of pages, after turns were erased."""
        self._decoded.clear()
        self._decoded_bytes = 0

    def damaged(self) -> list[PageRun]:
        """Return all runs whose record is missing or damaged. Reads every record, so only for repair."""
        try:
            self.pages(self.runs())
        except PagesLost as exc:
            return list(exc.runs)
        return []

    def _read(self, run: PageRun, record: bytes | None, index: int, *, boxes: bool = True) -> list[Page]:
        if record is None:
            raise PagesLost([run], "the store no longer has their record")
        try:
            return [replace(page, index=index + place) for place, page in enumerate(decode_pages(record, boxes=boxes))]
        except SessionCorrupted as exc:
            raise PagesLost([run], str(exc)) from exc

    def seal(self, turns: Sequence[Turn], *, seal_last: bool, pages: int = 1, same: Mapping[int, int] | None = None) -> int:
        """Draw and store pages of `turns`; return the number of the first turn that is on no page.

        Args:
            seal_last: seal the last page even if it is not full. If False, turns that do not fill a page are left off.
            same: turns to draw as a reference, each with the number of the turn that has its words; see `planning.repeats`.

        Of a long unit, only the last sections are drawn, without references, with about `pages` pages at most; see `lengthen`.

        Raises `RenderError`, keeping the pages sealed before; `PagesLost` if one of the turns was erased meanwhile.
        """
        first = turns[-1].number + 1
        for stretch, is_long in stretches_of(turns):
            if is_long:
                self._seal_long(stretch, pages)
            else:
                first = self._seal_stretch(stretch, same, seal_last=seal_last or stretch[-1] is not turns[-1])
        return first

    def lengthen(self, run: PageRun) -> int:
        """Draw sections of a long unit before those on the pages of its run; return the number of pages, 0 if all were drawn.

        Raises `RenderError`; `PagesLost` if one of its turns was erased meanwhile.
        """
        pages = self.pages([run])
        if pages[0].section <= 1:
            return 0
        turns = self._store.read(self._session, run.first, run.last + 1)
        if len(turns) != run.turns:
            raise PagesLost([run], "a turn on them was erased")
        drawn = self._drawn_unit(turns)
        rendered = self._render_sections(sections_before(drawn, pages))
        costs = {turn.number: self._pricing.cost(turn) for turn in turns}
        before = self._pages_of(rendered, drawn, costs)
        self._store_run(replace(run, pages=len(before) + len(pages)), [*before, *pages], _pictures(before, rendered))
        self._store.discard(self._session, [run.name(self.layout)])  # its pages belong to the longer one now
        self.counts.pages_sealed += len(before)
        self._told_drawn(len(before))
        return len(before)

    def drawn_whole(self, run: PageRun) -> PageRun:
        """Draw what is not drawn of a long unit; return its run. Raises like `lengthen`."""
        while added := self.lengthen(run):
            run = replace(run, pages=run.pages + added)
        return run

    def _seal_long(self, turns: Sequence[Turn], pages: int) -> None:
        drawn = self._drawn_unit(turns)
        rendered = self._render_sections(newest_sections(drawn, pages))
        self._record([(rendered, drawn)], {turn.number: self._pricing.cost(turn) for turn in turns})

    def _seal_stretch(self, turns: Sequence[Turn], same: Mapping[int, int] | None, *, seal_last: bool) -> int:
        rest, chunk = list(turns), CHUNK_TOKENS
        while rest:
            exchanges, is_all = chunk_of(rest, chunk, self._pricing.cost)
            drawn = self._as_drawn(exchanges, same)
            rendered = self._render(drawn, seal_last=seal_last and is_all)
            costs = {turn.number: self._pricing.cost(turn) for exchange in exchanges for unit in exchange for turn in unit}  # masked or not
            last = self._record(list(whole_runs(rendered, drawn)), costs)
            rest = rest[bisect_right(rest, last, key=lambda turn: turn.number) :]
            if is_all:
                break
            chunk = CHUNK_TOKENS if last else chunk * 2
        return rest[0].number if rest else turns[-1].number + 1

    def filled(self, turns: Sequence[Turn]) -> float:
        """Return how many pages turns would fill, 1.5 for one and a half. Stores nothing. Raises `RenderError`."""
        rendered = self._render(self._as_drawn(exchanges_of(turns)), seal_last=True)
        return len(rendered) - 1 + rendered[-1].fill

    def sidecar(self, turns: Sequence[Turn]) -> tuple[str, ...]:
        """Return the exact strings beside a page of whole turns. Raises `RenderError` if the redactor fails."""
        texts = (turn.text for turn in self._drawn_unit(turns))
        return sidecar_of(texts, max_tokens=self._sidecar_tokens, count=self._pricing.count)

    def redraw(self, pages: Sequence[Page]) -> dict[str, bytes]:
        """Redraw the images of the runs of `pages` at once, store and return them by name.

        Raises `PagesLost` with all that differ from the sealed ones; the others are stored.
        """
        found, unknown = self._by_run(pages)
        if unknown:
            raise _unrecorded(unknown[0])
        parts = {
            (run, section): [each for each in recorded if each.section == section]
            for run, recorded, own in found
            for section in dict.fromkeys(page.section for page in own)
        }
        with claimed(self._store, self._session, f"redraw/{self.layout}") as shared:
            names = [sealed_name(each) for recorded in parts.values() for each in recorded]
            there = intact(self._store, self._session, names) if shared else {}
            lost = {part: own for part, own in parts.items() if not all(sealed_name(each) in there for each in own)}
            return there | (self._redrawn(lost) if lost else {})

    def _redrawn(self, parts: Mapping[tuple[PageRun, int], Sequence[Page]]) -> dict[str, bytes]:
        """Redraw recorded pages by run and section of a long unit."""
        drawn = self._drawn_again(parts)
        lost = [run for (run, section), recorded in parts.items() if not _are_alike(drawn[run, section], recorded)]
        pictures: dict[str, bytes] = {}
        for part, recorded in parts.items():
            pictures |= _pictures(recorded, drawn[part]) if part[0] not in lost else {}
        self._store.put(self._session, pictures)
        names = set(self._store.names(self._session, f"run/{self.layout}/"))
        erased = [part for part in parts if part[0] not in lost and part[0].name(self.layout) not in names]
        if erased:
            self._store.discard(self._session, [sealed_name(page) for part in erased for page in parts[part]])
            raise PagesLost([run for run, _ in erased], "they were erased while they were drawn again")
        self.counts.pages_redrawn += len(pictures)
        if lost:
            raise PagesLost(lost, "drawn again, they came out unlike the sealed ones")
        return pictures

    def _drawn_again(self, parts: Mapping[tuple[PageRun, int], Sequence[Page]]) -> dict[tuple[PageRun, int], list[RenderedPage]]:
        """Draw the turns of recorded pages. Raises `PagesLost` if they cannot be drawn now."""
        try:
            turns = {part: self._store.read(self._session, part[0].first, part[0].last + 1) for part in parts}
            sections = {
                (run, section): self._render_sections(sections_of(self._drawn_unit(turns[run, section]))[section - 1 : section])
                for run, section in parts
                if section
            }
            pieces = {
                part: self._as_drawn(exchanges_of(turns[part]), referents_of(recorded)) for part, recorded in parts.items() if not part[1]
            }
            return sections | dict(zip(pieces, self._render_each(list(pieces.values())), strict=True))
        except RenderError as exc:
            raise PagesLost([run for run, _ in parts], str(exc)) from exc

    def recorded(self, pages: Sequence[Page]) -> set[str]:
        """Return the keys of those of `pages` that the session has."""
        _, unknown = self._by_run(pages)
        return {page.key for page in pages} - {page.key for page in unknown}

    def _render(self, exchanges: Sequence[Exchange], *, seal_last: bool) -> list[RenderedPage]:
        with self._counting_failures():
            return self._cropped(self._drawing.pages(self._renderer, exchanges, self._style, seal_last=seal_last))

    def _render_each(self, pieces: Sequence[Sequence[Exchange]]) -> list[list[RenderedPage]]:
        with self._counting_failures():
            return list(map(self._cropped, self._drawing.each(self._renderer, pieces, self._style)))

    @contextmanager
    def _counting_failures(self) -> Iterator[None]:
        try:
            yield
        except RenderError:
            self.counts.render_failures += 1
            raise

    def _cropped(self, pages: list[RenderedPage]) -> list[RenderedPage]:
        """Return pages without what they leave blank, where that is billed."""
        if not self._style.crop:
            return pages
        from ..renderers.cropping import cropped  # Pillow is slow to import, and not every session draws

        return [cropped(page, self._style) for page in pages]

    def _render_sections(self, sections: Sequence[Unit]) -> list[RenderedPage]:
        """Draw sections of a long unit: pages of documents as they are, all else as turns are drawn."""
        drawn: list[RenderedPage] = []
        for is_document, group in groupby(sections, key=is_document_page):
            alike = list(group)
            drawn += self._render_documents(alike) if is_document else self._render_turns(alike)
        return drawn

    def _render_documents(self, sections: Sequence[Unit]) -> list[RenderedPage]:
        """Draw pages of a document; those that cannot be drawn as pages of their text, with a warning."""
        try:
            return self._drawing.pages(self._documents, [(section,) for section in sections], self._style, seal_last=True)
        except RenderError as exc:
            self.counts.render_failures += 1
            if len(sections) > 1:
                return [page for section in sections for page in self._render_documents([section])]
            warnings.warn(f"{said(exc)}; its text is drawn instead", RuntimeWarning, stacklevel=2)
            return self._render_turns([tuple(without_files(turn) for turn in section) for section in sections])

    def _render_turns(self, sections: Sequence[Unit]) -> list[RenderedPage]:
        """Draw sections of a long unit of turns; one by one with a renderer that does not name the section of a page."""
        if not isinstance(sections[0][0], TurnPart):
            return self._render([tuple(sections)], seal_last=True)
        first = self._render([(sections[0],)], seal_last=True)  # tells whether the renderer names sections, so that none is drawn twice
        if all(page.section for page in first):
            return first + (self._render([tuple(sections[1:])], seal_last=True) if sections[1:] else [])
        alone = [first, *(self._render([(section,)], seal_last=True) for section in sections[1:])]
        return [page for section, pages in zip(sections, alone, strict=True) for page in with_sections(pages, [(section,)])]

    def _drawn_unit(self, turns: Sequence[Turn], same: Mapping[int, int] | None = None) -> Unit:
        """Return turns, taken for one unit, as they are drawn: with references, and redacted. Raises `RenderError`."""
        return self._as_drawn([(tuple(turns),)], same)[0][0]

    def document_picture(self, turn: Turn, part: DocumentContent, number: int) -> bytes | None:
        """Draw a page of a document in a turn that is text, PNG; None, with a warning, if that fails. Stores nothing."""
        content = (single_page(part, number),)
        section = part_of(turn, content=content, tool_calls=(), section=1, part=1, of=1, start=0, stop=1, whole=1)
        try:
            png = self._documents.render([((section,),)], self._style)[0].png
        except RenderError as exc:
            self.counts.render_failures += 1
            warnings.warn(f"{said(exc)}; its text is sent alone", RuntimeWarning, stacklevel=2)
            return None
        from ..renderers.png import resize

        return resize(png, PICTURE_SIDE, self._style.faint_levels)

    def drawn_turns(self, page: Page) -> list[Turn]:
        """Return the turns on a page as they were drawn, redacted; parts of turns, for a page of a long unit. Raises `RenderError`."""
        if page.section:
            found, unknown = self._by_run([page])
            if unknown:
                raise _unrecorded(page)
            run = found[0][0]
            turns = self._store.read(self._session, run.first, run.last + 1)
            return list(sections_of(self._drawn_unit(turns))[page.section - 1])
        turns = self._store.read(self._session, page.first_turn, page.last_turn + 1)
        return [*self._drawn_unit(turns, referents_of([page]))]

    def shaped(self, pages: Sequence[Page]) -> dict[str, bytes]:
        """Draw abridged pages at the size of their sealed images; return those that are possible, by key. See `abridged_pages`.

        Raises `PagesLost`.
        """
        runs, unknown = self._by_run(pages)
        if unknown:
            raise _unrecorded(unknown[0])
        found: list[tuple[Page, list[Share]]] = []
        for run, recorded, wanted in runs:
            with self._tolerant():
                found += self._shares(run, recorded, wanted)
        return {key: drawn.png for key, drawn in self._shaped(found).items()}

    def _shaped(self, pages: Sequence[tuple[Page, Sequence[Share]]]) -> dict[str, RenderedPage]:
        """Draw abridged pages together; one by one if that fails, so that one page that cannot be drawn does not spoil the others."""
        try:
            drawn = shaped_together(self._renderer, self._style, pages)
        except PagesLost:
            raise
        except (RenderError, ValueError):
            if len(pages) > 1:
                return {key: drawn for each in pages for key, drawn in self._shaped([each]).items()}
            self.counts.render_failures += 1
            return {}
        return {page.key: rendered for (page, _), rendered in zip(pages, drawn, strict=True) if rendered}

    def _shares(self, run: PageRun, pages: Sequence[Page], wanted: Sequence[Page]) -> Iterator[tuple[Page, list[Share]]]:
        """Yield the pages `wanted` of a run's `pages` with the parts of turns on each. Raises `RenderError`."""
        turns = self._store.read(self._session, run.first, run.last + 1)
        if len(turns) != run.turns:  # a turn was erased, so the positions of the others are unknown
            return
        drawn = self._drawn_unit(turns, None if pages[0].section else referents_of(pages))
        sections = sections_of(drawn) if pages[0].section else []
        for page in wanted:
            beside = [each for each in pages if each.section == page.section]
            yield page, shares_of(page, beside, sections[page.section - 1] if page.section else drawn)

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        """Pages that cannot be abridged in this block are shrunk."""
        try:
            yield
        except PagesLost:
            raise
        except (RenderError, ValueError):
            self.counts.render_failures += 1

    def _by_run(self, pages: Sequence[Page]) -> tuple[list[tuple[PageRun, list[Page], list[Page]]], list[Page]]:
        """Return the runs of `pages`, each with all its pages, and those of them; and the pages whose turns other runs hold now."""
        runs = self.runs()
        wanted: dict[PageRun, list[Page]] = {}
        unknown: list[Page] = []
        for page in pages:
            at = bisect_right(runs, page.first_turn, key=lambda run: run.first) - 1
            if at < 0 or runs[at].last < page.first_turn:
                unknown.append(page)
            else:
                wanted.setdefault(runs[at], []).append(page)
        found: list[tuple[PageRun, list[Page], list[Page]]] = []
        for run, own in wanted.items():
            recorded = self.pages([run])
            known = {each.key for each in recorded}
            unknown += [page for page in own if page.key not in known]
            found.append((run, recorded, [page for page in own if page.key in known]))
        return found, unknown

    def discard(self, runs: Sequence[PageRun]) -> int:
        """Discard runs of this layout with their images; return the number of pages."""
        return discard_runs(self._store, self._session, [run.name(self.layout) for run in runs])

    def _as_drawn(self, exchanges: Sequence[Exchange], same: Mapping[int, int] | None = None) -> list[Exchange]:
        """Return `exchanges` as they are drawn: with references, and redacted. Raises `RenderError` if the redactor fails."""
        drawn, redactor = with_references(exchanges, same or {}), self._redactor
        if redactor is None:
            return drawn
        try:
            return [tuple(tuple(redacted_turns(unit, redactor)) for unit in exchange) for exchange in drawn]
        except OpticalMemoryError as exc:
            self.counts.render_failures += 1
            raise RenderError(str(exc)) from exc

    def _record(self, runs: Sequence[tuple[Sequence[RenderedPage], Sequence[Turn]]], costs: Mapping[int, int]) -> int:
        """Store runs and their images; return the last turn's number, 0 for no runs."""
        last = 0
        for rendered, turns in runs:
            pages = self._pages_of(rendered, turns, costs)
            last = turns[-1].number
            reach = max(referents_of(pages).values(), default=0)
            run = PageRun(turns[0].number, last, len(pages), len(turns), sum(costs[turn.number] for turn in turns), reach)
            self._store_run(run, pages, _pictures(pages, rendered))
            if any(start <= run.last and run.first <= end for start, end in self._drawn):  # the store lost its cache
                self.counts.pages_redrawn += len(pages)
            else:
                self.counts.pages_sealed += len(pages)
            self._told_drawn(len(pages))
        return last

    def _store_run(self, run: PageRun, pages: Sequence[Page], pictures: Mapping[str, bytes]) -> None:
        """Store the record of a run with new images. Raises `PagesLost` if a turn on it, or that it refers to, was erased meanwhile."""
        self._store.put(self._session, {**pictures, run.name(self.layout): encode_pages(pages)})
        are_there = all(self._store.read(self._session, number, number + 1) for number in set(referents_of(pages).values()))
        if not are_there or len(self._store.read(self._session, run.first, run.last + 1)) != run.turns:
            self.discard([run])
            raise PagesLost([run], "a turn on them was erased while they were drawn")

    def _pages_of(self, rendered: Sequence[RenderedPage], turns: Sequence[Turn], costs: Mapping[int, int]) -> list[Page]:
        parts = by_section(rendered, turns)
        return [page for drawn, own in parts for page in self._pages_alike(drawn, own, costs_of(own, costs))]

    def _pages_alike(self, rendered: Sequence[RenderedPage], turns: Sequence[Turn], costs: Mapping[int, int]) -> list[Page]:
        key = self._key(turns)
        by_number = {turn.number: turn for turn in turns}
        pages = []
        for place, (drawn, tokens, texts) in enumerate(contents_of(rendered, by_number, costs)):
            sidecar = sidecar_of(texts, max_tokens=self._sidecar_tokens, count=self._pricing.count)
            page = page_of(f"{key}-{place}", drawn, by_number, costs, tokens=tokens, sidecar=sidecar)
            pages.append(page if page.sheet else replace(page, sheet=sheet_of_text(turns)))
        return pages

    @property
    def _documents(self) -> Renderer:
        """Draws pages of documents. Opened when the first is drawn: it brings Pillow, which is slow to import."""
        if self._document_renderer is None:
            from ..renderers.pdfium.renderer import DocumentRenderer

            self._document_renderer = DocumentRenderer()
        return self._document_renderer

    def _key(self, turns: Sequence[Turn]) -> str:
        if is_document_page(turns):
            return run_key(self._documents.name, self._documents.fingerprint, self._style, exchanges_of(turns))
        return run_key(self._renderer.name, self._fingerprint, self._style, exchanges_of(turns))


def _pictures(pages: Sequence[Page], rendered: Sequence[RenderedPage]) -> dict[str, bytes]:
    """Return the sealed images by their names in the store."""
    return {sealed_name(page): drawn.png for page, drawn in zip(pages, rendered, strict=True)}


def _are_alike(drawn: Sequence[RenderedPage], recorded: Sequence[Page]) -> bool:
    return [page.segments for page in drawn] == [page.segments for page in recorded]


def _unrecorded(page: Page) -> PagesLost:
    return PagesLost([], f"the page {page.key!r} of turns #{page.first_turn} to #{page.last_turn} is not recorded any more")


def sealed_name(page: Page) -> str:
    """Return the name of a page's sealed image in the store."""
    return f"picture/{page.key}/sealed"
