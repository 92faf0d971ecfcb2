"""Settings of all adapters, and the memory for each model."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar, Unpack

from ..memory.message_list import MessageListMemory
from ..planning.settings import ViewOptions, ViewSettings
from ..profiles.profile import ReaderProfile
from ..profiles.registry import profile_for_model, profile_of, text_only
from ..stores.base import DerivedCache, open_store
from ..text.excerpts import excerpt
from ..turns.from_messages import TurnLike

__all__ = ["AdapterSettings", "ModelMemories"]

T = TypeVar("T")

CHECKED_WITH = "deepseek-ocr"  # profile to check options with if no reader is named; options mean the same for all


class AdapterSettings:
    """Settings of an adapter. Invalid ones raise here, not at the first page.

    Args:
        reader: the model that reads the pages, by profile name, or a profile. None goes by the model name of each call.
        budget: most tokens of a request, without tools and system prompt; None for no limit but forgetting.
        recall_for_question: add the turns that `recall` finds for what the user said last, as text within the budget.
        cache: a store for pages by content, or its URL; `memory://` keeps them in this process.
        view: as for `OpticalMemory`; see `planning.settings.ViewOptions`. `redact` masks pages and sidecars, not recent messages.

    Raises `UnknownName` for an unknown reader, renderer, verifier or tier; `TypeError` for an unknown option.
    """

    def __init__(
        self,
        *,
        reader: str | ReaderProfile | None = None,
        budget: int | None = None,
        cache: str | DerivedCache = "memory://",
        recall_for_question: bool = False,
        **view: Unpack[ViewOptions],
    ) -> None:
        self.reader, self.budget, self.cache = reader, budget, cache
        self.recall_for_question = recall_for_question
        self._view = view
        self.for_reader(profile_of(reader or CHECKED_WITH))

    def for_reader(self, profile: ReaderProfile) -> ViewSettings:
        """Return the view settings for one reader."""
        return ViewSettings.of(profile, **self._view)


class ModelMemories(Generic[T]):
    """One memory per model; all share one cache of pages.

    Tiers whose price depends on a `media_resolution` are used only where the adapter's messages ask for it with each page.
    """

    def __init__(self, settings: AdapterSettings, *, key: Callable[[T], Hashable], turn: Callable[[T], TurnLike]) -> None:
        self.settings, self._key, self._turn = settings, key, turn
        self._fixed = None if settings.reader is None else profile_of(settings.reader)
        self._cache = open_store(settings.cache) if isinstance(settings.cache, str) else settings.cache
        self._memories: dict[tuple[str, bool], MessageListMemory[T]] = {}
        self._unknown: set[str] = set()
        self._lock = threading.Lock()

    def memory_for(self, model: str | None, *, takes_images: bool = True, asks_resolution: bool = False) -> MessageListMemory[T] | None:
        """Return the memory for a model by the provider's name.

        A model without a profile or image input gets text. With a budget, that is a memory of text only: the newest exchanges that fit;
        the rest is left out, counted and listed, so that recall can find it. Without a budget, None: the messages are sent unchanged.
        `asks_resolution`: whether the messages ask for the `media_resolution` that each page was counted at. Warns once about a model
        without a profile.
        """
        profile = (self._fixed or (profile_for_model(model) if model else None)) if takes_images else None
        with self._lock:
            if profile is None and takes_images:
                self._warn_of(model or "")
            if profile is None and self.settings.budget is not None:
                profile = text_only()
            if profile is None:
                return None
            known = profile.name, asks_resolution
            if known not in self._memories:
                settings = self.settings.for_reader(profile if asks_resolution else profile.unasked())
                self._memories[known] = MessageListMemory(settings, self._cache, key=self._key, turn=self._turn, ahead=True)
            return self._memories[known]

    def _warn_of(self, model: str) -> None:
        if model not in self._unknown:
            self._unknown.add(model)
            budget = "" if self.settings.budget is None else f", within the budget of {self.settings.budget:,} tokens"
            warnings.warn(
                f"no reader profile for the model {excerpt(model)}: it gets text{budget}. Pass reader=...", RuntimeWarning, stacklevel=4
            )
