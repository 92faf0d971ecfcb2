"""Fonts, and the selection of their glyphs for a text."""
