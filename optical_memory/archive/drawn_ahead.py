"""Pages and images drawn before a context needs them: kept in memory, under the hash of what determines them.

Whatever draws asks here first. A rehearsal (`memory.rehearsal`) draws through `Preparing` and leaves what it drew; a context takes it
through `Prepared` and draws what is not there. Both draw the same bytes for the same key, so a context is the same with and without.
Nothing is stored: an image reaches the store only once a context shows it, with all checks that go with that.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from ..errors import RenderError
from ..pages.page import PageStyle, run_key
from ..renderers.base import RenderedPage, Renderer, fills, render_each
from ..turns.exchanges import Exchange

__all__ = ["AT_ONCE", "Abandoned", "Drawing", "DrawnAhead", "Prepared", "Preparing", "Yielding"]

MEMORY_LIMIT = 16 * 2**20  # bytes of PNG per memory: some hundred pages, more than the pages and images of one re-plan

TOGETHER = 6  # images that a rehearsal makes at once

Drawn = tuple[RenderedPage, ...] | bytes
Making = Callable[[Sequence[str]], dict[str, bytes]]  # makes images by name
D = TypeVar("D", tuple[RenderedPage, ...], bytes)


class Abandoned(Exception):
    """A rehearsal that is not needed any more, or that failed: a context will draw, and tell of errors."""


class Drawing(Protocol):
    """How an archive and its images are drawn: at once, ahead of time, or with what was drawn ahead."""

    def pages(self, renderer: Renderer, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool) -> list[RenderedPage]:
        """See `Renderer.render`."""
        ...

    def each(self, renderer: Renderer, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[list[RenderedPage]]:
        """See `renderers.base.render_each`."""
        ...

    def images(self, names: Sequence[str], make: Making) -> dict[str, bytes]:
        """Return images by name, from `make` if they are not there."""
        ...


class _AtOnce:
    """Nothing is drawn ahead."""

    def pages(self, renderer: Renderer, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool) -> list[RenderedPage]:
        """See `Drawing`."""
        return renderer.render(exchanges, style, seal_last=seal_last)

    def each(self, renderer: Renderer, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[list[RenderedPage]]:
        """See `Drawing`."""
        return render_each(renderer, pieces, style)

    def images(self, names: Sequence[str], make: Making) -> dict[str, bytes]:
        """See `Drawing`."""
        return make(names)


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

    def holds(self, key: str) -> bool:
        """Whether it is held, or being drawn."""
        shelf = self._shelf
        with shelf.lock:
            return key in shelf.done or key in shelf.begun

    def prepare(self, key: str, make: Callable[[], D]) -> D:
        """Return what is held; else make it and hold it."""
        return self.prepare_all([key], lambda keys: {key: make()})[key]

    def prepare_all(self, keys: Sequence[str], make: Callable[[Sequence[str]], Mapping[str, D]]) -> dict[str, D]:
        """Return what is held; make the rest at once and hold it."""
        shelf = self._shelf
        with shelf.lock:
            for key in keys:
                if key in shelf.done:
                    shelf.done.move_to_end(key)
            found: dict[str, D] = {key: shelf.done[key] for key in keys if key in shelf.done}  # type: ignore[misc]
            since, futures = shelf.emptied, {key: Future[Drawn]() for key in keys if key not in found}
            shelf.begun |= futures
        if not futures:
            return found
        try:
            made = make(list(futures))
            for key, future in futures.items():
                future.set_result(made[key])
        except BaseException as exc:
            for future in futures.values():
                if not future.done():
                    future.set_exception(exc)
            raise
        finally:
            with shelf.lock:
                for key in futures:
                    del shelf.begun[key]
        for key in futures:
            self._keep(shelf, key, made[key], since)
        return found | {key: made[key] for key in futures}

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

    def each(self, renderer: Renderer, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[list[RenderedPage]]:
        """See `Drawing`."""
        if self.ahead.is_empty:
            return render_each(renderer, pieces, style)
        keys = [_key(renderer, piece, style, True) for piece in pieces]
        absent = [place for place, key in enumerate(keys) if not self.ahead.holds(key)]
        drawn = dict(zip(absent, render_each(renderer, [pieces[place] for place in absent], style), strict=True))
        return [
            drawn[place] if place in drawn else self.pages(renderer, piece, style, seal_last=True) for place, piece in enumerate(pieces)
        ]

    def images(self, names: Sequence[str], make: Making) -> dict[str, bytes]:
        """See `Drawing`."""
        absent = [name for name in names if not self.ahead.holds(name)]
        made = make(absent) if absent else {}

        def one(name: str) -> bytes:
            return make([name])[name]

        return {name: made[name] if name in made else self.ahead.take(name, partial(one, name)) for name in names}


@dataclass(frozen=True, slots=True)
class Preparing:
    """A rehearsal's drawing: keeps what it draws."""

    ahead: DrawnAhead

    def pages(self, renderer: Renderer, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool) -> list[RenderedPage]:
        """See `Drawing`."""
        key = _key(renderer, exchanges, style, seal_last)
        return list(self.ahead.prepare(key, lambda: _rendered(renderer, exchanges, style, seal_last)))

    def each(self, renderer: Renderer, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[list[RenderedPage]]:
        """See `Drawing`. One by one, so that the rehearsal can end between two."""
        return [self.pages(renderer, piece, style, seal_last=True) for piece in pieces]

    def images(self, names: Sequence[str], make: Making) -> dict[str, bytes]:
        """See `Drawing`. A few at a time, so that the rehearsal can end between two."""
        made: dict[str, bytes] = {}
        for start in range(0, len(names), TOGETHER):
            made |= self.ahead.prepare_all(names[start : start + TOGETHER], make)
        return made


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

    def render_each(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[list[RenderedPage]]:
        """See `Batches`."""
        self.go_on()
        try:
            return render_each(self.renderer, pieces, style)
        except RenderError as exc:
            raise Abandoned from exc

    def fills(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[float | None]:
        """See `Batches`."""
        self.go_on()
        try:
            return fills(self.renderer, pieces, style)
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
