"""Convert a context to chat messages of OpenAI's API (and compatible servers) and of Anthropic's.

Pages become user messages: the framing text, then each page's label and sidecar before its image. Turns sent as text are unchanged.
Providers reject requests with unpaired tool calls or results. So a result whose call has moved to a page becomes a user's note, and a call
that was never answered gets a result that says so.

Identical plans give identical bytes.
"""

from .anthropic import to_anthropic
from .openai import to_openai

__all__ = ["to_anthropic", "to_openai"]
