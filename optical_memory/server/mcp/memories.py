"""The sessions that a server offers: those of one tenant in one store."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from ...memory.optical_memory import OpticalMemory
from ...pages.page import Page
from ...profiles.pricing import Pricing
from ...profiles.registry import profile_of
from ...stores.base import SessionInfo, Store
from ...text.excerpts import excerpt
from .records import number_ranges

__all__ = ["Memories", "NoSuchSession", "page_of"]

OPEN = 32  # memories kept open; another one is built from the store in a few milliseconds


class NoSuchSession(LookupError):
    """No session of that name has turns."""


class Memories:
    """Opens the sessions of one tenant by name.

    Args:
        store: where they are. It stays open.
        default: the session that is meant where none is named.
        reader: the model that looks at the pages.
        options: of `OpticalMemory`: `renderer`, `redact`, `verify`, ...

    Raises what `OpticalMemory` raises for a wrong reader, renderer or option. Thread-safe.
    """

    def __init__(self, store: Store, *, default: str = "default", tenant: str = "", reader: str = "deepseek-ocr", **options: Any) -> None:
        self._store, self.default, self._tenant = store, default, tenant
        profile = profile_of(reader)
        self._open: Callable[[str], OpticalMemory] = lambda name: OpticalMemory(
            name, store=store, tenant=tenant or None, reader=profile, **{"ahead": True, **options}
        )
        self.count = Pricing(profile).count
        self._memories: OrderedDict[str, OpticalMemory] = OrderedDict()
        self._lock = threading.Lock()
        self.of(default)

    def of(self, session: str = "") -> OpticalMemory:
        """Return a session's memory, whether or not it has turns yet; the default's for an empty name."""
        name = session or self.default
        with self._lock:
            if name not in self._memories:
                self._memories[name] = self._open(name)
                if len(self._memories) > OPEN:
                    self._memories.popitem(last=False)
            self._memories.move_to_end(name)
            return self._memories[name]

    def existing(self, session: str = "") -> OpticalMemory:
        """Return the memory of a session that has turns. Raises `NoSuchSession`."""
        memory = self.of(session)
        if not len(memory):
            raise NoSuchSession(f"no session {excerpt(session or self.default)} has turns; the tool `sessions` lists those there are")
        return memory

    def sessions(self) -> list[SessionInfo]:
        """Return all sessions of the tenant, the last used first."""
        found = self._store.sessions(self._tenant)
        return sorted(found, key=lambda info: info.last_append.timestamp() if info.last_append else 0.0, reverse=True)


def page_of(pages: Sequence[Page], index: int) -> Page:
    """Return a page by its number. Raises `LookupError`, which names those that are drawn."""
    for page in pages:
        if page.index == index:
            return page
    drawn = f"drawn are {number_ranges(page.index for page in pages)}" if pages else "none is drawn yet: the tool `context` draws them"
    raise LookupError(f"no page {index}; {drawn}")
