"""The renderer that draws with a headless browser."""
