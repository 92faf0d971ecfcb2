"""Code in weights and greys: what survives a grey page of few bits. Pygments decides what is what, where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from .words import Look

if TYPE_CHECKING:
    from pygments.lexer import Lexer

__all__ = ["highlighted"]

HIGHLIGHT_LIMIT = 50_000  # characters; some lexers are quadratic on nonsense
COMMENT_GREY = 85  # light enough to be told apart, dark enough for an OCR reader
STRING_GREY = 68
PLAIN_LANGUAGES = {"", "json", "text", "plain", "txt", "output", "xml", "html", "yaml", "toml", "ini", "csv"}  # structure shows it already
BOLD_KINDS = ("Token.Keyword", "Token.Name.Function", "Token.Name.Class", "Token.Generic.Inserted", "Token.Generic.Heading")
DIFF_GREYS = {"-": STRING_GREY, "@": COMMENT_GREY}


def highlighted(text: str, language: str, look: Look) -> Iterator[tuple[str, Look]]:
    """The text in runs, each with its look; their texts put together are `text`."""
    if language.lower() in ("diff", "patch"):
        yield from _diff_lines(text, look)
        return
    lexer = _lexer(language.lower()) if len(text) <= HIGHLIGHT_LIMIT and language.lower() not in PLAIN_LANGUAGES else None
    if lexer is None:
        yield text, look
        return
    for kind, piece in _pieces(lexer, text):
        if kind.startswith("Token.Comment"):
            yield piece, replace(look, grey=COMMENT_GREY, italic=True)
        elif kind.startswith(BOLD_KINDS):
            yield piece, replace(look, style="monobold")
        elif kind.startswith(("Token.Literal.String", "Token.Generic.Deleted")):
            yield piece, replace(look, grey=STRING_GREY)
        else:
            yield piece, look


def _pieces(lexer: Lexer, text: str) -> list[tuple[str, str]]:
    """Token names and texts; one plain piece where the lexer does not give the text back. Some never end: empty tokens without number."""
    found = [(str(token), piece) for _, token, piece in islice(lexer.get_tokens_unprocessed(text), len(text) + 1)]
    return found if "".join(piece for _, piece in found) == text else [("Token.Text", text)]


def _diff_lines(text: str, look: Look) -> Iterator[tuple[str, Look]]:
    for line in text.splitlines(keepends=True):
        bold = line.startswith("+")
        yield line, replace(look, style="monobold" if bold else look.style, grey=DIFF_GREYS.get(line[:1], 0))


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    try:
        from pygments.lexers import get_lexer_by_name
        from pygments.util import ClassNotFound
    except ImportError:
        return None
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
