"""Pages and images drawn before a context needs them: kept in memory, under the hash of what determines them.

Whatever draws asks here first. A rehearsal (`memory.rehearsal`) draws through `Preparing` and leaves what it drew; a context takes it
through `Prepared` and draws what is not there. Both draw the same bytes for the same key, so a context is the same with and without.
Nothing is stored: an image reaches the store only once a context shows it, with all checks that go with that.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ..errors import RenderError
from ..pages.page import PageStyle, run_key
from ..renderers.base import RenderedPage, Renderer
from ..turns.exchanges import Exchange

__all__ = ["AT_ONCE", "Abandoned", "Drawing", "DrawnAhead", "Prepared", "Preparing", "Yielding"]

MEMORY_LIMIT = 16 * 2**20  # bytes of PNG per memory: some hundred pages, more than the pages and images of one re-plan

Drawn = tuple[RenderedPage, ...] | bytes
D = TypeVar("D", tuple[RenderedPage, ...], bytes)


class Abandoned(Exception):
    """A rehearsal that is not needed any more, or that failed: a context will draw, and tell of errors."""


class Drawing(Protocol):
    """How an archive and its images are drawn: at once, ahead of time, or with what was drawn ahead."""

    def pages(self, renderer: Renderer, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool) -> list[RenderedPage]:
        """See `Renderer.render`."""
        ...

    def image(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return the image of this name, from `make` if it is not there."""
        ...


class _AtOnce:
    """Nothing is drawn ahead."""

    def pages(self, renderer: Renderer, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool) -> list[RenderedPage]:
        """See `Drawing`."""
        return renderer.render(exchanges, style, seal_last=seal_last)

    def image(self, name: str, make: Callable[[], bytes]) -> bytes:
        """See `Drawing`."""
        return make()


AT_ONCE: Drawing = _AtOnce()


@dataclass(slots=True)
class _Shelf:
    """What one process has drawn ahead, and what it is drawing."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    done: OrderedDict[str, Drawn] = field(default_factory=OrderedDict)
    begun: dict[str, Future[Drawn]] = field(default_factory=dict)
    size: int = 0
    emptied: int = 0  # how often; what was begun before is not kept


class DrawnAhead:
    """What was drawn ahead for one memory. Thread-safe; a forked child begins with nothing."""

    def __init__(self, limit: int = MEMORY_LIMIT) -> None:
        self._limit = limit
        self._shelves: dict[int, _Shelf] = {}

    @property
    def _shelf(self) -> _Shelf:
        return self._shelves.get(os.getpid()) or self._shelves.setdefault(os.getpid(), _Shelf())

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held, and nothing is being drawn."""
        return not self._shelf.done and not self._shelf.begun

    def take(self, key: str, make: Callable[[], D]) -> D:
        """Return what was drawn ahead; waits if it is being drawn. Else makes it, and does not keep it."""
        shelf = self._shelf
        with shelf.lock:
            found, begun = shelf.done.get(key), shelf.begun.get(key)
        if found is None and begun is not None:
            with suppress(Exception):  # whoever began it failed
                found = begun.result()
        return make() if found is None else found  # type: ignore[return-value]  # a key is of one type

    def prepare(self, key: str, make: Callable[[], D]) -> D:
        """Return what is held; else make it and hold it."""
        shelf = self._shelf
        with shelf.lock:
            if key in shelf.done:
                shelf.done.move_to_end(key)
                return shelf.done[key]  # type: ignore[return-value]
            since, future = shelf.emptied, Future[Drawn]()
            shelf.begun[key] = future
        try:
            made = make()
            future.set_result(made)
        except BaseException as exc:
            future.set_exception(exc)
            raise
        finally:
            with shelf.lock:
                del shelf.begun[key]
        self._keep(shelf, key, made, since)
        return made

    def empty(self) -> None:
        """Drop all, and keep nothing of what is being drawn now."""
        shelf = self._shelf
        with shelf.lock:
            shelf.done.clear()
            shelf.size, shelf.emptied = 0, shelf.emptied + 1

    def _keep(self, shelf: _Shelf, key: str, made: Drawn, since: int) -> None:
        with shelf.lock:
            if since != shelf.emptied:
                return
            shelf.done[key] = made
            shelf.size += _bytes_of(made)
            while shelf.size > self._limit and len(shelf.done) > 1:
                shelf.size -= _bytes_of(shelf.done.popitem(last=False)[1])


@dataclass(frozen=True, slots=True)
class Prepared:
    """A context's drawing: takes what was drawn ahead."""

    ahead: DrawnAhead

    def pages(self, renderer: Renderer, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool) -> list[RenderedPage]:
        """See `Drawing`."""
        if self.ahead.is_empty:  # saves the key
            return renderer.render(exchanges, style, seal_last=seal_last)
        key = _key(renderer, exchanges, style, seal_last)
        return list(self.ahead.take(key, lambda: _rendered(renderer, exchanges, style, seal_last)))

    def image(self, name: str, make: Callable[[], bytes]) -> bytes:
        """See `Drawing`."""
        return self.ahead.take(name, make)


@dataclass(frozen=True, slots=True)
class Preparing:
    """A rehearsal's drawing: keeps what it draws."""

    ahead: DrawnAhead

    def pages(self, renderer: Renderer, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool) -> list[RenderedPage]:
        """See `Drawing`."""
        key = _key(renderer, exchanges, style, seal_last)
        return list(self.ahead.prepare(key, lambda: _rendered(renderer, exchanges, style, seal_last)))

    def image(self, name: str, make: Callable[[], bytes]) -> bytes:
        """See `Drawing`."""
        return self.ahead.prepare(name, make)


@dataclass(frozen=True, slots=True)
class Yielding:
    """A rehearsal's renderer.

    Attributes:
        renderer: draws.
        go_on: called before each drawing; raises `Abandoned` to end the rehearsal.
    """

    renderer: Renderer
    go_on: Callable[[], None]

    @property
    def name(self) -> str:
        """See `Renderer`."""
        return self.renderer.name

    @property
    def fingerprint(self) -> str:
        """See `Renderer`."""
        return self.renderer.fingerprint

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        """See `Renderer`. Raises `Abandoned` where drawing fails, since the planner would take a failure for a reason to keep text."""
        self.go_on()
        try:
            return self.renderer.render(exchanges, style, seal_last=seal_last)
        except RenderError as exc:
            raise Abandoned from exc

    def close(self) -> None:
        """The renderer belongs to the memory."""


def _rendered(renderer: Renderer, exchanges: Sequence[Exchange], style: PageStyle, seal_last: bool) -> tuple[RenderedPage, ...]:
    return tuple(renderer.render(exchanges, style, seal_last=seal_last))


def _key(renderer: Renderer, exchanges: Sequence[Exchange], style: PageStyle, seal_last: bool) -> str:
    return f"{run_key(renderer.name, renderer.fingerprint, style, exchanges)} {seal_last:d}"


def _bytes_of(drawn: Drawn) -> int:
    return len(drawn) if isinstance(drawn, bytes) else sum(len(page.png) for page in drawn)
