"""States of conversations that arrive as a list at every call, with no place for a state: a proxy's requests, a filter before the model.

A state is found by the longest prefix of its conversation seen before. A lost state costs a re-plan, nothing else.
"""

from __future__ import annotations

import hashlib
import marshal
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Generic, TypeVar

from ..context.messages.request_outline import Piece, outline
from ..errors import InvalidTurn, RenderError
from ..text.excerpts import said
from ..turns.from_messages import TurnLike, turn_of
from .settings import AdapterSettings, ModelMemories

__all__ = ["Conversations", "digest", "readable"]

T = TypeVar("T")
R = TypeVar("R")
State = dict[str, Any]

REMEMBERED_STATES = 2_000  # one per call; calls of one epoch share theirs


class Conversations(Generic[T]):
    """Renders conversations as requests, each with the state of its last call.

    Args:
        settings: the adapter's settings.
        key: maps a message to a cheap hashable key; equal keys mean equal turns.
        turn: converts a message to a turn.
    """

    def __init__(self, settings: AdapterSettings, *, key: Callable[[T], Hashable], turn: Callable[[T], TurnLike]) -> None:
        self._settings, self._key = settings, key
        self._memories = ModelMemories[tuple[Hashable, T]](settings, key=itemgetter(0), turn=lambda keyed: turn(keyed[1]))
        self._states: OrderedDict[Hashable, State] = OrderedDict()
        self._lock = threading.Lock()

    def show(
        self,
        messages: Sequence[T],
        model: str | None,
        render: Callable[[Iterator[Piece]], R],
        *,
        name: str | None = None,
        takes_images: bool = True,
        asks_resolution: bool = False,
    ) -> R | None:
        """Return `render(pieces to send)`; None to send the messages unchanged: for an unknown model, or, with a warning, after a failure.

        Args:
            model: the provider's name of the model that reads the pages.
            takes_images: False for a model without image input.
            asks_resolution: whether `render` asks for the `media_resolution` that each page was counted at.
            name: the conversation's name, if it has one; finds the state even if the beginning was changed.

        Raises `BudgetTooSmall`.
        """
        memory = self._memories.memory_for(model, takes_images=takes_images, asks_resolution=asks_resolution)
        if memory is None or not messages:
            return None
        keyed = [(self._key(message), message) for message in messages]
        places: list[Hashable] = [*_beginnings(key for key, _ in keyed)]
        if name is not None:
            places.insert(0, (name,))
        known = self._find(places)
        try:
            shown = memory.context(keyed, known, budget=self._settings.budget, question=self._settings.recall_for_question)
            self._keep([places[-1], *places[: name is not None]], known if shown.state == known else shown.state)
            return render(outline(shown.context))
        except (InvalidTurn, TypeError, RenderError) as exc:
            warnings.warn(f"the past is sent as text: {said(exc)}", RuntimeWarning, stacklevel=2)
            return None

    def _find(self, places: Sequence[Hashable]) -> State | None:
        with self._lock:
            return next((self._states[place] for place in reversed(places) if place in self._states), None)

    def _keep(self, places: Sequence[Hashable], state: State | None) -> None:
        with self._lock:
            for place in places:
                self._states[place] = state or {}
                self._states.move_to_end(place)
            while len(self._states) > REMEMBERED_STATES:
                self._states.popitem(last=False)


def _beginnings(keys: Iterable[Hashable]) -> Iterator[int]:
    """Yield for each message a hash of all messages up to it."""
    so_far = 0
    for key in keys:
        so_far = hash((so_far, key))
        yield so_far


def digest(value: Any) -> bytes:
    """Hash plain data: strings, numbers, lists, mappings. Equal hashes mean equal data; equal data nearly always has equal hashes."""
    try:
        data = marshal.dumps(value, 0)
    except ValueError:  # not plain data
        data = repr(value).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).digest()


def readable(content: object) -> str | list[Any]:
    """Return content in OpenAI's shapes as a turn can hold it: an image that a page cannot show becomes `[type]`."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, Sequence):
        return [content] if isinstance(content, Mapping) else str(content)
    return [block if _can_be_shown(block) else {"type": "text", "text": f"[{block['type']}]"} for block in content]


def _can_be_shown(block: object) -> bool:
    """Whether a block is no image, or one that a page can show, or name by its URL or id."""
    if not isinstance(block, Mapping) or block.get("type") not in ("image_url", "input_image", "image"):
        return True
    try:
        turn_of({"role": "user", "content": [block]})
    except InvalidTurn:
        return False
    return True
