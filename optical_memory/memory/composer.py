"""Compose a context from a plan and the newest turns: read page records, load images, read the texts."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..archive.drawn_ahead import AT_ONCE, Drawing
from ..archive.images import PageImages, image_name
from ..archive.page_archive import PageArchive
from ..archive.page_runs import PagesLost
from ..context.context import Context, PagePart, TextPart, Usage, tally
from ..context.plan import PageItem, Plan, TextItem
from ..context.wording import framing_text, page_text
from ..pages.page import Page
from ..pages.tiers import Tier
from ..planning.settings import ViewSettings
from ..profiles.pricing import Pricing
from ..stores.base import Readable, SessionId
from ..text.excerpts import excerpt
from ..turns.attached import as_sent
from ..turns.turn import DocumentContent, ImageContent, Turn

__all__ = ["Composer"]

MOST_PICTURES = 64  # pages of documents that are text, kept as pictures in memory


@dataclass(frozen=True, slots=True)
class _Prefix:
    """What stands before the tail of every context of a plan.

    Attributes:
        images: the images of its pages, by name.
        vision: vision tokens, by tier.
        pages: how many pages, by tier.
    """

    plan: Plan
    parts: tuple[TextPart | PagePart, ...]
    images: Mapping[str, tuple[Page, Tier]]
    framing: str
    vision: Mapping[Tier, int]
    pages: Mapping[Tier, int]


class Composer:
    """Composes contexts of one session. Caches the parts before the tail until the plan changes."""

    def __init__(
        self,
        store: Readable,
        session: SessionId,
        settings: ViewSettings,
        pricing: Pricing,
        archive: Callable[[], PageArchive],
        drawing: Drawing = AT_ONCE,
    ) -> None:
        self._store, self._session, self._archive, self._pricing = store, session, archive, pricing
        self._profile, self._shape = settings.profile, settings.shape
        self._images = PageImages(store, session, archive, settings.style, drawing)
        self._pictures: dict[str, ImageContent | None] = {}  # of documents that are text
        self._prefix: _Prefix | None = None

    def compose(self, plan: Plan, tail: Sequence[Turn]) -> Context:
        """Compose the context of `plan`, with `tail` as its newest turns. Raises `PagesLost`."""
        if self._prefix is None or plan is not self._prefix.plan:
            self._prefix = self._prefix_of(plan)
        prefix = self._prefix
        self._images.fetch(prefix.images)
        tail_tokens = self._pricing.total(tail)
        parts = (*prefix.parts, TextPart(self._as_sent(tail), tail_tokens)) if tail else prefix.parts
        return Context(parts, plan, self._usage(prefix, tail_tokens), prefix.framing, self._profile)

    def prepare(self, plan: Plan) -> None:
        """Make the images that a context of `plan` would show and the store does not have. Raises `PagesLost`."""
        pages = self._pages(plan.pages)
        shown = [(self.bind(pages[item.key]), item.tier) for item in plan.pages if item.key in pages]
        self._images.prepare({image_name(*each): each for each in shown})

    def bind(self, page: Page) -> Page:
        """Return the page with functions for its image, vision tokens and size at a tier."""
        return replace(page, picture_of=self._images.image, cost_of=self._vision_tokens, size_of=self._shown_size, shaped_at=self._shape)

    def forget(self) -> None:
        """Clear the caches, after turns were erased."""
        self._prefix, self._pictures = None, {}
        self._images.forget()

    def _prefix_of(self, plan: Plan) -> _Prefix:
        parts = self._parts(plan)
        images = {image_name(part.page, part.tier): (part.page, part.tier) for part in parts if isinstance(part, PagePart)}
        return _Prefix(plan, parts, images, framing_text(plan, self._shape), *tally(parts))

    def _parts(self, plan: Plan) -> tuple[TextPart | PagePart, ...]:
        pages = self._pages(plan.pages)
        return tuple(self._page_part(item, pages) if isinstance(item, PageItem) else self._text_part(item) for item in plan.items)

    def _pages(self, items: Sequence[PageItem]) -> dict[str, Page]:
        """Return the plan's pages by key."""
        if not items:
            return {}
        first, last = min(item.first for item in items), max(item.last for item in items)
        shown = [(item.first, item.last) for item in items]
        runs = [run for run in self._archive().runs() if run.last >= first and run.first <= last]
        wanted = [run for run in runs if any(a <= run.last and run.first <= b for a, b in shown)]
        return {page.key: page for page in self._archive().pages(wanted)}

    def _page_part(self, item: PageItem, pages: dict[str, Page]) -> PagePart:
        if item.key not in pages:
            raise PagesLost([], f"no page {excerpt(item.key)} of turns #{item.first} to #{item.last} in this layout")
        page = self.bind(replace(pages[item.key], index=item.index))
        text = page_text(page)
        vision, words = self._vision_tokens(page, item.tier), self._pricing.message(text)
        return PagePart(page, item.tier, text, vision, words, self._profile.rung(item.tier))

    def _text_part(self, item: TextItem) -> TextPart:
        turns = tuple(self._store.read(self._session, item.first, item.last + 1))
        return TextPart(self._as_sent(turns), self._pricing.total(turns))

    def _as_sent(self, turns: Sequence[Turn]) -> tuple[Turn, ...]:
        """Return turns as they are sent as text: documents as their text, and pictures of pages whose text says less."""
        return tuple(as_sent(turn, partial(self._picture, turn)) for turn in turns)

    def _picture(self, turn: Turn, part: DocumentContent, number: int) -> ImageContent | None:
        name = f"{part.sha256} {number}"
        if name not in self._pictures:
            self._pictures = self._pictures if len(self._pictures) < MOST_PICTURES else {}
            drawn = self._archive().document_picture(turn, part, number)
            data = base64.b64encode(drawn).decode("ascii") if drawn else ""
            self._pictures[name] = ImageContent(media_type="image/png", data=data) if data else None
        return self._pictures[name]

    def _vision_tokens(self, page: Page, tier: Tier) -> int:
        return self._profile.page_tokens(page.width, page.height, tier, page.canvas)

    def _shown_size(self, page: Page, tier: Tier) -> tuple[int, int]:
        return self._profile.shown_size(page.width, page.height, tier, page.canvas)

    def _usage(self, prefix: _Prefix, tail_tokens: int) -> Usage:
        plan = prefix.plan
        return Usage(
            prompt_tokens=plan.prefix_tokens + tail_tokens,
            text_tokens=plan.text_tokens + tail_tokens,
            vision_tokens=sum(prefix.vision.values()),
            vision_tokens_by_tier=dict(prefix.vision),
            pages_by_tier=dict(prefix.pages),
            stable_prefix_tokens=plan.prefix_tokens,
            turns_left_out=plan.turns_left_out,
            counted_with=self._pricing.counted_with,
            price_factor=self._profile.cache.factor(plan.prefix_tokens + tail_tokens),
        )
