"""Typeset text: split it into words, break lines, and put each line's words in visual order.

Lines break at spaces, between ideographs, and inside words that are too long for a line or not natural; never inside a cluster or before
closing punctuation. Thai, Lao, Khmer and Burmese break between clusters, since finding their words needs a dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from ..typography.bidi import base_level, has_rtl, levels_of, visual_order
from ..typography.word_masks import TextStyle, Word, WordBook, clusters_of, is_ignorable

__all__ = ["Bar", "LineBox", "Mark", "Row", "Typesetter"]

LONG_WORD = 24  # characters; longer words are paths, hashes or minified JSON, and fill their line instead of moving to the next

HUGE_WORD = 300  # characters; longer words never fit a line, and are cut without being drawn whole

_CJK = "\u2e80-\u303f\u3040-\u30ff\u3100-\u312f\u31a0-\u9fff\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff"
_OPENING = "（「『《〈【〔“‘［｛"
_CLOSING = "，。、；：！？）」』》〉】〕”’］｝…ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ"
_NO_DICTIONARY = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_SPACE = r"[^\S\n\u00a0\u2007\u202f]"
_TOKEN = re.compile(
    rf"\n|{_SPACE}+|[{_OPENING}]*[{_CJK}][{_CLOSING}]*|[{_NO_DICTIONARY}]+|(?:[^\s{_CJK}{_NO_DICTIONARY}]|[\u00a0\u2007\u202f])+[{_CLOSING}]*|\S"
)
_SIMPLE = re.compile(r"[\x20-\x7e\n\u00a1-\u02ff\u2010-\u2027\u2030-\u205e]*")
_SIMPLE_TOKEN = re.compile(r"\n| +|[^ \n]+")
_NO_DICTIONARY_WORD = re.compile(f"[{_NO_DICTIONARY}]")
_IDEOGRAPHIC_SPACE = "\u3000"
NO_BREAK = "\u00a0"


class Mark(NamedTuple):
    """A mask drawn at a position of its row; `grey` is 0 for black."""

    x: int
    y: int
    mask: Image.Image
    grey: int


class Bar(NamedTuple):
    """A filled rectangle of its row."""

    x: int
    y: int
    width: int
    height: int
    grey: int


class Row(NamedTuple):
    """A row that is never cut: a line of text, a line of a table, an image.

    Attributes:
        height: in pixels.
        marks, bars, pictures: drawn relative to the column's left edge and the row's top; a picture is a mark with its own greys.
        keep: whether it stays in one column with the next row, if possible.
        space: whether it is only a gap, dropped at a column's edge.
        missing: number of characters that no font could draw.
    """

    height: int
    marks: tuple[Mark, ...] = ()
    bars: tuple[Bar, ...] = ()
    pictures: tuple[Mark, ...] = ()
    keep: bool = False
    space: bool = False
    missing: int = 0


@dataclass(frozen=True, slots=True)
class LineBox:
    """The box of a paragraph: left edge and width in the column, line height, and baseline from the line's top, in pixels."""

    left: int
    width: int
    line: int
    baseline: int
    align: str = ""
    preformatted: bool = False  # keep spaces at the start of a line
    fills: bool = False  # break anywhere


class Token(NamedTuple):
    """A word, a space or a line break of the text, with its style."""

    text: str
    text_style: TextStyle
    level: int = 0


class _Placed(NamedTuple):
    word: Word
    text_style: TextStyle
    level: int
    gap: float  # blank space before it
    white: int = 0  # bidi level of that space
    binds: bool = False  # no line break after it


_HUGE = Word(float("inf"), (), 0)


