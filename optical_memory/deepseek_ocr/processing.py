"""Convert pages to pixels, as the published preprocessing does, with Pillow and numpy.

Source: `process/image_process.py` of the published repository. Tiny and Small are resized to the square, ignoring the aspect ratio; Base,
Large and the overview of Gundam are fitted into it and centred on grey; Gundam's tiles are cut, row by row, from the page resized to the
grid. A square page that the renderer drew at the tier's size is used unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..pages.tiers import MAX_TILES, OVERVIEW_SIDE, TILE_SIDE, Tier, gundam_grid, gundam_sequence_length, sequence_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PREPROCESSING", "PagePixels", "count_rows", "page_pixels"]

PREPROCESSING = 1  # increased when the same image gives other pixels; part of the key of cached vision tokens
GREY = (127, 127, 127)  # int(0.5 * 255), the mean that the model was trained with
SQUASHED = (Tier.TINY, Tier.SMALL)  # modes not larger than a tile are resized ignoring the aspect ratio


@dataclass(frozen=True, slots=True)
class PagePixels:
    """DeepEncoder's input for one page, normalised to -1 .. 1.

    Attributes:
        pixel_values: the page, or the overview of a Gundam page: (3, S, S).
        tiles: (columns * rows, 3, 640, 640), row by row; None without tiles.
        grid: columns and rows of the tiles; (0, 0) without tiles.
    """

    pixel_values: Tensor
    tiles: Tensor | None = None
    grid: tuple[int, int] = (0, 0)

    @property
    def rows(self) -> int:
        """Rows that the page takes in the decoder's input."""
        columns, rows = self.grid
        per_tile = TILE_SIDE // 64
        return sequence_length(self.pixel_values.shape[-1]) + per_tile * rows * (per_tile * columns + 1) * bool(columns)


def page_pixels(image: Image.Image, tier: Tier, *, max_tiles: int = MAX_TILES) -> PagePixels:
    """Return the pixels of a page at a tier."""
    image = image.convert("RGB")
    if tier is not Tier.GUNDAM:
        return PagePixels(_normalised(_square(image, tier.side, squash=tier in SQUASHED)))
    overview = _normalised(_square(image, OVERVIEW_SIDE, squash=False))
    columns, rows = gundam_grid(*image.size, max_tiles)
    if not columns:
        return PagePixels(overview)
    stretched = _resized(image, (columns * TILE_SIDE, rows * TILE_SIDE))
    boxes = [(c * TILE_SIDE, r * TILE_SIDE, (c + 1) * TILE_SIDE, (r + 1) * TILE_SIDE) for r in range(rows) for c in range(columns)]
    return PagePixels(overview, torch.stack([_normalised(stretched.crop(box)) for box in boxes]), (columns, rows))


def count_rows(size: tuple[int, int], tier: Tier, max_tiles: int = MAX_TILES) -> int:
    """Return the rows of a page of `size` pixels in the decoder's input, with newlines and separator, without its pixels."""
    return gundam_sequence_length(*size, max_tiles) if tier is Tier.GUNDAM else sequence_length(tier.side)


def _square(image: Image.Image, side: int, *, squash: bool) -> Image.Image:
    if squash:
        return _resized(image, (side, side))
    return image if image.size == (side, side) else ImageOps.pad(image, (side, side), method=Image.Resampling.BICUBIC, color=GREY)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)


def _normalised(image: Image.Image) -> Tensor:
    """(3, height, width), float32: (x / 255 - 0.5) / 0.5."""
    values: NDArray[np.float32] = np.asarray(image, dtype=np.float32) / np.float32(255)
    return torch.from_numpy(np.ascontiguousarray(((values - 0.5) / 0.5).transpose(2, 0, 1)))
