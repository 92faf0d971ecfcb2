"""The seam of readers: models that look at the pages, found by name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from ..errors import UnknownName
from ..pages.page import Page
from ..pages.tiers import Tier
from ..profiles.formulas import DeepseekFormula, FlatFormula, GeminiTileFormula, PatchFormula, PictureFormula, TileFormula
from ..profiles.profile import CachePrices, EyeTest, Limits, ReaderProfile, Rung
from ..turns.turn import Turn

__all__ = [
    "Answer",
    "CachePrices",
    "ContextLike",
    "DeepseekFormula",
    "EyeTest",
    "FlatFormula",
    "GeminiTileFormula",
    "Limits",
    "PatchFormula",
    "PictureFormula",
    "Reader",
    "ReaderProfile",
    "Rung",
    "TileFormula",
    "known_back_ends",
    "open_reader",
]


@runtime_checkable
class PageLike(Protocol):
    """A part of a context that is a page: what `context.PagePart` is."""

    @property
    def page(self) -> Page: ...
    @property
    def tier(self) -> Tier: ...
    @property
    def text(self) -> str: ...


class TurnsLike(Protocol):
    """A part of a context that is text: what `context.TextPart` is."""

    @property
    def turns(self) -> Sequence[Turn]: ...


class ContextLike(Protocol):
    """What a reader needs of a `Context`, which stands above it: the framing text, then the parts, oldest first."""

    @property
    def framing(self) -> str: ...
    @property
    def parts(self) -> Sequence[PageLike | TurnsLike]: ...


class Answer(Protocol):
    """What a reader says, as it says it.

    Iterating gives pieces of text; `str(answer)` waits for all of it. `stopped` says why it ended (`"end"`, `"stop"`, `"length"`,
    `"cancelled"`), None before that.
    """

    @property
    def stopped(self) -> str | None: ...
    def __iter__(self) -> Iterator[str]: ...
    def __str__(self) -> str: ...
    def cancel(self) -> None:
        """End it at the next token. Safe from another thread."""
        ...


class Reader(Protocol):
    """A model that looks at pages."""

    @property
    def profile(self) -> ReaderProfile:
        """What it charges."""
        ...

    def answer(self, context: ContextLike, question: str, *, max_tokens: int | None = None, stop: Sequence[str] = ()) -> Answer:
        """Answer a question after looking at a context."""
        ...

    def transcribe(self, page: Page, *, tier: Tier | str = Tier.BASE) -> str:
        """The words of one page shown at a tier, as far as this reader can read them."""
        ...

    def close(self) -> None:
        """Give memory and connections back."""
        ...


_BACK_ENDS = {
    "deepseek-ocr": "optical_memory.readers.deepseek_ocr:DeepseekOcrReader",
    "unlimited-ocr": "optical_memory.readers.deepseek_ocr:UnlimitedOcrReader",
    "transformers": "optical_memory.readers.transformers:TransformersReader",
    "openai": "optical_memory.readers.chat_server:ChatModelReader",
    "vllm": "optical_memory.readers.chat_server:VllmReader",
    "tesseract": "optical_memory.readers.tesseract:OcrReader",
}


def known_back_ends() -> list[str]:
    """Names that `open_reader` takes."""
    return sorted(_BACK_ENDS)


def open_reader(name: str, **options: Any) -> Reader:
    """A reader by name; the options are those of its class.

    `deepseek-ocr` and `unlimited-ocr` run the model in this process (`weights`: a folder or a hub id), `transformers` runs any
    vision-language model of that library (`model`), `openai` and `vllm` ask a server (`url`, `model`), `tesseract` runs that program and
    only transcribes (`language`).

    Raises `UnknownName`, `MissingExtra`, `WeightsNotFound`, `ProgramNotFound`.
    """
    if name not in _BACK_ENDS:
        raise UnknownName("reader", name, known_back_ends())
    module, _, factory = _BACK_ENDS[name].partition(":")
    reader: Reader = getattr(importlib.import_module(module), factory)(**options)
    return reader
