"""The first stage: pages of items. Sessions are drawn, pictures are loaded."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from ..archive.images import PageImages
from ..archive.page_archive import PageArchive
from ..context.context import PagePart
from ..errors import RenderError
from ..memory.optical_memory import OpticalMemory
from ..pages.page import Page
from ..pages.tiers import Tier
from ..planning.settings import ViewSettings
from ..profiles.pricing import Pricing
from ..profiles.profile import ReaderProfile
from ..profiles.registry import profile_of
from ..renderers.base import Renderer, open_renderer
from ..stores.base import SessionId, Store, open_store
from ..turns.redaction import redacted_turns
from ..turns.turn import Turn
from .items import PageImage, Pages, StoredSession
from .stages import Failures, Worker

__all__ = ["MakePages", "WarmCache", "drawn_pages"]

HERE = SessionId("bulk")
MOST_PIXELS = 200_000_000  # of a picture that is read; a file of a few kB can claim billions


@dataclass(frozen=True, slots=True)
class MakePages:
    """Draws all turns of a session, from the first to the last, and loads pictures as they are.

    Attributes:
        reader: sets the pages' style, and what tokens mean.
        renderer: `chromium`, `pillow`, `bitmap` or `auto`.
        tier: resolution of the pictures of drawn pages; as they were drawn if None. Loaded pictures keep their own.
        redact: mask secrets before anything is drawn.
    """

    reader: str = "deepseek-ocr"
    renderer: str = "auto"
    tier: Tier | None = None
    redact: bool = False

    def open(self) -> Worker:
        return _PageMaker(self)


class _PageMaker:
    def __init__(self, stage: MakePages) -> None:
        self._stage = stage
        self._settings = ViewSettings.of(profile_of(stage.reader), renderer=stage.renderer, redact=stage.redact or None)
        self._renderer: Renderer | None = None  # pictures need none

    def work(self, records: Sequence[Any], failures: Failures) -> list[Pages]:
        return list(failures.each("draw", records, self._pages))

    def close(self) -> None:
        if self._renderer:
            self._renderer.close()

    def _pages(self, item: Any) -> Pages:
        if hasattr(item, "pictures"):
            return Pages(item.key, tuple(_loaded(data, index) for index, data in enumerate(item.pictures(), 1)))
        if self._renderer is None:
            given = self._settings.renderer
            self._renderer = open_renderer(given) if isinstance(given, str) else given
        return Pages(item.key, drawn_pages(item.turns(), self._settings, self._renderer, self._stage.tier))


def _loaded(data: bytes, index: int) -> PageImage:
    """Raises `ValueError` for what is no picture, or one of too many pixels."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"a picture of {width} x {height} px is larger than {MOST_PIXELS:,} pixels; scale it down")
            image.verify()
    except (OSError, SyntaxError, Image.DecompressionBombError) as exc:
        raise ValueError(f"{len(data)} bytes that are no picture that Pillow reads: {exc}") from exc
    return PageImage(data, index, width, height)


def drawn_pages(turns: Sequence[Turn], settings: ViewSettings, renderer: Renderer, tier: Tier | None = None) -> tuple[PageImage, ...]:
    """Draw turns from the top of a first page. Raises `RenderError`, also for no turns."""
    if settings.redactor:
        turns = redacted_turns(turns, settings.redactor)
    held = _HeldTurns(turns)
    archive = PageArchive(held, HERE, renderer, settings.style, Pricing(settings.profile), sidecar_tokens=settings.sidecar_tokens)
    if turns:
        archive.seal(turns, seal_last=True)
    for run in archive.runs():
        archive.drawn_whole(run)
    images = PageImages(held, HERE, lambda: archive, settings.style)
    pages = archive.pages(archive.runs())
    if not pages:
        raise RenderError(f"nothing was drawn of {len(turns)} turns")
    by_number = {turn.number: turn for turn in turns}
    return tuple(_page_image(page, images, settings.profile, by_number, tier) for page in pages)


class _HeldTurns:
    """Turns in memory, and a cache of what is drawn of them. Unlike a store it takes turns with the numbers that they have."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns, self._items = turns, dict[str, bytes]()

    def read(self, session: SessionId, start: int = 1, stop: int | None = None) -> list[Turn]:
        return [turn for turn in self._turns if start <= turn.number and (stop is None or turn.number < stop)]

    def length(self, session: SessionId) -> int:
        return self._turns[-1].number if self._turns else 0

    def pinned(self, session: SessionId) -> list[int]:
        return []

    def get(self, session: SessionId, names: Sequence[str]) -> dict[str, bytes]:
        return {name: self._items[name] for name in names if name in self._items}

    def put(self, session: SessionId, items: dict[str, bytes]) -> None:
        self._items.update(items)

    def names(self, session: SessionId, prefix: str = "") -> list[str]:
        return sorted(name for name in self._items if name.startswith(prefix))

    def discard(self, session: SessionId, names: Sequence[str]) -> None:
        for name in names:
            self._items.pop(name, None)


def _page_image(page: Page, images: PageImages, profile: ReaderProfile, turns: dict[int, Turn], tier: Tier | None) -> PageImage:
    bound = replace(page, size_of=lambda page, tier: profile.shown_size(page.width, page.height, tier, page.canvas))
    return PageImage(
        png=images.image(bound, tier or bound.full_tier),
        index=page.index,
        width=page.width,
        height=page.height,
        canvas=page.canvas,
        page_key=page.key,
        segments=page.segments,
        roles=tuple(turns[segment.turn].role for segment in page.segments),
        text_tokens=page.text_tokens,
        sidecar=page.sidecar,
        missing_glyphs=page.missing_glyphs,
    )


@dataclass(frozen=True, slots=True)
class WarmCache:
    """Makes what a context of each session needs and puts it into the session's own store: plan, pages, pictures at their tiers.

    Attributes:
        reader, renderer, redact: as the program has them that will ask for contexts; else its pages have other keys.
        budget: of the context that is made; none by default.
        rest: draw also what the context leaves out.
    """

    reader: str = "deepseek-ocr"
    renderer: str = "auto"
    redact: bool = False
    budget: int | None = None
    rest: bool = True

    def open(self) -> Worker:
        return _CacheWarmer(self)


class _CacheWarmer:
    def __init__(self, stage: WarmCache) -> None:
        self._stage = stage
        self._stores: dict[str, Store] = {}
        self._renderer = open_renderer(profile_of(stage.reader).renderer if stage.renderer == "auto" else stage.renderer)

    def work(self, records: Sequence[StoredSession], failures: Failures) -> list[Pages]:
        return list(failures.each("draw", records, self._warm))

    def close(self) -> None:
        self._renderer.close()
        for store in self._stores.values():
            store.close()

    def _warm(self, item: StoredSession) -> Pages:
        if item.url not in self._stores:
            self._stores[item.url] = open_store(item.url)
        given: dict[str, Any] = {"redact": True} if self._stage.redact else {}
        options: dict[str, Any] = {"store": self._stores[item.url], "reader": self._stage.reader, "tenant": item.tenant}
        with OpticalMemory(item.name, renderer=self._renderer, **options, **given) as memory:
            context = memory.context(self._stage.budget)
            for part in context.parts:
                if isinstance(part, PagePart):
                    part.page.image(part.tier)
            pages = memory.pages(draw=self._stage.rest)
        return Pages(item.key, tuple(PageImage(b"", page.index, page.width, page.height, page_key=page.key) for page in pages))
