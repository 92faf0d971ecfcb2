"""View settings and the reader, as one value for the memory, the adapters, and everything below them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Self, TypedDict, Unpack

from ..pages.page import PageStyle
from ..pages.tiers import Tier, tiers_of
from ..profiles.profile import ReaderProfile
from ..renderers.base import Renderer, renderer_path
from ..text.excerpts import excerpt
from ..turns.redaction import Redactor, redactor_of
from ..verification.base import Verifier, verifier_of
from .forgetting import ByAge, Forgetting
from .triggers import WaterMarks

__all__ = ["SHAPED", "SIDECAR_TOKENS", "ViewOptions", "ViewSettings"]

SIDECAR_TOKENS = 64  # text tokens of exact strings beside a page: about as many as a page at Tiny costs
SHAPED = (Tier.TINY,)  # at these tiers abridged pages keep more facts than shrunk ones (docs/experiments)


class ViewOptions(TypedDict, total=False):
    """Keyword arguments of the memory and every adapter. Absent or None means the default of `ViewSettings`.

    Attributes:
        renderer: `auto`, `chromium`, `pillow`, a dotted path, or a renderer. Opened when the first page is drawn.
        forgetting: the policy that maps a page's age to a tier; `ByAge()` by default; `BestUse()` spends a budget by worth.
        marks: water marks: how much recent text is kept before the oldest moves to pages.
        style: canvas and density of the pages; from the reader's profile by default.
        sidecar_tokens: most text tokens of exact strings beside each page; 64 by default.
        redact: True, or a redactor (`turns.redaction.Secrets(patterns=[...])`), masks secrets on pages and in sidecars.
        verify: `ocr` or True, `density`, or a verifier. Each page is verified once before it is used at a tier; an unreadable page stays
            at a sharper tier, or text. `verification.reading.ByReading(reader)` asks any reader. `ocr` takes seconds per page.
        shape: tiers at which a page is abridged in larger letters instead of shrunk; () for none.
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
    shape: Iterable[Tier | str]
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
        return cls(
            profile=profile,
            renderer=options.get("renderer", "auto"),
            policy=options.get("forgetting") or ByAge(),
            marks=options.get("marks") or WaterMarks(),
            style=options.get("style") or profile.page_style(),
            sidecar_tokens=options.get("sidecar_tokens", SIDECAR_TOKENS),
            redactor=redactor_of(options.get("redact")),
            verifier=verifier_of(options.get("verify")),
            shape=tiers_of(options.get("shape", SHAPED)),
            repeats=bool(options.get("repeats", True)),
            screen=bool(options.get("screen")),
        )

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
        style = json.dumps(asdict(self.style))
        basis = f"{self.profile.name} {self.profile.fingerprint} {counter} {self.renderer_name} {self.policy!r} {self.marks!r} {style}"
        basis += f" shaped {' '.join(tier.label for tier in self.shape)}" if self.shape else ""
        basis += "" if self.repeats else " in full"
        basis += " screened" if self.screen else ""
        basis += f" {self.redactor.name} {self.redactor.fingerprint}" if self.redactor else ""
        return f"{basis} {self.verifier.name} {self.verifier.fingerprint}" if self.verifier else basis
