"""A turn as the pixel renderer draws it: what was written, line after line, with its pictures in their places.

Markdown stays as it was typed, JSON is decoded, and lines follow one another on a row with a mark between them: see `document.compaction`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from ...turns.turn import Drawn, ImageContent, ReasoningContent, ToolCall, ToolResultContent, Turn
from ..document.blocks import Paragraph, Picture
from ..document.blocks_of_turn import is_output, language_of, picture_of
from ..document.compaction import compact_code, minify_json
from ..document.decoded_json import decoded_json
from ..document.turn_heads import doubled

__all__ = ["source_of"]

ENDLESS = 1_000_000_000  # characters of a row: all lines of a text follow one another
THOUGHT, FAILED = "thinking", "error"  # before reasoning, which was not said, and before the result of a call that failed


def source_of(turn: Turn) -> list[str | Picture]:
    """Return a turn's texts and pictures in order; a text has several lines only where one begins or ends with a mark of its own."""
    pieces = [piece for part in turn.drawn for piece in _pieces(part, verbatim=turn.role == "tool")]
    if turn.failed:
        pieces.insert(0, FAILED)
    found: list[str | Picture] = []
    for is_text, group in groupby(pieces, key=lambda piece: isinstance(piece, str)):
        held = list(group)
        found += [_compact("\n".join(str(piece) for piece in held if piece))] if is_text else held
    return [piece for piece in found if piece]


def _compact(text: str) -> str:
    drawn = compact_code(text, ENDLESS, flows=True, is_diff=language_of(text) == "diff")
    return doubled(drawn) if "#" in drawn or not drawn.isascii() else drawn


def _pieces(part: Drawn, *, verbatim: bool) -> Iterator[str | Picture]:
    if isinstance(part, ToolCall):
        yield f"{part.name} {decoded_json(part.arguments)}".rstrip()
    elif isinstance(part, ImageContent):
        block = picture_of(part)
        yield block if isinstance(block, Picture) else _words(block)
    elif isinstance(part, ToolResultContent):
        if part.is_error:
            yield FAILED
        if isinstance(part.content, str):
            yield _output(part.content, verbatim=True)
        else:
            for item in part.content:
                yield from _pieces(item, verbatim=True)
    elif isinstance(part, ReasoningContent):
        yield f"{THOUGHT} {part.text}" if part.text.strip() else ""
    else:
        yield _output(part.text, verbatim=verbatim)


def _output(text: str, *, verbatim: bool) -> str:
    if verbatim:
        return decoded_json(text)
    return minify_json(text) if is_output(text) else text


def _words(block: object) -> str:
    return "".join(span.text for span in block.spans) if isinstance(block, Paragraph) else ""
