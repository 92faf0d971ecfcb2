"""The demonstration: a real conversation becomes pages, and a report shows them."""

from .demo import Talk, conversation

__all__ = ["Talk", "conversation"]
