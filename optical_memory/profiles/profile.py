"""A reader's profile: prices, request limits, and the smallest tier it still reads. Dated data, not code."""

from __future__ import annotations

import hashlib
import math
import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator, model_validator

from ..pages.page import SANS_ADVANCE, PageStyle
from ..pages.tiers import Tier
from ..turns.attachments import NO_IMAGES, ImageLoad
from .formulas import PictureFormula

__all__ = [
    "ASSUMED_LEGIBILITY",
    "CachePrices",
    "LegibilityCurve",
    "LengthCliff",
    "Limits",
    "PageShape",
    "ReaderProfile",
    "Rung",
    "TextMarks",
]

ROUNDING = 1e-9  # a size that is whole but for the arithmetic stays as it is
LAPSED_AFTER = 300.0  # s; assumed where a provider does not say how long it keeps a prefix
PAGE_BYTES = 140_000  # of a request: a page of 1024 px is a PNG of 50 to 105 kB (docs/experiments.md), a third more as base64
CELLS_A_TOKEN = 5.85  # of a full page of chat: 1,576 tokens on 1024 x 1024 px of 7.07 x 16.1 px (docs/experiments/page-fill.md)
COLUMN_CHARACTERS = 66  # of prose in a column, as on the default page: shorter lines leave more blank, longer ones are harder to follow


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PageShape(_Data):
    """The canvas of a reader's pages in pixels: the largest that its provider leaves as it is and whose area pays.

    Attributes:
        cell: width and height of a cell in pixels, for a reader that reads letters of whole pixels at full size: its pages are drawn by the
            renderer `bitmap`, unless another is asked for.
        columns: of text; None for as many as are easy to follow.
    """

    width: PositiveInt
    height: PositiveInt
    cell: tuple[PositiveInt, PositiveInt] | None = None
    columns: PositiveInt | None = None


class Rung(_Data):
    """How a page is shown at one tier.

    Attributes:
        side: the longer side of the picture of a whole page in pixels; None for the tier's.
        detail: what OpenAI is asked for with the picture.
        media_resolution: what Gemini is asked for: `LOW`, `MEDIUM`, `HIGH`, `ULTRA_HIGH`.
        assumed: the provider does so without being asked.
        whole_request: the provider takes `media_resolution` for a request only, not for a picture: set it there if you allow the rung.
        tokens: what the picture costs; None for what the formula says.
        cell: the smallest glyph cell in pixels, width and height, or its area, that is read at this setting: pages are set in a font that
            is large enough for it. None where not measured.
        font: what it was measured with; None where that is not known.
        default: in use without `allow`.
        evidence: why it may be used, or why not.
        source: where the evidence comes from, where that is not the profile's source.
    """

    side: PositiveInt | None = None
    detail: Literal["low", "high", "original", "auto"] | None = None
    media_resolution: Literal["LOW", "MEDIUM", "HIGH", "ULTRA_HIGH"] | None = None
    assumed: bool = False
    whole_request: bool = False
    tokens: PositiveInt | None = None
    cell: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    font: str | None = None
    default: bool = True
    evidence: str = ""
    source: str = ""

    @property
    def cell_area(self) -> int | None:
        """The legible cell in square pixels."""
        return self.cell[0] * self.cell[1] if isinstance(self.cell, tuple) else self.cell

    @property
    def part_resolution(self) -> str | None:
        """What Gemini is asked for with each picture, by its name in the API; None where a request has one setting for all, or none."""
        return f"MEDIA_RESOLUTION_{self.media_resolution}" if self.media_resolution and not self.whole_request else None

    @property
    def must_ask(self) -> bool:
        """Whether the price holds only if each picture is sent with a `media_resolution` of its own."""
        return self.media_resolution is not None and not self.assumed and not self.whole_request


NO_RUNG = Rung()


