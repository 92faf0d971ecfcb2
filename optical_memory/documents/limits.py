"""What one document may take: of time, pages, pixels and memory. A document may be hostile, and pdfium is native code."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..text.excerpts import excerpt

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one document. A document that passes one raises `DocumentLimit`; nothing of it is stored.

    Attributes:
        seconds: time that the process may take for one answer: to open the file, to read some pages, or to draw one.
        pages: pages of a document.
        pixels: pixels of one drawn page.
        megabytes: memory of the process, beside twice the file. Kept by the system where it can (`RLIMIT_AS` of Linux); elsewhere by
            nobody.
        file_megabytes: size of the file. It is stored in the log whole.
        characters: characters of one page's text; what comes after them is cut off, and the page says so.
    """

    seconds: float = 30.0
    pages: int = 10_000
    pixels: int = 16_000_000
    megabytes: int = 1_024
    file_megabytes: int = 128
    characters: int = 200_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise ValueError(f"the limit {field.name}={excerpt(value)} is no positive number")
