"""The blocks of a page, drawn by every renderer. No block can hold markup."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "MOST_INDENTS",
    "WIDEST_TABLE",
    "Block",
    "Code",
    "Heading",
    "ListItem",
    "Math",
    "Paragraph",
    "Picture",
    "Quote",
    "Rule",
    "Span",
    "Spans",
    "Table",
]

MOST_INDENTS = 12  # levels of lists and quotes that are still indented; the parser of a browser gives up at 512
WIDEST_TABLE = 10  # columns; a wider table is written as records, for its cells would be a word wide


@dataclass(frozen=True, slots=True)
class Span:
    """A run of inline text of one style. `maths`: TeX source, `code`: literal text; "\\n" inside `text` is a hard line break."""

    text: str
    bold: bool = False
    italic: bool = False
    strike: bool = False
    code: bool = False
    maths: bool = False


Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Inline text, wrapped to the column."""

    spans: Spans


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of `level` 1 (the highest) to 6."""

    level: int
    spans: Spans


@dataclass(frozen=True, slots=True)
class ListItem:
    """One item; `marker` precedes it: a bullet, `3.`, or a box for a task. `depth` counts from 0."""

    depth: int
    marker: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """Quoted blocks, with a bar beside them."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Preformatted text, already compacted. `language` is a Pygments name or empty; `title` precedes it in its first row."""

    text: str
    language: str = ""
    title: Spans = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, the first row the header; `aligns` holds left, center, right or an empty string for each column."""

    rows: tuple[tuple[Spans, ...], ...]
    aligns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Math:
    """A displayed formula in TeX."""

    tex: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Bytes of an image, checked to be a raster format."""

    data: bytes
    media_type: str
    alt: str = ""

    @property
    def note(self) -> str:
        """Text that replaces it if it cannot be drawn."""
        return f"[picture that cannot be drawn: {self.media_type}, {len(self.data)} bytes] {self.alt}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A thematic break."""


Block = Paragraph | Heading | ListItem | Quote | Code | Table | Math | Picture | Rule
