"""Typeset text: split it into words, break lines, and put each line's words in visual order.

Lines break at spaces, between ideographs, and inside long words after separators (`document.word_breaks`); never inside a cluster or
before closing punctuation. What is wider than a line is cut, with a mark. Thai, Lao, Khmer and Burmese break between clusters, since
finding their words needs a dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from ..document.compaction import CUT_MARK, JOIN_MARK
from ..document.word_breaks import CJK, NO_DICTIONARY, WHOLE, cuttable, parts_of
from ..typography.bidi import base_level, has_rtl, levels_of, visual_order
from ..typography.word_masks import TextStyle, Word, WordBook, is_ignorable

__all__ = ["Bar", "LineBox", "Mark", "Row", "Typesetter"]

HUGE_WORD = 300  # characters; longer words never fit a line, and are cut without being drawn whole

_OPENING = "（「『《〈【〔“‘［｛"
_CLOSING = "，。、；：！？）」』》〉】〕”’］｝…ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ"
_SPACE = r"[^\S\n\u00a0\u2007\u202f]"
_TOKEN = re.compile(
    rf"\n|{_SPACE}+|[{_OPENING}]*[{CJK}][{_CLOSING}]*|[{NO_DICTIONARY}]+|(?:[^\s{CJK}{NO_DICTIONARY}]|[\u00a0\u2007\u202f])+[{_CLOSING}]*|\S"
)
_SIMPLE = re.compile(r"[\x20-\x7e\n\u00a1-\u02ff\u2010-\u2027\u2030-\u205e]*")
_SIMPLE_TOKEN = re.compile(r"\n| +|[^ \n]+")
_NO_DICTIONARY_WORD = re.compile(f"[{NO_DICTIONARY}]")
_FIRST_NO_DICTIONARY = "\u0e00"  # what stands before it is neither an ideograph nor one of these
_FREE = re.compile(f"[{_OPENING}]*[{CJK}{NO_DICTIONARY}]")  # lines break before and after it
_IDEOGRAPHIC_SPACE = "\u3000"


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
        rtl: whether it is a line that runs from right to left, and so begins at its right end.
        cells: a line in letters of whole pixels, one cell each, beside the marks; for the pixel renderer.
    """

    height: int
    marks: tuple[Mark, ...] = ()
    bars: tuple[Bar, ...] = ()
    pictures: tuple[Mark, ...] = ()
    keep: bool = False
    space: bool = False
    missing: int = 0
    rtl: bool = False
    cells: str = ""


@dataclass(frozen=True, slots=True)
class LineBox:
    """The box of a paragraph: left edge and width in the column, line height, and baseline from the line's top, in pixels."""

    left: int
    width: int
    line: int
    baseline: int
    align: str = ""
    preformatted: bool = False  # keep spaces at the start of a line
    fills: bool = False  # break short words after separators too


class Token(NamedTuple):
    """A word or part of one, a space or a line break of the text, with its style; `opens` if a line may break before it."""

    text: str
    text_style: TextStyle
    level: int = 0
    opens: bool = True


