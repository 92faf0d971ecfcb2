"""What every adapter is given: which reader looks, how much it may be sent, and where pages are kept."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..memory.context_builder import SHAPED, SIDECAR_TOKENS, Look
from ..memory.message_list import Lens
from ..pages.page import PageStyle
from ..pages.tiers import Tier, tiers_of
from ..planning.forgetting import ByAge, Forgetting
from ..planning.triggers import WaterMarks
from ..profiles.profile import ReaderProfile
from ..profiles.registry import profile_for_model, profile_of
from ..renderers.base import Renderer
from ..stores.base import DerivedCache, open_store
from ..turns.from_messages import TurnLike
from ..turns.redaction import Redactor, redactor_of
from ..verification.base import Verifier, verifier_of

__all__ = ["Optician", "Optics"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Optics:
    """Settings of an adapter.

    Attributes:
        reader: the model that looks at the pages, by profile name, or a profile. None goes by the name of the model that serves the call.
        budget: tokens of a request at most, without tools and system prompt; None for no limit but forgetting.
        renderer: `auto`, `chromium`, `pillow`, or a renderer.
        cache: a store, or its URL, that keeps pages by content; `memory://` keeps them in this process.
        forgetting, marks, style, sidecar_tokens, shape: as for `OpticalMemory`.
        redact: True, or a redactor, masks secrets on pages and in sidecars. Recent messages stay as they are.
        verify: `ocr` or True, `density`, or a verifier, as for `OpticalMemory`.
    """

    reader: str | ReaderProfile | None = None
    budget: int | None = None
    renderer: str | Renderer = "auto"
    cache: str | DerivedCache = "memory://"
    forgetting: Forgetting | None = None
    marks: WaterMarks | None = None
    style: PageStyle | None = None
    sidecar_tokens: int = SIDECAR_TOKENS
    redact: bool | Redactor | None = None
    verify: bool | str | Verifier | None = None
    shape: Sequence[Tier | str] = SHAPED

    def __post_init__(self) -> None:
        redactor_of(self.redact)  # what is none is said now, not at the first page
        verifier_of(self.verify)
        tiers_of(self.shape)

    def look(self, profile: ReaderProfile) -> Look:
        return Look(
            profile,
            self.renderer,
            policy=self.forgetting or ByAge(),
            marks=self.marks or WaterMarks(),
            style=self.style or profile.page_style(),
            sidecar_tokens=self.sidecar_tokens,
            redactor=redactor_of(self.redact),
            verifier=verifier_of(self.verify),
            shape=tiers_of(self.shape),
        )


class Optician(Generic[T]):
    """Finds the lens for a model. All lenses share one cache of pages.

    What it is used for writes messages that ask for no `media_resolution`, so tiers whose price hinges on one are not used.
    """

    def __init__(self, optics: Optics, *, key: Callable[[T], Hashable], turn: Callable[[T], TurnLike]) -> None:
        self.optics, self._key, self._turn = optics, key, turn
        self._fixed = None if optics.reader is None else profile_of(optics.reader).unasked()
        self._cache = open_store(optics.cache) if isinstance(optics.cache, str) else optics.cache
        self._lenses: dict[str, Lens[T]] = {}
        self._strangers: set[str] = set()
        self._lock = threading.Lock()

    def lens(self, model: str | None) -> Lens[T] | None:
        """The lens for a model by its provider's name for it. None, and one warning, for a model without a profile: it gets text."""
        profile = self._fixed or self._profile_for(model)
        with self._lock:
            if profile is None:
                self._warn_of(model or "")
                return None
            if profile.name not in self._lenses:
                self._lenses[profile.name] = Lens(self.optics.look(profile), self._cache, key=self._key, turn=self._turn)
            return self._lenses[profile.name]

    def _profile_for(self, model: str | None) -> ReaderProfile | None:
        found = profile_for_model(model) if model else None
        return found.unasked() if found else None

    def _warn_of(self, model: str) -> None:
        if model not in self._strangers:
            self._strangers.add(model)
            warnings.warn(f"no reader profile for the model {model!r}: it gets text. Pass reader=...", RuntimeWarning, stacklevel=4)
