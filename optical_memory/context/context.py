"""The context sent to a model: pages of the past and recent turns as text, oldest first, with framing and labels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from ..pages.page import Page
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile, Rung
from ..text.plurals import counted
from ..turns.turn import Turn
from .plan import Plan

__all__ = ["Context", "PagePart", "RecalledPart", "TextPart", "Usage", "tally"]

_AS_IT_IS = Rung()


@dataclass(frozen=True, slots=True, repr=False)
class TextPart:
    """Turns as text, unchanged, and their cost in `tokens`."""

    turns: tuple[Turn, ...]
    tokens: int

    def __repr__(self) -> str:
        which = f"#{self.turns[0].number} to #{self.turns[-1].number}, " if self.turns else ""
        return f"<TextPart: {counted(len(self.turns), 'turn')}, {which}{self.tokens:,} tokens>"


@dataclass(frozen=True, slots=True, repr=False)
class RecalledPart(TextPart):
    """Turns recalled for a question: one user's turn, made here, with their words; `numbers` are theirs."""

    numbers: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"<RecalledPart: {', '.join(f'#{number}' for number in self.numbers)}, {self.tokens:,} tokens>"


@dataclass(frozen=True, slots=True, repr=False)
class PagePart:
    """A page as an image.

    Attributes:
        text: the label and the sidecar, sent with the image.
        vision_tokens: cost of the image.
        text_tokens: cost of `text`.
        rung: the reader's request parameters at this tier.
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
        """Return OpenAI's `detail` for the image: the caller's, else the rung's, else `high`.

        Warns if the price depends on a `media_resolution`, which a message with `detail` cannot request.
        """
        if self.rung.must_ask:
            what = f"pages were counted at media_resolution {self.rung.media_resolution}, which these messages cannot ask for"
            warnings.warn(f"{what}: use the dialect gemini, or reader=profile.unasked()", RuntimeWarning, stacklevel=3)
        return asked or self.rung.detail or "high"

    def image(self) -> bytes:
        """Return the image, PNG. Raises `RenderError` if it was lost and cannot be redrawn."""
        return self.page.image(self.tier)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the image to a PNG file. Raises `RenderError`, `OSError`."""
        self.page.save(path, self.tier)

    def __repr__(self) -> str:
        page = self.page
        return f"<PagePart: page {page.index}, #{page.first_turn} to #{page.last_turn}, {self.tier.label}, {self.tokens:,} tokens>"

    def _repr_html_(self) -> str:
        from .notebook import part_html

        return part_html(self)


@dataclass(frozen=True, slots=True)
class Usage:
    """Cost and savings of a context, in the reader's tokens.

    Attributes:
        prompt_tokens: everything sent: framing, pages, labels, sidecars, text.
        text_tokens: cost of all turns of the session as plain text; estimated for turns that no context has shown on a page.
        vision_tokens: the part of `prompt_tokens` for page images.
        vision_tokens_by_tier, pages_by_tier: the same, and the number of pages, by tier, sharpest first.
        stable_prefix_tokens: tokens at the start that stay the same, byte for byte, until the next re-plan.
        turns_left_out: number of turns that are neither text nor on a page of the context; recall finds them.
        counted_with: the text token counter: a tiktoken encoding, or an estimate that errs high.
        recalled_tokens: the part of `prompt_tokens` for turns recalled for a question.
        price_factor: by how much the provider's price is higher for a request of this length; 1.0 if it is not, or not known.
    """

    prompt_tokens: int
    text_tokens: int
    vision_tokens: int
    vision_tokens_by_tier: dict[Tier, int]
    pages_by_tier: dict[Tier, int]
    stable_prefix_tokens: int
    turns_left_out: int
    counted_with: str
    recalled_tokens: int = 0
    price_factor: float = 1.0

    @property
    def compression_ratio(self) -> float:
        """Text tokens divided by prompt tokens; 1.0 for an empty session."""
        return self.text_tokens / self.prompt_tokens if self.prompt_tokens else 1.0

    def __str__(self) -> str:
        tiers = ", ".join(f"{count} {tier.label}" for tier, count in self.pages_by_tier.items()) or "none"
        recalled = f"recalled for the question {self.recalled_tokens:,}; " if self.recalled_tokens else ""
        dearer = f"billed at {self.price_factor:g} times the price for its length; " if self.price_factor > 1 else ""
        return (
            f"{self.text_tokens:,} tokens as text, {self.prompt_tokens:,} as sent ({self.compression_ratio:.1f}x); {dearer}"
            f"pages: {tiers} ({self.vision_tokens:,} vision tokens); stable prefix {self.stable_prefix_tokens:,}; {recalled}"
            f"{counted(self.turns_left_out, 'turn')} left out; text counted with {self.counted_with}"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Context:
    """The context of a session, to be sent to a model.

    Attributes:
        parts: pages and texts, oldest first.
        framing: a short text before them that explains the pages and names what is left out; empty if not needed.
        plan: the plan behind it; plain JSON.
        reader: the profile that it was priced for; None for a context made by hand.
    """

    parts: tuple[TextPart | PagePart, ...]
    plan: Plan
    usage: Usage
    framing: str = ""
    reader: ReaderProfile | None = None

    @property
    def pages(self) -> tuple[PagePart, ...]:
        """The parts that are pages."""
        return tuple(part for part in self.parts if isinstance(part, PagePart))

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns sent as text; those recalled for a question are in `plan.recalled`."""
        texts = (part for part in self.parts if isinstance(part, TextPart) and not isinstance(part, RecalledPart))
        return tuple(turn for part in texts for turn in part.turns)

    def __repr__(self) -> str:
        return f"<Context: {counted(len(self.pages), 'page')}, {counted(len(self.turns), 'turn')} as text; {self.usage}>"

    def _repr_html_(self) -> str:
        from .notebook import context_html

        return context_html(self)


def tally(parts: Iterable[TextPart | PagePart]) -> tuple[dict[Tier, int], dict[Tier, int]]:
    """Count vision tokens and pages by tier, sharpest first."""
    tokens: dict[Tier, int] = {}
    pages: dict[Tier, int] = {}
    for part in sorted((part for part in parts if isinstance(part, PagePart)), key=lambda part: -part.tier):
        tokens[part.tier] = tokens.get(part.tier, 0) + part.vision_tokens
        pages[part.tier] = pages.get(part.tier, 0) + 1
    return tokens, pages
