"""A turn as blocks: what the renderers draw, before it has a place."""
