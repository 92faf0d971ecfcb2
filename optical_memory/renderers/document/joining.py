"""Join short blocks on a row, since a short block on a row of its own leaves most of it blank.

Only what is drawn changes, and it remains unambiguous:

- Paragraphs and headings are separated by the visible line end ` ↵ `. A heading stays bold, and begins a row.
- The items of a list follow each other, each after its marker in bold. A deeper bullet is `◦` or `‣`, a deeper number follows `›`. A
  line end closes the list.
- A list is not joined if its items could be confused: if one has line ends or further blocks, or words that resemble a marker, or is
  written from right to left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ..typography.bidi import base_level, has_rtl
from .blocks import Block, Heading, ListItem, Paragraph, Quote, Span, Spans
from .compaction import JOIN_MARK, ROW_WIDTH, cell_count

__all__ = ["run_in"]

SHORT = 2.0  # rows; one of two neighbours must be shorter to share a row, so that long paragraphs still begin at the margin
SHORT_ITEM = 2.0  # rows, the mean of a list; longer items stay on rows of their own, where their markers are easy to find
LINE_END = Span(f" {JOIN_MARK} ")
BULLETS = "•◦‣"
_BULLET = re.compile(rf"(?:^|\s)[{BULLETS}☐☑](?=\s|$)")
_NUMBER = re.compile(r"(?:^|\s)›*\d{1,3}[.)](?=\s|$)")


def run_in(blocks: Sequence[Block], width: int = ROW_WIDTH) -> tuple[Block, ...]:
    """Join short blocks to paragraphs, also inside list items and quotes.

    Args:
        blocks: of one turn, or of one block.
        width: character cells of a row.

    Words keep their order; blocks other than paragraphs, headings and lists are returned unchanged.
    """
    rows: list[_Row] = []
    for piece in _pieces(blocks, width):
        if rows and rows[-1].takes(piece, width):
            rows[-1].add(piece)
        else:
            rows.append(_Row(piece))
    return tuple(row.block for row in rows)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A block, and how it may be joined.

    Attributes:
        block: the block if it is not joined.
        first, last: cells of the parts next to a neighbour.
        tail: the text before a following neighbour, if it is not a list.
        markers: a list's depth and kind of markers; see `_list_kind`.
        is_fixed: whether it must not be joined.
        direction: 1 if its text runs from right to left.
    """

    block: Block
    first: int = 0
    last: int = 0
    tail: str = ""
    markers: re.Pattern[str] | None = None
    is_fixed: bool = False
    direction: int = 0

    @property
    def spans(self) -> Spans:
        block = self.block
        if isinstance(block, Heading):
            return tuple(replace(span, bold=True) for span in block.spans)
        return block.spans if isinstance(block, Paragraph) else ()


class _Row:
    """Pieces that share a row. Takes one after the other without looking at the earlier ones again, so that its time is linear."""

    def __init__(self, piece: _Piece) -> None:
        self._last = piece
        self._spans: list[Span] = []  # empty as long as there is one piece only

    @property
    def block(self) -> Block:
        return Paragraph(tuple(_merged(self._spans))) if self._spans else self._last.block

    def takes(self, after: _Piece, width: int) -> bool:
        """Whether a piece may follow. All pieces of a row have one direction, which is then that of the row."""
        last = self._last
        if last.is_fixed or after.is_fixed or last.direction != after.direction:
            return False
        if isinstance(after.block, Heading):
            return not self._spans and isinstance(last.block, Heading)
        if after.markers is not None:
            return not after.markers.search(last.tail)
        return min(last.last, after.first) <= SHORT * width

    def add(self, after: _Piece) -> None:
        """Append a piece that it takes."""
        between = Span(" ") if after.markers is not None and self._last.markers is None else LINE_END
        self._spans += [*(() if self._spans else self._last.spans), between, *after.spans]
        self._last = after


def _merged(spans: Sequence[Span]) -> Iterator[Span]:
    """Merge adjacent spans without a style: a row of a thousand short paragraphs is one text."""
    for is_plain, group in groupby(spans, key=_is_plain):
        members = list(group)
        yield from [Span(_text(members))] if is_plain and len(members) > 1 else members


def _is_plain(span: Span) -> bool:
    return not (span.bold or span.italic or span.strike or span.code or span.maths)


def _pieces(blocks: Sequence[Block], width: int) -> Iterator[_Piece]:
    for kind, group in groupby(blocks, _list_kind):
        members = list(group)
        if kind:
            yield from _list([item for item in members if isinstance(item, ListItem)], width)
            continue
        yield from (_piece(block, width) for block in members)


def _list_kind(block: Block) -> tuple[int, bool] | None:
    """Return what distinguishes adjacent lists: depth, and whether they are numbered. None if not a list."""
    return (block.depth, _markers(block) is _NUMBER) if isinstance(block, ListItem) else None


def _markers(item: ListItem) -> re.Pattern[str]:
    return _NUMBER if item.marker[:1].isdigit() else _BULLET


def _piece(block: Block, width: int) -> _Piece:
    if isinstance(block, Quote):
        return _Piece(Quote(run_in(block.blocks, width)), is_fixed=True)
    if not isinstance(block, Paragraph | Heading):
        return _Piece(block, is_fixed=True)
    words = _text(block.spans)
    size = cell_count(words)
    return _Piece(_flowing(block), size, size, words, direction=_direction(words))


def _flowing(block: Paragraph | Heading) -> Paragraph | Heading:
    """Replace hard line breaks by marks."""
    if not any("\n" in span.text for span in block.spans):
        return block
    spans = tuple(replace(span, text=LINE_END.text.join(span.text.split("\n"))) if "\n" in span.text else span for span in block.spans)
    return replace(block, spans=spans)


def _list(items: Sequence[ListItem], width: int) -> Iterator[_Piece]:
    """Yield a list as one piece, or its items one by one."""
    joined = [replace(item, blocks=run_in(item.blocks, width)) for item in items]
    spans = [_item_spans(item) for item in joined]
    sizes = [cell_count(_text(found)) for found in spans]
    if not all(spans) or any(map(_is_mistakable, items)) or sum(sizes) > SHORT_ITEM * width * len(sizes):
        yield from (_Piece(item, is_fixed=True) for item in joined)
        return
    whole = [span for found in spans for span in (Span(" "), *found)]
    yield _Piece(Paragraph(tuple(whole[1:])), sizes[0], sizes[-1], markers=_markers(items[0]))  # a list from right to left is not joined


def _item_spans(item: ListItem) -> Spans:
    """Return an item's spans in a row, or () if it is more than one line of text."""
    if item.depth >= len(BULLETS) or len(item.blocks) != 1 or not isinstance(item.blocks[0], Paragraph):
        return ()
    spans = item.blocks[0].spans
    text = _text(spans)
    if has_rtl(text) or JOIN_MARK in text.replace(JOIN_MARK * 2, ""):
        return ()
    marker = BULLETS[item.depth] if item.marker == BULLETS[0] else "›" * item.depth + item.marker
    return (Span(f"{marker}\u00a0", bold=True), *spans)


def _is_mistakable(item: ListItem) -> bool:
    """Whether its text, or that of an item inside it, resembles a marker."""
    inner = (block for block in item.blocks if isinstance(block, ListItem))
    own = (block for block in item.blocks if isinstance(block, Paragraph))
    return any(_markers(item).search(_text(block.spans)) for block in own) or any(map(_is_mistakable, inner))


def _direction(text: str) -> int:
    return base_level(text) if has_rtl(text) else 0


def _text(spans: Sequence[Span]) -> str:
    return "".join(span.text for span in spans)
