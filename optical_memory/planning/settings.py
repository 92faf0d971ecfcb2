"""View settings and the reader, as one value for the memory, the adapters, and everything below them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self, TypedDict, Unpack

from ..pages.page import PageStyle
from ..pages.tiers import Tier, tiers_of
from ..profiles.profile import ReaderProfile
from ..renderers.base import Renderer, renderer_path
from ..text.excerpts import excerpt
from ..turns.redaction import Redactor, redactor_of
from ..verification.base import Verifier, verifier_of
from .forgetting import BestUse, Forgetting
from .triggers import WaterMarks

__all__ = ["SHAPED", "SIDECAR_TOKENS", "ViewOptions", "ViewSettings", "shaped_for"]

SIDECAR_TOKENS = 64  # text tokens of exact strings beside a page: about as many as a page at Tiny costs
SHAPED = (Tier.TINY,)  # at these tiers abridged pages keep more facts than shrunk ones (docs/experiments)
READ_WHOLE = 0.8  # share of a shrunk page that a reader reads, from which abridging takes more whole turns than it gives facts


class ViewOptions(TypedDict, total=False):
    """Keyword arguments of the memory and every adapter. Absent or None means the default of `ViewSettings`.

    Attributes:
        renderer: `auto`, `chromium`, `pillow`, `bitmap`, a dotted path, or a renderer. Opened when the first page is drawn. `auto` is
            `bitmap` for a reader whose profile has a cell of whole pixels.
        forgetting: the policy that chooses tiers. `ByAge()` goes by a schedule: Gundam, Large, Base, Small, Tiny by age. `BestUse()`, the
            default, is the same without a budget, and spends one where it is worth most.
        marks: water marks: how much recent text is kept before the oldest moves to pages. By default the reader's profile's, if it has any.
        style: canvas and density of the pages; from the reader's profile by default.
        sidecar_tokens: most text tokens of exact strings beside each page; 64 by default.
        redact: True, or a redactor (`turns.redaction.Secrets(patterns=[...])`), masks secrets on pages and in sidecars.
        verify: `ocr` or True, `density`, or a verifier. Each page is verified once before it is used at a tier; an unreadable page stays
            at a sharper tier, or text. `verification.reading.ByReading(reader)` asks any reader. `ocr` takes seconds per page.
        shape: tiers at which a page is abridged in larger letters instead of shrunk; () for none. `auto`, the default: Tiny, where the
            reader's profile says that a shrunk page is read too poorly to be kept whole.
        repeats: True (default) draws a message that a later one repeats byte for byte as `same as #41`, where the context keeps that
            one; False draws all in full.
        screen: True keeps turns that ask to be obeyed (`text.screening`) off pages: they stay text while the budget lasts, and the framing
            text names them.
    """

    renderer: str | Renderer
    forgetting: Forgetting | None
    marks: WaterMarks | None
    style: PageStyle | None
    sidecar_tokens: int
    redact: bool | Redactor | None
    verify: bool | str | Verifier | None
    shape: Iterable[Tier | str] | Literal["auto"]
    repeats: bool
    screen: bool


@dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """`ViewOptions` for one reader, checked and with defaults filled in. Unknown names raise here, not at the first page.

    Attributes:
        profile: the reader's profile; all token counts are the reader's.
        policy: maps a page's age to a tier.
    """

    profile: ReaderProfile
    renderer: str | Renderer
    policy: Forgetting
    marks: WaterMarks
    style: PageStyle
    sidecar_tokens: int
    redactor: Redactor | None
    verifier: Verifier | None
    shape: tuple[Tier, ...]
    repeats: bool = True
    screen: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.renderer, str):
            renderer_path(self.renderer)

    @classmethod
    def of(cls, profile: ReaderProfile, **options: Unpack[ViewOptions]) -> Self:
        """Make settings for a reader. Raises `TypeError` for an unknown option, `UnknownName` or `ValueError` for an invalid value."""
        if unknown := set(options) - set(ViewOptions.__annotations__):
            raise TypeError(f"unknown option {excerpt(sorted(unknown)[0])}; known: {', '.join(ViewOptions.__annotations__)}")
        renderer, shape = options.get("renderer", "auto"), options.get("shape", "auto")
        renderer = profile.renderer if renderer == "auto" else renderer
        pixels = (renderer if isinstance(renderer, str) else renderer.name) == "bitmap"
        style = options.get("style") or profile.page_style(pixels=pixels)
        return cls(
            profile=profile,
            renderer=renderer,
            policy=options.get("forgetting") or BestUse(),
            marks=options.get("marks") or (WaterMarks(profile.marks.high, profile.marks.low) if profile.marks else WaterMarks()),
            style=style,
            sidecar_tokens=options.get("sidecar_tokens", SIDECAR_TOKENS),
            redactor=redactor_of(options.get("redact")),
            verifier=verifier_of(options.get("verify")),
            shape=shaped_for(profile, style) if shape == "auto" else tiers_of(shape),
            repeats=bool(options.get("repeats", True)),
            screen=bool(options.get("screen")),
        )

    def policy_within(self, budget: int | None) -> Forgetting:
        """Return the policy at a budget, or without one."""
        return self.policy.unbounded if budget is None and isinstance(self.policy, BestUse) else self.policy

    @property
    def renderer_name(self) -> str:
        """Short name of the renderer, or its dotted path."""
        return self.renderer if isinstance(self.renderer, str) else self.renderer.name

    def basis(self, counter: str) -> str:
        """Return a string that changes with everything a plan depends on except the log and the renderer's fingerprint.

        The archive checks the fingerprint: computing it may start a browser.

        Args:
            counter: name of the text token counter.
        """
        style = json.dumps(self.style.key_fields)
        basis = f"{self.profile.name} {self.profile.fingerprint} {counter} {self.renderer_name} {self.policy!r} {self.marks!r} {style}"
        basis += f" shaped {' '.join(tier.label for tier in self.shape)}" if self.shape else ""
        basis += "" if self.repeats else " in full"
        basis += " screened" if self.screen else ""
        basis += f" {self.redactor.name} {self.redactor.fingerprint}" if self.redactor else ""
        return f"{basis} {self.verifier.name} {self.verifier.fingerprint}" if self.verifier else basis


def shaped_for(profile: ReaderProfile, style: PageStyle) -> tuple[Tier, ...]:
    """Return the tiers of `SHAPED` in use at which a reader reads too little of a full page in this style."""
    return tuple(tier for tier in SHAPED if tier in profile.ladder and profile.legible_when_full(tier, style) < READ_WHOLE)