class _Placed(NamedTuple):
    word: Word
    token: Token
    gap: float  # blank space before it
    white: int = 0  # bidi level of that space

    @property
    def level(self) -> int:
        return self.token.level


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
            if len(token.text) <= WHOLE:
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
        for token in _opened(tokens, box.fills):
            text = token.text
            touched = True
            if text == "\n":
                yield line
                line, used, gap, touched = [], 0.0, 0.0, False
                continue
            if text.isspace():
                white = min(white, token.level) if gap else token.level
                gap += self._space(token)
                continue
            if not line and not box.preformatted:
                gap = 0.0
            gap = min(gap, box.width / 2)  # a deeper indentation would leave no room
            word = self._word(token) if len(text) <= HUGE_WORD else _HUGE
            if used + gap + word.width <= box.width and (line or _breadth(word) <= box.width):
                line.append(_Placed(word, token, gap, white))
                used, gap = used + gap + word.width, 0.0
                continue
            is_cut = _breadth(word) > box.width or (text > _FIRST_NO_DICTIONARY and _NO_DICTIONARY_WORD.match(text) is not None)
            if line and not is_cut:
                indent = gap if gap + word.width <= box.width and _ends_joined_line(line[-1].token) else 0.0
                line, below = self._parted(line, token, box.width - word.width, box.width - used)
                yield line
                line, gap = [*below, _Placed(word, token, indent, white)], 0.0
                used = sum(placed.gap + placed.word.width for placed in line)
                continue
            if line and not token.opens and box.width - used < self._least(token):
                line, below = self._parted(line, token, box.width / 2, box.width - used)
                yield line
                line, used = below, sum(placed.gap + placed.word.width for placed in below)
            for piece in self._cut(token, box, used + gap):
                if piece is None:
                    yield line
                    line, used, gap = [], 0.0, 0.0
                    continue
                word = self._word(piece)
                line.append(_Placed(word, piece, gap, white))
                used, gap = used + gap + word.width, 0.0
        if line or touched:
            yield line

    def _word(self, token: Token) -> Word:
        return self.words.word(token.text, token.text_style, bool(token.level & 1))

    def _least(self, token: Token) -> float:
        """Return the width of a word's first letter and a mark."""
        return self._word(token._replace(text=cuttable(token.text[:HUGE_WORD])[0] + CUT_MARK)).width

    def _parted(self, line: list[_Placed], token: Token, room: float, slack: float) -> tuple[list[_Placed], list[_Placed]]:
        """Split a full line before `token`, or where a line may break before it. If it may nowhere, its last word is cut with a mark.

        `slack` pixels of the line are free; `room` is left for what goes to the next one.
        """
        if token.opens:
            return line, []
        start = next((place for place in range(len(line) - 1, 0, -1) if line[place].token.opens), 0)
        below = line[start:]
        if start and sum(placed.gap + placed.word.width for placed in below) - below[0].gap <= room:
            return line[:start], [below[0]._replace(gap=0.0), *below[1:]]
        return self._marked(line, slack, room)

    def _marked(self, line: list[_Placed], slack: float, room: float) -> tuple[list[_Placed], list[_Placed]]:
        """Move as many letters to the next line as a mark at this one's end needs; none if there are too few."""
        kept, carried = list(line), list[_Placed]()
        needed = self._word(line[-1].token._replace(text=CUT_MARK)).width - slack
        while needed > 0 and kept:
            last = kept.pop()
            pieces, moved = cuttable(last.token.text), ""
            while pieces and needed > 0:
                needed -= self._word(last.token._replace(text=pieces[-1])).width
                moved = pieces.pop() + moved
            if pieces:
                kept.append(self._placed(last, "".join(pieces)))
            carried.insert(0, self._placed(last, moved)._replace(gap=0.0))
        if not kept or sum(placed.word.width for placed in carried) > room:
            return line, []
        return [*kept[:-1], self._placed(kept[-1], kept[-1].token.text + CUT_MARK)], carried

    def _placed(self, placed: _Placed, text: str) -> _Placed:
        token = placed.token._replace(text=text)
        return placed._replace(word=self._word(token), token=token)

    def _cut(self, token: Token, box: LineBox, used: float) -> Iterator[Token | None]:
        """Yield a word that must be cut in pieces that fill the lines, each but the last with a mark; None is a line's end.

        `used` pixels of the first line are taken. Words of scripts without spaces are cut without marks.
        """
        mark = "" if _NO_DICTIONARY_WORD.match(token.text) else CUT_MARK
        pieces = cuttable(token.text)
        widths = [self._word(token._replace(text=piece)).width for piece in pieces]
        reserve = self._word(token._replace(text=mark)).width if mark else 0.0
        start, room, rest = 0, box.width - used, sum(widths)
        while start < len(pieces):
            end, total = start, 0.0
            fill = room if rest <= room else room - reserve
            while end < len(pieces) and total + widths[end] <= fill:
                total += widths[end]
                end += 1
            if end == start and room < box.width:
                yield None
                room = box.width
                continue
            end = max(end, start + 1)
            piece = token._replace(text="".join(pieces[start:end]) + (mark if end < len(pieces) else ""))
            while _breadth(self._word(piece)) > room and end > start + 1:  # together, letters may be wider than one by one
                end -= 1
                piece = token._replace(text="".join(pieces[start:end]) + mark)
            yield piece
            rest -= sum(widths[start:end])
            start, room = end, room - self._word(piece).width
            if start < len(pieces):
                yield None
                room = box.width

    def _row(self, line: list[_Placed], box: LineBox, base: int) -> Row:
        """Return one line, its words from left to right."""
        if any(placed.level for placed in line):
            line = _visual(line)
        slack = box.width - sum(placed.gap + placed.word.width for placed in line)
        right = box.align == "right" or (base and box.align == "")
        pen = box.left + (max(0.0, slack) if right else max(0.0, slack / 2) if box.align == "center" else 0.0)
        pen += max(0.0, min(_overhang(line) - pen, box.left + slack - pen))
        marks, missing = list[Mark](), 0
        for word, token, gap, _ in line:
            pen += gap
            x, grey = round(pen) + _inward(word, round(pen), box.left + box.width), token.text_style.grey
            marks += [Mark(x + left, box.baseline + top, mask, grey) for left, top, mask in word.inks]
            missing += word.missing
            pen += word.width
        return Row(box.line, tuple(marks), missing=missing, rtl=bool(base))


