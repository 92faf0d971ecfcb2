"""The interface of renderers: exchanges in, drawn pages out."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..errors import UnknownName
from ..pages.page import PageStyle, Segment
from ..pages.sheet import Sheet
from ..turns.exchanges import Exchange

__all__ = ["Batches", "RenderedPage", "Renderer", "fills", "open_renderer", "render_each", "renderer_path"]


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A drawn page, before it gets a key in a session.

    Attributes:
        png: the sealed image, in the style's number of evenly spaced greys.
        width: in pixels.
        height: in pixels.
        segments: the turns on it, in reading order.
        fill: share of the page's column height with content, 0 to 1.
        missing_glyphs: number of characters that no available font could draw; each is drawn as a visible replacement.
        canvas: the longer side in pixels before the blank part was cut off; 0 if nothing was.
        section: the section of a long unit that the page belongs to, from 1; 0 if its units are drawn as a whole.
        sheet: which page of an attached document it is; None for a page of turns.
    """

    png: bytes
    width: int
    height: int
    segments: tuple[Segment, ...]
    fill: float
    missing_glyphs: int = 0
    canvas: int = 0
    section: int = 0
    sheet: Sheet | None = None

    @property
    def first_turn(self) -> int:
        """Number of the turn that the page begins with."""
        return self.segments[0].turn

    @property
    def last_turn(self) -> int:
        """Number of the turn that the page ends with."""
        return self.segments[-1].turn


@runtime_checkable
class Renderer(Protocol):
    """Draws exchanges on pages. Must be thread-safe, and callable inside a running event loop."""

    @property
    def name(self) -> str:
        """The short name: `bitmap`, `chromium`, `pillow`."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same input may give other pixels: with version, fonts, settings."""
        ...

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        """Lay out exchanges from the top of a new page and draw the pages; very long units in sections, see `document.long_units`.

        Args:
            exchanges: in order; turn numbers are set.
            style: the canvas and its density.
            seal_last: draw the last page even if it is not full. If False, return only pages that later content can no longer change.

        Raises `RenderError`. With `seal_last`, every turn has at least one segment, even an empty turn.
        """
        ...

    def close(self) -> None:
        """Release resources. The renderer can be used again afterwards."""
        ...


@runtime_checkable
class Batches(Renderer, Protocol):
    """A renderer that draws or lays out several pieces at once. What it gives is the same as one by one."""

    def render_each(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[list[RenderedPage]]:
        """Draw each of `pieces`, exchanges that begin a page, as `render` does."""
        ...

    def fills(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[float | None]:
        """Lay each piece out without drawing it; return how full its page would be, None if it needs several."""
        ...


def render_each(renderer: Renderer, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[list[RenderedPage]]:
    """Draw pieces that each begin a page; one by one with a renderer that cannot draw them at once. Raises `RenderError`."""
    if isinstance(renderer, Batches):
        return renderer.render_each(pieces, style) if pieces else []
    return [renderer.render(piece, style) for piece in pieces]


def fills(renderer: Renderer, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[float | None]:
    """Tell how full the page of each piece would be, None if it needs several. Draws them with a renderer that cannot tell otherwise."""
    if isinstance(renderer, Batches):
        return renderer.fills(pieces, style) if pieces else []
    return [pages[0].fill if len(pages) == 1 else None for pages in render_each(renderer, pieces, style)]


_RENDERERS = {
    "auto": "optical_memory.renderers.auto:open_auto",
    "bitmap": "optical_memory.renderers.bitmap.renderer:BitmapRenderer",
    "chromium": "optical_memory.renderers.chromium.renderer:ChromiumRenderer",
    "pillow": "optical_memory.renderers.pillow.renderer:PillowRenderer",
}


def renderer_path(name: str) -> str:
    """Return the dotted path `package.module:factory` of a renderer's name. Raises `UnknownName`."""
    path = _RENDERERS.get(name, name)
    if ":" not in path:
        raise UnknownName("renderer", name, list(_RENDERERS))
    return path


def open_renderer(name: str = "auto") -> Renderer:
    """Open a renderer by name: `chromium`, `pillow`, `bitmap`, or `auto` (chromium if a browser is found, else pillow).

    A dotted path `package.module:factory` opens your own. Raises `UnknownName`, `MissingExtra`, or `BrowserNotFound`.
    """
    module, _, factory = renderer_path(name).partition(":")
    renderer: Renderer = getattr(importlib.import_module(module), factory)()
    return renderer
