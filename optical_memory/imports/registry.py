"""The formats that an import knows, in the order in which they are asked."""

from __future__ import annotations

from .base import Format
from .formats import (
    chat,
    chatgpt,
    claude_ai,
    claude_code,
    codex,
    gemini,
    langchain,
    langfuse,
    openai_responses,
    opentelemetry,
    pydantic_ai,
    sharegpt,
    vercel,
)

__all__ = ["formats", "register"]

# A format that tells its documents by more keys stands before one that is content with fewer.
_OWN: tuple[Format, ...] = (
    chatgpt,
    claude_ai,
    claude_code,
    codex,
    gemini,
    langfuse,
    opentelemetry,
    langchain,
    pydantic_ai,
    sharegpt,
    vercel,
    openai_responses,
    chat,
)
_added: list[Format] = []


def register(format: Format) -> None:
    """Ask `format` before all others, in this process. One of the same name is replaced."""
    _added[:] = [known for known in _added if known.name != format.name]
    _added.insert(0, format)


def formats() -> tuple[Format, ...]:
    """Every format, in the order in which they are asked."""
    return (*_added, *(known for known in _OWN if known.name not in {one.name for one in _added}))
