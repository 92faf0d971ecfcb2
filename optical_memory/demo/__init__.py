"""The demonstration: a real conversation is turned into pages and a report."""

from .demo import Talk, conversation

__all__ = ["Talk", "conversation"]