class Limits(_Data):
    """What one request may hold; None where the provider says nothing.

    Attributes:
        max_pictures: pictures in a request.
        max_bytes: bytes of a request that pictures may take, as base64.
        max_side: pixels beyond which a picture is refused.
        many_pictures, many_side: with more pictures than that, the side beyond which one is refused.
        no_resize: side of the largest square that the server leaves as it is.
    """

    max_pictures: PositiveInt = 100
    max_bytes: PositiveInt | None = None
    max_side: PositiveInt | None = None
    many_pictures: PositiveInt | None = None
    many_side: PositiveInt | None = None
    no_resize: PositiveInt | None = None


class TextMarks(_Data):
    """How much recent text is sent before the oldest moves to pages: see `planning.triggers.WaterMarks`."""

    high: PositiveInt
    low: PositiveInt


class LengthCliff(_Data):
    """A length from which a whole request costs more.

    Attributes:
        above: tokens of input; a request of more is billed at the higher price from its first token.
        factor: that price of input, written and read tokens, as a multiple of the usual one.
        output: the same for the answer; None where that is not known.
    """

    above: PositiveInt
    factor: Annotated[float, Field(gt=1)]
    output: PositiveFloat | None = None


class CachePrices(_Data):
    """A provider's prompt cache, in multiples of its price for a token of input; None where nothing is published.

    Attributes:
        write, write_long: a token written, for the usual and for the long lifetime.
        read: a token read.
        seconds, long_seconds: the lifetimes, from the last use.
        minimum: tokens of the shortest prefix that is kept.
        cliff: the length from which all of this, and input, costs more.
        source: where this comes from.
    """

    write: NonNegativeFloat | None = None
    write_long: NonNegativeFloat | None = None
    read: NonNegativeFloat | None = None
    seconds: PositiveFloat | None = None
    long_seconds: PositiveFloat | None = None
    minimum: PositiveInt | None = None
    cliff: LengthCliff | None = None
    source: str = ""

    def factor(self, tokens: float) -> float:
        """Return by how much a request of so many tokens costs more for its length alone; 1.0 if it does not."""
        return self.cliff.factor if self.cliff is not None and tokens > self.cliff.above else 1.0


