"""Stages that read pages: transcriptions, and pages back to Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..pages.tiers import Tier
from ..readers.base import open_reader
from .items import PageImage, Pages
from .stages import Failures, Worker

__all__ = ["PageReading", "ReadItem", "ReadPages"]


@dataclass(frozen=True, slots=True)
class PageReading:
    """What was read on a page."""

    index: int
    page_key: str
    text: str


@dataclass(frozen=True, slots=True)
class ReadItem:
    """The readings of an item's pages."""

    key: str
    reader: str
    tier: str
    pages: tuple[PageReading, ...]


@dataclass(frozen=True, slots=True)
class ReadPages:
    """Reads pages with a reader.

    Attributes:
        reader: its name, as for `open_reader`.
        options: of the reader, as JSON, so that a stage can be compared and sent.
        tier: at which a model is shown a page. OCR programs take the picture as it is.
        markdown: ask for the page as Markdown where the reader can tell a page's structure (`parse`); else its words.
    """

    reader: str = "tesseract"
    options: str = "{}"
    tier: Tier = Tier.BASE
    markdown: bool = False

    def open(self) -> Worker:
        return _ReadingWorker(self)


class _ReadingWorker:
    def __init__(self, stage: ReadPages) -> None:
        self._stage = stage
        self._reader: Any = open_reader(stage.reader, **json.loads(stage.options))

    def work(self, records: Sequence[Pages], failures: Failures) -> list[ReadItem]:
        return list(failures.each("read", records, self._read))

    def close(self) -> None:
        self._reader.close()

    def _read(self, item: Pages) -> ReadItem:
        pages = tuple(PageReading(page.index, page.page_key, self._text(page)) for page in item.pages)
        return ReadItem(item.key, self._stage.reader, self._stage.tier.label, pages)

    def _text(self, page: PageImage) -> str:
        if self._stage.markdown and hasattr(self._reader, "parse"):
            return str(self._reader.parse(page.png, "markdown", tier=self._stage.tier).text)
        return str(self._reader.transcribe(page.png, tier=self._stage.tier))
