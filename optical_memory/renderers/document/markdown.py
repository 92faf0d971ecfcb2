"""Convert chat Markdown to blocks.

CommonMark with tables, strikethrough, task lists and maths. Four differences, so that no word is lost or misread:

- Raw HTML and link reference definitions are plain text. Links show their URL, images are named and never fetched.
- Emphasis marks inside a word (`2*3*4`, `__init__`) and dollars next to one (`$HOME/$USER`) are literal.
- A table row with more cells than its header turns the whole table into code; so do rows with hardly any of its cells.
- A paragraph's line ends: a paragraph that was wrapped by an editor flows; other line ends are shown as ` ↵ `.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .blocks import Block, Code, Heading, ListItem, Math, Paragraph, Quote, Rule, Span, Spans, Table
from .compaction import JOIN_MARK, ROW_WIDTH, compact_code, literal, minify_json, visible

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

__all__ = ["markdown_blocks"]

MAX_NESTING = 40  # deeper structure is shown as plain text: an accident or an attack
# The effort for one message is bounded by what is counted in it, and not by a clock, so that the same message is always drawn alike.
MANY_BRACKETS = 500
BRACKET_WORK = 20_000_000  # brackets times characters of a paragraph: about 0.1 s of parsing
MATHS_WORK = 1_000_000  # lines that open maths times lines, for the parser reads on to the end for each that is not closed: about 0.2 s
TABLE_WORK = 100_000  # cells of tables, with those that the parser adds to short rows: about 1 s
LABEL_STEPS = 200_000  # tokens read in search of a link's end: about 1 s
ADDED_CELLS, ROOM_FOR_CELLS = 4, 400  # cells of a table for each that is written, and beyond that; more would be blank pages
WRAPPED_LINE = 50  # characters; an editor wraps at more than this
LINE_END = f" {JOIN_MARK} "

_STEPS = "steps"  # left, in the parser's environment of one message
_BRACKET_MATHS = {"\\(": "\\)", "\\[": "\\]"}
# What Markdown could read otherwise than as words: marks, a mark or a number that opens a line, and white space at a line's ends.
_MAY_BE_MARKUP = re.compile(r"[\\`*_\[\]<>|~$&\t\x0b\x0c]|^[ \-+#=:]|^\d{1,9}[.)]| $", re.MULTILINE)
_OPENS_MATHS = re.compile(r"^[ \t>*+\-0-9.)]*(?:\$\$|\\begin\{)", re.MULTILINE)
_NO_NAME = re.compile(r"\W", re.ASCII)
_LOOKS_LIKE_MATHS = re.compile(r"[\\^_={}+<>0-9]|^\s*\w\s*$")


def markdown_blocks(text: str, *, row_width: int = ROW_WIDTH) -> list[Block]:
    """Return the blocks of a Markdown text. Never raises; what cannot be parsed becomes plain paragraphs."""
    text = visible(text)
    if not _MAY_BE_MARKUP.search(text) or _is_costly(text):
        return _plain(text)
    try:
        tokens = _parser().parse(text, {_STEPS: LABEL_STEPS})
    except (RecursionError, _TooCostlyError):
        return _plain(text)
    if any(token.level >= MAX_NESTING - 1 for token in tokens):
        return _plain(text)
    return _Reader(tokens, text, row_width).blocks()


class _TooCostlyError(Exception):
    """The parser has used up its steps."""


def _is_costly(text: str) -> bool:
    """Whether the parser would take seconds: for the brackets of a paragraph, for lines that open maths, or for cells of tables."""
    if "|" in text and _cells_of(text) > TABLE_WORK:
        return True
    if ("$$" in text or "\\begin{" in text) and len(_OPENS_MATHS.findall(text)) * text.count("\n") > MATHS_WORK:
        return True
    if text.count("[") < MANY_BRACKETS:
        return False
    paragraphs = re.split(r"\n[ \t]*\n", text)
    return any(paragraph.count("[") >= MANY_BRACKETS and paragraph.count("[") * len(paragraph) > BRACKET_WORK for paragraph in paragraphs)


def _cells_of(text: str) -> int:
    """Return how many cells the tables of a text have at most: the columns of each row that may follow a header, times the lines below."""
    cells = below = 0
    for line in reversed(text.split("\n")):
        inner = line.strip(" \t>")
        if not inner:
            below = 0
            continue
        if "-" in inner and "|" in inner and not inner.strip("|:- \t"):
            cells += (inner.count("|") + 1) * below
        below += 1
    return cells


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.amsmath import amsmath_plugin
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.tasklists import tasklists_plugin

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING})
    parser.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])
    parser.use(tasklists_plugin).use(amsmath_plugin)
    parser.use(dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True)
    parser.inline.ruler.before("escape", "bracket_maths", _bracket_maths)
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]  # show URLs as typed
    parser.inline.skipToken = _counted(parser.inline.skipToken)  # type: ignore[method-assign, assignment]
    return parser


def _counted(skip_token: Callable[[StateInline], None]) -> Callable[[StateInline], None]:
    """Count the tokens that the parser reads ahead in search of a link's end, and stop it when there are too many."""

    def counting(state: StateInline) -> None:
        state.env[_STEPS] = steps = int(state.env.get(_STEPS, LABEL_STEPS)) - 1
        if steps < 0:
            raise _TooCostlyError
        skip_token(state)

    return counting


