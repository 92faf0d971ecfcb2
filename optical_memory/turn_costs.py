"""What a turn costs as plain text, in a reader's tokens."""

from __future__ import annotations

import io

from .readers.base import ReaderProfile
from .tokens import TokenCounter
from .turns import ImageContent, Turn

__all__ = ["TurnCosts"]

TOKENS_PER_CALL = 8  # the markup around a tool call's name and arguments: its id, its braces and keys; on the high side
UNKNOWN_PICTURE = (1024, 1024)  # px assumed for a picture that is only an address, or unreadable
REMEMBERED = 100_000  # turns whose cost is kept; a few megabytes


class TurnCosts:
    """Counts turns, each once: a turn never changes."""

    def __init__(self, profile: ReaderProfile, counter: TokenCounter) -> None:
        self._profile, self._counter = profile, counter
        self._known: dict[str, int] = {}

    def __call__(self, turn: Turn) -> int:
        """Tokens of `turn` sent as text: words, calls, pictures at the reader's price, and the message around them."""
        cost = self._known.get(turn.id)
        if cost is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            cost = self._known[turn.id] = self._count(turn)
        return cost

    def forget(self) -> None:
        """Drop what is remembered, after turns were erased."""
        self._known.clear()

    def _count(self, turn: Turn) -> int:
        words = self._counter.count(turn.text) + (self._counter.count(turn.name) if turn.name else 0)
        pictures = sum(self._profile.picture_tokens(*_size(image)) for image in turn.images)
        return words + pictures + TOKENS_PER_CALL * len(turn.tool_calls) + self._profile.message_tokens


def _size(image: ImageContent) -> tuple[int, int]:
    from PIL import Image  # a turn with a picture is rare, and Pillow is slow to import

    try:
        with Image.open(io.BytesIO(image.decode())) as opened:
            return opened.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return UNKNOWN_PICTURE
