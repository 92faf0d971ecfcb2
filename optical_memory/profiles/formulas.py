"""Prices of pictures as the providers publish them. The numbers are data: see `profiles.toml`.

Every formula gives the tokens of a page at a tier, the tokens of a picture sent as it is, and the size to which the server scales it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from ..pages.tiers import OVERVIEW_SIDE, Tier, gundam_sequence_length, sequence_length

__all__ = ["DeepseekFormula", "FlatFormula", "GeminiTileFormula", "PatchFormula", "PictureFormula", "TileFormula"]

Size = tuple[int, int]


class _Formula(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def bills_area(self) -> bool:
        """Whether a page costs less when its blank part is cropped."""
        return False

    def page_tokens(self, width: int, height: int, tier: Tier) -> int:
        """Tokens of a page of `width` x `height` pixels, as sent at `tier`."""
        return self.picture_tokens(width, height)

    def picture_tokens(self, width: int, height: int) -> int:
        """Tokens of a picture of `width` x `height` pixels that stands in a recent turn."""
        raise NotImplementedError

    def low_tokens(self) -> int | None:
        """Tokens of a picture at OpenAI's `detail: low`; None where that asks for nothing."""
        return None

    def seen_size(self, width: int, height: int) -> Size | None:
        """The size at which the model sees a picture; None where the provider does not say."""
        return None


class DeepseekFormula(_Formula):
    """DeepEncoder: n(n + 1) + 1 decoder positions for a square of n x 64 px; tiles and an overview for Gundam."""

    kind: Literal["deepseek"] = "deepseek"
    max_tiles: PositiveInt = 9
    always_tiled: bool = False  # the server knows Gundam alone: tiles for every picture that is larger than one

    def page_tokens(self, width: int, height: int, tier: Tier) -> int:
        tiled = self.always_tiled or tier is Tier.GUNDAM
        return gundam_sequence_length(width, height, self.max_tiles) if tiled else sequence_length(tier.side)

    def picture_tokens(self, width: int, height: int) -> int:
        return gundam_sequence_length(width, height, self.max_tiles) if self.always_tiled else Tier.BASE.sequence_length

    def seen_size(self, width: int, height: int) -> Size | None:
        return None if self.always_tiled else _scaled(width, height, min(1.0, OVERVIEW_SIDE / max(width, height)))


class PatchFormula(_Formula):
    """Square patches: the grid that covers the picture, times `factor`, plus `extra`, after the provider's own resizing.

    `resize` says which:

    - `fit` (Anthropic): the largest size of the same shape with no side above `max_side` and no more than `max_patches`, sides counted
      as padded to whole patches; the short side is rounded half to even.
    - `shrink` (OpenAI): into `max_side`, then by sqrt(budget / area), then a little more, so that one side is whole patches.
    - `round` (Qwen, GLM; `smart_resize` of transformers): each side to the nearest multiple of `patch`, within `min_patches` and
      `max_patches`; with `enlarge` (GLM) a picture with a side below one patch is first brought to one there.
    """

    kind: Literal["patch"] = "patch"
    resize: Literal["fit", "shrink", "round"] = "fit"
    patch: PositiveInt
    factor: PositiveFloat = 1.0
    extra: int = 0
    max_side: PositiveInt | None = None
    min_patches: PositiveInt = 1
    max_patches: PositiveInt
    enlarge: bool = False

    @property
    def bills_area(self) -> bool:
        return True

    def picture_tokens(self, width: int, height: int) -> int:
        seen = self.seen_size(width, height)
        return math.ceil(round(self._patches(*seen) * self.factor, 6)) + self.extra

    def seen_size(self, width: int, height: int) -> Size:
        return {"fit": self._fitted, "shrink": self._shrunk, "round": self._rounded}[self.resize](width, height)

    def _patches(self, width: int, height: int) -> int:
        return math.ceil(width / self.patch) * math.ceil(height / self.patch)

    def _fitted(self, width: int, height: int) -> Size:
        long, short = max(width, height), min(width, height)

        def too_large(side: int) -> bool:
            padded = math.ceil(side / self.patch) * self.patch
            beyond = self.max_side is not None and padded > self.max_side
            return beyond or self._patches(side, max(1, round(side * short / long))) > self.max_patches

        side = max(1, bisect_right(range(1, long + 1), False, key=too_large))
        other = max(1, round(side * short / long))
        return (side, other) if width >= height else (other, side)

    def _shrunk(self, width: int, height: int) -> Size:
        if self.max_side is not None:
            width, height = _scaled(width, height, min(1.0, self.max_side / max(width, height)))
        if self._patches(width, height) <= self.max_patches:
            return width, height
        scale = math.sqrt(self.max_patches * self.patch**2 / (width * height))
        columns, rows = width * scale / self.patch, height * scale / self.patch
        if min(columns, rows) >= 1:
            scale *= min(math.floor(columns) / columns, math.floor(rows) / rows)
        return _scaled(width, height, scale)

    def _rounded(self, width: int, height: int) -> Size:
        if self.enlarge and min(width, height) < self.patch:
            scale = self.patch / min(width, height)
            width, height = int(width * scale), int(height * scale)
        least, most = (count * self.patch**2 for count in (self.min_patches, self.max_patches))
        columns, rows = round(width / self.patch), round(height / self.patch)
        if columns * rows * self.patch**2 > most:
            scale = math.sqrt(most / (width * height))
            columns, rows = (max(1, math.floor(side * scale / self.patch)) for side in (width, height))
        elif columns * rows * self.patch**2 < least:
            scale = math.sqrt(least / (width * height))
            columns, rows = (math.ceil(side * scale / self.patch) for side in (width, height))
        return columns * self.patch, rows * self.patch


class TileFormula(_Formula):
    """OpenAI's tiles: fit into 2048 x 2048, bring the short side down to 768, then `base` + `tile` for each tile of 512 px."""

    kind: Literal["tile"] = "tile"
    base: PositiveInt
    tile: PositiveInt

    @property
    def bills_area(self) -> bool:
        return True

    def picture_tokens(self, width: int, height: int) -> int:
        width, height = self.seen_size(width, height)
        return self.base + self.tile * math.ceil(width / 512) * math.ceil(height / 512)

    def low_tokens(self) -> int:
        return self.base

    def seen_size(self, width: int, height: int) -> Size:
        shrink = min(1.0, 2048 / max(width, height))
        shrink *= min(1.0, 768 / (min(width, height) * shrink))
        return _scaled(width, height, shrink)


class GeminiTileFormula(_Formula):
    """Gemini 2's tiles: one up to `small` px on both sides; else as many squares of floor(shorter side / 1.5) px as cover the picture."""

    kind: Literal["gemini-tile"] = "gemini-tile"
    tile: PositiveInt
    small: PositiveInt

    def picture_tokens(self, width: int, height: int) -> int:
        if max(width, height) <= self.small:
            return self.tile
        unit = max(1, math.floor(min(width, height) / 1.5))
        return self.tile * math.ceil(width / unit) * math.ceil(height / unit)


class FlatFormula(_Formula):
    """The same for every picture."""

    kind: Literal["flat"] = "flat"
    tokens: PositiveInt

    def picture_tokens(self, width: int, height: int) -> int:
        return self.tokens


PictureFormula = Annotated[DeepseekFormula | PatchFormula | TileFormula | GeminiTileFormula | FlatFormula, Field(discriminator="kind")]


def _scaled(width: int, height: int, scale: float) -> Size:
    return max(1, round(width * scale)), max(1, round(height * scale))
