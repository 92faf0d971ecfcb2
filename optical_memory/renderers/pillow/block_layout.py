"""Lay out the blocks of a turn as rows of a column, before pages are broken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...turns.turn import Turn
from ..document.blocks import MOST_INDENTS, Block, Code, Heading, ListItem, Math, Paragraph, Picture, Quote, Rule, Span
from ..document.blocks_of_turn import blocks_of
from ..document.syntax import Kind, pieces_of
from ..embedded_images import fit_picture
from ..geometry import Canvas
from ..greys import COMMENT, EXCHANGE_RULE, QUOTE_BAR, RULE, STRING
from ..typography.word_masks import TextStyle, Word
from .linear_tex import linear_tex
from .tables import table_rows
from .typesetting import Bar, LineBox, Mark, Row, Typesetter

__all__ = ["Flow"]

TOP_HEADING = 1.12  # of the text size, for level 1; deeper levels are bold only
NARROWEST = 8  # text sizes; nested lists and quotes never make a column narrower
BASELINE = 0.31  # of the text size, below a line's middle: centres DejaVu Sans

NO_WORD = Word(0.0, (), 0)

Run = tuple[str, TextStyle]


class Flow:
    """Lays out turns in rows of one column's width."""

    def __init__(self, typesetter: Typesetter, canvas: Canvas) -> None:
        self._set = typesetter
        self._canvas = canvas
        self._size = canvas.style.font_size * canvas.scale
        self._hair = max(1, round(canvas.scale))
        self._text = TextStyle(self._size)
        self._code = TextStyle(canvas.style.code_size * canvas.scale, "mono")
        self._kinds: dict[Kind, TextStyle] = {
            "plain": self._code,
            "strong": replace(self._code, style="monobold"),
            "comment": replace(self._code, grey=COMMENT, italic=True),
            "string": replace(self._code, grey=STRING),
        }
        self._number = TextStyle(canvas.style.number_size * canvas.scale, "bold")

    def turn_rows(self, turn: Turn, label: str) -> list[Row]:
        """Return the rows of a turn: its head, and its blocks after and below it. At least one.

        Args:
            turn: the turn; its number is set.
            label: text after the number.
        """
        blocks = blocks_of(turn, row_width=self._canvas.row_width)
        head = [(f"#{turn.number}", self._number), (" ", self._text), (label, replace(self._text, style="bold")), (" ", self._text)]
        match blocks[0] if blocks else None:
            case Paragraph(spans):
                rows = self._set.rows(self._runs(spans, self._text), self._box(0), head)
            case Heading(_, spans):
                rows = _kept(self._set.rows(self._runs(spans, replace(self._text, style="bold")), self._box(0), head))
            case Code() as code:
                rows = self._code_rows(code, head)
            case _:
                rows = self._set.rows([], self._box(0), head)
                return self._stacked(_kept(rows) if blocks else rows, blocks, 0)
        return self._stacked(rows, blocks[1:], 0)

    def gap(self, *, exchange: bool) -> Row:
        """Return the blank row before a turn; before an exchange it has a rule."""
        bars = (Bar(0, self._hair, self._canvas.text_width, self._hair, EXCHANGE_RULE),) if exchange else ()
        return Row((4 if exchange else 2) * self._hair, bars=bars, space=True)

    def _box(self, left: int, *, code: bool = False) -> LineBox:
        left = min(left, max(0, self._canvas.text_width - round(NARROWEST * self._size)))
        line, size = (self._canvas.code_line, self._code.size) if code else (self._canvas.line, self._size)
        return LineBox(left, self._canvas.text_width - left, line, round(line / 2 + BASELINE * size), preformatted=code)

    def _stacked(self, rows: list[Row], blocks: Iterable[Block], left: int, depth: int = 0) -> list[Row]:
        """Append blocks below rows, with a gap between any two."""
        for block in blocks:
            below = self._block(block, left, depth)
            if rows and below and not isinstance(block, ListItem):
                rows.append(Row(2 * self._hair, space=True, keep=rows[-1].keep))
            rows += below
        return rows

    def _block(self, block: Block, left: int, depth: int) -> list[Row]:
        box = self._box(left)
        match block:
            case Paragraph(spans):
                return self._set.rows(self._runs(spans, self._text), box)
            case Heading(level, spans):
                text_style = replace(self._text, style="bold", size=self._size * (TOP_HEADING if level <= 1 else 1.0))
                return _kept(self._set.rows(self._runs(spans, text_style), box))
            case ListItem():
                return self._item(block, left, depth)
            case Quote(blocks):
                return self._quote(blocks, left, depth)
            case Code():
                return self._code_rows(block, [], left)
            case Math(tex):
                return self._set.rows([(linear_tex(tex), self._text)], replace(box, align="center"))
            case Picture():
                return self._picture(block, box)
            case Rule():
                return [Row(6 * self._hair, bars=(Bar(box.left, 3 * self._hair, box.width, self._hair, RULE),))]
            case table:
                return table_rows(table, self._set, box, replace(self._text, size=0.93 * self._size), self._runs)

    def _code_rows(self, code: Code, head: list[Run], left: int = 0) -> list[Row]:
        title = [*self._runs(code.title, self._text), (" ", self._text)] if code.title else []
        box = replace(self._box(left, code=True), fills=code.language == "json")
        listing = ((piece, self._kinds[kind]) for piece, kind in pieces_of(code.text, code.language))
        rows = self._set.rows(listing, box, [*head, *title])
        return [_lowered(rows[0], self._canvas.line - box.line), *rows[1:]] if head or title else rows

    def _runs(self, spans: Sequence[Span], text_style: TextStyle) -> list[Run]:
        """Convert spans to runs of text with their text styles."""
        return [(linear_tex(span.text) if span.maths else span.text, self._style_of(span, text_style)) for span in spans]

    def _style_of(self, span: Span, base: TextStyle) -> TextStyle:
        if not (span.bold or span.italic or span.strike or span.code or span.maths):
            return base
        if span.code:
            return replace(base, size=self._code.size, style="mono", strike=span.strike)
        style = "bold" if span.bold else base.style
        return replace(base, style=style, italic=span.italic or span.maths, strike=span.strike)

    def _item(self, item: ListItem, left: int, depth: int) -> list[Row]:
        marker = self._set.words.word(item.marker, self._text) if item.marker else NO_WORD
        space = 0.4 * self._size
        hang = max(round(1.1 * self._size), round(marker.width + space))
        outer = max(0, min(item.depth, MOST_INDENTS) - depth)  # levels of the item beyond its nesting
        inner = self._box(left + hang + round(0.9 * self._size * outer)).left
        rows = self._stacked([], item.blocks, inner, depth + 1) or [Row(self._canvas.line)]
        start = max(0, inner - hang)
        marks = [Mark(start + ink.left, self._box(0).baseline + ink.top, ink.mask, 0) for ink in marker.inks]
        first = rows[0]
        return [first._replace(marks=(*marks, *first.marks), missing=first.missing + marker.missing), *rows[1:]]

    def _quote(self, blocks: Sequence[Block], left: int, depth: int) -> list[Row]:
        if depth >= MOST_INDENTS:
            return self._stacked([], blocks, left, depth + 1)
        x = self._box(left).left
        rows = self._stacked([], blocks, x + 6 * self._hair, depth + 1)
        return [row._replace(bars=(*row.bars, Bar(x, 0, 2 * self._hair, row.height, QUOTE_BAR))) for row in rows]

    def _picture(self, picture: Picture, box: LineBox) -> list[Row]:
        image = fit_picture(picture.data, box.width, self._canvas.picture_height, self._canvas.scale)
        if image is None:
            return self._set.rows([(picture.note, self._text)], box)
        return [Row(image.height + 2 * self._hair, pictures=(Mark(box.left, self._hair, image, 0),))]


def _lowered(row: Row, by: int) -> Row:
    """Add blank space above a row: a turn's head is higher than a line of code."""
    return row._replace(height=row.height + by, marks=tuple(mark._replace(y=mark.y + by) for mark in row.marks))


def _kept(rows: list[Row]) -> list[Row]:
    """Keep rows (heads and headings) in one column with what follows them."""
    return [row._replace(keep=True) for row in rows]
