"""What goes to the model: pages of the past and recent turns as text, oldest first, with the words that stand between them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from ..pages.page import Page
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile, Rung
from ..turns.turn import Turn
from .plan import Plan

__all__ = ["Context", "PagePart", "TextPart", "Usage", "tally"]

_AS_IT_IS = Rung()


@dataclass(frozen=True, slots=True)
class TextPart:
    """Turns as text, untouched. `tokens` is what they cost."""

    turns: tuple[Turn, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class PagePart:
    """A page as a picture.

    Attributes:
        text: the label and the sidecar, to stand beside the picture.
        vision_tokens: what the picture costs the reader.
        text_tokens: what `text` costs.
        rung: what the reader is to be asked for with the picture.
    """

    page: Page
    tier: Tier
    text: str
    vision_tokens: int
    text_tokens: int
    rung: Rung = _AS_IT_IS

    @property
    def tokens(self) -> int:
        return self.vision_tokens + self.text_tokens

    def detail(self, asked: str | None = None) -> str:
        """OpenAI's `detail` for the picture: what the caller asked for, else the rung's, else `high`.

        Warns where the price hinges on a `media_resolution`, which a message with `detail` cannot ask for.
        """
        if self.rung.must_ask:
            what = f"pages were counted at media_resolution {self.rung.media_resolution}, which these messages cannot ask for"
            warnings.warn(f"{what}: use the dialect gemini, or reader=profile.unasked()", RuntimeWarning, stacklevel=3)
        return asked or self.rung.detail or "high"

    def image(self) -> bytes:
        """The picture, PNG. Raises `RenderError` if it was lost and cannot be drawn again."""
        return self.page.image(self.tier)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a context costs and what it saves, in the reader's tokens.

    Attributes:
        prompt_tokens: all that is sent: framing, pages, labels, sidecars, text.
        text_tokens: what all turns of the session would cost as plain text.
        vision_tokens: of `prompt_tokens`, those of pictures of pages.
        vision_tokens_by_tier, pages_by_tier: the same and the number of pages, tier by tier, sharpest first.
        stable_prefix_tokens: tokens at the start that stay byte for byte the same until the next re-plan.
        turns_left_out: turns that are neither text nor on a page shown; recall finds them.
        counted_with: what counted the text: a tiktoken encoding, or an estimate that errs high.
    """

    prompt_tokens: int
    text_tokens: int
    vision_tokens: int
    vision_tokens_by_tier: dict[Tier, int]
    pages_by_tier: dict[Tier, int]
    stable_prefix_tokens: int
    turns_left_out: int
    counted_with: str

    @property
    def compression_ratio(self) -> float:
        """Tokens as text for one token as sent; 1.0 for an empty session."""
        return self.text_tokens / self.prompt_tokens if self.prompt_tokens else 1.0

    def __str__(self) -> str:
        tiers = ", ".join(f"{count} {tier.label}" for tier, count in self.pages_by_tier.items()) or "none"
        return (
            f"{self.text_tokens:,} tokens as text, {self.prompt_tokens:,} as sent ({self.compression_ratio:.1f}x); "
            f"pages: {tiers} ({self.vision_tokens:,} vision tokens); stable prefix {self.stable_prefix_tokens:,}; "
            f"{self.turns_left_out:,} turns left out; text counted with {self.counted_with}"
        )


@dataclass(frozen=True, slots=True)
class Context:
    """The model's view of a session.

    Attributes:
        parts: oldest first.
        framing: a short text that goes before them: what the pages are, what is not shown. Empty if there is no need for one.
        plan: what was decided; plain JSON.
        reader: the profile that it was priced for; None for a context made by hand.
    """

    parts: tuple[TextPart | PagePart, ...]
    plan: Plan
    usage: Usage
    framing: str = ""
    reader: ReaderProfile | None = None

    @property
    def pages(self) -> tuple[PagePart, ...]:
        """The parts that are pictures."""
        return tuple(part for part in self.parts if isinstance(part, PagePart))

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns that are text."""
        return tuple(turn for part in self.parts if isinstance(part, TextPart) for turn in part.turns)


def tally(parts: Iterable[TextPart | PagePart]) -> tuple[dict[Tier, int], dict[Tier, int]]:
    """Vision tokens and pages by tier, sharpest first."""
    tokens: dict[Tier, int] = {}
    pages: dict[Tier, int] = {}
    for part in sorted((part for part in parts if isinstance(part, PagePart)), key=lambda part: -part.tier):
        tokens[part.tier] = tokens.get(part.tier, 0) + part.vision_tokens
        pages[part.tier] = pages.get(part.tier, 0) + 1
    return tokens, pages
