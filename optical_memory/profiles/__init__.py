"""What each reader charges for a picture, and how small a glyph it reads."""
