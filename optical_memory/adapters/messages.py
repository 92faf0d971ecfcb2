"""Message formats: the same functions as in `optical_memory.messages`."""

from ..messages import to_anthropic, to_gemini, to_openai

__all__ = ["to_anthropic", "to_gemini", "to_openai"]