def _breadth(word: Word) -> float:
    """Return a word's width, or that of its ink if that is wider."""
    ends = [(ink.left, ink.left + ink.mask.width) for ink in word.inks]
    return max(word.width, max(ends, default=(0, 0), key=lambda end: end[1])[1] - min(ends, default=(0, 0))[0])


def _overhang(line: Sequence[_Placed]) -> float:
    """Return how far the ink of a line's first word reaches to the left of where the line begins."""
    return max((-line[0].gap - ink.left for ink in line[0].word.inks), default=0.0) if line else 0.0


def _inward(word: Word, x: int, right: int) -> int:
    """Return how far to move a word at `x` so that its ink stays within a column, which ends at `right`, at its left end above all."""
    first = min((x + ink.left for ink in word.inks), default=0)
    last = max((x + ink.left + ink.mask.width for ink in word.inks), default=right)
    return max(min(0, right - last), -first)


def _ends_joined_line(token: Token) -> bool:
    """Whether it ends a line of code that was joined with the next one, so that the space after it is the next one's indentation."""
    return token.text_style.style.startswith("mono") and (len(token.text) - len(token.text.rstrip(JOIN_MARK))) % 2 == 1


def _opened(tokens: Iterable[Token], eager: bool) -> Iterator[Token]:
    """Split words where a line may break inside them, and mark the tokens before which it must not: a word may have several styles."""
    word: list[Token] = []
    for token in tokens:
        text = token.text
        if text.isspace() or (text > _FIRST_NO_DICTIONARY and _FREE.match(text)):
            if word:
                yield from _parts(word, eager)
                word = []
            yield token
        else:
            word.append(token)
    if word:
        yield from _parts(word, eager)


def _parts(word: list[Token], eager: bool) -> Iterator[Token]:
    whole = word[0].text if len(word) == 1 else "".join(token.text for token in word)
    parts = (whole,) if len(whole) <= WHOLE and not eager and JOIN_MARK not in whole else parts_of(whole, eager=eager)
    if len(word) == 1:
        yield from word if len(parts) == 1 else (word[0]._replace(text=part) for part in parts)
        return
    waiting = iter(parts)
    left = 0  # characters of the current part that are still to come
    for token in word:
        start, opens = 0, not left
        while start < len(token.text):
            left = left or len(next(waiting))
            taken = token.text[start : start + left]
            yield token._replace(text=taken, opens=opens)
            start, left = start + len(taken), left - len(taken)
            opens = not left


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
