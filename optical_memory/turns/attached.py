"""Attached documents: their files, how they are sent as text, and what that takes."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any

from .block_words import opaque_in
from .turn import AnyPart, DocumentContent, DocumentPage, ImageContent, OtherContent, TextContent, Turn

__all__ = [
    "PICTURE_SIDE",
    "as_sent",
    "file_of",
    "is_pictured",
    "pdf_block",
    "pdf_in",
    "picture_sizes",
    "single_page",
    "withheld",
    "without_files",
]

PDF = "application/pdf"
STANDARD = str.maketrans("-_", "+/")  # Google's clients write base64 in the alphabet for URLs
PICTURE_SIDE = 1280  # px; the longer side of a page that is sent as a picture beside its text: that of Large and Gundam
FIGURE = 0.02  # share of a page from which images on it are a figure, not an ornament
DRAWN = 24  # lines and shapes from which a page holds a table or a drawing, not rules between paragraphs


def pdf_block(name: str, data: bytes) -> dict[str, Any]:
    """Return the block of an attached file, in OpenAI's shape."""
    return {"type": "file", "file": {"filename": name, "file_data": f"data:{PDF};base64,{base64.b64encode(data).decode('ascii')}"}}


def pdf_in(block: object) -> bytes | None:
    """Return the PDF that a provider's block holds; None for one that is only named, and for other blocks."""
    for found in opaque_in(block):
        if found.data and found.media_type.partition(";")[0].strip().lower() in (PDF, "application/octet-stream", ""):
            try:
                data = base64.b64decode(found.data.translate(STANDARD), validate=True)
            except (binascii.Error, ValueError):
                continue
            if b"%PDF-" in data[:1024]:
                return data
    return None


def file_of(part: DocumentContent) -> bytes | None:
    """Return the file of a document; None if it was withheld, or is damaged."""
    data = pdf_in(part.block)
    return data if data is not None and hashlib.sha256(data).hexdigest() == part.sha256 else None


def has_file(part: DocumentContent) -> bool:
    """Whether a document has its file, without decoding it."""
    return bool(part.block)


def withheld(part: DocumentContent, pages: tuple[DocumentPage, ...], **changes: str) -> DocumentContent:
    """Return a document without its file, with other texts of its pages."""
    return part.model_copy(update={"block": {}, "native": False, "pages": pages, **changes})


def without_files(turn: Turn) -> Turn:
    """Return a turn whose documents are their text alone."""
    parts = tuple(withheld(part, part.pages) if isinstance(part, DocumentContent) else part for part in turn.parts)
    return turn.model_copy(update={"content": parts}) if turn.documents else turn


def single_page(part: DocumentContent, number: int) -> DocumentContent:
    """Return the document with page `number` alone. The file is the same object."""
    page = part.pages[number - part.first]
    return part.model_copy(update={"pages": (page,), "first": number, "of": part.of or len(part.pages), "outline": ()})


def last_page_of(turn: Turn) -> Turn:
    """Return a turn that is a document with the last page of it alone; the same turn if that has no pages."""
    part = turn.documents[-1]
    if not part.pages:
        return turn
    return turn.model_copy(update={"content": (single_page(part, part.first + len(part.pages) - 1),)})


def is_pictured(page: DocumentPage) -> bool:
    """Whether a page says more than its text: it has none, or figures, or what may be a table."""
    return not page.text.strip() or page.images >= FIGURE or page.shapes >= DRAWN


def picture_sizes(turn: Turn) -> list[tuple[int, int]]:
    """Return width and height in pixels of the pages that are sent as pictures, too, while the turn is text."""
    return [_size(page) for part in turn.documents if has_file(part) and not part.native for page in part.pages if is_pictured(page)]


def _size(page: DocumentPage) -> tuple[int, int]:
    longer = max(page.width, page.height) or 1.0
    return max(1, round(page.width * PICTURE_SIDE / longer)), max(1, round(page.height * PICTURE_SIDE / longer))


def as_sent(turn: Turn, picture: Callable[[DocumentContent, int], ImageContent | None] = lambda part, number: None) -> Turn:
    """Return a turn as it is sent as text: documents as their text, with pictures where that says less, or as they came.

    Args:
        picture: draws a page of a document; None where it cannot be drawn.
    """
    if not turn.documents:
        return turn
    parts: list[AnyPart] = []
    for part in turn.parts:
        if not isinstance(part, DocumentContent):
            parts.append(part)
        elif part.native:
            parts.append(OtherContent(block=part.block))
        else:
            parts += _as_text(part, picture)
    return turn.model_copy(update={"content": tuple(parts)})


def _as_text(part: DocumentContent, picture: Callable[[DocumentContent, int], ImageContent | None]) -> list[AnyPart]:
    """Return the text of a document, cut where a picture of a page stands."""
    parts: list[AnyPart] = []
    said = [f"[{part.name}: {part.title}]" if part.title else f"[{part.name}]"]
    for number, page in enumerate(part.pages, part.first):
        said.append(f"[p. {number}]\n{page.text}".rstrip())
        shown = picture(part, number) if has_file(part) and is_pictured(page) else None
        if shown is not None:
            parts += [TextContent(text="\n".join(said)), shown]
            said = []
    return [*parts, TextContent(text="\n".join(said))] if said else parts
