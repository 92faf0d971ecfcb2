"""`to_openai` and `to_anthropic` under the path that they had before each got a module of its own."""

from .anthropic import to_anthropic
from .openai import to_openai

__all__ = ["to_anthropic", "to_openai"]
