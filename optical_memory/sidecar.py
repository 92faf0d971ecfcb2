"""The sidecar: a page's exact strings as text beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

__all__ = ["exact_strings", "sidecar_of"]


def exact_strings(text: str) -> list[str]:
    """Every string in `text` that must not be misread, in order of appearance, each once."""
    raise NotImplementedError


def sidecar_of(texts: Iterable[str], *, max_tokens: int, count: Callable[[str], int], seen: Mapping[str, int] | None = None) -> tuple[str, ...]:
    """The exact strings of a page, rarest and least guessable first, as many as `max_tokens` allow."""
    raise NotImplementedError
