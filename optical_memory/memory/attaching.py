"""Attach documents: what is given becomes the content of one turn, whose pages are the document's own."""

from __future__ import annotations

import hashlib
import io
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from ..documents.document import PdfDocument, looks_like_pdf
from ..documents.limits import Limits
from ..errors import DocumentError, MissingExtra
from ..text.excerpts import excerpt, said, shape
from ..text.labels import label_text
from ..turns.attached import pdf_block, pdf_in
from ..turns.turn import AnyPart, DocumentContent, DocumentHeading, DocumentPage, ImageContent, OtherContent, TextContent, Turn

__all__ = ["Attachable", "content_of_document", "document_of", "with_documents"]

Attachable = str | os.PathLike[str] | bytes | BinaryIO
PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF87a": "image/gif", b"GIF89a": "image/gif"}
KNOWN = "a PDF, a picture (PNG, JPEG, GIF, WebP), Markdown, HTML or text"
UNNAMED = "document"
NAMES = ("filename", "file_name", "title", "name", "display_name", "displayName")
WHITE = re.compile(r"\s+")
# Of HTML: what is not shown, what is a line of its own, and what is a heading of which level.
SILENT = {"script", "style", "template", "noscript"}
BLOCKS = {
    "p", "div", "br", "li", "tr", "section", "article", "header", "footer", "table", "ul", "ol", "pre", "blockquote", "figure", "hr",
    "title",
}  # fmt: skip
HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}


def content_of_document(
    source: Attachable, *, name: str | None = None, password: str | None = None, limits: Limits | None = None
) -> tuple[AnyPart, ...]:
    """Return the content of the turn that a document becomes.

    Args:
        source: a path; the bytes of a file; or a file opened for reading bytes.
        name: the document's name; by default that of the file.
        password: opens an encrypted PDF.
        limits: what a PDF may take.

    Raises `DocumentError` for what is no document that is known here, `DocumentLocked`, `DocumentLimit`, `MissingExtra`, `OSError`, and
    `TypeError` for a source of another type.
    """
    data, own = _read(source, limits or Limits())
    name = label_text(name or own or UNNAMED)
    if looks_like_pdf(data):
        return (document_of(data, name, block=pdf_block(name, data), native=False, password=password, limits=limits),)
    if media := _picture_type(data):
        import base64

        return (TextContent(text=f"[{name}]"), ImageContent(media_type=media, data=base64.b64encode(data).decode("ascii")))
    if data[:4] == b"PK\x03\x04":
        what = "is a DOCX, PPTX or another file of an office program" if _is_office(data) else "is an archive"
        raise DocumentError(f"{excerpt(name)} {what}: print it to a PDF, and attach that")
    return (TextContent(text=f"[{name}]\n{_text(data, name)}"),)


def with_documents(turn: Turn) -> Turn:
    """Return a user's turn in which every PDF that a provider's block holds is a document, and sent as it came while its turn is text.

    OpenAI's `file` and `input_file`, Anthropic's and Bedrock's `document`, LangChain's `file`, Gemini's `inline_data`. A PDF that cannot be
    opened, for want of pypdfium2 or a password, say, stays the block that it is; a warning says why.
    """
    if turn.role != "user" or isinstance(turn.content, str) or all(_is_document_or_plain(part) for part in turn.content):
        return turn
    parts = tuple(part if _is_document_or_plain(part) else _opened(part) for part in turn.content)
    return turn.model_copy(update={"content": parts})


def _is_document_or_plain(part: AnyPart) -> bool:
    return not isinstance(part, OtherContent) or isinstance(part, DocumentContent)


def _opened(part: AnyPart) -> AnyPart:
    """Return the document that a block holds; the part itself if it holds none, or one that cannot be opened."""
    if not isinstance(part, OtherContent) or (data := pdf_in(part.block)) is None:
        return part
    try:
        return document_of(data, _name_in(part.block), block=part.block, native=True)
    except MissingExtra:
        return part
    except DocumentError as exc:
        warnings.warn(f"{said(exc)}; the message keeps it as it came, and no page of it is drawn", RuntimeWarning, stacklevel=2)
        return part


def _name_in(block: Mapping[str, Any]) -> str:
    """Return the name that a provider's block gives its file."""
    for fields in (block, *(value for value in block.values() if isinstance(value, Mapping))):
        for key in NAMES:
            if isinstance(fields.get(key), str) and fields[key].strip():
                return label_text(fields[key])
    return UNNAMED


def document_of(
    data: bytes, name: str, *, block: Mapping[str, Any], native: bool, password: str | None = None, limits: Limits | None = None
) -> DocumentContent:
    """Return a PDF as content: opened once, measured and read page by page, and closed. Draws nothing. Raises like `PdfDocument`."""
    with PdfDocument(data, name=name, password=password, limits=limits) as opened:
        pages = tuple(_page(asdict(sheet)) for sheet in opened.sheets())
        outline = tuple(DocumentHeading(level=each.level, title=each.title, page=each.page) for each in opened.outline)
        return DocumentContent.model_validate(
            {
                "block": dict(block),
                "name": name,
                "title": label_text(opened.title),
                "sha256": hashlib.sha256(data).hexdigest(),
                "password": password or "",
                "native": native,
                "pages": pages,
                "outline": outline,
            }
        )


def _page(fields: dict[str, object]) -> DocumentPage:
    del fields["number"]
    return DocumentPage.model_validate(fields)


def _read(source: object, limits: Limits) -> tuple[bytes, str]:
    """Return bytes and name of a source; no more bytes than one more than a document may have."""
    most = int(limits.file_megabytes * 2**20) + 1
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        with path.open("rb") as file:
            return file.read(most), path.name
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), ""
    read: Callable[[int], object] | None = getattr(source, "read", None)
    found = read(most) if callable(read) else None
    if not isinstance(found, bytes):
        raise TypeError(f"a document is a path, bytes, or a file opened for reading bytes; got {shape(source)}")
    named = getattr(source, "name", "")
    return found, PurePath(named).name if isinstance(named, str) else ""


def _picture_type(data: bytes) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((media for mark, media in PICTURES.items() if data.startswith(mark)), "")


def _is_office(data: bytes) -> bool:
    return b"[Content_Types].xml" in data[:4096] or b"word/" in data or b"ppt/" in data


def _text(data: bytes, name: str) -> str:
    """Return the words of a text file. Raises `DocumentError` for one that is no text."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = io.TextIOWrapper(io.BytesIO(data), encoding).read()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DocumentError(f"{excerpt(name)} begins with {excerpt(data[:8])}, which is no document that is known here: attach {KNOWN}")
    head = text[:512].lstrip().lower()
    is_html = name.lower().endswith((".html", ".htm", ".xhtml")) or head.startswith(("<!doctype html", "<html"))
    return _words_of_html(text) if is_html else text


class _Words(HTMLParser):
    """Collects the words of a page of HTML: a line for each block, nothing of scripts and styles. Fetches and runs nothing."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in SILENT
        if tag in HEADINGS:
            self.said.append(f"\n\n{HEADINGS[tag]} ")
        elif tag in BLOCKS:
            self.said.append("\n- " if tag == "li" else "\n")
        elif tag in ("td", "th"):
            self.said.append(" | ")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in SILENT and self._silent > 0
        if tag in BLOCKS or tag in HEADINGS:
            self.said.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.said.append(WHITE.sub(" ", data))


def _words_of_html(text: str) -> str:
    parser = _Words()
    parser.feed(text)
    parser.close()
    lines = (WHITE.sub(" ", line).strip() for line in "".join(parser.said).splitlines())
    return "\n".join(line for line in lines if line)
