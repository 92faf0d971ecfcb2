"""The seam of verifiers: what says whether a page can still be read at a tier. Found by name."""

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
from ..turns.turn import Turn

__all__ = ["Verification", "Verifier", "verifier_id", "verifier_of"]

VERSION = 1


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verifier found of a page at a tier. Nothing of what the page says is in it.

    Attributes:
        key: of the page.
        tier: at which it was looked at; the verdict holds for every tier whose picture has the same size.
        verifier: its name.
        score: 0 to 1, by the verifier's own measure; see there.
        passed: whether the page may be shown so.
        strings_asked, strings_read: exact strings that stand on the page and in its sidecar, and those given back exactly.
        segments_asked, segments_read: parts of turns that were looked for, and those given back.
        error_rate: wrong characters of those parts, as a share; where nothing was read, as it is expected.
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
        """As bytes for a store."""
        return json.dumps({"v": VERSION, **asdict(self), "tier": self.tier.label}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Verification | None:
        """What `encode` made; None for anything else: a page can be verified anew."""
        try:
            fields = json.loads(data)
            if fields.pop("v") != VERSION:
                return None
            return cls(**{**fields, "tier": Tier.parse(fields["tier"])})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


@runtime_checkable
class Verifier(Protocol):
    """Says whether a page can be read. Safe to use from several threads.

    Attributes:
        name: as tables show it.
        fingerprint: of all that its verdict depends on beside the page. Under another one pages are verified, and plans made, anew.
        at_once: it costs nothing. It is asked for every page before a plan is made, and a page falls to the faintest tier that passes at
            once, whatever its age. Otherwise it is asked when a page is about to be shown at a tier.
    """

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def at_once(self) -> bool: ...
    def verify(self, page: Page, turns: Sequence[Turn], tier: Tier) -> Verification:
        """Look at a page as it is shown at a tier. `turns` are those that stand on it, as they were drawn. May raise anything."""
        ...


_VERIFIERS = {
    "ocr": "optical_memory.verification.reading:ByReading",
    "density": "optical_memory.verification.density:ByDensity",
}


def verifier_of(verify: bool | str | Verifier | None) -> Verifier | None:
    """What `verify=` stands for: none, True for `ocr`, a name, or a verifier. Raises `UnknownName`, `TypeError`."""
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
        raise TypeError(f"verify is True, 'ocr', 'density', None, or a verifier with name, fingerprint, at_once and verify; got {verify!r}")
    return name


def verifier_id(verifier: Verifier, layout: str) -> str:
    """A short hash of who looks, and of the layout that says how tokens are counted and what stands beside a page."""
    return hashlib.sha256(json.dumps([verifier.name, verifier.fingerprint, layout]).encode()).hexdigest()[:12]
