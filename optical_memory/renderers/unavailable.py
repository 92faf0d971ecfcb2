"""A substitute for a renderer that cannot be opened, so that a conversation continues as text."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import MissingExtra, RenderError
from ..pages.page import PageStyle
from ..turns.exchanges import Exchange
from .base import RenderedPage, Renderer, open_renderer

__all__ = ["Unavailable", "open_or_stand_in"]


class Unavailable:
    """Raises an error with the reason instead of drawing. Pages drawn before have another fingerprint: not found, but kept."""

    fingerprint = "unavailable"

    def __init__(self, name: str, why: Exception) -> None:
        self.name, self.why = name, why

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        """Raises `RenderError`."""
        raise self.error()

    def error(self) -> RenderError:
        """Return the error with the reason, to be raised."""
        return RenderError(str(self.why))

    def close(self) -> None:
        """Nothing is held."""


def open_or_stand_in(renderer: str | Renderer) -> Renderer:
    """Open the renderer and compute its fingerprint; if a browser or a package is missing, return `Unavailable`."""
    try:
        opened = open_renderer(renderer) if isinstance(renderer, str) else renderer
        _ = opened.fingerprint  # a browser may be there and not say its version
        return opened
    except (RenderError, MissingExtra) as exc:
        return Unavailable(renderer if isinstance(renderer, str) else renderer.name, exc)
