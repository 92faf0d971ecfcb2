"""Training data for readers of pages: each page at each tier, with the words on it and where they stand.

What one trains or fine-tunes a reader on. A row is a page as a reader is shown it; boxes are in pixels of that picture. A page with half a
turn is left out, since which half cannot be told, and so is one with a letter that its renderer has no font for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..pages.tiers import Tier
from ..planning.settings import ViewSettings
from ..profiles.registry import profile_of
from ..renderers.base import Renderer, open_renderer
from ..turns.turn import Turn
from .items import PageImage
from .outputs import arrow, write_table
from .page_making import drawn_pages
from .stages import Failures, Worker, Written

__all__ = ["MakePairs", "Pair", "PairsOfItem", "WritePairs"]

PAIRS = "pairs"


@dataclass(frozen=True, slots=True)
class Pair:
    """A page at a tier, and its words.

    Attributes:
        png: as a reader gets it.
        texts: of each turn on it, in reading order; `roles` and `boxes` go with them.
        boxes: (left, top, width, height) in pixels of `png`, one for each column that a turn stands in.
    """

    page: int
    renderer: str
    tier: str
    png: bytes
    width: int
    height: int
    texts: tuple[str, ...]
    roles: tuple[str, ...]
    boxes: tuple[tuple[tuple[int, int, int, int], ...], ...]


@dataclass(frozen=True, slots=True)
class PairsOfItem:
    """All pairs of a session."""

    key: str
    language: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class MakePairs:
    """Draws sessions with each renderer, and scales the pages to each tier as a memory does."""

    renderers: tuple[str, ...] = ("chromium", "pillow")
    tiers: tuple[Tier, ...] = tuple(Tier)
    reader: str = "deepseek-ocr"

    def open(self) -> Worker:
        return _PairMaker(self)


class _PairMaker:
    def __init__(self, stage: MakePairs) -> None:
        self._stage = stage
        self._opened: list[tuple[Renderer, ViewSettings]] = [
            (open_renderer(name), ViewSettings.of(profile_of(stage.reader), renderer=name)) for name in stage.renderers
        ]

    def work(self, records: Sequence[Any], failures: Failures) -> list[PairsOfItem]:
        return list(failures.each("draw", records, self._pairs))

    def close(self) -> None:
        for renderer, _ in self._opened:
            renderer.close()

    def _pairs(self, item: Any) -> PairsOfItem:
        turns = item.turns()
        found = [pair for renderer, settings in self._opened for pair in self._drawn(turns, renderer, settings)]
        return PairsOfItem(item.key, getattr(item, "language", ""), tuple(found))

    def _drawn(self, turns: Sequence[Turn], renderer: Renderer, settings: ViewSettings) -> list[Pair]:
        texts = {turn.number: turn.text for turn in turns}
        pages = [page for page in drawn_pages(turns, settings, renderer) if _is_whole(page)]
        return [_shown(page, tier, renderer.name, texts, settings) for page in pages for tier in self._stage.tiers]


def _is_whole(page: PageImage) -> bool:
    return not page.missing_glyphs and not any(segment.continued or segment.continues for segment in page.segments)


def _shown(page: PageImage, tier: Tier, renderer: str, texts: dict[int, str], settings: ViewSettings) -> Pair:
    from ..renderers.png import resize

    width, height = settings.profile.shown_size(page.width, page.height, tier, page.canvas)
    levels = settings.style.faint_levels if width < page.width else settings.style.grey_levels
    png = page.png if (width, height) == (page.width, page.height) else resize(page.png, (width, height), levels)
    across, down = width / page.width, height / page.height
    boxes = tuple(
        tuple(
            (round(box.left * across), round(box.top * down), max(1, round(box.width * across)), max(1, round(box.height * down)))
            for box in segment.boxes
        )
        for segment in page.segments
    )
    said = tuple(texts[segment.turn] for segment in page.segments)
    return Pair(page.index, renderer, tier.label, png, width, height, said, page.roles, boxes)


@dataclass(frozen=True, slots=True)
class WritePairs:
    """`pairs/part-N.parquet`: a row for each page, renderer and tier."""

    def write(self, records: Sequence[PairsOfItem], folder: Path, name: str) -> Written:
        pa = arrow()
        rows = [{"item": item.key, "language": item.language, **_row(pair)} for item in records for pair in item.pairs]
        segment = [("role", pa.string()), ("text", pa.string()), ("boxes", pa.list_(pa.list_(pa.int32(), 4)))]
        named = [(each, pa.string()) for each in ("item", "language", "renderer", "tier", "text")]
        sizes = [(each, pa.int32()) for each in ("page", "width", "height")]
        schema = pa.schema([*named, *sizes, ("png", pa.binary()), ("segments", pa.list_(pa.struct(segment)))])
        return write_table(folder, f"{PAIRS}/{name}.parquet", rows, schema)


def _row(pair: Pair) -> dict[str, Any]:
    segments = [
        {"role": role, "text": text, "boxes": [list(box) for box in boxes]}
        for role, text, boxes in zip(pair.roles, pair.texts, pair.boxes, strict=True)
    ]
    sizes = {"page": pair.page, "width": pair.width, "height": pair.height}
    return {"renderer": pair.renderer, "tier": pair.tier, "text": "\n".join(pair.texts), "png": pair.png, "segments": segments, **sizes}
