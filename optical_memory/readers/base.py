"""The interface of readers: models that read pages, opened by name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ..context.context import Context
from ..errors import UnknownName
from ..pages.page import Page
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile

__all__ = ["Answer", "Reader", "known_back_ends", "open_reader"]


class Answer(Protocol):
    """The answer of a model, streamed.

    Iterating gives pieces of text; `str(answer)` waits for all of it. `stopped` is the reason of the end (`"end"`, `"stop"`, `"length"`,
    `"cancelled"`), None until then.
    """

    @property
    def stopped(self) -> str | None: ...
    def __iter__(self) -> Iterator[str]: ...
    def __str__(self) -> str: ...
    def cancel(self) -> None:
        """Stop at the next token. Safe from another thread."""
        ...


class Reader(Protocol):
    """A model that reads pages."""

    @property
    def profile(self) -> ReaderProfile:
        """Its prices and limits."""
        ...

    def answer(self, context: Context, question: str, *, max_tokens: int | None = None, stop: Sequence[str] = ()) -> Answer:
        """Answer a question about a context."""
        ...

    def transcribe(self, page: Page, *, tier: Tier | str = Tier.BASE) -> str:
        """Transcribe one page shown at a tier."""
        ...

    def close(self) -> None:
        """Free memory and close connections."""
        ...


_BACK_ENDS = {
    "deepseek-ocr": "optical_memory.readers.deepseek_ocr:DeepseekOcrReader",
    "unlimited-ocr": "optical_memory.readers.deepseek_ocr:UnlimitedOcrReader",
    "transformers": "optical_memory.readers.transformers:TransformersReader",
    "openai": "optical_memory.readers.chat_server:ChatModelReader",
    "vllm": "optical_memory.readers.chat_server:VllmReader",
    "tesseract": "optical_memory.readers.tesseract:OcrReader",
    "rapidocr": "optical_memory.readers.rapidocr:RapidOcrReader",
}


def known_back_ends() -> list[str]:
    """Names that `open_reader` takes."""
    return sorted(_BACK_ENDS)


def open_reader(name: str, **options: Any) -> Reader:
    """A reader by name; the options are those of its class.

    `deepseek-ocr` and `unlimited-ocr` run the model in this process (`weights`: a folder or a hub id), `transformers` runs any
    vision-language model of that library (`model`), `openai` and `vllm` ask a server (`url`, `model`), `tesseract` runs that program
    (`language`) and `rapidocr` that package; both only transcribe.

    Raises `UnknownName`, `MissingExtra`, `WeightsNotFound`, `ProgramNotFound`.
    """
    if name not in _BACK_ENDS:
        raise UnknownName("reader", name, known_back_ends())
    module, _, factory = _BACK_ENDS[name].partition(":")
    reader: Reader = getattr(importlib.import_module(module), factory)(**options)
    return reader
