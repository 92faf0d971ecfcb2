"""What a turn costs as plain text, in a reader's tokens."""

from __future__ import annotations

from collections.abc import Iterable

from ..text.token_count import TokenCounter
from ..turns.attachments import NO_PICTURES, PictureLoad, picture_size, pictures_of
from ..turns.turn import Turn
from .profile import ReaderProfile

__all__ = ["TurnCosts"]

TOKENS_PER_CALL = 8  # the markup around a tool call's name and arguments: its id, its braces and keys; on the high side
REMEMBERED = 100_000  # turns whose cost is kept; a few megabytes


class TurnCosts:
    """Counts turns, each once: a turn never changes."""

    def __init__(self, profile: ReaderProfile, counter: TokenCounter) -> None:
        self._profile, self._counter = profile, counter
        self._known: dict[str, int] = {}
        self._pictures: dict[str, PictureLoad] = {}

    def __call__(self, turn: Turn) -> int:
        """Tokens of `turn` sent as text: words, calls, pictures at the reader's price, and the message around them."""
        cost = self._known.get(turn.id)
        if cost is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            cost = self._known[turn.id] = self._count(turn)
        return cost

    def pictures(self, turns: Iterable[Turn]) -> PictureLoad:
        """The pictures that `turns` bring along as text."""
        return sum((self._pictures_of(turn) for turn in turns if not isinstance(turn.content, str)), NO_PICTURES)

    def _pictures_of(self, turn: Turn) -> PictureLoad:
        load = self._pictures.get(turn.id)
        if load is None:
            if len(self._pictures) >= REMEMBERED:
                self._pictures.clear()
            load = self._pictures[turn.id] = pictures_of([turn])
        return load

    def forget(self) -> None:
        """Drop what is remembered, after turns were erased."""
        self._known.clear()
        self._pictures.clear()

    def _count(self, turn: Turn) -> int:
        words = self._counter.count(turn.text) + (self._counter.count(turn.name) if turn.name else 0)
        pictures = sum(self._profile.picture_tokens(*picture_size(image)) for image in turn.images)
        return words + pictures + TOKENS_PER_CALL * len(turn.tool_calls) + self._profile.message_tokens
