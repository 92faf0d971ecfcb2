"""The seam of readers, and their profiles: what a picture costs the model that looks at the pages, and how faint it may get."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..errors import UnknownName
from ..pages import Page
from ..tiers import Tier, gundam_sequence_length, sequence_length
from ..turns import Turn

__all__ = [
    "Answer",
    "ContextLike",
    "DeepseekFormula",
    "Evidence",
    "FlatFormula",
    "PatchFormula",
    "PictureFormula",
    "Reader",
    "ReaderProfile",
    "TileFormula",
    "known_back_ends",
    "open_reader",
]


class _Formula(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeepseekFormula(_Formula):
    """DeepEncoder: n(n + 1) + 1 decoder positions for a square of n x 64 px; tiles and an overview for Gundam."""

    kind: Literal["deepseek"] = "deepseek"
    max_tiles: int = 9
    always_tiled: bool = False  # the server knows Gundam alone: tiles for every picture that is larger than one

    def page_tokens(self, width: int, height: int, tier: Tier) -> int:
        """Tokens of a page of `width` x `height` pixels, as sent at `tier`."""
        tiled = self.always_tiled or tier is Tier.GUNDAM
        return gundam_sequence_length(width, height, self.max_tiles) if tiled else sequence_length(tier.side)

    def picture_tokens(self, width: int, height: int) -> int:
        """Tokens of a picture of `width` x `height` pixels that stands in a recent turn."""
        return gundam_sequence_length(width, height, self.max_tiles) if self.always_tiled else Tier.BASE.sequence_length


class PatchFormula(_Formula):
    """Square patches: ceil(w / patch) * ceil(h / patch) * factor + extra, after fitting into `max_side` and `max_patches`."""

    kind: Literal["patch"] = "patch"
    patch: int
    factor: float = 1.0
    extra: int = 0
    max_side: int
    max_patches: int

    def page_tokens(self, width: int, height: int, tier: Tier) -> int:
        """Tokens of a page of `width` x `height` pixels, as sent at `tier`."""
        return self.picture_tokens(width, height)

    def picture_tokens(self, width: int, height: int) -> int:
        """Tokens of a picture of `width` x `height` pixels that stands in a recent turn."""
        shrink = min(1.0, self.max_side / max(width, height))
        patches = math.ceil(width * shrink / self.patch) * math.ceil(height * shrink / self.patch)
        return math.ceil(min(patches, self.max_patches) * self.factor) + self.extra


class TileFormula(_Formula):
    """Tiles: fit into 2048 x 2048, bring the short side down to 768, then `base` + `tile` for each tile of 512 px."""

    kind: Literal["tile"] = "tile"
    base: int
    tile: int

    def page_tokens(self, width: int, height: int, tier: Tier) -> int:
        """Tokens of a page of `width` x `height` pixels, as sent at `tier`."""
        return self.picture_tokens(width, height)

    def picture_tokens(self, width: int, height: int) -> int:
        """Tokens of a picture of `width` x `height` pixels that stands in a recent turn."""
        shrink = min(1.0, 2048 / max(width, height))
        shrink *= min(1.0, 768 / (min(width, height) * shrink))
        return self.base + self.tile * math.ceil(width * shrink / 512) * math.ceil(height * shrink / 512)


class FlatFormula(_Formula):
    """The same for every picture."""

    kind: Literal["flat"] = "flat"
    tokens: int

    def page_tokens(self, width: int, height: int, tier: Tier) -> int:
        """Tokens of a page of `width` x `height` pixels, as sent at `tier`."""
        return self.tokens

    def picture_tokens(self, width: int, height: int) -> int:
        """Tokens of a picture of `width` x `height` pixels that stands in a recent turn."""
        return self.tokens


PictureFormula = Annotated[DeepseekFormula | PatchFormula | TileFormula | FlatFormula, Field(discriminator="kind")]


class Evidence(_Formula):
    """What an eye test measured of a reader, behind a profile's floor.

    Attributes:
        measured: the date.
        by: how, so that it can be done again.
        target: the exact rate that was asked for, at the lower end of its 95 % interval.
        met: whether some rung met it. If none did, the floor is the sharpest rung that was shown.
        letter: font size in pixels, as shown, of the smallest letters that met the target; None if none did.
        cell: width and height in pixels of such a letter's cell.
        floors: the faintest rung that met it for each kind of text; "none" where none did.
        probes: texts that were asked for.
    """

    measured: str
    by: str
    target: float
    met: bool
    letter: float | None = None
    cell: tuple[float, float] | None = None
    floors: dict[str, str] = {}
    probes: int = 0


class ReaderProfile(BaseModel):
    """What a reader charges and can read. Dated data, not code: see `profiles.toml`.

    Attributes:
        name: as `OpticalMemory(reader=...)` takes it.
        as_of: the date on which the numbers were true.
        source: where they come from.
        encoding: the tiktoken encoding that counts its text; None where there is none.
        formula: tokens of a picture.
        ladder: the tiers that are used with this reader, faintest first.
        floor: the faintest tier at which its pages are still read; pinned pages never fall below it.
        message_tokens: what a chat message costs beyond its content.
        cache_seconds: how long the provider keeps a prompt prefix; a re-plan after that breaks no cache.
        max_pictures: pictures that one request may hold.
        evidence: what the floor rests on; None where it is a judgement.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1] = 1
    name: str
    as_of: str
    source: str
    encoding: str | None = None
    formula: PictureFormula
    ladder: tuple[Tier, ...] = tuple(Tier)
    floor: Tier = Tier.SMALL
    message_tokens: int = 4
    cache_seconds: float = 300.0
    max_pictures: int = 100
    evidence: Evidence | None = None

    @field_validator("ladder", mode="before")
    @classmethod
    def _ladder_by_name(cls, value: object) -> object:
        return tuple(sorted(Tier.parse(item) for item in value)) if isinstance(value, list | tuple) else value

    @field_validator("floor", mode="before")
    @classmethod
    def _floor_by_name(cls, value: object) -> object:
        return Tier.parse(value) if isinstance(value, str) else value

    def page_tokens(self, width: int, height: int, tier: Tier) -> int:
        """Tokens of a sealed page of `width` x `height` pixels shown at `tier`."""
        scale = tier.side / max(width, height)
        return self.formula.page_tokens(max(1, round(width * scale)), max(1, round(height * scale)), tier)

    def picture_tokens(self, width: int, height: int) -> int:
        """Tokens of a picture inside a turn, sent as it is."""
        return self.formula.picture_tokens(width, height)

    def below(self, tier: Tier) -> Tier | None:
        """The next fainter tier of the ladder; None under the faintest."""
        fainter = [rung for rung in self.ladder if rung < tier]
        return fainter[-1] if fainter else None


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
    "openai": "optical_memory.readers.chat_model:ChatModelReader",
    "vllm": "optical_memory.readers.chat_model:VllmReader",
    "tesseract": "optical_memory.readers.ocr:OcrReader",
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
