"""The words of a turn as they are drawn, and which of them one wrong character spoils."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from ..renderers.document.blocks import Block, Code, Heading, ListItem, Math, Paragraph, Quote, Span, Table
from ..renderers.document.compaction import JOIN_MARK
from ..text.salience import COMMON

__all__ = ["LARGEST_ERROR", "TYPOGRAPHIC", "content_words", "critical_spans", "plain", "word_spans", "words_of"]

LARGEST_ERROR = 0.05  # character errors, as a share, up to which a turn counts as legible
TYPOGRAPHIC = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‐": "-", "…": "...", "\u00a0": " "})
EDGES = ".,;:!?()[]{}\"'`*"  # around a word, and no part of it
WORD = re.compile(r"\w++(?:[.,:'/-]\w++)*+")
TELLING = "/\\_@#"  # what paths, addresses and identifiers are made of


def words_of(blocks: Iterable[Block]) -> str:
    """The words of blocks, a line for each."""
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
    """Words with single spaces, without what an OCR engine cannot know: line-end marks, kinds of quotes and dashes, breaks at hyphens."""
    return " ".join(re.sub(r"-\n(?=\S)", "-", text.replace(JOIN_MARK, " ").translate(TYPOGRAPHIC)).split())


def word_spans(text: str, wanted: Collection[str]) -> list[tuple[int, int]]:
    """Where words stand; `wanted` is casefolded, as `content_words` gives them."""
    return [match.span() for match in WORD.finditer(text) if match[0].casefold() in wanted]


def content_words(text: str) -> frozenset[str]:
    """The words that tell something, casefolded; all of them where none does."""
    found = frozenset(match[0].casefold() for match in WORD.finditer(plain(text)))
    return (found - COMMON) or found


def critical_spans(text: str) -> list[tuple[int, int]]:
    """Where the words stand that one wrong character spoils: with a digit, a capital letter, or what paths and identifiers are made of.

    A single letter is none: that an engine takes the word I for a bar spoils nothing.
    """
    spans = []
    for match in re.finditer(r"\S+", text):
        word = match[0].strip(EDGES)
        start = match.start() + match[0].find(word)
        if any(char.isdigit() or (char.isupper() and len(word) > 1) or char in TELLING for char in word):
            spans.append((start, start + len(word)))
    return spans