def _bracket_maths(state: StateInline, silent: bool) -> bool:
    r"""Parse `\( ... \)` and `\[ ... \]`, which language models write and CommonMark reads as escaped brackets."""
    opening = state.src[state.pos : state.pos + 2]
    closing = _BRACKET_MATHS.get(opening)
    end = state.src.find(closing, state.pos + 2, state.pos + 4000) if closing else -1
    if end < 0 or end >= state.posMax or not _LOOKS_LIKE_MATHS.search(state.src[state.pos + 2 : end]):
        return False
    if not silent:
        token = state.push("math_inline", "math", 0)
        token.content, token.markup = state.src[state.pos + 2 : end], opening
    state.pos = end + 2
    return True


def _plain(text: str) -> list[Block]:
    chunks = re.split(r"\n[ \t]*\n", literal(text))
    return [Paragraph((Span(_line_end(chunk).join(chunk.split("\n"))),)) for chunk in map(str.strip, chunks) if chunk]


def _line_end(content: str) -> str:
    """Return a paragraph's line end: a space if an editor wrapped it, that is, no line had room for the first word of the next."""
    lines = content.split("\n")
    widest = max(map(len, lines))
    pairs = pairwise(lines)
    wrapped = widest >= WRAPPED_LINE and all(len(line) + len(after.split(" ", 1)[0]) + 1 > min(widest, 120) - 4 for line, after in pairs)
    return " " if wrapped else LINE_END


