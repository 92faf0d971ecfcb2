"""The renderer that draws with Pillow alone."""
