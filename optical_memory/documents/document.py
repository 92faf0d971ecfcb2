"""A PDF, opened: title, outline, and its pages one at a time, as text with measures and as pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from ..errors import DocumentError, DocumentLimit
from ..text.excerpts import excerpt
from .limits import Limits
from .process import PdfProcess

__all__ = ["Heading", "PdfDocument", "Pixels", "Sheet"]

MARK = b"%PDF-"
MARKED_WITHIN = 1_024  # bytes before the mark that readers pass over (ISO 32000-2, annex I)
AT_ONCE = 32  # pages that are asked for together: their texts are held until they are taken


@dataclass(frozen=True, slots=True)
class Heading:
    """An entry of an outline: `level` from 0, and the page from 1; 0 if it leads to none."""

    level: int
    title: str
    page: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page of a document, measured.

    Attributes:
        number: from 1.
        text: its text layer, with what is filled into its forms and written in its annotations; empty for a scan.
        is_cut: whether the text was longer than the limit.
        width, height: in points (1/72 inch) as it is shown: rotated, cut to its CropBox, in its UserUnit.
        letters: characters of its text layer that are seen.
        letter: median height of a line box of its letters in points, about 1.15 times the font size; 0 without a text layer.
        images: share of the page that images cover, 0 to 1.
        shapes: lines and shapes drawn on it.
    """

    number: int
    text: str
    is_cut: bool
    width: float
    height: float
    letters: int
    letter: float
    images: float
    shapes: int


@dataclass(frozen=True, slots=True)
class Pixels:
    """A drawn page: `width` x `height` pixels of blue, green, red, one byte each, row by row from the top."""

    width: int
    height: int
    data: bytes


class PdfDocument:
    """A PDF in a process of its own, which ends with `close` or with the block. Not thread-safe.

    Args:
        data: the file.
        name: what errors call it.
        password: opens an encrypted file.

    Raises `MissingExtra` without pypdfium2; `DocumentLocked` for a missing or wrong password; `DocumentLimit`; `DocumentError` for a file
    that is no PDF.

    Attributes:
        title: of its metadata; empty if it has none.
        outline: its headings.
    """

    def __init__(self, data: bytes, *, name: str = "document.pdf", password: str | None = None, limits: Limits | None = None) -> None:
        self.name, self.limits = name, limits or Limits()
        most = self.limits.file_megabytes
        if len(data) > most * 2**20:
            what = f"{excerpt(name)} has {len(data) / 2**20:.0f} MB, and a document may have {most}"
            raise DocumentLimit(f"{what}. Pass limits=Limits(file_megabytes=...) for more, or attach parts of it", "file_megabytes")
        if not looks_like_pdf(data):
            raise DocumentError(f"{excerpt(name)} is no PDF: it begins with {excerpt(data[:8])}")
        self._data, self._password = data, password
        self._process = PdfProcess(data, name, password, self.limits)
        about = self._process.about
        self._pages, self.title = int(about["pages"]), str(about["title"])
        self.outline = tuple(Heading(int(level), str(title), int(page)) for level, title, page in about["outline"])
        if self._pages > self.limits.pages:
            self.close()
            what = f"{excerpt(name)} has {self._pages:,} pages, and a document may have {self.limits.pages:,}"
            raise DocumentLimit(f"{what}. Pass limits=Limits(pages=...) for more, or attach parts of it", "pages")

    def __len__(self) -> int:
        """Return the number of pages."""
        return self._pages

    def sheets(self) -> Iterator[Sheet]:
        """Yield its pages, measured, some at a time. Raises `DocumentLimit`, `DocumentError`."""
        for first in range(0, self._pages, AT_ONCE):
            found = self._live().read(first, min(first + AT_ONCE, self._pages))
            yield from (_sheet(number, fields) for number, fields in enumerate(found, first + 1))

    def draw(self, number: int, side: int) -> Pixels:
        """Draw a page with its longer side at `side` pixels: rotated, cut to its CropBox, with its annotations and what its forms hold.

        Raises `DocumentLimit` if that is more pixels than allowed, or takes too long; `DocumentError`; `ValueError` for a page that is not
        there.
        """
        if not 1 <= number <= self._pages:
            raise ValueError(f"{excerpt(self.name)} has pages 1 to {self._pages}; got {excerpt(number)}")
        if side < 1 or side * side > self.limits.pixels:
            what = f"a page of {side} x {side} pixels is more than the {self.limits.pixels:,} that a document may take"
            raise DocumentLimit(f"{what}. Pass limits=Limits(pixels=...) for more", "pixels")
        (width, height), data = self._live().draw(number - 1, side)
        return Pixels(width, height, data)

    def close(self) -> None:
        """End its process. It starts again if a page is asked for."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _live(self) -> PdfProcess:
        """Return the process, a new one if a page before has brought it down."""
        if not self._process.is_alive:
            self._process.close()
            self._process = PdfProcess(self._data, self.name, self._password, self.limits)
        return self._process


def looks_like_pdf(data: bytes) -> bool:
    """Whether bytes begin like a PDF."""
    return MARK in data[:MARKED_WITHIN]


def _sheet(number: int, fields: dict[str, Any]) -> Sheet:
    return Sheet(
        number=number,
        text=str(fields["text"]),
        is_cut=bool(fields["cut"]),
        width=float(fields["width"]),
        height=float(fields["height"]),
        letters=int(fields["letters"]),
        letter=float(fields["letter"]),
        images=float(fields["images"]),
        shapes=int(fields["paths"]),
    )
