"""Positions of turns on abridged pages: drawn again, since a memory keeps their images only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..archive.abridged_pages import larger, shaped, shares_of
from ..pages.page import Page, PageStyle, referents_of
from ..pages.tiers import Tier
from ..renderers.base import RenderedPage, Renderer
from ..turns.repeated import repeated
from ..turns.turn import Turn
from .legibility import Layout

__all__ = ["ShapedLayouts"]


class ShapedLayouts:
    """Layouts of a session's abridged pages.

    Args:
        pages: returns all pages that were offered, also those drawn since the last call.
        turns: all turns of the session, not redacted.
    """

    def __init__(self, pages: Callable[[], Iterable[Page]], turns: Sequence[Turn], renderer: Renderer, style: PageStyle) -> None:
        self._pages, self._turns, self._renderer, self._style = pages, turns, renderer, style
        self._known: dict[str, RenderedPage | None] = {}

    def __call__(self, page: Page, tier: Tier) -> Layout:
        drawn = self.drawn(page) if page.is_shaped(tier) else None
        if drawn is None:
            return Layout(page.segments, self._style.font_size * self._style.scale)
        return Layout(drawn.segments, larger(self._style, page).font_size, abridged=True)

    def drawn(self, page: Page) -> RenderedPage | None:
        """Draw the abridged page at the size of its sealed image; None if it is only shrunk."""
        if page.key not in self._known:
            run = [each for each in self._pages() if each.key.rpartition("-")[0] == page.key.rpartition("-")[0]]
            run.sort(key=lambda each: int(each.key.rpartition("-")[2]))
            same = referents_of(run)
            turns = [
                repeated(turn, same[turn.number]) if turn.number in same else turn
                for turn in self._turns
                if run[0].first_turn <= turn.number <= run[-1].last_turn
            ]
            self._known[page.key] = shaped(self._renderer, self._style, page, shares_of(page, run, turns))
        return self._known[page.key]
