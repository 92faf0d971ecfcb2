"""The resolution tiers: a page's size, and its cost for DeepSeek-OCR.

Sizes and round token counts are those of the DeepSeek-OCR paper (arXiv 2510.18234, table 1). The sequence lengths are what the
decoder receives: a grid of n x n vision tokens gets one newline token per row and one separator at its end, so
n(n + 1) + 1 (deepseek_vl2 processing code of the published repository, `tokenize_with_images`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from ..text.excerpts import excerpt

__all__ = ["Tier", "gundam_grid", "gundam_sequence_length", "sequence_length", "tiers_of"]

TILE_SIDE = 640  # px; the side of a Gundam tile (published processing code, `image_size`)
OVERVIEW_SIDE = 1024  # px; the side of a Gundam page's overview (`base_size`)
MAX_TILES = 9  # tiles at most (`MAX_CROPS` of the published inference code)
PATCH = 64  # px of page per vision token and axis: 16-px patches, then the 16x (4 x 4) compressor


class Tier(IntEnum):
    """A resolution of page images, ordered from the faintest to the sharpest."""

    TINY = 1
    SMALL = 2
    BASE = 3
    LARGE = 4
    GUNDAM = 5

    @property
    def label(self) -> str:
        """Lower-case name, as in plans and tables: `"tiny"`."""
        return self.name.lower()

    @property
    def side(self) -> int:
        """Side of the square image in pixels. Gundam is drawn at 1280 px: two by two tiles of 640."""
        return _SIDES[self]

    @property
    def vision_tokens(self) -> int:
        """The paper's round count: 64 / 100 / 256 / 400, and 100 per tile + 256 for a square Gundam page."""
        if self is Tier.GUNDAM:
            return 4 * (TILE_SIDE // PATCH) ** 2 + (OVERVIEW_SIDE // PATCH) ** 2
        return (self.side // PATCH) ** 2

    @property
    def sequence_length(self) -> int:
        """Positions of a square page in DeepSeek-OCR's decoder: 73 / 111 / 273 / 421 / 693."""
        if self is Tier.GUNDAM:
            return gundam_sequence_length(self.side, self.side)
        return sequence_length(self.side)

    @classmethod
    def parse(cls, value: Tier | str) -> Tier:
        """Return a tier by name. Raises `ValueError` with the known names."""
        if isinstance(value, Tier):
            return value
        try:
            return cls[value.upper()]
        except (KeyError, AttributeError):
            known = ", ".join(tier.label for tier in cls)
            raise ValueError(f"unknown tier {excerpt(value)}; known: {known}") from None


_SIDES = {Tier.TINY: 512, Tier.SMALL: 640, Tier.BASE: 1024, Tier.LARGE: 1280, Tier.GUNDAM: 1280}


def tiers_of(values: Iterable[Tier | str]) -> tuple[Tier, ...]:
    """Return tiers by name, each once, faintest first. A single name counts as a list of one. Raises `ValueError` with the known names."""
    return tuple(sorted({Tier.parse(value) for value in ([values] if isinstance(values, str) else values)}))


def sequence_length(side: int) -> int:
    """Return the decoder positions of one square image of `side` pixels: n(n + 1) + 1 with n = side / 64."""
    n = side // PATCH
    return n * (n + 1) + 1


def gundam_grid(width: int, height: int, max_tiles: int = MAX_TILES) -> tuple[int, int]:
    """Return columns and rows of Gundam mode's tiles for a `width` x `height` image; (0, 0) if it is not tiled.

    The grid whose aspect ratio is closest to the image's wins; of equals the larger one, if the image has more than half its pixels
    (`find_closest_aspect_ratio` of the published processing code).
    """
    if width <= TILE_SIDE and height <= TILE_SIDE:
        return 0, 0
    candidates = sorted(
        ((c, r) for c in range(1, max_tiles + 1) for r in range(1, max_tiles + 1) if 2 <= c * r <= max_tiles), key=lambda g: g[0] * g[1]
    )
    best, best_distance = (1, 1), float("inf")
    for columns, rows in candidates:
        distance = abs(width / height - columns / rows)
        tie_won = distance == best_distance and width * height > 0.5 * TILE_SIDE**2 * columns * rows
        if distance < best_distance or tie_won:
            best, best_distance = (columns, rows), distance
    return best


def gundam_sequence_length(width: int, height: int, max_tiles: int = MAX_TILES) -> int:
    """Return the decoder positions of a `width` x `height` page in Gundam mode: the overview's 273 + (10 rows)(10 columns + 1)."""
    columns, rows = gundam_grid(width, height, max_tiles)
    per_tile = TILE_SIDE // PATCH
    tiles = per_tile * rows * (per_tile * columns + 1) if columns else 0
    return tiles + sequence_length(OVERVIEW_SIDE)
