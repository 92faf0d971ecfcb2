"""Fonts, and which of their glyphs write a text."""
