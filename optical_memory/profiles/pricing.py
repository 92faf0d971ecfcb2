"""What turns and texts cost one reader, in its tokens."""

from __future__ import annotations

from collections.abc import Iterable

from ..text.token_count import TokenCounter, open_counter
from ..turns.attached import as_sent, picture_sizes
from ..turns.attachments import NO_IMAGES, ImageLoad, image_load, image_size
from ..turns.turn import Turn
from .opaque_costs import opaque_tokens
from .profile import ReaderProfile

__all__ = ["Pricing"]

TOKENS_PER_CALL = 8  # the markup around a tool call's name and arguments: its id, its braces and keys; on the high side
REMEMBERED = 100_000  # turns whose cost is kept; a few megabytes


class Pricing:
    """Prices of one reader. Each turn is counted once: a turn never changes.

    Args:
        profile: the reader.
        counter: counts text; by default the best one at hand for the reader's encoding.
    """

    def __init__(self, profile: ReaderProfile, counter: TokenCounter | None = None) -> None:
        self.profile = profile
        self._counter = counter or open_counter(profile.encoding)
        self._costs: dict[str, int] = {}
        self._loads: dict[str, ImageLoad] = {}

    @property
    def counted_with(self) -> str:
        """What counts the text: a tokenizer's encoding, or an estimate that errs high."""
        return self._counter.name

    def count(self, text: str) -> int:
        """Tokens of a text."""
        return self._counter.count(text)

    def message(self, text: str) -> int:
        """Tokens of a text sent as a message of its own; 0 for none."""
        return self.count(text) + self.profile.message_tokens if text else 0

    def cost(self, turn: Turn) -> int:
        """Tokens of `turn` sent as text: words, calls, pictures and files at the reader's price, and the message around them."""
        cost = self._costs.get(turn.id)
        if cost is None:
            if len(self._costs) >= REMEMBERED:
                self._costs.clear()
            cost = self._costs[turn.id] = self._cost(turn)
        return cost

    def total(self, turns: Iterable[Turn]) -> int:
        """Tokens of `turns` sent as text."""
        return sum(self.cost(turn) for turn in turns)

    def attachments(self, turns: Iterable[Turn]) -> ImageLoad:
        """The images that `turns` bring along as text."""
        return sum((self._load(turn) for turn in turns if not isinstance(turn.content, str)), NO_IMAGES)

    def forget(self) -> None:
        """Drop what is remembered, after turns were erased."""
        self._costs.clear()
        self._loads.clear()

    def _load(self, turn: Turn) -> ImageLoad:
        load = self._loads.get(turn.id)
        if load is None:
            if len(self._loads) >= REMEMBERED:
                self._loads.clear()
            load = self._loads[turn.id] = image_load([turn])
        return load

    def _cost(self, turn: Turn) -> int:
        pictures = sum(self.profile.picture_tokens(*size) for size in picture_sizes(turn))
        turn = as_sent(turn)
        words = self.count(turn.text) + (self.count(turn.name) if turn.name else 0)
        images = sum(self.profile.picture_tokens(*image_size(image)) for image in turn.images)
        opaque = sum(opaque_tokens(data, self.profile) for data in turn.opaque)
        return words + images + pictures + opaque + TOKENS_PER_CALL * len(turn.tool_calls) + self.profile.message_tokens
