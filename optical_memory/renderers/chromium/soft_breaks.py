"""Tell the browser where a line may break inside words: by characters that draw nothing, in the HTML only.

A zero-width space allows a break, a word joiner forbids one that the browser would make by itself, and at a soft hyphen a word may be cut:
there the style sheet draws `CUT_MARK`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from ..document.compaction import JOIN_MARK, cell_count
from ..document.word_breaks import CJK, NO_DICTIONARY, WHOLE, cuttable, parts_of

__all__ = ["soft_breaks"]

MAY_BREAK, MUST_NOT, MAY_CUT = "\u200b", "\u2060", "\u00ad"
NO_BREAK = "\u00a0"

_WORD = rf"[^\s{CJK}{NO_DICTIONARY}]"
_LONG = re.compile(f"{_WORD}{{{WHOLE + 1},}}|{_WORD}*{JOIN_MARK}{_WORD}+")
_EAGER = re.compile(f"{_WORD}+")
_INDENTATION = re.compile(f"(?<=(?<!{JOIN_MARK}){JOIN_MARK}) +")
# Chromium breaks after these three, and between a sign and an opening bracket.
_BY_ITSELF = re.compile(r"(?<=[-?|])(?=\S)|(?<=[!-/:-@\[-`{-~])(?=[(<\[{])")


def soft_breaks(texts: Sequence[str], room: int, *, code: bool, eager: bool = False) -> list[str]:
    """Return texts that follow each other without space, with characters that control where their words break.

    Args:
        texts: pieces of a listing, or one span.
        room: cells of a line; a part of a word that is wider may be cut anywhere.
        code: break at nothing but spaces and where `parts_of` allows it, not even at hyphens; and before a joined line's indentation, so
            that it is not lost at the end of a row.
        eager: see `parts_of`.
    """
    whole = "".join(texts)
    places: dict[int, str] = {}
    if code:
        places = dict.fromkeys((match.start() for match in _BY_ITSELF.finditer(whole)), MUST_NOT)
        places.update((match.start(), MAY_BREAK) for match in _INDENTATION.finditer(whole))
        indented = _INDENTATION.sub(lambda match: NO_BREAK * len(match[0]), whole)
        ends = list(accumulate(map(len, texts)))
        texts = [indented[end - len(text) : end] for text, end in zip(texts, ends, strict=True)]
    for match in (_EAGER if eager else _LONG).finditer(whole):
        places.update(_inside(match.start(), match[0], room, eager))
    return list(_spliced(texts, sorted(places.items()))) if places else list(texts)


def _inside(start: int, word: str, room: int, eager: bool) -> Iterator[tuple[int, str]]:
    for number, part in enumerate(parts_of(word, eager=eager)):
        if number:
            yield start, MAY_BREAK
        if cell_count(part) > room:
            place = start
            for piece in cuttable(part)[:-1]:
                place += len(piece)
                yield place, MAY_CUT
        start += len(part)


def _spliced(texts: Iterable[str], places: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Insert characters at places counted from the first text's beginning."""
    waiting = iter([*places, (-1, "")])
    place, char = next(waiting)
    begin = 0
    for text in texts:
        shown: list[str] = []
        done, end = 0, begin + len(text)
        while 0 <= place < end:
            shown += (text[done : place - begin], char)
            done = place - begin
            place, char = next(waiting)
        shown.append(text[done:])
        yield "".join(shown)
        begin = end
