"""Code with its syntax shown in weights and greys, which survive a grey page where colours would not."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygments.lexer import Lexer

__all__ = ["highlight"]

LONGEST = 40_000  # characters; a longer listing is drawn plain, for a lexer takes about a millisecond per 500 characters
PLAIN = frozenset({"", "json", "text", "plain", "txt", "output", "xml", "html", "yaml", "toml", "ini", "csv"})  # structure shows it already


def highlight(text: str, language: str) -> str:
    """Escaped HTML of `text`: keywords in `<b>`, comments in `<i>`, strings in `<s>` (the style sheet makes that a grey)."""
    name = language.lower()
    if name in ("diff", "patch"):
        return "\n".join(_diff_line(line) for line in text.split("\n"))
    if name in PLAIN or len(text) > LONGEST:
        return escape(text)
    lexer = _lexer(name)
    return _marked(text, lexer) if lexer else escape(text)


def _diff_line(line: str) -> str:
    tag = {"+": "b", "-": "s", "@": "i"}.get(line[:1])
    return f"<{tag}>{escape(line)}</{tag}>" if tag else escape(line)


@lru_cache(maxsize=64)
def _lexer(name: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _marked(text: str, lexer: Lexer) -> str:
    """Marked up, or plain where the lexer does not give the text back: some never end, with one empty token after another."""
    tokens = list(islice(lexer.get_tokens(text), len(text) + 1))
    if "".join(value for _, value in tokens) != text:
        return escape(text)
    pieces: list[str] = []
    for kind, value in tokens:
        tag = _tag(str(kind))
        pieces.append(f"<{tag}>{escape(value)}</{tag}>" if tag and not value.isspace() else escape(value))
    return "".join(pieces)


@lru_cache(maxsize=512)
def _tag(kind: str) -> str:
    """The element for a token type, by the name that Pygments gives it: `Token.Keyword.Constant`."""
    if kind.startswith(("Token.Keyword", "Token.Name.Function", "Token.Name.Class", "Token.Generic.Inserted", "Token.Generic.Heading")):
        return "b"
    if kind.startswith("Token.Comment"):
        return "i"
    return "s" if kind.startswith(("Token.Literal.String", "Token.Generic.Deleted")) else ""
