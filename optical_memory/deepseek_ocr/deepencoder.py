"""DeepEncoder: pages to vision tokens, and their layout in the decoder's input.

A page becomes a grid of n x n tokens. The decoder receives them row by row, each row followed by a learned newline, and a learned separator
after the last: n(n + 1) + 1 positions. A Gundam page has its tiles first, stitched into one grid, then the overview, then the
separator (`deepseek_ocr.py` of the published repository, `_pixel_values_to_embedding`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .clip import ClipEncoder
from .configuration import DeepseekOcrConfig
from .processing import PagePixels
from .sam import SamEncoder

__all__ = ["DeepEncoder", "Projector", "page_rows"]


class Projector(nn.Module):
    """2048 channels, CLIP's then SAM's, to the decoder's 1280."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.layers(x)
        return projected


class DeepEncoder(nn.Module):
    """SAM, the compressor, CLIP and the projector: (B, 3, S, S) pixels to (B, (S / 64)^2, 1280) vision tokens. S is a multiple of 64."""

    def __init__(self, config: DeepseekOcrConfig) -> None:
        super().__init__()
        self.sam_model = SamEncoder(config.sam)
        self.vision_model = ClipEncoder(config.clip)
        self.projector = Projector(config.projector_input, config.decoder.hidden_size)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Raises `ValueError` for pixels that are not (B, 3, S, S) with S a multiple of 64."""
        side = pixel_values.shape[-1]
        if pixel_values.ndim != 4 or pixel_values.shape[1:] != (3, side, side) or side % 64 or not side:
            raise ValueError(f"pixels of shape {tuple(pixel_values.shape)}: DeepEncoder takes (B, 3, S, S), S a multiple of 64")
        local = self.sam_model(pixel_values)  # (B, 1024, n, n)
        whole = self.vision_model(local)[:, 1:]  # without the class token
        tokens: Tensor = self.projector(torch.cat([whole, local.flatten(2).transpose(1, 2)], -1))
        return tokens


def page_rows(pages: Sequence[PagePixels], encode: DeepEncoder, newline: Tensor, separator: Tensor, *, batch: int = 4) -> list[Tensor]:
    """Return the rows of each page in the decoder's input, (n, 1280). Encodes images of one size together, at most `batch` at a time."""
    pictures = [picture for page in pages for picture in (*(page.tiles if page.tiles is not None else ()), page.pixel_values)]
    grids = iter(_encoded(pictures, encode, batch))
    rows = []
    for page in pages:
        columns, lines = page.grid
        tiles = [next(grids) for _ in range(columns * lines)]
        parts = [_with_newlines(_stitched(tiles, columns, lines), newline)] if tiles else []
        parts += [_with_newlines(next(grids), newline), separator[None]]
        rows.append(torch.cat(parts))
    return rows


def _encoded(pictures: Sequence[Tensor], encode: DeepEncoder, batch: int) -> list[Tensor]:
    """(n, n, width) for each picture, in order."""
    weight = encode.projector.layers.weight
    found: dict[int, Tensor] = {}
    for side in sorted({picture.shape[-1] for picture in pictures}):
        places = [place for place, picture in enumerate(pictures) if picture.shape[-1] == side]
        for begin in range(0, len(places), batch):
            some = places[begin : begin + batch]
            stacked = torch.stack([pictures[place] for place in some]).to(weight.device, weight.dtype)
            tokens = encode(stacked).unflatten(1, (side // 64, side // 64))
            found.update(zip(some, tokens, strict=True))
    return [found[place] for place in range(len(pictures))]


def _stitched(tiles: Sequence[Tensor], columns: int, lines: int) -> Tensor:
    """Tiles (n, n, width), row by row, as one grid (lines * n, columns * n, width)."""
    return torch.cat([torch.cat(list(tiles[line * columns : (line + 1) * columns]), 1) for line in range(lines)])


def _with_newlines(grid: Tensor, newline: Tensor) -> Tensor:
    """(h, w, width) to (h * (w + 1), width)."""
    height, _, width = grid.shape
    return torch.cat([grid, newline.expand(height, 1, width)], 1).flatten(0, 1)
