"""Break a text into rows of a grid: at spaces, in long words after separators, and with a mark where a word is wider than a row."""

from __future__ import annotations

from collections.abc import Iterator

from ..document.compaction import CUT_MARK, JOIN_MARK
from ..document.word_breaks import WHOLE, cuttable, parts_of

__all__ = ["rows_of"]


SEEN = 2 * WHOLE  # characters after a row's end that are looked at: a part of a word is mostly shorter, and a longer one is no whole word


def rows_of(text: str, width: int, first: int | None = None) -> Iterator[str]:
    """Yield rows of at most `width` characters, the first of at most `first`; joined, they differ from `text` by spaces and cut marks.

    Args:
        text: one line, in which `↵` marks line ends; every character takes a cell.
        width: cells of a row, at least 4.
        first: cells of the first row; `width` by default.
    """
    place, room = 0, width if first is None else first
    while len(text) - place > room:
        row, place = _row(text, place, room, width)
        yield row
        room = width
    yield text[place:]


def _row(text: str, place: int, room: int, width: int) -> tuple[str, int]:
    """Return the next row, and where the one after it begins."""
    end = place + room
    start = text.rfind(" ", place, end + 1) + 1 or place  # of the word that does not fit
    stop = text.find(" ", end, end + SEEN)
    word = text[start : stop if stop >= 0 else end + SEEN]
    if start == end + 1:  # the row ends where a word does
        return text[place:end], _after_space(text, end)
    if len(word) > WHOLE or JOIN_MARK in word or start == place:
        taken = _fitting(word, end - start, cut=len(word) > width or start == place)
        if taken:
            cut = taken[1]
            return text[place : start + taken[0]] + cut, start + taken[0]
    if start == place:  # nothing fits: a row of one word that must be cut, and has no room for a mark
        return text[place:end], end
    return text[place:start].rstrip(" "), _begin(text, start)


def _fitting(word: str, room: int, *, cut: bool) -> tuple[int, str] | None:
    """Return how much of a word fits, up to where a line may break, and the mark that ends it; None if nothing does."""
    taken = 0
    for part in parts_of(word):
        if taken + len(part) > room:
            break
        taken += len(part)
    if taken or not cut:
        return (taken, "") if taken else None
    for piece in cuttable(word[: room + 1]):
        if taken + len(piece) + len(CUT_MARK) > room:
            break
        taken += len(piece)
    return (taken, CUT_MARK) if taken else None


def _after_space(text: str, place: int) -> int:
    return place + 1 if text[place : place + 1] == " " else place


def _begin(text: str, start: int) -> int:
    """Return where a row begins whose first word is at `start`: with the spaces before it where they are a line's indentation."""
    indent = len(text[:start]) - len(text[:start].rstrip(" ")) if text[start - 2 : start] == "  " else 1
    mark = start - indent - 1
    return start - indent if mark >= 0 and text[mark] == JOIN_MARK and text[mark - 1 : mark] != JOIN_MARK else start
