"""Images of sealed pages at every tier: from memory up to a limit, else from the store, else drawn again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from ..pages.page import Page, PageStyle
from ..pages.tiers import Tier
from ..stores.base import Readable, SessionId
from ..stores.intact import intact
from .drawn_ahead import AT_ONCE, Drawing
from .page_archive import PageArchive, sealed_name
from .page_runs import PagesLost

__all__ = ["PageImages"]

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
        name = _name(page, tier)
        return self._whole(page) if name == sealed_name(page) else self._named(name, lambda: self._resized(page, tier, name))

    def fetch(self, wanted: Sequence[tuple[Page, Tier]]) -> None:
        """Load all of `wanted` with one read of the store. Raises `PagesLost` with all that cannot be restored."""
        absent = [_name(page, tier) for page, tier in wanted if _name(page, tier) not in self._held]
        for name, data in (intact(self._store, self._session, absent) if absent else {}).items():
            self._hold(name, data)
        lost: list[PagesLost] = []
        for page, tier in wanted:
            if _name(page, tier) not in self._held:
                try:
                    self.image(page, tier)
                except PagesLost as exc:
                    lost.append(exc)
        if lost:
            raise PagesLost([run for each in lost for run in each.runs], lost[0].why) from lost[0]

    def prepare(self, wanted: Sequence[tuple[Page, Tier]]) -> None:
        """Make those of `wanted` that the store does not have. Raises `PagesLost`."""
        known = set(self._store.names(self._session, "picture/"))
        for page, tier in wanted:
            if _name(page, tier) not in known:
                self.image(page, tier)

    def forget(self) -> None:
        """Clear the memory cache."""
        self._held.clear()
        self._bytes = 0

    def _whole(self, page: Page) -> bytes:
        """Return the sealed image."""
        name = sealed_name(page)
        return self._named(name, lambda: self._archive().redraw(page)[name])

    def _named(self, name: str, make: Callable[[], bytes]) -> bytes:
        found = self._held.get(name) or intact(self._store, self._session, [name]).get(name)
        return self._hold(name, found if found is not None else make())

    def _resized(self, page: Page, tier: Tier, name: str) -> bytes:
        """Scale the sealed or abridged page to a tier, and store the image."""
        data = self._drawing.image(name, lambda: self._made(page, tier))
        self._store.put(self._session, {name: data})
        if not self._store.names(self._session, sealed_name(page)):  # erased meanwhile: else this image would stay in the store
            self._store.discard(self._session, [name])
        return data

    def _made(self, page: Page, tier: Tier) -> bytes:
        from ..renderers.png import resize

        size = page.size(tier)
        whole = (self._archive().shaped(page) if page.is_shaped(tier) else None) or self._whole(page)
        return resize(whole, size, self._style.faint_levels if size[0] < page.width else self._style.grey_levels)

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


def _name(page: Page, tier: Tier) -> str:
    """Return an image's name in the store. Tiers of one size share it; a tier of the sealed page's size uses the sealed image."""
    size = page.size(tier)
    if page.is_shaped(tier):
        return f"picture/{page.key}/{max(size)}-shaped"
    return sealed_name(page) if size == (page.width, page.height) else f"picture/{page.key}/{max(size)}"
