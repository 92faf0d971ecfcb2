"""Numbers of things, as people read them."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """Return `1 turn`, or `2 turns` with the noun in the plural."""
    plural = f"{noun[:-1]}ie" if noun.endswith("y") else noun
    return f"{number:,} {noun if number == 1 else f'{plural}s'}"
