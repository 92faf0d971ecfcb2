"""How much text a page holds: text tokens a page, and the share of the pages' height in use, conversation by conversation.

The conversations are the demo's and the tests'. `python -m benchmarks.fill [renderer ...]`; by default all that this machine has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from optical_memory.errors import BrowserNotFound, MissingExtra
from optical_memory.pages.page import PageStyle
from optical_memory.renderers.base import Renderer, open_renderer
from optical_memory.text.token_count import open_counter
from optical_memory.turns.exchanges import Exchange, exchanges_of
from optical_memory.turns.from_messages import turn_of

from ._console import open_console

HERE = Path(__file__).parent.parent
FILES = (HERE / "optical_memory" / "demo" / "airline-agent.json", *sorted((HERE / "tests" / "data").glob("*.json")))
RENDERERS = ("chromium", "pillow")


class Measured(NamedTuple):
    """What the pages of a conversation hold."""

    turns: int
    tokens: int
    pages: int
    fill: float  # summed over the pages

    @property
    def tokens_a_page(self) -> float:
        """Over all pages, the last one too."""
        return self.tokens / self.pages

    @property
    def tokens_a_full_page(self) -> float:
        """As if no page ended early: what its rows hold, whatever pagination does."""
        return self.tokens / self.fill


def conversation(file: Path) -> list[Exchange]:
    """The exchanges of a conversation in the repository."""
    messages = json.loads(file.read_text("utf-8"))["messages"]
    return exchanges_of([turn_of(message).model_copy(update={"number": number}) for number, message in enumerate(messages, start=1)])


def measured(exchanges: Sequence[Exchange], renderer: Renderer) -> Measured:
    """Draw a conversation on pages of the default style and count."""
    counter = open_counter()
    turns = list(chain.from_iterable(chain.from_iterable(exchanges)))
    pages = renderer.render(exchanges, PageStyle())
    return Measured(len(turns), sum(counter.count(turn.text) for turn in turns), len(pages), sum(page.fill for page in pages))


def opened(names: Sequence[str]) -> list[Renderer]:
    """The renderers of these names that this machine can run."""
    found: list[Renderer] = []
    for name in names:
        try:
            found.append(open_renderer(name))
        except (BrowserNotFound, MissingExtra) as exc:
            open_console(stderr=True).print(f"{name} is left out: {exc}")
    return found


def main(names: Sequence[str]) -> None:
    """Print a row for each conversation and renderer."""
    table = Table("conversation", "renderer", title="text on pages of the default style")
    for heading in ("turns", "text tokens", "pages", "fill", "tokens a page", "tokens a full page"):
        table.add_column(heading, justify="right")
    for renderer in opened(names or RENDERERS):
        for file in FILES:
            found = measured(conversation(file), renderer)
            cells = (found.turns, found.tokens, found.pages, f"{found.fill / found.pages:.0%}")
            rates = (f"{found.tokens_a_page:,.0f}", f"{found.tokens_a_full_page:,.0f}")
            table.add_row(file.stem, renderer.name, *(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells), *rates)
        renderer.close()
    open_console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
