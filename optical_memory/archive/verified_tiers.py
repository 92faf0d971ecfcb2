"""Verified demotion: a page is used at a tier only if a verifier found it readable there.

Each page is verified once per image size. Results are stored beside the page and erased with it. Planning reads them from the names alone:
`verified/<page>/<verifier>/<side>/passed`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import StoreError
from ..pages.page import Page
from ..pages.tiers import Tier
from ..stores.base import DerivedCache, SessionId
from ..stores.intact import intact
from ..text.excerpts import said, shape
from ..verification.base import Verification, Verifier, verifier_id
from .page_archive import PageArchive
from .page_runs import PagesLost

__all__ = ["Floors", "TierVerification", "verifications"]

PREFIX = "verified/"
MOST_READINGS = 64  # per re-plan: some minutes with an OCR engine. The next re-plan verifies more; until then such tiers are not used
MOST_FAILURES = 3  # per re-plan; then no further calls until the next
NOWHERE = 1 << 30  # px; larger than the side of any image


@dataclass(slots=True)
class TierVerification:
    """Asks a verifier about the pages of one session.

    Attributes:
        archive: the session's pages.
        bind: gives a page access to its image.
        asked: verifications since this object was made, failed ones included; each is of one page at one tier.
        failures: verifications that failed.
    """

    store: DerivedCache
    session: SessionId
    verifier: Verifier
    archive: Callable[[], PageArchive]
    bind: Callable[[Page], Page]
    asked: int = 0
    failures: int = 0
    _warned: bool = False

    def floors(self) -> Floors:
        """Start a re-plan: return its view of the results."""
        return Floors(self)

    def known(self) -> list[tuple[str, int, bool]]:
        """Return (page key, side, passed) of all stored results of this verifier in this layout."""
        own, found = self._id(), list[tuple[str, int, bool]]()
        for name in self.store.names(self.session, PREFIX):
            _, key, verifier, side, verdict = name.split("/") if name.count("/") == 4 else [""] * 5
            if verifier == own and side.isdecimal() and len(side) < 10:  # names that were put there by something else are passed over
                found.append((key, int(side), verdict == "passed"))
        return found

    def ask(self, page: Page, tier: Tier) -> bool | None:
        """Verify a page and store the result; None if that failed. Raises `PagesLost`, `StoreError`."""
        self.asked += 1
        try:
            found = self.verifier.verify(self.bind(page), self.archive().drawn_turns(page), tier)
            if not isinstance(found, Verification):
                raise TypeError(f"verify gives a Verification; got {shape(found)}")
        except (PagesLost, StoreError):
            raise
        except Exception as exc:
            self.failures += 1
            if not self._warned:
                self._warned = True
                what = f"the verifier {self.verifier.name!r} failed ({type(exc).__name__}: {said(exc)})"
                warnings.warn(f"{what}; pages that it could not judge stay sharper, or text", RuntimeWarning, stacklevel=2)
            return None
        self._keep(page, tier, found)
        return found.passed

    def _keep(self, page: Page, tier: Tier, found: Verification) -> None:
        verdict = "passed" if found.passed else "refused"
        name = f"{PREFIX}{page.key}/{self._id()}/{side_of(page, tier)}/{verdict}"
        self.store.put(self.session, {name: found.encode()})
        if not any(run.first <= page.first_turn <= run.last for run in self.archive().runs()):  # erased meanwhile
            self.store.discard(self.session, [name])

    def _id(self) -> str:
        return verifier_id(self.verifier, self.archive().layout)


class Floors:
    """The tiers that one re-plan may use. A refused tier rules out all fainter ones; a passed tier implies all sharper ones."""

    def __init__(self, verifying: TierVerification) -> None:
        self._verifying = verifying
        self._passed: dict[str, int] = {}  # the smallest side that passed
        self._refused: dict[str, int] = {}  # the largest that was refused, or failed in this re-plan
        self._asked = self._failures = 0
        self._is_open = False

    def tiers(self, page: Page, ladder: Sequence[Tier]) -> tuple[Tier, ...]:
        """Return the tiers of `ladder`, faintest first, that are not known to be unreadable for the page."""
        self._open()
        if self._verifying.verifier.at_once:
            any(self._may_show(page, tier) for tier in ladder)  # up to the first that passes
        return tuple(tier for tier in ladder if side_of(page, tier) > self._refused.get(page.key, 0))

    def enough(self, page: Page, ladder: Sequence[Tier]) -> Tier | None:
        """Return the tier to demote the page to regardless of age; None to go by age."""
        return next(iter(self.tiers(page, ladder)), None) if self._verifying.verifier.at_once else None

    def allow(self, shown: Sequence[tuple[Page, Tier]]) -> bool:
        """Whether all pages may be used at their tiers. Verifies those not verified yet, newest first."""
        return all([self._may_show(page, tier) for page, tier in reversed(shown)])

    def _open(self) -> None:
        """Load stored results; only once there is a page to verify, since this may start a browser."""
        if not self._is_open:
            self._is_open = True
            for key, side, passed in self._verifying.known():
                self._learn(key, side, passed)

    def _may_show(self, page: Page, tier: Tier) -> bool:
        side = side_of(page, tier)
        if side <= self._refused.get(page.key, 0):
            return False
        if side >= self._passed.get(page.key, NOWHERE):
            return True
        passed = self._ask(page, tier)
        self._learn(page.key, side, bool(passed))
        return bool(passed)

    def _ask(self, page: Page, tier: Tier) -> bool | None:
        is_free = self._verifying.verifier.at_once
        if self._failures >= MOST_FAILURES or (self._asked >= MOST_READINGS and not is_free):
            return None
        self._asked += 1
        passed = self._verifying.ask(page, tier)
        self._failures += passed is None
        return passed

    def _learn(self, key: str, side: int, passed: bool) -> None:
        if passed:
            self._passed[key] = min(side, self._passed.get(key, NOWHERE))
        else:
            self._refused[key] = max(side, self._refused.get(key, 0))


def verifications(store: DerivedCache, session: SessionId) -> list[Verification]:
    """Return all verifiers' results for a session's pages, sorted by page, verifier and size."""
    names = store.names(session, PREFIX)
    kept = intact(store, session, names) if names else {}
    found = (Verification.decode(kept[name]) for name in names if name in kept)
    return sorted((each for each in found if each), key=lambda each: (each.key, each.verifier, each.tier))


def side_of(page: Page, tier: Tier) -> int:
    """Return the longer side of a page's image at a tier, in pixels; tiers of one size share an image."""
    return max(page.size(tier))
