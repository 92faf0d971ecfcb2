"""Classify the pieces of a listing with Pygments: keywords, comments, strings. Every renderer draws the kinds in its own way.

Kinds are drawn in weights and greys, since pages are grey.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Literal

from .compaction import JOIN_MARK

if TYPE_CHECKING:
    from pygments.lexer import Lexer

__all__ = ["Kind", "pieces_of"]

Kind = Literal["plain", "strong", "comment", "string"]

LONGEST = (
    40_000  # characters; longer listings are plain, since a lexer takes about a millisecond per 500 characters, and some are quadratic
)
# Their structure already shows what a lexer would mark.
UNMARKED = frozenset({"", "json", "text", "plain", "txt", "output", "xml", "html", "yaml", "toml", "ini", "csv"})
STRONG = ("Token.Keyword", "Token.Name.Function", "Token.Name.Class", "Token.Generic.Inserted", "Token.Generic.Heading")
STRING = ("Token.Literal.String", "Token.Generic.Deleted")
_DIFF_KINDS: dict[str, Kind] = {"+": "strong", "-": "string", "@": "comment"}
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_JOINED = re.compile(f"(?<!{JOIN_MARK}){JOIN_MARK}(?!{JOIN_MARK})")


def pieces_of(text: str, language: str) -> Iterator[tuple[str, Kind]]:
    """Yield the text in pieces with their kinds; joined they are always equal to `text`.

    Args:
        text: a listing, its short lines joined: a comment ends where its line did.
        language: a name or alias that Pygments knows, in any case; any other gives one plain piece.
    """
    begin = 0
    for piece, kind in _classified(_JOINED.sub("\n", text), language.lower()):
        yield text[begin : begin + len(piece)], kind
        begin += len(piece)


def _classified(text: str, name: str) -> Iterator[tuple[str, Kind]]:
    if name in ("diff", "patch"):
        yield from ((line, _DIFF_KINDS.get(line[0], "plain")) for line in _LINE.findall(text))
        return
    lexer = _lexer(name) if len(text) <= LONGEST and name not in UNMARKED else None
    tokens = _tokens(lexer, text) if lexer else []
    if "".join(piece for _, piece in tokens) == text:
        yield from ((piece, "plain" if piece.isspace() else _kind(token)) for token, piece in tokens)
    else:
        yield text, "plain"


def _tokens(lexer: Lexer, text: str) -> list[tuple[str, str]]:
    """Return names and texts of tokens, at most one per character: some lexers yield empty tokens without end."""
    return [(str(token), piece) for _, token, piece in islice(lexer.get_tokens_unprocessed(text), len(text) + 1)]


@lru_cache(maxsize=64)
def _lexer(name: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@lru_cache(maxsize=512)
def _kind(token: str) -> Kind:
    """Return the kind of a token type by its Pygments name: `Token.Keyword.Constant`."""
    if token.startswith(STRONG):
        return "strong"
    if token.startswith("Token.Comment"):
        return "comment"
    return "string" if token.startswith(STRING) else "plain"
