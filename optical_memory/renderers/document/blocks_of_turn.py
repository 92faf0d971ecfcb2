"""Convert a turn to a list of blocks.

Every renderer draws these blocks, so all show the same words in the same order. Raw HTML stays text: no block can hold markup.
"""

from __future__ import annotations

import re

from ...turns.turn import (
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
from .blocks import Block, Code, Heading, ListItem, Math, Paragraph, Picture, Quote, Rule, Span, Spans, Table
from .compaction import ROW_WIDTH, compact_code, is_json, minify_json, visible
from .decoded_json import decoded_json
from .joining import run_in
from .markdown import markdown_blocks
from .turn_heads import told_apart

__all__ = [
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
    "blocks_of",
    "is_output",
    "language_of",
    "picture_of",
]

FLOWING = ("", "yaml", "xml", "html")  # program output: its lines may begin anywhere in a row
RUN_IN_ROWS = 4  # rows of arguments that still follow a tool's name in its own paragraph
FAILED = Paragraph((Span("error", bold=True),))  # before the result of a call that failed
THOUGHT = Paragraph((Span("thinking", bold=True),))  # before reasoning, which is not what was said
_MAGIC = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"), (b"GIF89a", "image/gif"))
_DATA_ADDRESS = re.compile(r"data:([^,]{0,100}),.*", re.DOTALL)
_YAML_LINE = re.compile(r"\s*(?:- )?[\w.-]+:(?: .*)?|\s*- .*|\s*#.*|---")


def blocks_of(turn: Turn, *, row_width: int = ROW_WIDTH) -> tuple[Block, ...]:
    """Return the blocks of a turn, with its tool calls and results, compacted for the page.

    Args:
        turn: any turn; one without words or pictures gives no blocks.
        row_width: characters of a row of code, for joining short lines.

    Never raises: invalid Markdown becomes plain paragraphs.
    """
    blocks: list[Block] = []
    if turn.failed:
        blocks.append(FAILED)
    for part in turn.drawn:
        blocks += _part_blocks(part, row_width, verbatim=turn.role == "tool")
    return told_apart(run_in(blocks, row_width))


def _part_blocks(part: Drawn, width: int, *, verbatim: bool) -> list[Block]:
    if isinstance(part, ToolCall):
        return _call_blocks(part, width)
    if isinstance(part, ReasoningContent):
        return [THOUGHT, *markdown_blocks(part.text, row_width=width)] if part.text.strip() else []
    if isinstance(part, DocumentContent):  # without its file: the text of its page, in which no character is markup
        return [Paragraph((Span(text),)) for line in part.text.splitlines() if (text := visible(line).strip())]
    if isinstance(part, TextContent | OtherContent):
        return (
            _output_blocks(part.text, width, decoded=verbatim)
            if verbatim or is_output(part.text)
            else markdown_blocks(part.text, row_width=width)
        )
    return [picture_of(part)] if isinstance(part, ImageContent) else _result_blocks(part, width)


def _result_blocks(part: ToolResultContent, width: int) -> list[Block]:
    blocks: list[Block] = [FAILED] if part.is_error else []
    items = (TextContent(text=part.content),) if isinstance(part.content, str) else part.content
    for item in items:
        blocks += _part_blocks(item, width, verbatim=True)
    return blocks


def _call_blocks(call: ToolCall, width: int) -> list[Block]:
    """Return the name followed by the arguments, so that neither takes a row of its own: as a paragraph if short, else as code."""
    name = visible(call.name).replace("\n", " ")
    decoded = decoded_json(call.arguments)
    arguments = compact_code(decoded, width, flows=True)
    title = (Span(name, bold=True),)
    if not arguments:
        return [Paragraph(title)]
    if len(arguments) <= RUN_IN_ROWS * width and "\n" not in arguments:
        return [Paragraph((*title, Span(" "), Span(arguments, code=True)))]
    return [Code(arguments, language_of(decoded), title)]


def is_output(text: str) -> bool:
    """Whether a message of a person's role is program output: tagged from the first character, or JSON."""
    return bool(re.match(r"\s*<([a-zA-Z_][\w-]*)>[\s\S]*</\1>", text)) or language_of(text) == "json"


def _output_blocks(text: str, width: int, *, decoded: bool) -> list[Block]:
    text = decoded_json(text) if decoded else minify_json(text)
    language = language_of(text)
    drawn = compact_code(text, width, flows=language in FLOWING, is_diff=language == "diff")
    return [Code(drawn, language)] if drawn.strip() else []


def language_of(text: str) -> str:
    """Guess the format of program output: json, diff, pytb, xml, html, yaml, or an empty string."""
    start = text.lstrip()[:2000]
    if start[:1] in ("{", "[") and is_json(text):
        return "json"
    if start.startswith(("diff --git ", "--- a/", "Index: ")) or re.match(r"--- .*\n\+\+\+ ", start):
        return "diff"
    if "Traceback (most recent call last)" in start:
        return "pytb"
    if start[:1] == "<" and re.match(r"<(?:[!?]|[a-zA-Z][\w:-]*[\s>/])", start):
        return "html" if re.match(r"<(?:!doctype html|html)", start, re.IGNORECASE) else "xml"
    return "yaml" if _looks_like_yaml(start) else ""


def _looks_like_yaml(start: str) -> bool:
    lines = [line for line in start.split("\n")[:-1] or [start] if line.strip()]
    return len(lines) > 1 and sum(_YAML_LINE.fullmatch(line) is not None for line in lines) >= 0.9 * len(lines)


def picture_of(part: ImageContent) -> Block:
    """Return an image as a picture, or as a paragraph that says what it is if it is no raster image."""
    data = part.decode()
    media_type = _sniff(data)
    if media_type:
        return Picture(data, media_type)
    address = _DATA_ADDRESS.sub(r"data:\1,...", part.url)
    what = address or f"{part.media_type or 'unknown type'}, {len(data)} bytes"
    return Paragraph((Span(f"[picture: {visible(what)}]"),))


def _sniff(data: bytes) -> str:
    """Return the raster format by the first bytes, or an empty string. SVG is text, and never drawn."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), "")
