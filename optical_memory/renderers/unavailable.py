"""What stands in for a renderer that cannot be opened, so that a conversation goes on as text."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import MissingExtra, RenderError
from ..pages.page import PageStyle
from ..turns.exchanges import Exchange
from .base import RenderedPage, Renderer, open_renderer

__all__ = ["Unavailable", "open_or_stand_in"]


class Unavailable:
    """Draws nothing, and says why. Pages that were drawn before are not found under its fingerprint; they stay where they are."""

    fingerprint = "unavailable"

    def __init__(self, name: str, why: Exception) -> None:
        self.name, self.why = name, why

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        """Raises `RenderError`."""
        raise self.error()

    def error(self) -> RenderError:
        """Why no renderer could be opened, to be raised."""
        return RenderError(str(self.why))

    def close(self) -> None:
        """Nothing is held."""


def open_or_stand_in(renderer: str | Renderer) -> Renderer:
    """The renderer, ready to be asked for its fingerprint; where that fails for want of a browser or a package, what stands in for it."""
    try:
        opened = open_renderer(renderer) if isinstance(renderer, str) else renderer
        _ = opened.fingerprint  # a browser may be there and not say its version
        return opened
    except (RenderError, MissingExtra) as exc:
        return Unavailable(renderer if isinstance(renderer, str) else renderer.name, exc)
