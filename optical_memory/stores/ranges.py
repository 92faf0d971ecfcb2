"""Numbers of turns in words."""

from __future__ import annotations

__all__ = ["ranges"]


def ranges(numbers: tuple[int, ...]) -> str:
    """`turns #1, #3 to #7`."""
    parts: list[str] = []
    start = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            first = numbers[start]
            parts.append(f"#{first}" if first == number else f"#{first} to #{number}")
            start = place + 1
    return ("turns " if len(numbers) > 1 else "turn ") + ", ".join(parts)
