"""Cut a unit of very long turns into sections, each laid out on pages of its own.

A section does not depend on the others, so each can be drawn alone, and only those that a page shows have to be. Every section is parsed as
Markdown by itself, which also bounds the parser's effort. Cuts are made between paragraphs, else between lines, else between words; an
open code fence is closed and opened again, and a table's header is repeated. No word is lost.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

from ...pages.page import Segment
from ...turns.attached import is_pictured, single_page
from ...turns.exchanges import Exchange, Unit
from ...turns.parts import TurnPart, part_of
from ...turns.turn import (
    AnyPart,
    CallPlace,
    DocumentContent,
    Drawn,
    ImageContent,
    OtherContent,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolResultContent,
    Turn,
)
from ..base import RenderedPage
from .compaction import is_json, minify_json
from .decoded_json import decoded_json
from .turn_heads import speaker_of

__all__ = ["LONG", "SECTION", "begins_page", "in_sections", "is_long", "sections_of", "with_sections"]

# Bytes of UTF-8: a better measure of the space on a page than characters, since an ideograph is as wide as two letters.
SECTION = 64_000  # of text in a section, about seven pages
LONG = 2 * SECTION  # of text in a unit; shorter ones are laid out as a whole
TABLE_ROW = 64  # that a row of a table counts as at least: it is not joined with others
IMAGE = 4_000  # that an image counts as
ROOM = 0.25  # of a section that is searched, back from its end, for a good place to cut
LONGEST_HEADER = 2_000  # characters of a table's header that are repeated in every section
LONGEST_CLUSTER = 24  # characters that are never parted from the one before

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^`\n]*)$", re.MULTILINE)
_DELIMITER_ROW = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*)*")
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?![ \t]{2})")
_LINE_START = re.compile(r"\n(?! {4}|\t)")
_SPACE_OR_STOP = re.compile(r"[ \t]+|[。！？；，,]")

Piece = Drawn
Inner = TextContent | ImageContent | OtherContent  # what a tool's result holds


class _Atom(NamedTuple):
    """A piece of a turn that is not cut any further, and its size."""

    turn: int
    piece: Piece | None
    size: int


@dataclass(frozen=True, slots=True)
class _Share:
    """The pieces of one turn in one section."""

    turn: int
    section: int
    atoms: tuple[_Atom, ...]

    @property
    def size(self) -> int:
        return sum(atom.size for atom in self.atoms)


def is_long(unit: Unit) -> bool:
    """Whether a unit is laid out in sections: a long one is, and one with a document, each page of which is a section."""
    return not _is_section(unit) and (any(turn.documents for turn in unit) or sum(map(_bytes_of, unit)) > LONG)


def in_sections(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Cut long units into their sections. A section, and what comes before and after it, is an exchange of its own: see `begins_page`."""
    return [part for exchange in exchanges for part in _parts_of(exchange)]


def _parts_of(exchange: Exchange) -> Iterator[Exchange]:
    for is_section, group in groupby((section for unit in exchange for section in sections_of(unit)), key=_is_section):
        units = tuple(group)
        yield from ((unit,) for unit in units) if is_section else (units,)


def _is_section(unit: Unit) -> bool:
    return isinstance(unit[0], TurnPart)


def begins_page(exchanges: Sequence[Exchange], place: int) -> bool:
    """Whether the exchange at `place` begins a page in any case: a section does, and what follows one."""
    return any(map(_is_section, exchanges[place][:1])) or (place > 0 and any(map(_is_section, exchanges[place - 1][:1])))


def with_sections(pages: Sequence[RenderedPage], exchanges: Sequence[Exchange]) -> list[RenderedPage]:
    """Name the section of each page, and say of its segments whether their turns continue in other sections.

    Args:
        pages: of `exchanges`, in order; those of the last turns may be missing.
    """
    turns = [turn for exchange in exchanges for unit in exchange for turn in unit]
    if not any(isinstance(turn, TurnPart) for turn in turns):
        return list(pages)
    marked: list[RenderedPage] = []
    place = -1
    for page in pages:
        segments: list[Segment] = []
        for segment in page.segments:
            place += not segment.continued
            segments.append(_joined(segment, turns[place]))
        turn = turns[place]
        marked.append(replace(page, segments=tuple(segments), section=turn.section if isinstance(turn, TurnPart) else 0))
    return marked


def _joined(segment: Segment, turn: Turn) -> Segment:
    if not isinstance(turn, TurnPart):
        return segment
    return replace(segment, continued=segment.continued or turn.part > 1, continues=segment.continues or turn.part < turn.of)


