"""A turn as blocks: what the renderers draw, before layout."""
