"""Counting text tokens: with tiktoken where its encoding is at hand, else by a calibrated estimate that errs high."""

from __future__ import annotations

from typing import Protocol

__all__ = ["TokenCounter", "open_counter"]


class TokenCounter(Protocol):
    """Counts the tokens of a text."""

    @property
    def name(self) -> str:
        """What counts, for `Usage.counted_with`: `tiktoken/o200k_base`, `estimate`."""
        ...

    def count(self, text: str) -> int:
        """Tokens of `text`; 0 only for the empty string."""
        ...


def open_counter(encoding: str | None = None) -> TokenCounter:
    """The counter for a tiktoken encoding: tiktoken itself if the encoding's file is on this machine (never a download), else the estimate."""
    raise NotImplementedError
