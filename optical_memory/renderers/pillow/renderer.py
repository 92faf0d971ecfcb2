"""The embedded renderer: draws pages in process with Pillow, without a browser.

Same words, reading order, canvas and meaning of boxes as in the Chromium renderer. Maths is set on one line, syntax is marked by weights
and greys, and Thai, Lao, Khmer and Burmese break between clusters.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol

from PIL import Image, features

from ...errors import RenderError
from ...pages.page import PageStyle
from ...text.excerpts import said
from ...turns.exchanges import Exchange
from ...turns.turn import Turn
from ..base import RenderedPage
from ..document.long_units import begins_page, in_sections, with_sections
from ..document.turn_heads import head_labels
from ..fingerprint import fingerprint_of
from ..geometry import Canvas
from ..margins import draw_margins
from ..png import encode_grey
from ..trials import Trials
from ..typography.fonts import FontBook
from ..typography.word_masks import WordBook, shared_words
from .block_layout import Flow
from .columns import Draft, TurnRows, UnitRows, drafts_of
from .typesetting import Row, Typesetter

__all__ = ["Cells", "PillowRenderer", "RowFlow"]

WHITE = 255
LIBRARIES = ("freetype2", "raqm", "harfbuzz", "fribidi", "zlib")  # of Pillow's own


Cells = Callable[[str], Image.Image]
"""Draws a line of letters of whole pixels."""


class RowFlow(Protocol):
    """Lays out turns in rows of one column's width."""

    def turn_rows(self, turn: Turn, label: str) -> list[Row]:
        """Return the rows of a turn, at least one. `label` stands after its number."""
        ...

    def gap(self, *, exchange: bool) -> Row:
        """Return the blank row before a turn, or before an exchange."""
        ...


class PillowRenderer:
    """Draws pages with Pillow alone. Thread-safe.

    Args:
        fonts: font files beyond the bundled ones; None for the machine's fonts, `()` for none, so that pages are the same on every machine.
    """

    name = "pillow"

    def __init__(self, *, fonts: Sequence[Path] | None = None) -> None:
        self._fonts = FontBook(fonts)
        self._trials = Trials[list[Row]]()
        self._words: WordBook | None = None  # looks for fonts, so not before something is drawn
        self._lock = threading.Lock()  # FreeType faces are shared; drawing two pages at once gains nothing under the interpreter lock

    @cached_property
    def fingerprint(self) -> str:
        """Hash of this library's layout code, Pillow with its libraries, and the available fonts."""
        libraries = [f"{name} {features.version(name)}" for name in LIBRARIES]
        return fingerprint_of(*libraries, self._fonts.identity)

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        """See `Renderer.render`. A run's pages are returned together: if not `seal_last`, all but those of the last run."""
        return self._rendered(exchanges, style, seal_last=seal_last)

    def _rendered(
        self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True, trials: Trials[list[Row]] | None = None
    ) -> list[RenderedPage]:
        canvas = Canvas.with_room(style)
        exchanges = in_sections(exchanges)
        with self._at_work(exchanges):
            runs = self._laid_out(exchanges, canvas, trials)
            drafts = [draft for run in (runs if seal_last else runs[:-1]) for draft in run]
            return with_sections([_drawn(draft, canvas, self._cells(canvas)) for draft in drafts], exchanges)

    def render_each(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[list[RenderedPage]]:
        """See `Batches`."""
        try:
            return [self._rendered(piece, style, trials=self._trials) for piece in pieces]
        finally:
            self._trials.forget()

    def fills(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[float | None]:
        """See `Batches`."""
        return [self._fill(piece, Canvas.with_room(style)) for piece in pieces]

    def _fill(self, exchanges: Sequence[Exchange], canvas: Canvas) -> float | None:
        with self._at_work(exchanges):
            drafts = [draft for run in self._laid_out(in_sections(exchanges), canvas, self._trials) for draft in run]
        return drafts[0].fill if len(drafts) == 1 else None

    @contextmanager
    def _at_work(self, exchanges: Sequence[Exchange]) -> Iterator[None]:
        """Draw `exchanges` in this block, while no other thread draws. Raises `RenderError`."""
        try:
            with self._lock:
                yield
        except (OSError, MemoryError) as exc:
            raise RenderError(f"the pages of {_numbers(exchanges)} could not be drawn: {type(exc).__name__}: {said(exc)}") from exc

    def _laid_out(self, exchanges: Sequence[Exchange], canvas: Canvas, trials: Trials[list[Row]] | None) -> list[list[Draft]]:
        self._words = self._words or shared_words(self._fonts)
        flow = self._flow(Typesetter(self._words), canvas)

        def rows(turn: Turn, label: str) -> list[Row]:
            return trials.of(turn, (label, canvas.style), lambda: flow.turn_rows(turn, label)) if trials else flow.turn_rows(turn, label)

        return list(drafts_of(_unit_rows(exchanges, flow, rows), canvas))

    def _flow(self, typesetter: Typesetter, canvas: Canvas) -> RowFlow:
        return Flow(typesetter, canvas)

    def _cells(self, canvas: Canvas) -> Cells | None:
        """What draws a row's cells; None where no row has any."""
        return None

    def close(self) -> None:
        """Let go of the cache of drawn words. Other renderers may share it."""
        with self._lock:
            self._words = None


def _numbers(exchanges: Sequence[Exchange]) -> str:
    turns = [turn for exchange in exchanges for unit in exchange for turn in unit]
    return f"turns #{turns[0].number} to #{turns[-1].number}" if turns else "no turns"


def _unit_rows(exchanges: Sequence[Exchange], flow: RowFlow, rows: Callable[[Turn, str], list[Row]]) -> list[UnitRows]:
    units: list[UnitRows] = []
    for index, exchange in enumerate(exchanges):
        labels = iter(head_labels(exchange))
        opens = True
        for unit in exchange:
            turns: list[TurnRows] = []
            for turn in unit:
                turns.append(TurnRows(turn.number, flow.gap(exchange=opens), rows(turn, next(labels))))
                opens = False
            units.append(UnitRows(index, turns, fresh=begins_page(exchanges, index)))
    return units


def _drawn(draft: Draft, canvas: Canvas, cells: Cells | None) -> RenderedPage:
    image = Image.new("L", canvas.page_size, WHITE)
    missing, first, pitch, margin = 0, canvas.left, canvas.pitch, canvas.margin
    for _, row, column, top in draft.rows:
        left, above = first + column * pitch, margin + top
        for x, y, width, height, grey in row.bars:
            image.paste(grey, (left + x, above + y, left + x + width, above + y + height))
        for x, y, mask, _ in row.pictures:
            image.paste(mask, (left + x, above + y))
        for x, y, mask, grey in row.marks:
            image.paste(grey, (left + x, above + y), mask)
        if row.cells and cells:
            line = cells(row.cells)
            image.paste(line, (left, above + (row.height - line.height) // 2))
        missing += row.missing
    draw_margins(image, 1 + max(placed.column for placed in draft.rows), draft.heads, canvas)
    png = encode_grey(image, canvas.style.grey_levels)
    return RenderedPage(png, image.width, image.height, draft.segments, draft.fill, missing)
