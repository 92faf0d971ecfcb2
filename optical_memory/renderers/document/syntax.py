"""What the pieces of a listing are: keywords, comments, strings. Pygments decides, and every renderer draws the kinds in its own way.

Kinds are shown in weights and greys, which survive a grey page where colours would not.
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

LONGEST = 40_000  # characters; a longer listing is plain, for a lexer takes about a millisecond per 500 characters, and some are quadratic
# Their structure shows already what a lexer would mark.
UNMARKED = frozenset({"", "json", "text", "plain", "txt", "output", "xml", "html", "yaml", "toml", "ini", "csv"})
STRONG = ("Token.Keyword", "Token.Name.Function", "Token.Name.Class", "Token.Generic.Inserted", "Token.Generic.Heading")
STRING = ("Token.Literal.String", "Token.Generic.Deleted")
_DIFF_KINDS: dict[str, Kind] = {"+": "strong", "-": "string", "@": "comment"}
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_JOINED = re.compile(f"(?<!{JOIN_MARK}){JOIN_MARK}(?!{JOIN_MARK})")


def pieces_of(text: str, language: str) -> Iterator[tuple[str, Kind]]:
    """The text in pieces, each with its kind; put together they are `text`, whatever a lexer makes of it.

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
    """Names and texts of tokens. Some lexers never end, with one empty token after another: no text needs more tokens than characters."""
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
    """Of a token type, by the name that Pygments gives it: `Token.Keyword.Constant`."""
    if token.startswith(STRONG):
        return "strong"
    if token.startswith("Token.Comment"):
        return "comment"
    return "string" if token.startswith(STRING) else "plain"