class _Reader:
    """Walks the parser's flat token list once."""

    def __init__(self, tokens: list[Token], source: str, row_width: int) -> None:
        self._tokens = iter(tokens)
        self._lines = source.split("\n")
        self._width = row_width
        self._depth = 0

    def blocks(self, end: str = "") -> list[Block]:
        """Read blocks up to the token of type `end`."""
        found: list[Block] = []
        for token in self._tokens:
            if token.type == end:
                break
            read = _READERS.get(token.type)
            if read is not None:
                found += read(self, token)
        return found

    def paragraph(self, token: Token) -> Iterator[Block]:
        inline = self._inline("paragraph_close")
        children = inline.children or []
        if len(children) == 1 and children[0].type in ("math_inline", "math_inline_double") and children[0].markup in ("\\[", "$$"):
            yield Math(visible(children[0].content.strip()))
            return
        spans = _spans(inline)
        if spans:
            yield Paragraph(spans)

    def heading(self, token: Token) -> Iterator[Block]:
        spans = _spans(self._inline("heading_close"))
        if spans:
            yield Heading(int(token.tag[1]), spans)

    def quote(self, token: Token) -> Iterator[Block]:
        outside, self._depth = self._depth, 0
        yield Quote(tuple(self.blocks("blockquote_close")))
        self._depth = outside

    def item_list(self, token: Token) -> Iterator[Block]:
        self._depth += 1
        yield from self.blocks(token.type.replace("_open", "_close"))
        self._depth -= 1

    def item(self, token: Token) -> Iterator[Block]:
        marker = f"{token.info}{token.markup}" if token.info else "•"
        depth = self._depth - 1
        blocks = self.blocks("list_item_close")
        if "task-list-item" in str(token.attrs.get("class", "")) and blocks and isinstance(blocks[0], Paragraph):
            box, *rest = blocks[0].spans
            marker = box.text[0]
            first = Span(box.text[1:].lstrip(), box.bold, box.italic, box.strike, box.code, box.maths)
            blocks[0] = Paragraph((first, *rest) if first.text else tuple(rest))
        yield ListItem(depth, marker, tuple(blocks))

    def code(self, token: Token) -> Iterator[Block]:
        info = visible(token.info).strip()
        language = info if re.fullmatch(r"[\w+#.-]*", info) else ""
        text = token.content if language == info and token.content.strip() else f"{info}\n{token.content}"
        if language.lower() in ("json", "json5", "jsonc", "geojson"):
            text = minify_json(text)
        drawn = compact_code(text, self._width, is_diff=language.lower() in ("diff", "patch"))
        if drawn:
            yield Code(drawn, language.lower())

    def maths(self, token: Token) -> Iterator[Block]:
        yield Math(visible(token.content.strip()))

    def rule(self, token: Token) -> Iterator[Block]:
        yield Rule()

    def table(self, token: Token) -> Iterator[Block]:
        rows: list[list[Spans]] = []
        aligns: list[str] = []
        for inner in self._tokens:
            if inner.type == "table_close":
                break
            if inner.type == "tr_open":
                rows.append([])
            elif inner.type in ("th_open", "td_open"):
                if len(rows) == 1:
                    aligns.append(str(inner.attrs.get("style", "")).removeprefix("text-align:"))
                rows[-1].append(_spans(self._inline(inner.type.replace("_open", "_close"))))
        source = self._lines[slice(*token.map)] if token.map else []
        counts = [_cell_count(line) for line in source]
        if max(counts, default=0) > len(aligns) or len(rows) * len(aligns) > ADDED_CELLS * sum(counts) + ROOM_FOR_CELLS:
            yield Code(compact_code("\n".join(source), self._width))
        else:
            yield Table(tuple(tuple(row) for row in rows), tuple(aligns))

    def _inline(self, end: str) -> Token:
        inline = next(self._tokens)
        for token in self._tokens:
            if token.type == end:
                break
        return inline


_READERS: dict[str, Callable[[_Reader, Token], Iterator[Block]]] = {
    "paragraph_open": _Reader.paragraph,
    "heading_open": _Reader.heading,
    "blockquote_open": _Reader.quote,
    "bullet_list_open": _Reader.item_list,
    "ordered_list_open": _Reader.item_list,
    "list_item_open": _Reader.item,
    "fence": _Reader.code,
    "code_block": _Reader.code,
    "math_block": _Reader.maths,
    "amsmath": _Reader.maths,
    "hr": _Reader.rule,
    "table_open": _Reader.table,
}


def _cell_count(line: str) -> int:
    """Count the cells of a table's source line; escaped pipes do not count."""
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return len(re.findall(r"(?<!\\)\|", inner)) + 1


def _spans(inline: Token) -> Spans:
    return tuple(_merged(_InlineReader(inline).spans()))


def _merged(spans: Iterator[Span]) -> Iterator[Span]:
    """Merge adjacent spans of one style; drop empty ones."""
    for (maths, *_), group in groupby((span for span in spans if span.text), key=_style):
        members = list(group)
        if maths or len(members) == 1:
            yield from members
        else:
            yield replace(members[0], text="".join(span.text for span in members))


def _style(span: Span) -> tuple[bool, ...]:
    return (span.maths, span.bold, span.italic, span.strike, span.code)


