"""What a picture or a text file costs a reader, at every tier of its ladder."""

from __future__ import annotations

from dataclasses import dataclass

from ..pages.tiers import Tier
from ..text.token_count import open_counter
from .profile import ReaderProfile

__all__ = ["PictureCost", "RungCost", "TextCost", "picture_cost", "text_cost"]

CHARACTERS_A_TOKEN = 4  # of English prose; JSON and code 2.5 to 3


@dataclass(frozen=True, slots=True)
class RungCost:
    """A picture at one rung: the size sent, the size after the server's scaling (None if not published), and the price."""

    tier: str
    sent: tuple[int, int]
    server_size: tuple[int, int] | None
    tokens: int
    setting: str
    default: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class PictureCost:
    """A picture as it is and at every rung. `text_tokens` is the price of the text that it is compared with, if any."""

    file: str
    reader: str
    as_of: str
    size: tuple[int, int]
    server_size: tuple[int, int] | None
    tokens: int
    rungs: tuple[RungCost, ...]
    text_tokens: int | None = None
    kind: str = "picture"

    @property
    def shrunk(self) -> bool:
        """Whether the server scales it down by more than rounding to patches."""
        return self.server_size is not None and max(self.server_size) < 0.96 * max(self.size)


@dataclass(frozen=True, slots=True)
class TextCost:
    """A text file. `counted_with` names the tokenizer, and whether it is the reader's own."""

    file: str
    reader: str
    as_of: str
    characters: int
    tokens: int
    counted_with: str
    kind: str = "text"


def picture_cost(name: str, size: tuple[int, int], profile: ReaderProfile, characters: int | None = None) -> PictureCost:
    """The price of a picture of `size` (width and height in pixels) for a reader."""
    return PictureCost(
        file=name,
        reader=profile.name,
        as_of=profile.as_of,
        size=size,
        server_size=profile.formula.seen_size(*size),
        tokens=profile.picture_tokens(*size),
        rungs=tuple(_rung_cost(profile, tier, size) for tier in profile.rungs),
        text_tokens=-(-characters // CHARACTERS_A_TOKEN) if characters else None,
    )


def text_cost(name: str, text: str, profile: ReaderProfile) -> TextCost:
    """The price of a text for a reader."""
    counter = open_counter(profile.encoding)
    if profile.encoding is None:
        counted = f"{counter.name}, which is not the tokenizer of {profile.name}: an estimate"
    else:
        counted = f"an estimate of {profile.encoding} that errs high" if counter.name == "estimate" else counter.name
    return TextCost(name, profile.name, profile.as_of, len(text), counter.count(text), counted)


def _rung_cost(profile: ReaderProfile, tier: Tier, size: tuple[int, int]) -> RungCost:
    rung, sent = profile.rung(tier), profile.shown_size(*size, tier)
    asked = rung.media_resolution or rung.detail
    name = "media_resolution" if rung.media_resolution else "detail"
    seen = (512, 512) if rung.detail == "low" else profile.formula.seen_size(*sent)
    if profile.formula.kind == "deepseek" and not profile.formula.always_tiled:
        seen = sent  # the encoder takes a tier as it is
    return RungCost(
        tier=tier.label,
        sent=sent,
        server_size=seen,
        tokens=profile.page_tokens(*size, tier),
        setting=f"{name}={asked}" if asked else "",
        default=tier in profile.ladder,
        evidence=rung.evidence,
    )
