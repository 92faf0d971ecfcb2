"""Images of sealed pages at every tier: from memory up to a limit, else from the store, else drawn again, all that is missing at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from ..pages.page import Page, PageStyle
from ..pages.tiers import Tier
from ..stores.base import Readable, SessionId
from ..stores.intact import intact
from .drawn_ahead import AT_ONCE, Drawing
from .page_archive import PageArchive, sealed_name

__all__ = ["PageImages", "image_name"]

MEMORY_LIMIT = 64 * 2**20  # bytes of PNG cached in the process per memory: about a thousand pages


class PageImages:
    """Images of one session's pages.

    Args:
        archive: redraws lost pages, and draws abridged ones.
        style: gives the number of greys.
        drawing: what was drawn ahead.
    """

    def __init__(
        self, store: Readable, session: SessionId, archive: Callable[[], PageArchive], style: PageStyle, drawing: Drawing = AT_ONCE
    ) -> None:
        self._store, self._session, self._archive, self._style, self._drawing = store, session, archive, style, drawing
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def image(self, page: Page, tier: Tier) -> bytes:
        """Return a page at a tier, PNG. Raises `RenderError` if it was lost and cannot be redrawn."""
        name = image_name(page, tier)
        self._make(self._absent({name: (page, tier)}))
        self._held.move_to_end(name)
        return self._held[name]

    def fetch(self, wanted: Mapping[str, tuple[Page, Tier]]) -> None:
        """Load all of `wanted` with one read of the store; make those that it does not have at once. Raises `PagesLost`.

        Args:
            wanted: pages and tiers by `image_name`.
        """
        self._make(self._absent(wanted))

    def prepare(self, wanted: Mapping[str, tuple[Page, Tier]]) -> None:
        """Make those of `wanted` that the store does not have. Raises `PagesLost`."""
        known = set(self._store.names(self._session, "picture/"))
        self._make({name: each for name, each in wanted.items() if name not in known})

    def forget(self) -> None:
        """Clear the memory cache."""
        self._held.clear()
        self._bytes = 0

    def _absent(self, wanted: Mapping[str, tuple[Page, Tier]]) -> dict[str, tuple[Page, Tier]]:
        """Return what is neither in memory nor in the store, by name; what the store has is in memory then."""
        absent = {name: each for name, each in wanted.items() if name not in self._held}
        for name, data in (intact(self._store, self._session, list(absent)) if absent else {}).items():
            self._hold(name, data)
            del absent[name]
        return absent

    def _make(self, absent: Mapping[str, tuple[Page, Tier]]) -> None:
        """Make images and store them. Raises `PagesLost` with all that cannot be restored."""
        whole = {name for name, (page, _) in absent.items() if name == sealed_name(page)}
        others = {name: each for name, each in absent.items() if name not in whole}
        # Together, so that all that is lost is known at once.
        lost = self._wholes([page for page, tier in absent.values() if not page.is_shaped(tier)])
        for name in whole:
            self._hold(name, lost[name])
        if not others:
            return
        made = self._drawing.images(list(others), lambda names: self._made({name: others[name] for name in names}))
        self._store.put(self._session, made)
        recorded = self._archive().recorded([page for page, _ in others.values()])
        erased = [name for name, (page, _) in others.items() if page.key not in recorded]  # meanwhile: else they would stay in the store
        if erased:
            self._store.discard(self._session, erased)
        for name, data in made.items():
            self._hold(name, data)

    def _made(self, wanted: Mapping[str, tuple[Page, Tier]]) -> dict[str, bytes]:
        """Scale sealed or abridged pages to tiers."""
        from ..renderers.png import resize

        shaping = [page for page, tier in wanted.values() if page.is_shaped(tier)]
        shaped = self._archive().shaped(shaping) if shaping else {}
        wholes = self._wholes([page for page, tier in wanted.values() if not page.is_shaped(tier) or page.key not in shaped])
        made: dict[str, bytes] = {}
        for name, (page, tier) in wanted.items():
            source = shaped.get(page.key) if page.is_shaped(tier) else None
            size = page.size(tier)
            greys = self._style.faint_levels if size[0] < page.width else self._style.grey_levels
            made[name] = resize(source or wholes[sealed_name(page)], size, greys)
        return made

    def _wholes(self, pages: Sequence[Page]) -> dict[str, bytes]:
        """Return the sealed images of pages by name, drawn again where they are lost. Raises `PagesLost`."""
        names = [sealed_name(page) for page in pages]
        found = {name: self._held[name] for name in names if name in self._held}
        if absent := [name for name in names if name not in found]:
            found |= intact(self._store, self._session, absent)
        if lost := [page for page in pages if sealed_name(page) not in found]:
            found |= self._archive().redraw(lost)
        return found

    def _hold(self, name: str, data: bytes) -> bytes:
        if name in self._held:
            self._held.move_to_end(name)
            return data
        self._held[name] = data
        self._bytes += len(data)
        while self._bytes > MEMORY_LIMIT and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            self._bytes -= len(dropped)
        return data


def image_name(page: Page, tier: Tier) -> str:
    """Return an image's name in the store. Tiers of one size share it; a tier of the sealed page's size uses the sealed image."""
    size = page.size(tier)
    if page.is_shaped(tier):
        return f"picture/{page.key}/{max(size)}-shaped"
    return sealed_name(page) if size == (page.width, page.height) else f"picture/{page.key}/{max(size)}"
