"""Convert blocks to HTML: every string escaped, every element from the list in this file, no attribute that could hold a URL.

Lengths are device pixels. The page is laid out at the size at which it is captured, so that the browser's rectangles are the segments'
boxes at any scale.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import singledispatch
from html import escape

from ...text.excerpts import shape
from ...turns.exchanges import Exchange, starts_exchange
from ...turns.turn import Turn
from ..document.blocks import (
    MOST_INDENTS,
    WIDEST_TABLE,
    Block,
    Code,
    Heading,
    ListItem,
    Math,
    Paragraph,
    Picture,
    Quote,
    Rule,
    Span,
    Spans,
    Table,
)
from ..document.blocks_of_turn import blocks_of
from ..document.syntax import Kind, pieces_of
from ..document.turn_heads import head_labels
from ..embedded_images import picture_html
from ..geometry import Canvas
from ..trials import Trials
from .mathml import to_mathml
from .soft_breaks import soft_breaks

__all__ = ["has_emoji", "unit_html"]

_ELEMENTS: dict[Kind, str] = {"strong": "b", "comment": "i", "string": "s"}  # the style sheet makes `<s>` a grey
_UNFIT = re.compile("[\0-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_EMOJI = re.compile(  # ranges that contain the Emoji of Unicode's emoji-data.txt
    "[\u00a9\u00ae\u203c\u2049\u20e3\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u25aa-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff]"
)
SANS_ROOM = 0.9  # of the cells of a line: about the letters of prose that surely fit it
CELL_ROOM = 27  # the same in a table, so that a word of `WHOLE` letters is never cut
INDENT = 4  # cells by which a nested block is narrower, at most
_KANA = re.compile("[\u3040-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7af]")


def has_emoji(html: str) -> bool:
    """Whether a character in `html` may be drawn in colour."""
    return not html.isascii() and _EMOJI.search(html) is not None


def unit_html(exchange: Exchange, canvas: Canvas, trials: Trials[str] | None = None) -> list[str]:
    """Return one HTML fragment per unit of `exchange`. The unit that opens the exchange is marked, if it is in the given part."""

    def html(turn: Turn, label: str) -> str:
        return trials.of(turn, (label, canvas.style), lambda: _turn(turn, label, canvas)) if trials else _turn(turn, label, canvas)

    labels = iter(head_labels(exchange))
    units: list[str] = []
    for unit in exchange:
        turns = "".join(html(turn, next(labels)) for turn in unit)
        units.append(f'<section class="{"x" if starts_exchange(unit[0]) else "u"}">{turns}</section>')
    return units


def _turn(turn: Turn, label: str, canvas: Canvas) -> str:
    blocks = blocks_of(turn, row_width=canvas.row_width)
    head = f'<span class="h" dir="ltr"><b class="n">#{turn.number}</b> <b>{_text(label)}</b></span> '
    body = _headed(head, blocks, canvas)
    return f"<article{_language(turn.text)}>{body}</article>"


def _headed(head: str, blocks: Sequence[Block], canvas: Canvas) -> str:
    """Put the head into the first block if that is text; else on a line of its own."""
    if blocks and isinstance(blocks[0], Paragraph | Heading):
        strong = isinstance(blocks[0], Heading)
        words = _spans(blocks[0].spans, canvas.row_width)
        opening = f"{head}<b>{words}</b>" if strong else f"{head}{words}"
        return f'<p dir="auto">{opening}</p>' + _all(blocks[1:], canvas)
    if blocks and isinstance(blocks[0], Code):
        return _code(blocks[0], canvas.row_width, head) + _all(blocks[1:], canvas)
    return f'<p class="alone">{head}</p>' + _all(blocks, canvas)


def _all(blocks: Sequence[Block], canvas: Canvas, depth: int = 0) -> str:
    return "".join(_block(block, canvas, depth) for block in blocks)


@singledispatch
def _block(block: Block, canvas: Canvas, depth: int) -> str:
    raise TypeError(f"{shape(block)} is no block")


@_block.register
def _(block: Paragraph, canvas: Canvas, depth: int) -> str:
    return f'<p dir="auto">{_spans(block.spans, _room(canvas, depth))}</p>'


@_block.register
def _(block: Heading, canvas: Canvas, depth: int) -> str:
    return f'<h{min(max(block.level, 1), 6)} dir="auto">{_spans(block.spans, _room(canvas, depth))}</h{min(max(block.level, 1), 6)}>'


@_block.register
def _(block: ListItem, canvas: Canvas, depth: int) -> str:
    marker = f'<span class="m">{_text(block.marker)} </span>' if block.marker else ""
    first, rest = block.blocks[:1], block.blocks[1:]
    if first and isinstance(first[0], Paragraph):
        body = f'<p dir="auto">{marker}{_spans(first[0].spans, _room(canvas, depth + 1))}</p>'
    else:
        body = f"<p>{marker}</p>{_nested(first, canvas, depth)}"
    level = min(block.depth, MOST_INDENTS)
    return f'<div class="l l{level}">{body}{_nested(rest, canvas, depth)}</div>'


@_block.register
def _(block: Quote, canvas: Canvas, depth: int) -> str:
    inner = _nested(block.blocks, canvas, depth)
    return f'<div class="q">{inner}</div>' if depth < MOST_INDENTS else inner


def _nested(blocks: Sequence[Block], canvas: Canvas, depth: int) -> str:
    return _all(blocks, canvas, depth + 1)


@_block.register
def _(block: Code, canvas: Canvas, depth: int) -> str:
    return _code(block, _room(canvas, depth))


@_block.register
def _(block: Table, canvas: Canvas, depth: int) -> str:
    if block.rows and len(block.rows[0]) > WIDEST_TABLE:
        return _records(block.rows, _room(canvas, depth))
    rows = []
    for number, row in enumerate(block.rows):
        cell = "th" if number == 0 else "td"
        aligns = [f' class="{align}"' if align in ("center", "right") else "" for align in (*block.aligns, *[""] * len(row))]
        cells = [f"<{cell}{align}>{_spans(spans, CELL_ROOM)}</{cell}>" for spans, align in zip(row, aligns, strict=False)]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table dir="auto"><tbody>{"".join(rows)}</tbody></table>'


def _records(rows: tuple[tuple[Spans, ...], ...], room: int) -> str:
    """Format a table too wide for a column: the header once, then one paragraph per row, cells separated by bars."""
    lines = [" | ".join(_spans(cell, room) for cell in row) for row in rows]
    return f'<p class="r"><b>{lines[0]}</b></p>' + "".join(f'<p class="r" dir="auto">{line}</p>' for line in lines[1:])


@_block.register
def _(block: Math, canvas: Canvas, depth: int) -> str:
    return f'<p class="k">{to_mathml(_clean(block.tex), display=True)}</p>'


@_block.register
def _(block: Picture, canvas: Canvas, depth: int) -> str:
    return picture_html(block.data, canvas.text_width, canvas.picture_height, canvas.scale) or f"<p>{_text(block.note)}</p>"


@_block.register
def _(block: Rule, canvas: Canvas, depth: int) -> str:
    return "<hr>"


def _room(canvas: Canvas, depth: int) -> int:
    """Return the cells of a line inside `depth` lists and quotes, about."""
    return max(CELL_ROOM, canvas.row_width - INDENT * min(depth, MOST_INDENTS))


def _code(block: Code, room: int, head: str = "") -> str:
    title = f'<span class="h" dir="ltr">{_spans(block.title, room)}</span> ' if block.title else ""
    pieces = list(pieces_of(_clean(block.text), block.language))
    texts = soft_breaks([piece for piece, _ in pieces], room, code=True, eager=block.language == "json")
    return f"<pre>{head}{title}{''.join(_marked(text, kind) for text, (_, kind) in zip(texts, pieces, strict=True))}</pre>"


def _marked(piece: str, kind: Kind) -> str:
    tag = _ELEMENTS.get(kind)
    return f"<{tag}>{escape(piece)}</{tag}>" if tag else escape(piece)


def _spans(spans: Spans, room: int) -> str:
    return "".join(_span(span, room) for span in spans)


def _span(span: Span, room: int) -> str:
    if span.maths:
        return to_mathml(_clean(span.text))
    (text,) = soft_breaks([_clean(span.text)], room if span.code else round(SANS_ROOM * room), code=span.code)
    text = escape(text).replace("\n", "<br>")
    for wanted, tag in ((span.code, "code"), (span.bold, "b"), (span.italic, "i"), (span.strike, "del")):
        if wanted:
            text = f"<{tag}>{text}</{tag}>"
    return text


def _text(text: str) -> str:
    return escape(_clean(text))


def _clean(text: str) -> str:
    """Remove what HTML cannot hold: control characters, lone surrogates, non-characters. Blocks already show them as control pictures."""
    return _UNFIT.sub("\ufffd", text)


def _language(text: str) -> str:
    """Return a `lang` attribute if the characters tell the language; it selects Chinese, Japanese or Korean glyphs."""
    if text.isascii():
        return ""
    if _KANA.search(text):
        return ' lang="ja"'
    return ' lang="ko"' if _HANGUL.search(text) else ""