class LegibilityCurve(_Data):
    """Share of what stands on a page that a reader reads exactly, between measured points.

    Attributes:
        by: what decides it: `letter`, the font size as shown in pixels; or `compression`, text tokens for each vision token.
        points: pairs of that and the share, 0 to 1. Between them it is interpolated, beyond them the nearest one holds.
        basis: `measured` on this library's pages, `published` for others, or `assumed`.
        source: where the points come from.
    """

    by: Literal["letter", "compression"]
    points: tuple[tuple[PositiveFloat, Annotated[float, Field(ge=0, le=1)]], ...] = Field(min_length=1)
    basis: Literal["measured", "published", "assumed"]
    source: str = ""

    @field_validator("points")
    @classmethod
    def _in_order(cls, value: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if [place for place, _ in value] != sorted({place for place, _ in value}):
            raise ValueError("points rise from one to the next")
        return value

    def at(self, place: float) -> float:
        """Return the share at a font size or a compression."""
        above = bisect_left([point for point, _ in self.points], place)
        if above in (0, len(self.points)):
            return self.points[min(above, len(self.points) - 1)][1]
        (low, one), (high, other) = self.points[above - 1 : above + 1]
        return one + (other - one) * (place - low) / (high - low)


# For a reader without a curve of its own: between those of Tesseract and RapidOCR on this library's pages (docs/experiments.md).
ASSUMED_LEGIBILITY = LegibilityCurve(
    by="letter", points=((5.0, 0.2), (7.0, 0.75), (8.75, 0.95), (14.0, 1.0)), basis="assumed", source="docs/experiments.md"
)


class EyeTest(_Data):
    """The result of a calibration: the basis of a profile's floor.

    Attributes:
        on: the date.
        by: how, so that it can be done again.
        target: the exact rate that was asked for, at the lower end of its 95 % interval.
        met: whether some rung met it. If none did, the floor is the sharpest rung that was shown.
        letter: font size in pixels, as shown, of the smallest letters that met the target; None if none did.
        cell: width and height in pixels of such a letter's cell.
        floors: the faintest rung that met it for each kind of text; "none" where none did.
        probes: texts that were asked for.
    """

    on: str
    by: str
    target: float
    met: bool
    letter: float | None = None
    cell: tuple[float, float] | None = None
    floors: dict[str, str] = {}
    probes: int = 0


class ReaderProfile(_Data):
    """What a reader charges and can read: see `profiles.toml`.

    Attributes:
        name: as `OpticalMemory(reader=...)` takes it.
        as_of: the date on which the numbers were true.
        source: where they come from.
        evidence: how well it reads pages, as published or measured.
        models: regular expressions of the names that providers give the model, each found between the edges of words.
        dialects: message formats in which requests reach it: `openai`, `anthropic`, `gemini`; empty for a reader that is not behind an API,
            None where that is not known.
        encoding: the tiktoken encoding that counts its text; None where none does, so that text is estimated.
        formula: tokens of a picture.
        page: the canvas of its pages; None for the default page of 1024 px, whatever the cells of the rungs are.
        marks: how much recent text pays, where that was measured; None for the default of `WaterMarks`.
        rungs: how a page is shown at each tier that this reader has. `ladder = ["small", "base"]` is short for rungs without settings.
        allow: rungs that are used although they are not by default.
        floor: the faintest tier at which its pages are still read; pinned pages never fall below it.
        limits: what a request may hold.
        cache: what its prompt cache costs.
        message_tokens: what a chat message costs beyond its content.
        measured: the basis of the floor; None where it is a judgement.
        legibility: how much of a page it reads; decides what a budget is spent on.
    """

    v: Literal[1] = 1
    name: str
    as_of: str
    source: str
    evidence: str = ""
    models: tuple[str, ...] = ()
    dialects: tuple[str, ...] | None = None
    encoding: str | None = None
    formula: PictureFormula
    page: PageShape | None = None
    marks: TextMarks | None = None
    rungs: dict[Tier, Rung] = Field(default_factory=lambda: {tier: Rung() for tier in Tier})
    allow: tuple[Tier, ...] = ()
    floor: Tier = Tier.SMALL
    limits: Limits = Limits()
    cache: CachePrices = CachePrices()
    message_tokens: int = 4
    measured: EyeTest | None = None
    legibility: LegibilityCurve = ASSUMED_LEGIBILITY

    @model_validator(mode="before")
    @classmethod
    def _ladder_as_rungs(cls, data: Any) -> Any:
        if isinstance(data, dict) and "ladder" in data:
            if "rungs" in data or not isinstance(data["ladder"], list | tuple):
                raise ValueError("ladder is a list of tiers, in place of rungs")
            data = {**data, "rungs": {tier: Rung() for tier in data["ladder"]}}
            del data["ladder"]
        return data

    @field_validator("rungs", mode="before")
    @classmethod
    def _rungs_by_name(cls, value: Any) -> Any:
        return {tier: value[key] for tier, key in sorted((Tier.parse(key), key) for key in value)} if isinstance(value, dict) else value

    @field_validator("allow", mode="before")
    @classmethod
    def _allow_by_name(cls, value: Any) -> Any:
        return tuple(sorted(Tier.parse(item) for item in value)) if isinstance(value, list | tuple) else value

    @field_validator("floor", mode="before")
    @classmethod
    def _floor_by_name(cls, value: Any) -> Any:
        return Tier.parse(value) if isinstance(value, str) else value

    @field_validator("models")
    @classmethod
    def _models_compile(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            try:
                re.compile(pattern)
            except re.error as exc:
                raise ValueError(f"{pattern!r} is no regular expression: {exc}") from exc
        return value

    @model_validator(mode="after")
    def _no_sides_for_deepseek(self) -> Self:
        if self.formula.kind == "deepseek" and (self.page or any(rung.side for rung in self.rungs.values())):
            raise ValueError("DeepEncoder takes the sides of the tiers: the profile can have neither page nor side")
        return self

    @cached_property
    def ladder(self) -> tuple[Tier, ...]:
        """The tiers that are used, faintest first; none for a reader that is better given text, or refuses pictures so large."""
        most = self.limits.max_side or math.inf
        return tuple(sorted(tier for tier, rung in self.rungs.items() if (rung.default or tier in self.allow) and self.side(tier) <= most))

    @property
    def page_limit(self) -> int:
        """Pages that a request may hold, by their number and by their bytes."""
        return self.free_places(NO_IMAGES)

    def free_places(self, beside: ImageLoad, side: int = 0) -> int:
        """How many pages of up to `side` pixels a side fit into a request, beside the pictures of its turns.

        Negative if already too many: by that number of pictures, or of pages' bytes.
        """
        limits = self.limits
        free = [limits.max_pictures - beside.count]
        if limits.max_bytes is not None:
            free.append(int((limits.max_bytes - beside.bytes) // self._page_bytes))
        if limits.many_pictures is not None and limits.many_side is not None and max(side, beside.side) > limits.many_side:
            free.append(limits.many_pictures - beside.count)
        return min(free)

    @property
    def _page_bytes(self) -> float:
        """Bytes of a page in a request."""
        area = self.page.width * self.page.height if self.page else Tier.BASE.side**2
        return PAGE_BYTES * area / Tier.BASE.side**2

    @property
    def cache_seconds(self) -> float:
        """How long the provider keeps a prompt prefix; a re-plan after that breaks no cache."""
        return self.cache.seconds or LAPSED_AFTER

    @property
    def fingerprint(self) -> str:
        """A short hash of all fields: another profile makes another plan."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def allowing(self, *tiers: Tier | str) -> ReaderProfile:
        """The same, with rungs in use that are not by default. Raises `ValueError` for a tier that it has no rung for."""
        wanted = {Tier.parse(tier) for tier in tiers}
        if missing := wanted - self.rungs.keys():
            names = ", ".join(tier.label for tier in sorted(missing))
            raise ValueError(f"{self.name} has no rung {names}; it has {', '.join(tier.label for tier in sorted(self.rungs))}")
        return self._with(allow=tuple(sorted(wanted.union(self.allow))))

    def limited(self, **limits: int | None) -> ReaderProfile:
        """The same behind a gateway that takes less: `limited(max_pictures=5)`."""
        return self._with(limits=Limits(**{**self.limits.model_dump(), **limits}))

    def unasked(self) -> ReaderProfile:
        """The same for messages that cannot ask for a `media_resolution`: without the rungs whose price depends on it."""
        kept = {tier: rung for tier, rung in self.rungs.items() if not rung.must_ask}
        return self if len(kept) == len(self.rungs) else self._with(rungs=kept, allow=tuple(tier for tier in self.allow if tier in kept))

    def within(self, side: int) -> ReaderProfile:
        """The same without the rungs whose pages are larger than `side` pixels."""
        kept = {tier: rung for tier, rung in self.rungs.items() if self.side(tier) <= side}
        return self._with(rungs=kept, allow=tuple(tier for tier in self.allow if tier in kept))

    def side(self, tier: Tier) -> int:
        """Pixels of the longer side of a page sent at `tier`."""
        return self.rung(tier).side or tier.side

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """See Pydantic. What was computed from the fields is not copied: `update` may change them."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("ladder", None)
        return copied

    def _with(self, **changes: Any) -> ReaderProfile:
        return type(self)(**{name: getattr(self, name) for name in type(self).model_fields} | changes)

    def rung(self, tier: Tier) -> Rung:
        """How a page is shown at `tier`; without settings for a tier that is no rung."""
        return self.rungs.get(tier, NO_RUNG)

    @property
    def renderer(self) -> str:
        """The renderer of this reader's pages where none is asked for: `auto`, or `bitmap` for letters of whole pixels."""
        return "bitmap" if self.page and self.page.cell else "auto"

    def page_style(self, *, pixels: bool = False) -> PageStyle:
        """How pages are set for this reader: its canvas, and the smallest font with which no rung in use falls below its legible cell.

        Args:
            pixels: in letters of whole pixels, if the profile has a cell for them: for the renderer `bitmap` alone.
        """
        if self.page is None:
            return PageStyle()
        if self.page.cell and pixels:
            return self._pixel_style(self.page, *self.page.cell)
        width, height = self.page.width, self.page.height
        plain = PageStyle()
        rungs = [(self.rungs[tier].cell_area, self.side(tier) / max(width, height)) for tier in self.ladder]
        areas = [area / scale**2 for area, scale in rungs if area]
        em_area = SANS_ADVANCE * plain.line_height
        font = math.ceil(math.sqrt(max(areas) / em_area) - ROUNDING) if areas else plain.font_size
        return replace(
            plain,
            width=width,
            height=height,
            columns=max(1, round(width / (COLUMN_CHARACTERS * SANS_ADVANCE * font))),
            font_size=float(font),
            code_size=float(font),
            number_size=float(round(font * plain.number_size / plain.font_size)),
            crop=self.formula.bills_area,
        )

    def _pixel_style(self, page: PageShape, wide: int, high: int) -> PageStyle:
        columns = page.columns or max(1, round(page.width / (COLUMN_CHARACTERS * wide)))
        return PageStyle(
            width=page.width,
            height=page.height,
            columns=columns,
            font_size=float(high),
            code_size=float(high),
            number_size=float(high),
            line_height=1.0,
            advance=wide / high,
            crop=self.formula.bills_area,
        )

    def page_tokens(self, width: int, height: int, tier: Tier, canvas: int = 0) -> int:
        """Tokens of a sealed page of `width` x `height` pixels shown at `tier`; `canvas` as in `Page`."""
        rung = self.rung(tier)
        if rung.tokens is not None:
            return rung.tokens
        if rung.detail == "low" and (low := self.formula.low_tokens()) is not None:
            return low
        return self.formula.page_tokens(*self.shown_size(width, height, tier, canvas), tier)

    def shown_size(self, width: int, height: int, tier: Tier, canvas: int = 0) -> tuple[int, int]:
        """Pixels of a sealed page as it is sent at `tier`."""
        scale = self.side(tier) / (canvas or max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def legible(self, tier: Tier, *, letter: float, text_tokens: int, vision_tokens: int) -> float:
        """Return the share of a page that is read at `tier`.

        Args:
            letter: font size in pixels on the page as it is sealed, whose longer side is `page_style()`'s.
            text_tokens, vision_tokens: of the page as text, and as a picture at `tier`.
        """
        if self.legibility.by == "compression":
            return self.legibility.at(max(1, text_tokens) / max(1, vision_tokens))
        return self.legibility.at(letter * self.side(tier) / self._longer)

    def letter_on_page(self, share: float) -> float:
        """Return a letter's height, given as a share of its page's longer side, in pixels of a page as it is sealed."""
        return share * self._longer

    @property
    def _longer(self) -> int:
        """The longer side of a page of turns as it is sealed."""
        return max(self.page.width, self.page.height) if self.page else Tier.BASE.side

    def legible_when_full(self, tier: Tier, style: PageStyle) -> float:
        """Return the share that is read at `tier` of a page full of prose."""
        width, height = style.pixel_size
        text = width * height / (style.cell[0] * style.cell[1]) / CELLS_A_TOKEN
        return self.legible(tier, letter=style.font_size, text_tokens=round(text), vision_tokens=self.page_tokens(width, height, tier))

    def picture_tokens(self, width: int, height: int) -> int:
        """Tokens of a picture inside a turn, sent as it is."""
        return self.formula.picture_tokens(width, height)

    def below(self, tier: Tier) -> Tier | None:
        """The next fainter tier of the ladder; None under the faintest."""
        fainter = [rung for rung in self.ladder if rung < tier]
        return fainter[-1] if fainter else None
