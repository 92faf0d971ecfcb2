"""Verify by density, without a model: text tokens per vision token of the page.

DeepSeek-OCR's paper (arXiv 2510.18234, table 2; Fox benchmark, 100 English pages) gives the decoding precision by text tokens on a page
at 64 and at 100 vision tokens. A slide has few tokens and is safe at Tiny; a newspaper has many and is safe at Gundam only.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Sequence

from ..pages.page import Page
from ..pages.tiers import PATCH, Tier
from ..text.excerpts import excerpt
from ..turns.turn import Turn
from .base import Verification

__all__ = ["FOX_SMALL", "FOX_TINY", "ByDensity"]

# Text tokens for one vision token (the paper's ratios), and the share decoded right.
FOX_TINY = ((10.5, 0.965), (11.8, 0.938), (13.2, 0.838), (15.1, 0.859), (16.5, 0.793), (17.7, 0.764), (19.7, 0.591))
FOX_SMALL = ((6.7, 0.985), (7.5, 0.973), (8.5, 0.968), (9.7, 0.968), (10.6, 0.915), (11.3, 0.898), (12.6, 0.871))
PRECISION = 0.96  # least precision of a readable page: both columns of the table reach it up to a ratio of about 10


class ByDensity:
    """Passes a page at a tier if pages of its density were decoded with `precision`.

    Vision tokens are the paper's count, one per 64 x 64 px: a measure of pixels, independent of the reader's price. Images larger than
    Small were not measured on Fox and are assumed to do as well at the same ratio. `score` is the expected precision, interpolated
    linearly in the table, and at most its first row's.

    Args:
        precision: the least share of a page's text that must be decoded correctly, 0 to 1.
    """

    name, at_once = "density", True

    def __init__(self, precision: float = PRECISION) -> None:
        if not 0 <= precision <= 1:
            raise ValueError(f"a precision is a share from 0 to 1; got {excerpt(precision)}")
        self.precision = precision
        basis = json.dumps([precision, FOX_TINY, FOX_SMALL])
        self.fingerprint = hashlib.sha256(basis.encode()).hexdigest()[:16]

    def verify(self, page: Page, turns: Sequence[Turn], tier: Tier) -> Verification:
        """Verify by the page's tokens and its size at the tier, without reading it."""
        width, height = page.size(tier)
        ratio = page.drawn_tokens * PATCH**2 / (width * height)
        expected = _between(FOX_TINY if max(width, height) < Tier.SMALL.side else FOX_SMALL, ratio)
        return Verification(page.key, tier, self.name, expected, expected >= self.precision, error_rate=1 - expected)

    def __repr__(self) -> str:
        return f"ByDensity({self.precision})"


def _between(rows: Sequence[tuple[float, float]], ratio: float) -> float:
    """Interpolate the precision at a ratio. Beyond the last row it falls at the slope of the last two, to 0 at least."""
    place = min(bisect_left(rows, ratio, key=lambda row: row[0]), len(rows) - 1)
    if place == 0:
        return rows[0][1]
    (low, before), (high, after) = rows[place - 1 : place + 1]
    return max(0.0, before + (after - before) * (ratio - low) / (high - low))