class Typesetter:
    """Typesets runs of text in rows."""

    def __init__(self, words: WordBook) -> None:
        self.words = words

    def rows(self, runs: Iterable[tuple[str, TextStyle]], box: LineBox, head: Iterable[tuple[str, TextStyle]] = ()) -> list[Row]:
        """Return the rows of one paragraph, each `box.line` high; none without text.

        `head` is set before it from left to right, and does not affect the paragraph's direction.
        """
        runs = [(text, text_style) for text, text_style in runs if text]
        whole = "".join(text for text, _ in runs)
        base = base_level(whole) if has_rtl(whole) else 0
        tokens = [token._replace(level=2 * base + token.level) for token in _levelled_tokens(list(head), 0)]
        tokens += _levelled_tokens(runs, base)
        return [self._row(line, box, base) for line in self._lines(tokens, box)]

    def width(self, runs: Iterable[tuple[str, TextStyle]]) -> tuple[float, float]:
        """Return a text's widths in pixels: of its longest unbreakable word, and of its longest line."""
        longest, widest, line = 0.0, 0.0, 0.0
        for token in _tokens([(text, text_style) for text, text_style in runs]):
            if token.text == "\n":
                line = 0.0
                continue
            width = self._space(token) if token.text.isspace() else self._extent(token)
            if len(token.text) <= LONG_WORD:
                longest = max(longest, width)
            line += width
            widest = max(widest, line)
        return longest, widest

    def _space(self, token: Token) -> float:
        wide = token.text.count(_IDEOGRAPHIC_SPACE)
        return wide * token.text_style.size + (len(token.text) - wide) * self.words.word(" ", token.text_style).width

    def _extent(self, token: Token) -> float:
        if len(token.text) > HUGE_WORD:
            return len(token.text) * token.text_style.size
        return self.words.word(token.text, token.text_style).width

    def _lines(self, tokens: Iterable[Token], box: LineBox) -> Iterator[list[_Placed]]:
        """Break lines greedily."""
        line: list[_Placed] = []
        used = gap = 0.0
        white = 0
        touched = False
        style_before, level_before, shelf = None, 0, dict[str, Word]()  # hashing a style for every word would take longer than all else
        for token in tokens:
            text, text_style, level = token
            if text_style is not style_before or level != level_before:
                style_before, level_before, shelf = text_style, level, self.words.shelf(text_style, bool(level & 1))
            touched = True
            if text == "\n":
                yield line
                line, used, gap, touched = [], 0.0, 0.0, False
                continue
            if text.isspace():
                white = min(white, level) if gap else level
                blank = shelf.get(text) if text == " " else None
                gap += blank.width if blank else self._space(token)
                continue
            if not line and not box.preformatted:
                gap = 0.0
            gap = min(gap, box.width / 2)  # a deeper indentation would leave no room
            word = shelf.get(text) or (self.words.word(text, text_style, bool(level & 1)) if len(text) <= HUGE_WORD else _HUGE)
            if used + gap + word.width <= box.width:
                line.append(_Placed(word, text_style, level, gap, white, text[-1] == NO_BREAK))
                used, gap = used + gap + word.width, 0.0
                continue
            if line and not self._is_cut(token, word, box):
                line, below = _parted(line, box.width - word.width)
                yield line
                line, gap = [*below, _Placed(word, text_style, level, 0.0)], 0.0
                used = sum(placed.gap + placed.word.width for placed in line)
                continue
            for piece in self._cut(token, box, used + gap):
                if piece is None:
                    yield line
                    line, used, gap = [], 0.0, 0.0
                    continue
                line.append(_Placed(piece, text_style, level, gap, white))
                used, gap = used + gap + piece.width, 0.0
        if line or touched:
            yield line

    def _is_cut(self, token: Token, word: Word, box: LineBox) -> bool:
        return box.fills or word.width > box.width or len(token.text) > LONG_WORD or bool(_NO_DICTIONARY_WORD.match(token.text))

    def _cut(self, token: Token, box: LineBox, used: float) -> Iterator[Word | None]:
        """Yield a long word in pieces that fill the lines; None is a line's end. `used` pixels of the first line are taken."""
        rtl = bool(token.level & 1)
        clusters = clusters_of(token.text)
        widths = [self.words.word(cluster, token.text_style, rtl).width for cluster in clusters]
        start, room = 0, box.width - used
        while start < len(clusters):
            end, total = start, 0.0
            while end < len(clusters) and total + widths[end] <= room:
                total += widths[end]
                end += 1
            if end == start and room < box.width:
                yield None
                room = box.width
                continue
            end = max(end, start + 1)
            word = self.words.word("".join(clusters[start:end]), token.text_style, rtl)
            while word.width > room and end > start + 1:  # letters shaped together may be wider than one by one
                end -= 1
                word = self.words.word("".join(clusters[start:end]), token.text_style, rtl)
            yield word
            start, room = end, room - word.width
            if start < len(clusters):
                yield None
                room = box.width

    def _row(self, line: list[_Placed], box: LineBox, base: int) -> Row:
        """Return one line, its words from left to right."""
        if any(placed.level for placed in line):
            line = _visual(line)
        slack = box.width - sum(placed.gap + placed.word.width for placed in line)
        right = box.align == "right" or (base and box.align == "")
        pen = box.left + (max(0.0, slack) if right else max(0.0, slack / 2) if box.align == "center" else 0.0)
        marks: list[Mark] = []
        missing = 0
        for word, text_style, _, gap, *_ in line:
            pen += gap
            x, grey = round(pen), text_style.grey
            marks += [Mark(x + left, box.baseline + top, mask, grey) for left, top, mask in word.inks]
            missing += word.missing
            pen += word.width
        return Row(box.line, tuple(marks), missing=missing)


def _parted(line: list[_Placed], room: float) -> tuple[list[_Placed], list[_Placed]]:
    """Split off a full line's last words if no break is allowed after them and they have `room` on the next line."""
    *before, last = line
    return (before, [last._replace(gap=0.0)]) if before and last.binds and last.word.width <= room else (line, [])


def _tokens(runs: Iterable[tuple[str, TextStyle]]) -> list[Token]:
    tokens: list[Token] = []
    for text, text_style in runs:
        pattern = _SIMPLE_TOKEN if _SIMPLE.fullmatch(text) else _TOKEN
        tokens += [Token(piece, text_style) for piece in pattern.findall(text)]
    return tokens


def _levelled_tokens(runs: Sequence[tuple[str, TextStyle]], base: int) -> list[Token]:
    """Split runs into tokens of one bidi level each; invisible characters stay with their neighbour."""
    whole = "".join(text for text, _ in runs)
    if not has_rtl(whole):
        return _tokens(runs)
    levels = levels_of(whole, base)
    tokens: list[Token] = []
    start = 0
    for token in _tokens(runs):
        end = start + len(token.text)
        cut = start
        for place in range(start + 1, end + 1):
            if place == end or (levels[place] != levels[cut] and not is_ignorable(whole[place])):
                tokens.append(Token(whole[cut:place], token.text_style, levels[cut]))
                cut = place
        start = end
    return tokens


def _visual(line: list[_Placed]) -> list[_Placed]:
    """Return words in visual order; the space before a word in reading order is on its reading-order side."""
    items: list[_Placed | float] = []
    levels: list[int] = []
    for index, placed in enumerate(line):
        if placed.gap:
            items.append(placed.gap)
            # The least of the three: the space after a head belongs to the head, and is between it and the text.
            levels.append(min(line[max(index - 1, 0)].level, placed.white, placed.level))
        items.append(placed._replace(gap=0.0))
        levels.append(placed.level)
    ordered: list[_Placed] = []
    pending = 0.0
    for item in visual_order(items, levels):
        if isinstance(item, _Placed):
            ordered.append(item._replace(gap=pending))
            pending = 0.0
        else:
            pending += item
    return ordered