def sections_of(unit: Unit) -> list[Unit]:
    """Return the sections of a unit, each as a unit of parts of turns; the unit itself if it is not long."""
    if not is_long(unit):
        return [unit]
    shares = [
        _Share(turn, section, tuple(atoms))
        for section, packed in enumerate(_packed(unit), 1)
        for turn, atoms in groupby(packed, key=lambda atom: atom.turn)
    ]
    parts = [part for place, own in groupby(shares, key=lambda share: share.turn) for part in _parts_of_turn(unit, place, list(own))]
    return [tuple(group) for _, group in groupby(parts, key=lambda part: part.section)]


def _bytes_of(turn: Turn) -> int:
    return _size(turn.text) + IMAGE * len(turn.images)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _weight(text: str) -> int:
    """Return the size of a text, with each row of a table as a whole line of a column."""
    return max(_size(text), TABLE_ROW * text.count("\n|"))


def _packed(unit: Unit) -> Iterator[list[_Atom]]:
    """Yield the atoms of each section, in order."""
    section: list[_Atom] = []
    size = 0
    for atom in (atom for place, turn in enumerate(unit) for atom in _atoms(turn, place)):
        is_apart = any(isinstance(each.piece, DocumentContent) for each in (atom, *section[-1:]))
        if section and (is_apart or size + atom.size > (1 + ROOM) * SECTION):
            yield section
            section, size = [], 0
        section.append(atom)
        size += atom.size
    yield section


def _parts_of_turn(unit: Unit, place: int, shares: Sequence[_Share]) -> Iterator[TurnPart]:
    """Yield the parts of the turn at `place` of a unit, one for each of its shares."""
    turn, start, whole = unit[place], 0, sum(share.size for share in shares)
    for number, share in enumerate(shares, 1):
        content, calls = _content_of(share)
        yield part_of(
            turn,
            content=content,
            tool_calls=calls,
            extra={"status": "error"} if turn.failed and number == 1 else {},  # the words of other fields are pieces
            name=turn.name or speaker_of(turn, unit) or None,
            section=share.section,
            part=number,
            of=len(shares),
            start=start,
            stop=start + share.size,
            whole=max(1, whole),
        )
        start += share.size


def _content_of(share: _Share) -> tuple[tuple[AnyPart, ...], tuple[ToolCall, ...]]:
    pieces = [atom.piece for atom in share.atoms]
    calls = tuple(piece for piece in pieces if isinstance(piece, ToolCall))
    last = len(pieces) - len(calls)
    in_place = any(isinstance(piece, ToolCall) for piece in pieces[:last])  # calls that do not come last
    places = iter(range(len(calls)))
    said = [CallPlace(place=next(places)) if isinstance(piece, ToolCall) else piece for piece in pieces if piece is not None]
    return tuple(part for part in said if in_place or not isinstance(part, CallPlace)), calls


def _atoms(turn: Turn, place: int) -> Iterator[_Atom]:
    """Yield the pieces of a turn: its parts and calls, long texts cut. At least one."""
    pieces = [piece for part in turn.drawn for piece in _cut_part(part, verbatim=turn.role == "tool")]
    for piece in pieces:
        yield _Atom(place, piece, _size_of(piece))
    if not pieces:
        yield _Atom(place, None, 0)


def _size_of(piece: Piece) -> int:
    match piece:
        case DocumentContent(pages=pages):
            return sum(_weight(page.text) + IMAGE * is_pictured(page) for page in pages)
        case TextContent() | ReasoningContent() | OtherContent():
            return _weight(piece.text)
        case ImageContent():
            return IMAGE
        case ToolResultContent(content=content):
            return _size(content) if isinstance(content, str) else sum(_size_of(item) for item in content)
        case ToolCall(name=name, arguments=arguments):
            return _size(name) + _size(arguments)
    return 0


def _cut_part(part: Drawn, *, verbatim: bool) -> Iterator[Piece]:
    if isinstance(part, ToolCall):
        yield from _cut_call(part)
    elif isinstance(part, DocumentContent):
        yield from (single_page(part, number) for number in range(part.first, part.first + len(part.pages)))
    elif isinstance(part, ToolResultContent):
        yield from _cut_result(part)
    elif isinstance(part, ReasoningContent) and _weight(part.text) > SECTION:
        yield from (ReasoningContent(block={"type": "reasoning", "text": text}) for text in _markdown(part.text))
    elif isinstance(part, OtherContent) and _weight(part.text) > SECTION:
        yield from _cut_part(TextContent(text=part.text), verbatim=verbatim)
    elif isinstance(part, TextContent) and _weight(part.text) > SECTION:
        texts = _output(part.text) if verbatim else _message(part.text)
        yield from (part.model_copy(update={"text": text}) for text in texts)
    else:
        yield part