class _InlineReader:
    """Reads the children of one inline token into spans."""

    def __init__(self, inline: Token) -> None:
        self._tokens = inline.children or []
        self._line_end = _line_end(inline.content) if "\n" in inline.content else " "
        self._on = {"strong": 0, "em": 0, "s": 0}
        self._address: list[str] = []
        self._link_text: list[str] = []

    def spans(self) -> Iterator[Span]:
        literal = _literal_marks(self._tokens)
        for index, token in enumerate(self._tokens):
            kind, _, edge = token.type.rpartition("_")
            if index in literal:
                yield self._span(token.markup)
            elif kind in self._on and edge in ("open", "close"):
                self._on[kind] += 1 if edge == "open" else -1
            else:
                span = self._read(index, token)
                if self._address and token.type != "link_close":
                    self._link_text.append(span.text)
                yield span

    def _read(self, index: int, token: Token) -> Span:
        match token.type:
            case "code_inline":
                return self._span(token.content, code=True)
            case "math_inline" | "math_inline_double":
                return self._maths(index, token)
            case "softbreak":
                return self._span(self._line_end)
            case "hardbreak":
                return self._span("\n")
            case "image":
                return self._span(f"[picture: {token.content} {token.attrs.get('src', '')}".rstrip() + "]")
            case "html_inline":
                return self._span("☑" if 'checked="checked"' in token.content else "☐")
            case "link_open":
                self._address.append(str(token.attrs.get("href", "")))
                return Span("")
            case "link_close":
                return self._span(self._shown_address())
        return self._span(literal(token.content))

    def _maths(self, index: int, token: Token) -> Span:
        before = self._tokens[index - 1].content[-1:] if index else ""
        after = self._tokens[index + 1].content[:1] if index + 1 < len(self._tokens) else ""
        if token.markup in ("$", "$$") and (before.isalnum() or after.isalnum()) and (before + after).isascii():
            return self._span(f"{token.markup}{token.content}{token.markup}")
        return self._span(token.content.strip(), maths=True)

    def _shown_address(self) -> str:
        address, text = self._address.pop(), "".join(self._link_text).strip()
        self._link_text.clear()
        bare = {unquote(url).removeprefix("mailto:").rstrip("/") for url in (address, text)}
        return f" ({address})" if address and len(bare) > 1 else ""

    def _span(self, text: str, *, code: bool = False, maths: bool = False) -> Span:
        on = self._on
        return Span(visible(text).replace("\t", " "), on["strong"] > 0, on["em"] > 0, on["s"] > 0, code, maths)


def _literal_marks(tokens: list[Token]) -> set[int]:
    """Return the indices of literal emphasis marks: inside a word, or the underscores of a Python name."""
    literal: set[int] = set()
    opened: list[int] = []
    contents = _Contents(tokens)
    for index, token in enumerate(tokens):
        if token.type in ("em_open", "strong_open"):
            opened.append(index)
        elif token.type in ("em_close", "strong_close") and opened:
            start = opened.pop()
            name = token.markup == "__" and contents.is_name(start + 1, index)
            if name or (_borders_word(tokens[start - 1 : start], -1) and _borders_word(tokens[index + 1 : index + 2], 0)):
                literal |= {start, index}
    return literal


class _Contents:
    """The text of a list of tokens. Answers for any part of it whether that is a name, in constant time: emphasis may be nested deeply."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._starts = list(accumulate((len(token.content) for token in tokens), initial=0))
        self._text = "".join(token.content for token in tokens)
        self._others: list[int] | None = None

    def is_name(self, first: int, stop: int) -> bool:
        """Whether the text of the tokens from `first` to before `stop` consists of letters, digits and underscores, at least one."""
        if self._others is None:
            self._others = [match.start() for match in _NO_NAME.finditer(self._text)]
        start, end = self._starts[first], self._starts[stop]
        place = bisect_left(self._others, start)
        return start < end and (place == len(self._others) or self._others[place] >= end)


def _borders_word(neighbour: list[Token], at: int) -> bool:
    text = neighbour[0].content if neighbour else ""
    return bool(text) and text[at].isascii() and text[at].isalnum()
