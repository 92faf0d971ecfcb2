"""A context in a provider's message format.

A context is priced for one reader. A format in which that reader is not sent its requests warns, once per process and reader: another
model charges and reads pages differently, so that the budget and the savings of `context.usage` would be wrong.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

from .context.context import Context
from .context.messages.gemini import to_gemini as _to_gemini
from .context.messages.openai_anthropic import to_anthropic as _to_anthropic
from .context.messages.openai_anthropic import to_openai as _to_openai
from .errors import UnknownName

__all__ = ["to_anthropic", "to_format", "to_gemini", "to_openai"]

_warned: set[tuple[str, str]] = set()
_lock = threading.Lock()


def to_openai(context: Context, *, detail: str | None = None) -> list[dict[str, Any]]:
    """Messages for OpenAI's chat completions, and for every server that speaks it.

    Args:
        detail: OpenAI's image detail of the pages: `low`, `high` or `auto`; as each page was counted if None. Other servers ignore it.

    Raises `RenderError` if a page's image was lost and cannot be drawn again.
    """
    _check(context, "openai")
    return _to_openai(context, detail=detail)


def to_anthropic(context: Context, *, cache: bool = False) -> list[dict[str, Any]]:
    """Messages for Anthropic's API: roles alternate, results stand first in the user message after their calls.

    System turns of the log come out as user text that says so; Anthropic takes the system prompt apart from the messages.

    Args:
        cache: mark the end of the stable prefix with `cache_control`, so that the provider keeps it.

    Raises `RenderError` if a page's image was lost and cannot be drawn again.
    """
    _check(context, "anthropic")
    return _to_anthropic(context, cache=cache)


def to_gemini(context: Context) -> list[dict[str, Any]]:
    """Contents for `generate_content`: roles `user` and `model`, results in the content right after their calls.

    System turns of the log come out as user text that says so. For Gemini 3 each page asks for the `media_resolution` that it was counted
    at, which the API takes in version `v1beta` (November 2026).

    Raises `RenderError` if a page's image was lost and cannot be drawn again.
    """
    _check(context, "gemini")
    return _to_gemini(context)


_FORMATS: dict[str, Callable[..., list[dict[str, Any]]]] = {"openai": to_openai, "anthropic": to_anthropic, "gemini": to_gemini}


def to_format(context: Context, dialect: str, **options: Any) -> list[dict[str, Any]]:
    """Messages in the format named `dialect`: `openai`, `anthropic` or `gemini`. Raises `UnknownName`, and what that format raises."""
    if dialect not in _FORMATS:
        raise UnknownName("dialect", dialect, sorted(_FORMATS))
    return _FORMATS[dialect](context, **options)


def _check(context: Context, dialect: str) -> None:
    reader = context.reader
    if reader is None or reader.dialects is None or dialect in reader.dialects:
        return
    with _lock:
        if (reader.name, dialect) in _warned:
            return
        _warned.add((reader.name, dialect))
    warnings.warn(
        f"the context was priced for the reader {reader.name!r}, which is not sent messages in the format {dialect!r}: its tokens and its "
        "budget do not hold for the model that they go to. Name that model: OpticalMemory(reader='claude-sonnet-4-5')",
        UserWarning,
        stacklevel=3,
    )
