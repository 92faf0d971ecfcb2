"""What planning decides about, pages and texts, and the decision about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..pages.tiers import Tier
from ..turns.attachments import NO_PICTURES, PictureLoad
from .forgetting import PageAge

__all__ = ["PageView", "Show", "TextView", "as_one_text", "dearer_than_text", "run_of", "total_of", "turn_pictures"]


@dataclass(frozen=True, slots=True)
class PageView:
    """What planning needs to know of a page.

    Attributes:
        run: pages of one run share a unit with their neighbour: they are text together or pictures together.
        turns: numbers of the turns on it.
        overhead: tokens of the text beside the page: its label and its sidecar.
        vision: vision tokens at each tier that it may be shown at, faintest first: the reader's ladder, as far as nobody found that the
            page cannot be read there. Empty for a page that can be read at none.
        pictures: what its turns bring along where they are text instead.
        enough: the tier that it falls to at once, whatever its age; None where that is left to its age.
    """

    key: str
    index: int
    first: int
    last: int
    run: int
    text_tokens: int
    overhead: int
    vision: dict[Tier, int]
    age: PageAge
    turns: tuple[int, ...]
    pinned: bool = False
    pictures: PictureLoad = NO_PICTURES
    enough: Tier | None = None


@dataclass(frozen=True, slots=True)
class TextView:
    """Turns before the tail that are text or nothing, together. Protected ones are never left out."""

    first: int
    last: int
    text_tokens: int
    turns: tuple[int, ...]
    protected: bool = False
    pictures: PictureLoad = NO_PICTURES


@dataclass(frozen=True, slots=True)
class Show:
    """A decision: a page at a tier, turns as text, or (neither) left out. A page as text can be read at no tier: see `within_request`."""

    view: PageView | TextView
    tier: Tier | None = None
    as_text: bool = False

    @property
    def tokens(self) -> int:
        if self.as_text:
            return self.view.text_tokens
        if self.tier is None or isinstance(self.view, TextView):
            return 0
        return self.view.vision[self.tier] + self.view.overhead

    @property
    def shown(self) -> bool:
        return self.as_text or self.tier is not None

    @property
    def held(self) -> bool:
        """Whether it must stay in the context."""
        return self.view.protected if isinstance(self.view, TextView) else self.view.pinned


def turn_pictures(shows: Sequence[Show]) -> PictureLoad:
    """The pictures of turns that are sent as text."""
    return sum((show.view.pictures for show in shows if show.as_text), NO_PICTURES)


def run_of(view: PageView | TextView) -> tuple[str, int]:
    """What tells a view's run from its neighbours'; texts stand alone."""
    return ("run", view.run) if isinstance(view, PageView) else ("text", view.first)


def as_one_text(pages: Sequence[PageView]) -> TextView:
    """A run whose pictures do not pay, as text: whole, since turns run over the edges of its pages."""
    turns = sorted({number for page in pages for number in page.turns})
    tokens = sum(page.text_tokens for page in pages)
    pictures = sum((page.pictures for page in pages), NO_PICTURES)
    return TextView(turns[0], turns[-1], tokens, tuple(turns), any(page.pinned for page in pages), pictures)


def dearer_than_text(shows: Sequence[Show]) -> bool:
    shown = [show for show in shows if show.tier is not None]
    return bool(shown) and sum(show.tokens for show in shown) >= sum(show.view.text_tokens for show in shown)


def total_of(shows: Sequence[Show]) -> int:
    return sum(show.tokens for show in shows)
