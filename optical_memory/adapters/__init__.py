"""Adapters: a context in the shape that an API or a framework takes."""
