"""Prices of pictures as the providers publish them. The numbers are data: see `profiles.toml`.

Every formula gives the tokens of a page at a tier, the tokens of a picture sent as it is, and the size to which the server scales it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from ..pages.tiers import OVERVIEW_SIDE, Tier, gundam_sequence_length, sequence_length

__all__ = [
    "DeepseekFormula",
    "FlatFormula",
    "GeminiTileFormula",
    "GridFormula",
    "PatchFormula",
    "PictureFormula",
    "RowFormula",
    "TileFormula",
]

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
    - `round` (Qwen, GLM-4; `smart_resize` of transformers): each side to the nearest multiple of `patch`, within `min_patches` and
      `max_patches`, or `min_pixels` and `max_pixels`; with `enlarge` (GLM) a picture with a side below one patch is first brought to one
      there, its other side rounded down, or (PaddleOCR-VL, `near`) to the nearest pixel.
    - `pad` (Kimi; `navit_resize`): each side padded to a multiple of `patch`; beyond `max_patches`, counted in quarters of them, or
      `max_side` scaled down before.
    - `cover` (GLM-5; `smart_resize` of glm5_next): each side padded to a multiple of `patch`; beyond `max_patches` the largest size of the
      same shape that is within them when padded; below `min_patches` enlarged before.
    """

    kind: Literal["patch"] = "patch"
    resize: Literal["fit", "shrink", "round", "pad", "cover"] = "fit"
    patch: PositiveInt
    factor: PositiveFloat = 1.0
    extra: int = 0
    max_side: PositiveInt | None = None
    min_patches: PositiveInt = 1
    max_patches: PositiveInt
    min_pixels: PositiveInt | None = None
    max_pixels: PositiveInt | None = None
    enlarge: bool | Literal["near"] = False

    @property
    def bills_area(self) -> bool:
        return True

    def picture_tokens(self, width: int, height: int) -> int:
        seen = self.seen_size(width, height)
        return math.ceil(round(self._patches(*seen) * self.factor, 6)) + self.extra

    def seen_size(self, width: int, height: int) -> Size:
        ways = {"fit": self._fitted, "shrink": self._shrunk, "round": self._rounded, "pad": self._padded, "cover": self._covered}
        return ways[self.resize](width, height)

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
        if self.enlarge == "near":
            width, height = (width, height) if height >= self.patch else (round(width * self.patch / height), self.patch)
            width, height = (width, height) if width >= self.patch else (self.patch, round(height * self.patch / width))
        elif self.enlarge and min(width, height) < self.patch:
            scale = self.patch / min(width, height)
            width, height = int(width * scale), int(height * scale)
        least, most = self.min_pixels or self.min_patches * self.patch**2, self.max_pixels or self.max_patches * self.patch**2
        columns, rows = round(width / self.patch), round(height / self.patch)
        if columns * rows * self.patch**2 > most:
            scale = math.sqrt(most / (width * height))
            columns, rows = (max(1, math.floor(side * scale / self.patch)) for side in (width, height))
        elif columns * rows * self.patch**2 < least:
            scale = math.sqrt(least / (width * height))
            columns, rows = (math.ceil(side * scale / self.patch) for side in (width, height))
        return columns * self.patch, rows * self.patch

    def _whole(self, width: int, height: int) -> Size:
        """Both sides up to whole patches."""
        return math.ceil(width / self.patch) * self.patch, math.ceil(height / self.patch) * self.patch

    def _padded(self, width: int, height: int) -> Size:
        quarter = self.patch // 2
        quarters = max(1, width // quarter) * max(1, height // quarter)
        side = self.max_side or math.inf
        scale = min(1.0, math.sqrt(4 * self.max_patches / quarters), side / height, side / width)
        return self._whole(max(1, int(width * scale)), max(1, int(height * scale)))

    def _covered(self, width: int, height: int) -> Size:
        columns, rows = self._whole(width, height)
        if columns * rows < self.min_patches * self.patch**2:
            scale = math.sqrt(self.min_patches * self.patch**2 / (width * height))
            columns, rows = self._whole(max(1, math.ceil(width * scale)), max(1, math.ceil(height * scale)))
        if columns * rows <= self.max_patches * self.patch**2:
            return columns, rows

        def too_large(tall: int) -> bool:
            return self._patches(max(1, width * tall // height), tall) > self.max_patches

        tall = bisect_right(range(1, height + 1), False, key=too_large)
        return self._whole(max(1, width * tall // height), tall) if tall else (self.patch, self.patch)


class RowFormula(_Formula):
    """Pixtral's pictures: into `longest` px, sides up to multiples of `patch`, `merge` x `merge` of them a token.

    And `extra` tokens; with `breaks` another at the end of each row. What fills no token is lost at the edge.
    """

    kind: Literal["row"] = "row"
    patch: PositiveInt
    merge: PositiveInt = 1
    longest: PositiveInt
    breaks: bool = False
    extra: int = 0

    @property
    def bills_area(self) -> bool:
        return True

    def picture_tokens(self, width: int, height: int) -> int:
        columns, rows = (side // (self.patch * self.merge) for side in self.seen_size(width, height))
        return rows * (columns + self.breaks) + self.extra

    def seen_size(self, width: int, height: int) -> Size:
        ratio = max(1.0, height / self.longest, width / self.longest)
        wide, tall = (math.ceil(math.floor(side / ratio) / self.patch) * self.patch for side in (width, height))
        return wide, tall


class GridFormula(_Formula):
    """Tiles of InternVL and DeepSeek-OCR-2: the grid of `tile` px whose shape is nearest, of `min_tiles` to `max_tiles`, and the whole.

    The whole picture costs `whole`, each tile `tokens`. A picture up to `untiled` px on both sides, or whose grid is one tile, is the whole
    alone. Of grids of one shape the larger is taken, if the picture has more than half its area.
    """

    kind: Literal["grid"] = "grid"
    tile: PositiveInt
    tokens: PositiveInt
    whole: PositiveInt
    min_tiles: PositiveInt = 1
    max_tiles: PositiveInt
    untiled: int = 0

    def picture_tokens(self, width: int, height: int) -> int:
        columns, rows = self.grid(width, height)
        return self.whole + (self.tokens * columns * rows if columns * rows > 1 else 0)

    def grid(self, width: int, height: int) -> Size:
        """Columns and rows of the tiles of a picture."""
        if max(width, height) <= self.untiled:
            return 1, 1
        sides = range(1, self.max_tiles + 1)
        grids = [(wide, tall) for wide in sides for tall in sides if self.min_tiles <= wide * tall <= self.max_tiles]
        best, nearest = (1, 1), math.inf
        for wide, tall in sorted(grids, key=lambda grid: grid[0] * grid[1]):
            difference = abs(width / height - wide / tall)
            larger = difference == nearest and width * height > 0.5 * self.tile**2 * wide * tall
            if difference < nearest or larger:
                best, nearest = (wide, tall), difference
        return best

    def seen_size(self, width: int, height: int) -> Size | None:
        columns, rows = self.grid(width, height)
        return (columns * self.tile, rows * self.tile) if columns * rows > 1 else None


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


PictureFormula = Annotated[
    DeepseekFormula | PatchFormula | RowFormula | GridFormula | TileFormula | GeminiTileFormula | FlatFormula, Field(discriminator="kind")
]


def _scaled(width: int, height: int, scale: float) -> Size:
    return max(1, round(width * scale)), max(1, round(height * scale))
