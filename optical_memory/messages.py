"""A context in a provider's message format."""

from .context.messages.gemini import to_gemini
from .context.messages.openai_anthropic import to_anthropic, to_openai

__all__ = ["to_anthropic", "to_gemini", "to_openai"]
