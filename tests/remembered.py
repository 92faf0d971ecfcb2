"""Pages drawn by Pillow, once in a process: most tests have the same conversations, and drawing is most of their time.

A renderer gives the same bytes for the same turns and style (`tests/renderers/test_contract.py`), so what is remembered is what would be
drawn. Tests of a renderer itself open it by its own name.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import cache, lru_cache
from threading import Lock

from optical_memory.pages.page import PageStyle, run_key
from optical_memory.renderers import png
from optical_memory.renderers.base import RenderedPage
from optical_memory.renderers.pillow.renderer import PillowRenderer
from optical_memory.turns.exchanges import Exchange

REMEMBERED = "tests.remembered:open_remembered"  # for `renderer=` and `--renderer`
RUNS = 400  # of some pages each, a few hundred kilobytes at most

resize = lru_cache(maxsize=512)(png.resize)


class RememberedPillow:
    """Pillow's renderer; a run that it has drawn it does not draw again."""

    name = "pillow"

    def __init__(self) -> None:
        self._renderer = PillowRenderer()
        self._drawn: OrderedDict[str, tuple[RenderedPage, ...]] = OrderedDict()
        self._lock = Lock()

    @property
    def fingerprint(self) -> str:
        return self._renderer.fingerprint

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        key = f"{run_key(self.name, self.fingerprint, style, exchanges)} {seal_last:d}"
        with self._lock:
            found = self._drawn.get(key)
        if found is None:
            found = tuple(self._renderer.render(exchanges, style, seal_last=seal_last))
            with self._lock:
                self._drawn[key] = found
                while len(self._drawn) > RUNS:
                    self._drawn.popitem(last=False)
        return list(found)

    def close(self) -> None:
        self._renderer.close()


@cache
def open_remembered() -> RememberedPillow:
    """Return the one of this process."""
    return RememberedPillow()
