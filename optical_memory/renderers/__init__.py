"""Renderers: turns to page images."""

from .base import RenderedPage, Renderer, open_renderer

__all__ = ["RenderedPage", "Renderer", "open_renderer"]
