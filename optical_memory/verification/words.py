"""The text of a turn as it is drawn, and its critical words, which one wrong character makes useless."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from ..renderers.document.blocks import Block, Code, Heading, ListItem, Math, Paragraph, Quote, Span, Table
from ..renderers.document.compaction import CUT_MARK, JOIN_MARK
from ..text.salience import COMMON

__all__ = ["LARGEST_ERROR", "TYPOGRAPHIC", "content_words", "critical_spans", "plain", "word_spans", "words_of"]

LARGEST_ERROR = 0.05  # character errors, as a share, up to which a turn counts as legible
TYPOGRAPHIC = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‐": "-", "…": "...", "\u00a0": " "})
EDGES = ".,;:!?()[]{}\"'`*"  # stripped from the ends of a word
WORD = re.compile(r"\w++(?:[.,:'/-]\w++)*+")
_CUT = re.compile(rf"{CUT_MARK}\n?")
_BROKEN = re.compile(r"(?<=[-/_=&])\n(?=\S)")
TELLING = "/\\_@#"  # signs of paths, addresses and identifiers


def words_of(blocks: Iterable[Block]) -> str:
    """Return the text of blocks, one line each."""
    return "\n".join(_words(blocks))


def _words(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Paragraph(spans) | Heading(_, spans):
                yield _text(spans)
            case Code(text):
                yield text
            case ListItem(_, marker, inner):
                yield f"{marker} " + "\n".join(_words(inner))
            case Quote(inner):
                yield from _words(inner)
            case Table(rows):
                yield from (" ".join(_text(cell) for cell in row) for row in rows)
            case Math(tex):
                yield tex
            case _:
                yield ""


def _text(spans: Iterable[Span]) -> str:
    return "".join(span.text for span in spans)


def plain(text: str) -> str:
    """Normalise text: single spaces, whole words, no marks, and one kind of quotes, dashes and hyphenation: OCR cannot tell them apart.

    A line end after a mark of a cut, or after a sign that ends no word but may end a line, is none.
    """
    whole = _CUT.sub("", text.replace(JOIN_MARK, " ").translate(TYPOGRAPHIC))
    return " ".join(_BROKEN.sub("", whole).split())


def word_spans(text: str, wanted: Collection[str]) -> list[tuple[int, int]]:
    """Return the positions of words; `wanted` is casefolded, as from `content_words`."""
    return [match.span() for match in WORD.finditer(text) if match[0].casefold() in wanted]


def content_words(text: str) -> frozenset[str]:
    """Return the content words, casefolded; all words if there are none."""
    found = frozenset(match[0].casefold() for match in WORD.finditer(plain(text)))
    return (found - COMMON) or found


def critical_spans(text: str) -> list[tuple[int, int]]:
    """Return the positions of critical words: with a digit, a capital letter, or a sign of paths and identifiers.

    Single letters are not critical: an engine that reads the word I as a bar does no harm.
    """
    spans = []
    for match in re.finditer(r"\S+", text):
        word = match[0].strip(EDGES)
        start = match.start() + match[0].find(word)
        if any(char.isdigit() or (char.isupper() and len(word) > 1) or char in TELLING for char in word):
            spans.append((start, start + len(word)))
    return spans