def _message(text: str) -> Iterator[str]:
    from .blocks_of_turn import is_output  # brings the libraries that lay out pages, and most sessions have no long unit

    return _fenced(text) if is_output(text) else _markdown(text)


def _cut_result(part: ToolResultContent) -> Iterator[ToolResultContent]:
    if isinstance(part.content, str):
        texts = _output(part.content) if _size(part.content) > SECTION else [part.content]
        yield from (part.model_copy(update={"content": text, "is_error": part.is_error and not n}) for n, text in enumerate(texts))
        return
    pieces = [(piece,) for item in part.content for piece in _cut_part(item, verbatim=True) if isinstance(piece, Inner)]
    for number, inner in enumerate(pieces or [()]):
        yield part.model_copy(update={"content": inner, "is_error": part.is_error and not number})


def _cut_call(call: ToolCall) -> Iterator[ToolCall]:
    if _size(call.arguments) <= SECTION:
        yield call
        return
    yield from (call.model_copy(update={"arguments": text}) for text in _output(call.arguments))


def _output(text: str) -> Iterator[str]:
    """Cut verbatim text: between lines, else at spaces and separators. JSON is decoded first, as a piece of it could not be."""
    return _cut(decoded_json(text), ("\n", _SPACE_OR_STOP))


def _fenced(text: str) -> Iterator[str]:
    """Cut program output inside a message into listings, since a piece of it would not be recognised as such."""
    language = "json" if is_json(text) else ""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return (f"{ticks}{language}\n{piece}\n{ticks}" for piece in _cut(minify_json(text), ("\n", _SPACE_OR_STOP)))


def _markdown(text: str) -> Iterator[str]:
    """Cut Markdown: between paragraphs, else lines, else words. What is open at a cut, a code fence or a table, is opened again."""
    again = ""
    fence = ""
    for piece in _cut(text.replace("\r\n", "\n"), (_BLANK_LINES, _LINE_START, "\n", _SPACE_OR_STOP)):
        fence = _open_fence(piece, fence)
        closing = f"\n{fence[: len(fence) - len(fence.lstrip('`~'))]}" if fence else ""
        whole = f"{again}{piece}{closing}"
        again = f"{fence}\n" if fence else _table_head(whole)
        yield whole


def _open_fence(text: str, fence: str) -> str:
    """Return the opening line of the code fence that is open at the end of `text`; empty for none. `fence` is open at its start."""
    for match in _FENCE.finditer(text):
        marks, info = match[1], match[2].strip()
        if not fence:
            fence = marks + info
        elif fence.startswith(marks[0]) and len(marks) >= len(fence) - len(fence.lstrip(marks[0])) and not info:
            fence = ""
    return fence


def _table_head(text: str) -> str:
    """Return the header of the table that `text` ends in; empty if it does not end in one."""
    start = max((match.end() for match in re.finditer(r"\n[ \t]*\n", text)), default=0)
    lines = text[start:].split("\n", 2)
    in_table = len(lines) > 2 and "|" in lines[0] and "|" in lines[1] and _DELIMITER_ROW.fullmatch(lines[1])
    return f"{lines[0]}\n{lines[1]}\n" if in_table and len(lines[0]) + len(lines[1]) <= LONGEST_HEADER else ""


def _cut(text: str, places: Sequence[str | re.Pattern[str]]) -> Iterator[str]:
    """Cut text into pieces of about `SECTION` bytes, at the last of the first kind of `places` that there is near the end of a piece.

    Pieces of white space only are left out, since they would be blank pages.
    """
    count = -(-_weight(text) // SECTION) or 1
    start = 0
    pieces: list[str] = []
    for number in range(1, count):
        target = max(start, len(text) * number // count)
        end = _place(text, max(start, int(target - ROOM * len(text) / count)), target, places)
        if end > start:
            pieces.append(text[start:end].strip("\n"))
            start = end
    pieces.append(text[start:].strip("\n"))
    yield from (piece for piece in pieces if piece and not piece.isspace())


def _place(text: str, start: int, target: int, places: Sequence[str | re.Pattern[str]]) -> int:
    """Return where to cut between `start` and `target`: right after a place, else where no cluster is parted."""
    for place in places:
        if isinstance(place, str):
            found = text.rfind(place, start, target) + len(place)
        else:
            found = max((match.end() for match in place.finditer(text, start, target)), default=0)
        if found > start:
            return found
    end = target
    while end < min(len(text), target + LONGEST_CLUSTER) and _joins(text[end - 1], text[end]):
        end += 1
    return end


def _joins(before: str, char: str) -> bool:
    return unicodedata.category(char)[0] == "M" or unicodedata.category(char) in ("Cf", "Sk") or before == "\u200d"
