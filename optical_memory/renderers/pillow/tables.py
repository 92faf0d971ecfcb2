"""Lay out tables: columns as wide as their cells need, rows that break between lines only if they must."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate

from ..document.blocks import WIDEST_TABLE, Spans, Table
from ..greys import TABLE_LINE
from ..typography.word_masks import TextStyle
from .typesetting import Bar, LineBox, Mark, Row, Typesetter

__all__ = ["table_rows"]

NARROWEST_CELL = 2.5  # text sizes; the same for a table in a narrow place
WHOLE_LINES = 12  # a table row of at most this many lines stays in one column
LEAST_LINE = 5  # pixels

Cell = list[tuple[str, TextStyle]]


def table_rows(
    table: Table, typesetter: Typesetter, box: LineBox, text_style: TextStyle, runs: Callable[[Spans, TextStyle], Cell]
) -> list[Row]:
    """Return the rows of a table set in `box`. `runs` converts a cell's spans to text with text styles."""
    count = max((len(row) for row in table.rows), default=0)
    if not count:
        return []
    head, body = replace(text_style, style="bold"), text_style
    cells = [[runs(spans, body if number else head) for spans in row] for number, row in enumerate(table.rows)]
    if count > WIDEST_TABLE or box.width < count * NARROWEST_CELL * text_style.size:
        return _records(cells, typesetter, box, text_style)
    hair = max(1, round(text_style.size / 14))
    pad = 3 * hair
    widths = _widths(cells, count, typesetter, box.width - count * (2 * pad + hair) - hair, text_style)
    edges = list(accumulate((width + 2 * pad + hair for width in widths), initial=box.left))
    line = max(LEAST_LINE, box.line - hair)
    rows: list[Row] = []
    for row in cells:
        boxes = [
            replace(box, left=edges[column] + hair + pad, width=widths[column], line=line, align=_align(table.aligns, column))
            for column in range(len(row))
        ]
        rows += _framed([typesetter.rows(cell, place) for cell, place in zip(row, boxes, strict=True)], edges, line, hair)
    head_lines = next((number for number, row in enumerate(rows) if not row.keep), 0)
    if len(cells) > 1:
        rows[head_lines] = rows[head_lines]._replace(keep=True)
    last = rows[-1]
    closing = Bar(edges[0], last.height, edges[-1] - edges[0] + hair, hair, TABLE_LINE)
    return [*rows[:-1], last._replace(height=last.height + hair, bars=(*last.bars, closing))]


def _align(aligns: Sequence[str], column: int) -> str:
    return aligns[column] if column < len(aligns) else ""


def _records(cells: list[list[Cell]], typesetter: Typesetter, box: LineBox, text_style: TextStyle) -> list[Row]:
    """Set the header once, then one paragraph per row, cells separated by bars."""
    rows: list[Row] = []
    for row in cells:
        parted = [piece for cell in row for piece in ((" | ", text_style), *cell)]
        rows += typesetter.rows(parted[1:], box)  # broken between words only: "2 | 15" must not be cut inside a number
    return rows


def _widths(cells: list[list[Cell]], count: int, typesetter: Typesetter, room: int, text_style: TextStyle) -> list[int]:
    """Return column widths: what the cells need, if there is room; else their longest words, and a fair share of the rest."""
    least, most = [text_style.size] * count, [text_style.size] * count
    for row in cells:
        for column, cell in enumerate(row):
            word, line = typesetter.width(cell)
            least[column], most[column] = max(least[column], word + 1), max(most[column], line + 1)
    if sum(most) <= room:
        return [int(width) + 1 for width in most]
    if sum(least) >= room:
        share = room / sum(min(width, room / 2) for width in least)
        return [max(1, int(min(width, room / 2) * share)) for width in least]
    slack = (room - sum(least)) / (sum(most) - sum(least))
    return [int(low + (high - low) * slack) for low, high in zip(least, most, strict=True)]


def _framed(columns: list[list[Row]], edges: list[int], line: int, hair: int) -> list[Row]:
    """Return the lines of one table row: cells side by side, a rule above, rules between."""
    count = max([1, *(len(rows) for rows in columns)])
    framed: list[Row] = []
    for number in range(count):
        top = 0 if number else hair
        height = line + top
        beside = [rows[number] for rows in columns if number < len(rows)]
        marks = tuple(Mark(mark.x, mark.y + top, mark.mask, mark.grey) for row in beside for mark in row.marks)
        bars = [Bar(edge, 0, hair, height, TABLE_LINE) for edge in edges]
        if not number:
            bars.append(Bar(edges[0], 0, edges[-1] - edges[0] + hair, hair, TABLE_LINE))
        keep = number + 1 < count <= WHOLE_LINES
        framed.append(Row(height, marks, tuple(bars), keep=keep, missing=sum(row.missing for row in beside)))
    return framed
