"""The interface of verifiers, which decide whether a page is readable at a tier, and their lookup by name."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from ..errors import UnknownName
from ..pages.page import Page
from ..pages.tiers import Tier
from ..text.excerpts import excerpt
from ..turns.turn import Turn

__all__ = ["Verification", "Verifier", "verifier_id", "verifier_of"]

VERSION = 1


@dataclass(frozen=True, slots=True)
class Verification:
    """A verifier's result for a page at a tier. Holds none of the page's text.

    Attributes:
        key: the page's key.
        tier: the tier verified; the result holds for every tier with the same image size.
        verifier: the verifier's name.
        score: 0 to 1, by the verifier's own measure.
        passed: whether the page may be used at the tier.
        strings_asked, strings_read: number of exact strings on the page and in its sidecar, and of those read exactly.
        segments_asked, segments_read: number of parts of turns checked, and of those read.
        error_rate: share of wrong characters in those parts; the expected one if nothing was read.
    """

    key: str
    tier: Tier
    verifier: str
    score: float
    passed: bool
    strings_asked: int = 0
    strings_read: int = 0
    segments_asked: int = 0
    segments_read: int = 0
    error_rate: float = 0.0

    def encode(self) -> bytes:
        """Encode for a store."""
        return json.dumps({"v": VERSION, **asdict(self), "tier": self.tier.label}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Verification | None:
        """Decode what `encode` made; None for anything else, since a page can be verified again."""
        try:
            fields = json.loads(data)
            if fields.pop("v") != VERSION:
                return None
            return cls(**{**fields, "tier": Tier.parse(fields["tier"])})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


@runtime_checkable
class Verifier(Protocol):
    """Decides whether a page is readable. Must be thread-safe.

    Attributes:
        name: short name for tables.
        fingerprint: hash of everything but the page that its verdict depends on. If it changes, pages are verified and plans made again.
        at_once: True if verification is free. Then every page is verified before planning, and demoted to the faintest tier that passes
            regardless of age. Otherwise a page is verified when a plan first uses it at a tier.
    """

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def at_once(self) -> bool: ...
    def verify(self, page: Page, turns: Sequence[Turn], tier: Tier) -> Verification:
        """Verify a page at a tier. `turns` are those on the page, as they were drawn. May raise anything."""
        ...


_VERIFIERS = {
    "ocr": "optical_memory.verification.reading:ByReading",
    "density": "optical_memory.verification.density:ByDensity",
}


def verifier_of(verify: bool | str | Verifier | None) -> Verifier | None:
    """Resolve the option `verify`: none, True for `ocr`, a name, or a verifier. Raises `UnknownName`, `TypeError`."""
    if verify is None or verify is False:
        return None
    name = "ocr" if verify is True else verify
    if isinstance(name, str):
        if name not in _VERIFIERS:
            raise UnknownName("verifier", name, sorted(_VERIFIERS))
        module, _, factory = _VERIFIERS[name].partition(":")
        made: Verifier = getattr(importlib.import_module(module), factory)()
        return made
    if not isinstance(name, Verifier):
        known = "True, 'ocr', 'density', None, or a verifier with name, fingerprint, at_once and verify"
        raise TypeError(f"verify is {known}; got {excerpt(verify)}")
    return name


def verifier_id(verifier: Verifier, layout: str) -> str:
    """Hash the verifier, and the layout, which determines token counts and sidecars."""
    return hashlib.sha256(json.dumps([verifier.name, verifier.fingerprint, layout]).encode()).hexdigest()[:12]
