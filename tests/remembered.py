"""Pages drawn by Pillow, once in a process: most tests have the same conversations, and drawing is most of their time.

A renderer gives the same bytes for the same turns and style (`tests/renderers/test_contract.py`), so what is remembered is what would be
drawn. Tests of a renderer itself open it by its own name.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

from optical_memory.pages.page import PageStyle, run_key
from optical_memory.renderers import png
from optical_memory.renderers.base import RenderedPage
from optical_memory.renderers.pillow.renderer import PillowRenderer
from optical_memory.turns.exchanges import Exchange

REMEMBERED = "tests.remembered:open_remembered"  # for `renderer=` and `--renderer`

resize = lru_cache(maxsize=512)(png.resize)


class RememberedPillow:
    """Pillow's renderer; a run that it has drawn it does not draw again."""

    name = "pillow"

    def __init__(self) -> None:
        self._renderer = PillowRenderer()
        self._drawn: dict[str, tuple[RenderedPage, ...]] = {}  # some hundred megabytes at the end of all tests

    @property
    def fingerprint(self) -> str:
        return self._renderer.fingerprint

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        key = self._key(exchanges, style, seal_last)
        if key not in self._drawn:
            self._keep(key, self._renderer.render(exchanges, style, seal_last=seal_last))
        return list(self._drawn[key])

    def render_each(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[list[RenderedPage]]:
        keys = [self._key(piece, style, True) for piece in pieces]
        absent = {key: piece for key, piece in zip(keys, pieces, strict=True) if key not in self._drawn}
        for key, pages in zip(absent, self._renderer.render_each(list(absent.values()), style), strict=True):
            self._keep(key, pages)
        return [list(self._drawn[key]) for key in keys]

    def fills(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[float | None]:
        return self._renderer.fills(pieces, style)

    def _key(self, exchanges: Sequence[Exchange], style: PageStyle, seal_last: bool) -> str:
        return f"{run_key(self.name, self.fingerprint, style, exchanges)} {seal_last:d}"

    def _keep(self, key: str, pages: Sequence[RenderedPage]) -> None:
        self._drawn[key] = tuple(pages)

    def close(self) -> None:
        self._renderer.close()


@cache
def open_remembered() -> RememberedPillow:
    """Return the one of this process."""
    return RememberedPillow()
