"""The main renderer: lays out and draws pages with a headless Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path

from PIL import Image

from ...errors import MissingExtra, RenderError
from ...pages.page import PageStyle
from ...pages.pagination import Measured
from ...turns.exchanges import Exchange
from ...turns.turn import Turn
from ...worker_threads import in_thread
from ..base import RenderedPage
from ..document.long_units import begins_page, in_sections, with_sections
from ..fingerprint import fingerprint_of
from ..geometry import Canvas
from ..margins import draw_margins
from ..png import encode_grey
from ..trials import Trials
from ..typography.fonts import font_folders
from ..typography.glyph_coverage import count_missing
from .browser import Engine, Session, Tab, TabLost, release_engine, shared_engine
from .finding import browser_version, require_browser
from .html import has_emoji, unit_html
from .page_breaks import PageDraft, Plan, drafts_of, fragments_of, head_mark
from .stylesheet import TINTS, document

__all__ = ["ChromiumRenderer"]

SLOTS = len(TINTS)
ATTEMPTS = 3  # starts of a browser that dies while drawing
BATCH = 90_000  # characters of HTML laid out at a time: about a dozen pages
PICTURE_WAIT = 0.005  # s between checks whether the images of a batch are decoded
FONT_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc", ".pfb", ".pcf", ".gz")  # fonts that a browser uses, also bitmap fonts


@dataclass(frozen=True, slots=True)
class _Unit:
    html: str
    exchange: int
    numbers: tuple[int, ...]
    fresh: bool = False  # whether its exchange begins a page in any case
    missing: Mapping[int, int] = field(default_factory=dict)  # turn -> characters that no font can draw
    piece: int = 0  # the place of its piece


_Page = tuple[PageDraft, RenderedPage | None]


class ChromiumRenderer:
    """Draws pages with a headless Chromium through Playwright.

    Args:
        browser: a path or command, instead of OPTICAL_MEMORY_BROWSER and the usual places.

    Raises `BrowserNotFound` or `MissingExtra` here, not at the first page.
    """

    name = "chromium"

    def __init__(self, *, browser: str | None = None) -> None:
        try:
            import playwright  # noqa: F401
        except ImportError as exc:
            raise MissingExtra("the chromium renderer", "chromium") from exc
        self._setting, self._trials = browser, Trials[str]()
        self._path = require_browser(browser).path

    @property
    def fingerprint(self) -> str:
        """Hash of this library's layout code, the browser's version, and the available fonts."""
        return fingerprint_of(browser_version(self._path), _font_state())

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        """See `Renderer.render`. A run's pages are returned together: if not `seal_last`, all but those of the last run."""
        [pages] = self._run(_Job([exchanges], Canvas.with_room(style), seal_last=seal_last)).drawn
        return pages

    def render_each(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[list[RenderedPage]]:
        """See `Batches`."""
        try:
            return self._run(_Job(pieces, Canvas.with_room(style), trials=self._trials)).drawn
        finally:
            self._trials.forget()

    def fills(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[float | None]:
        """See `Batches`."""
        drafts = self._run(_Job(pieces, Canvas.with_room(style), draws=False, trials=self._trials)).drafts
        return [each[0].fill if len(each) == 1 else None for each in drafts]

    def _run(self, job: _Job) -> _Job:
        shared_engine(self._setting, id(self)).run(job.run)
        return job

    def close(self) -> None:
        """Release the browser; it ends if no other renderer of this process uses it."""
        release_engine(self._setting, id(self))


class _Job:
    """Pieces that each begin a page: batches are laid out one after the other, and captured in parallel.

    Attributes:
        drafts: the pages of each piece, as laid out.
        drawn: the pages of each piece; none if the job does not draw.
    """

    def __init__(
        self,
        pieces: Sequence[Sequence[Exchange]],
        canvas: Canvas,
        *,
        seal_last: bool = True,
        draws: bool = True,
        trials: Trials[str] | None = None,
    ) -> None:
        self._pieces = [in_sections(piece) for piece in pieces]
        self._canvas = canvas
        self._seal_last, self._draws, self._trials = seal_last, draws, trials
        self._document = document(canvas)
        self.drafts: list[list[PageDraft]] = []
        self.drawn: list[list[RenderedPage]] = []

    async def run(self, engine: Engine) -> None:
        """Draw all pages, on the engine's loop. Raises `RenderError` if the browser is lost `ATTEMPTS` times."""
        making = asyncio.ensure_future(in_thread(self._units))  # the browser may start meanwhile
        for attempt in range(ATTEMPTS):
            try:
                session = await engine.session()
                pages = await self._attempt(session, await making)
                self.drafts = [[draft for draft, _ in pages if draft.piece == piece] for piece in range(len(self._pieces))]
                self.drawn = [
                    with_sections([page for draft, page in pages if draft.piece == piece and page], exchanges)
                    for piece, exchanges in enumerate(self._pieces)
                ]
                return
            except TabLost as exc:
                if attempt == ATTEMPTS - 1:
                    raise RenderError(f"the browser was lost {ATTEMPTS} times while drawing: {exc}") from exc
        raise AssertionError("unreachable")

    def _units(self) -> list[_Unit]:
        units: list[_Unit] = []
        for piece, exchanges in enumerate(self._pieces):
            before = units[-1].exchange + 1 if units else 0
            for index, exchange in enumerate(exchanges):
                fresh = begins_page(exchanges, index) or (piece > 0 and index == 0)
                for unit, html in zip(exchange, unit_html(exchange, self._canvas, self._trials), strict=True):
                    numbers = tuple(turn.number for turn in unit)
                    units.append(_Unit(html, before + index, numbers, fresh, _missing_in(unit), piece))
        return units

    async def _attempt(self, session: Session, units: Sequence[_Unit]) -> list[_Page]:
        drawings: list[asyncio.Task[list[_Page]]] = []
        begin, size = 0, BATCH
        try:
            while begin < len(units):
                end = _batch_end(units, begin, size)
                closed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
                last, ends = end == len(units), end < len(units) and units[end].fresh
                drawings.append(asyncio.ensure_future(self._draw(session, units[begin:end], closed, last=last, ends=ends)))
                done = await closed
                size = BATCH if done else 2 * size  # no run was completed: repeat with more units
                begin += done
            return [page for pages in await asyncio.gather(*drawings) for page in pages]
        finally:
            for drawing in drawings:
                drawing.cancel()
            await asyncio.gather(*drawings, return_exceptions=True)

    async def _draw(self, session: Session, units: Sequence[_Unit], closed: asyncio.Future[int], *, last: bool, ends: bool) -> list[_Page]:
        """Draw the runs completed by `units`. Sets `closed` to their number of units as soon as it is known.

        Args:
            last: no units come after these.
            ends: what comes after these begins a page in any case.
        """
        try:
            async with session.tab() as tab:
                starts, slots = await self._lay_out(tab, units, last=last, ends=ends)
                closed.set_result(len(units) if last or ends else starts[-1])
                return await self._capture(tab, slots) if self._draws else [(draft, None) for slot in slots for draft in slot]
        except BaseException as exc:
            if not closed.done():
                closed.set_exception(exc)
            raise

    async def _lay_out(self, tab: Tab, units: Sequence[_Unit], *, last: bool, ends: bool) -> tuple[list[int], list[list[PageDraft]]]:
        await tab.prepare(self._document, self._canvas.page_size, SLOTS)
        parts = [units[begin:end] for begin, end in pairwise(_balanced([len(unit.html) for unit in units]))]
        grey = any(has_emoji(unit.html) for unit in units)
        heights = await tab.call("load", [[unit.html for unit in part] for part in parts], grey)
        while await tab.call("pending"):
            await asyncio.sleep(PICTURE_WAIT)
        plan = Plan([Measured(height, unit.exchange, unit.fresh) for height, unit in zip(heights, units, strict=True)], self._canvas)
        while True:
            starts = plan.starts()
            runs = list(pairwise([*starts, len(units)]))
            shares = _balanced([sum(heights[begin:end]) // self._canvas.capacity + 1 for begin, end in runs])
            bounds = [runs[share][0] if share < len(runs) else len(units) for share in shares]
            reported = await tab.call("arrange", bounds, starts)
            laid_out = [[fragments_of(rects, self._canvas) for rects in turns] for turns in reported]
            if not plan.correct(starts, laid_out):
                break
        heads = [[head_mark(rect, self._canvas) for rect in rects] for rects in await tab.call("heads")]
        kept = runs if ends or (last and self._seal_last) else runs[:-1]
        slots: list[list[PageDraft]] = [[] for _ in range(SLOTS)]
        for run, (begin, end) in enumerate(kept):
            numbers = [number for unit in units[begin:end] for number in unit.numbers]
            turns = [turn for unit in laid_out[begin:end] for turn in unit]
            marks = [mark for unit in heads[begin:end] for mark in unit]
            missing = {turn: count for unit in units[begin:end] for turn, count in unit.missing.items()}
            drafts = drafts_of(numbers, turns, marks, self._canvas)
            slots[_share_of(run, shares)] += [_completed(draft, missing, units[begin].piece) for draft in drafts]
        return starts, slots

    async def _capture(self, tab: Tab, slots: Sequence[Sequence[PageDraft]]) -> list[_Page]:
        """Capture the n-th page of every slot in one image, for each n; encode one while the next is captured."""
        encoding: list[asyncio.Future[list[bytes]]] = []
        for position in range(max(len(slot) for slot in slots)):
            shown = [slot[position] if position < len(slot) else None for slot in slots]
            await tab.call("show", [draft and self._view(draft) for draft in shown])
            drafts = {channel: draft for channel, draft in enumerate(shown) if draft}
            capture = await tab.capture()
            encoding.append(asyncio.ensure_future(in_thread(_encode, capture, drafts, self._canvas)))
        pictures = [dict(zip(_present(slots, at), pngs, strict=True)) for at, pngs in enumerate(await asyncio.gather(*encoding))]
        return [(draft, self._page(draft, pictures[at][channel])) for channel, slot in enumerate(slots) for at, draft in enumerate(slot)]

    def _view(self, draft: PageDraft) -> tuple[int, int]:
        canvas = self._canvas
        return draft.first_column * canvas.pitch, draft.columns * canvas.pitch - canvas.gap

    def _page(self, draft: PageDraft, png: bytes) -> RenderedPage:
        width, height = self._canvas.page_size
        return RenderedPage(png, width, height, draft.segments, draft.fill, missing_glyphs=draft.missing)


def _missing_in(unit: Sequence[Turn]) -> dict[int, int]:
    return {turn.number: count_missing(turn.text) for turn in unit if not turn.text.isascii()}


def _completed(draft: PageDraft, missing: Mapping[int, int], piece: int) -> PageDraft:
    count = sum(missing.get(segment.turn, 0) for segment in draft.segments if not segment.continued)
    return replace(draft, missing=count, piece=piece)


def _present(slots: Sequence[Sequence[PageDraft]], position: int) -> list[int]:
    return [channel for channel, slot in enumerate(slots) if position < len(slot)]


def _encode(capture: bytes, drafts: Mapping[int, PageDraft], canvas: Canvas) -> list[bytes]:
    """Encode the pages in the colour channels of a capture, each with its margins drawn."""
    with Image.open(BytesIO(capture), formats=("PNG",)) as image:
        bands = image.convert("RGB").split()
    for channel, draft in drafts.items():
        draw_margins(bands[channel], draft.columns, draft.heads, canvas)
    return [encode_grey(bands[channel], canvas.style.grey_levels) for channel in drafts]


def _batch_end(units: Sequence[_Unit], begin: int, size: int) -> int:
    """Return the end of a batch of about `size` characters: the end of an exchange, or inside one that is surely longer than a page.

    A unit counts as half of `size` at most: what follows a longer one fills its last page, which avoids laying it out twice. A section of a
    long unit counts as a third, so that every slot has one.
    """
    end, taken, exchange = begin, 0, 0
    while end < len(units):
        starts = end == begin or units[end].exchange != units[end - 1].exchange
        if taken >= size and (starts or exchange >= size // 3):
            break
        length = min(len(units[end].html), size // (SLOTS if units[end].fresh else 2))
        taken, exchange = taken + length, length if starts else exchange + length
        end += 1
    return end


def _balanced(weights: Sequence[float]) -> list[int]:
    """Return bounds that split `weights` into SLOTS ranges of about the same sum; less than one page stays together."""
    total, bounds, passed = sum(weights), [0], 0.0
    for index, weight in enumerate(weights):
        if len(bounds) < SLOTS and index > bounds[-1] and passed + weight / 2 > total * len(bounds) / SLOTS:
            bounds.append(index)
        passed += weight
    return bounds + [len(weights)] * (SLOTS + 1 - len(bounds))


def _share_of(run: int, shares: Sequence[int]) -> int:
    return max(slot for slot in range(SLOTS) if shares[slot] <= run)


@lru_cache(maxsize=1)
def _font_state() -> str:
    """Return names and sizes of the font files in the usual folders and of the bundled ones."""
    folders = (Path(__file__).parents[1] / "fonts", *font_folders())
    files = (path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in FONT_SUFFIXES)
    return repr(sorted({(path.name, path.stat().st_size) for path in files if path.is_file()}))  # a link may be dangling
