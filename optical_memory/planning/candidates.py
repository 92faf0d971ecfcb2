"""Candidates of planning, pages and texts, and the decision about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..pages.tiers import Tier
from ..turns.attachments import NO_IMAGES, ImageLoad
from .forgetting import PageAge

__all__ = ["Decision", "PageCandidate", "TextCandidate", "as_one_text", "dearer_than_text", "run_of", "text_images", "total_of"]


@dataclass(frozen=True, slots=True)
class PageCandidate:
    """A page, as planning sees it.

    Attributes:
        run: number of its run. Pages of a run share units, so all are text or all are images.
        turns: numbers of the turns on it.
        text_tokens: what it saves of the run's cost as plain text; the pages of a run have all of it together.
        undrawn_tokens: those of them whose words stand on no page: what is not drawn yet of a long unit.
        overhead: tokens of the text beside the page: its label and its sidecar.
        vision: vision tokens at each usable tier, faintest first: the reader's ladder without tiers that a verifier refused. Empty if no
            tier is readable.
        images: images inside its turns, sent if the turns are text instead.
        letter: font size of a document's page in pixels, on a page as large as one of turns; None for a page of turns.
        sheet: which page of its document it is, from 1; 0 for a page of turns.
        enough: tier to demote the page to regardless of age; None to go by age.
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
    images: ImageLoad = NO_IMAGES
    enough: Tier | None = None
    undrawn_tokens: int = 0
    letter: float | None = None
    sheet: int = 0

    @property
    def steps_up(self) -> int:
        """How many tiers above Tiny a document's page is at its faintest; 0 for a page of turns."""
        return min(self.vision, default=Tier.TINY) - Tier.TINY if self.sheet else 0

    @property
    def own_tokens(self) -> int:
        """Tokens of the words that stand on it."""
        return self.text_tokens - self.undrawn_tokens


@dataclass(frozen=True, slots=True)
class TextCandidate:
    """Turns before the tail that are text or left out, as a whole. Protected ones are never left out."""

    first: int
    last: int
    text_tokens: int
    turns: tuple[int, ...]
    protected: bool = False
    images: ImageLoad = NO_IMAGES


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision: a page at a tier, turns as text, or (neither) left out. A page as text is readable at no tier: see `within_request`."""

    candidate: PageCandidate | TextCandidate
    tier: Tier | None = None
    as_text: bool = False

    @property
    def tokens(self) -> int:
        if self.as_text:
            return self.candidate.text_tokens
        if self.tier is None or isinstance(self.candidate, TextCandidate):
            return 0
        return self.candidate.vision[self.tier] + self.candidate.overhead

    @property
    def shown(self) -> bool:
        return self.as_text or self.tier is not None

    @property
    def held(self) -> bool:
        """Whether it must stay in the context."""
        return self.candidate.protected if isinstance(self.candidate, TextCandidate) else self.candidate.pinned


def text_images(decisions: Sequence[Decision]) -> ImageLoad:
    """Sum up the images of turns that are sent as text."""
    return sum((decision.candidate.images for decision in decisions if decision.as_text), NO_IMAGES)


def run_of(candidate: PageCandidate | TextCandidate) -> tuple[str, int]:
    """Return a key that groups candidates by run; each text is a group of its own."""
    return ("run", candidate.run) if isinstance(candidate, PageCandidate) else ("text", candidate.first)


def as_one_text(pages: Sequence[PageCandidate]) -> TextCandidate:
    """Convert a run that is not cheaper as pages to text. The whole run, since turns continue across its pages."""
    turns = sorted({number for page in pages for number in page.turns})
    tokens = sum(page.text_tokens for page in pages)
    images = sum((page.images for page in pages), NO_IMAGES)
    return TextCandidate(turns[0], turns[-1], tokens, tuple(turns), any(page.pinned for page in pages), images)


def dearer_than_text(decisions: Sequence[Decision]) -> bool:
    shown = [decision for decision in decisions if decision.tier is not None]
    return bool(shown) and sum(decision.tokens for decision in shown) >= sum(decision.candidate.text_tokens for decision in shown)


def total_of(decisions: Sequence[Decision]) -> int:
    return sum(decision.tokens for decision in decisions)
