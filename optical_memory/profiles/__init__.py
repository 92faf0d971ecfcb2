"""Prices of each reader, and the smallest glyph that it reads."""
