"""A plan as plain JSON: which turns are text, which stand on which page, and the tier of each page."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..turns.attachments import NO_IMAGES, ImageLoad

__all__ = ["LibraryItem", "PageItem", "Plan", "TextItem"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PageItem(_Value):
    """A page sent as an image; `tokens` includes its label and sidecar, `sheet` is which page of its document it is, 0 for one of turns."""

    kind: Literal["page"] = "page"
    key: str
    index: int
    first: int
    last: int
    tier: Tier
    tokens: int = 0
    sheet: int = 0


class TextItem(_Value):
    """Turns first to last, sent as text among the pages."""

    kind: Literal["text"] = "text"
    first: int
    last: int
    tokens: int = 0


class LibraryItem(_Value):
    """A page of a library's document: `shown_as` a tier or `text`, for `tokens`, and `why`: the overview, or the question's words on it."""

    library: str
    document: str
    page: int
    shown_as: str
    tokens: int
    why: str


class Plan(_Value):
    """The composition of a context, as plain JSON.

    Attributes:
        epoch: number of re-plans so far, from 1.
        basis: reader, layout, counter and policy that it was made for; a change makes a re-plan due.
        budget: the budget that it was made for, in the reader's tokens.
        items: pages and texts, oldest first, that do not change within the epoch.
        tail_from: turns from this number on are text after the items.
        left_out: ranges (first, last) of turns that are neither on a page nor text.
        turns_left_out: the number of those turns.
        prefix_tokens: tokens of the framing text and the items.
        text_tokens: tokens of all turns before `tail_from`, as plain text.
        length: the log's length when it was made.
        changed_at: the log's length when a re-plan last changed what had been sent; 0 for never.
        high_water: tail tokens above which the next re-plan is due.
        squeezed: whether the budget demoted pages more than age alone.
        crosses: whether its requests were, when it was made, above the length from which the provider's price is higher.
        pins: numbers of the pinned turns that it was made for.
        text_images: images inside turns that are text among the items.
        tail_images: number of images inside the tail when it was made.
        screened: numbers of the turns among the items that ask to be obeyed, and so are text; see `text.screening`.
        recalled: numbers of the turns added as text for a question; of one context only, and not stored.
        library: pages of libraries, in the order in which they are shown; of one context only, and not stored.
        reason: why it was made.
    """

    v: Literal[1] = 1
    epoch: int
    basis: str
    budget: int | None
    items: tuple[Annotated[PageItem | TextItem, Field(discriminator="kind")], ...] = ()
    tail_from: int = 1
    left_out: tuple[tuple[int, int], ...] = ()
    turns_left_out: int = 0
    prefix_tokens: int = 0
    text_tokens: int = 0
    length: int = 0
    changed_at: int = 0
    high_water: int
    squeezed: bool = False
    crosses: bool = False
    pins: tuple[int, ...] = ()
    text_images: ImageLoad = NO_IMAGES
    tail_images: int = 0
    screened: tuple[int, ...] = ()
    recalled: tuple[int, ...] = ()
    library: tuple[LibraryItem, ...] = ()
    reason: str

    @property
    def pages(self) -> tuple[PageItem, ...]:
        """The pages shown, oldest first."""
        return tuple(item for item in self.items if isinstance(item, PageItem))

    def sends_like(self, other: Plan) -> bool:
        """Whether both plans send the same: turns neither on a page nor left out are text, as an item or in the tail."""
        return (self.pages, self.left_out) == (other.pages, other.left_out)

    def is_crowded(self, tail: ImageLoad, profile: ReaderProfile) -> bool:
        """Whether the tail has gained images, and the request now exceeds the reader's image limits."""
        if tail.count <= self.tail_images:
            return False
        side = max(map(profile.side, {item.tier for item in self.pages}), default=0)
        return len(self.pages) > profile.free_places(self.text_images + tail, side)
