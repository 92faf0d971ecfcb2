"""The pixel renderer: the densest pages, for readers that read letters of 5 x 8 px.

Letters stand on a grid, each in a cell of whole pixels, and a page is never scaled. What its face lacks (Chinese, Arabic, emoji) is set in
the pages' sans face, in lines of its own that are as large as there. Turns begin as in the other renderers: on a line of their own, with
their number, and a bar beside the column.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import groupby

from PIL import Image

from ...turns.turn import Turn
from ..document.blocks import Picture
from ..document.compaction import JOIN_MARK
from ..embedded_images import fit_picture
from ..geometry import Canvas
from ..greys import EXCHANGE_RULE
from ..pillow.block_layout import BASELINE
from ..pillow.renderer import Cells, PillowRenderer, RowFlow
from ..pillow.typesetting import Bar, LineBox, Mark, Row, Typesetter
from ..typography.word_masks import TextStyle
from .faces import PixelFace, face_for
from .rows import rows_of
from .source import source_of

__all__ = ["BitmapRenderer"]

LEAST_SANS = 14.0  # px; the size of what the face lacks, which is mostly Chinese: smaller, its strokes run together (docs/experiments)
SANS_LINE = 1.15  # of that size


class BitmapRenderer(PillowRenderer):
    """Draws pages in letters of whole pixels. Thread-safe. Arguments as of `PillowRenderer`."""

    name = "bitmap"

    def _flow(self, typesetter: Typesetter, canvas: Canvas) -> RowFlow:
        return GridFlow(typesetter, canvas)

    def _cells(self, canvas: Canvas) -> Cells:
        return partial(_line, face_for(canvas))


def _line(face: PixelFace, text: str) -> Image.Image:
    return Image.frombytes("L", (len(text) * face.width, face.height), face.row(text))


class GridFlow:
    """Lays out turns in rows of cells."""

    def __init__(self, typesetter: Typesetter, canvas: Canvas) -> None:
        self._set, self._canvas, self._face = typesetter, canvas, face_for(canvas)
        self._width = max(4, canvas.text_width // self._face.width)
        self._gaps = (self._gap(exchange=False), self._gap(exchange=True))
        size = max(LEAST_SANS, canvas.style.font_size * canvas.scale)
        line = max(canvas.line, round(SANS_LINE * size))
        self._sans, self._box = TextStyle(size), LineBox(0, canvas.text_width, line, round(line / 2 + BASELINE * size))

    def turn_rows(self, turn: Turn, label: str) -> list[Row]:
        """Return the rows of a turn: its head, and what it says after and below it."""
        head = f"#{turn.number} {label} "
        rows: list[Row] = []
        for piece in source_of(turn):
            if isinstance(piece, Picture):
                rows += [*([] if rows else self._text_rows(head)), *self._picture(piece)]
            else:
                rows += self._text_rows(piece if rows else head + piece)
        return rows or self._text_rows(head)

    def gap(self, *, exchange: bool) -> Row:
        """Return the blank row before a turn; before an exchange it has a rule."""
        return self._gaps[exchange]

    def _gap(self, *, exchange: bool) -> Row:
        hair = self._canvas.hair
        bars = (Bar(0, hair, self._canvas.text_width, hair, EXCHANGE_RULE),) if exchange else ()
        return Row((4 if exchange else 2) * hair, bars=bars, space=True)

    def _text_rows(self, text: str) -> list[Row]:
        return [row for line in text.split("\n") for run, drawn in self._runs(line) for row in self._run_rows(run, drawn=drawn)]

    def _runs(self, text: str) -> Iterator[tuple[str, bool]]:
        """Part a text between lines that the face draws and lines that it does not."""
        if self._face.draws(text):
            yield text, True
            return
        lines = text.split(JOIN_MARK)
        for drawn, group in groupby(enumerate(lines), key=lambda pair: self._face.draws(pair[1])):
            held = list(group)
            mark = JOIN_MARK if held[-1][0] < len(lines) - 1 else ""
            yield JOIN_MARK.join(line for _, line in held) + mark, drawn

    def _run_rows(self, text: str, *, drawn: bool) -> list[Row]:
        if not drawn:
            return self._set.rows([(text, self._sans)], self._box)
        return [Row(self._canvas.line, cells=row) for row in rows_of(text.rstrip(" "), self._width)]

    def _picture(self, picture: Picture) -> list[Row]:
        image = fit_picture(picture.data, self._canvas.text_width, self._canvas.picture_height, self._canvas.scale)
        if image is None:
            return self._text_rows(picture.note)
        hair = self._canvas.hair
        return [Row(image.height + 2 * hair, pictures=(Mark(0, hair, image, 0),))]
