"""What an OCR reader still reads on a page, tier by tier, and what the picture weighs.

`python -m benchmarks.legibility [tiers] [code] [greys] [variants]` prints the tables of docs/experiments.md, or those named; `--pages N`
reads N pages for each number instead of one. Wrong characters are counted in the text alone: heads, which are set larger, apart, and
line-end marks not at all. *Exact* is the share of words with a digit in them (ids, amounts, dates) that come back without an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache

from rich.console import Console
from rich.table import Table

from benchmarks._reading import Score, drawn_text, has_reader, read, score
from benchmarks._samples import KINDS, Kind, samples
from optical_memory.pages.page import PageStyle
from optical_memory.pages.tiers import Tier
from optical_memory.renderers.base import RenderedPage, Renderer, open_renderer
from optical_memory.renderers.chromium import launching
from optical_memory.renderers.chromium.finding import find_browser
from optical_memory.renderers.document.turn_heads import head_labels
from optical_memory.renderers.geometry import Canvas
from optical_memory.renderers.png import decode_grey, resize
from optical_memory.text.token_count import open_counter
from optical_memory.turns.exchanges import Exchange

READERS = 2  # Tesseract processes at a time
TIERS = (Tier.BASE, Tier.SMALL, Tier.TINY)
CODE_SIZES = (12.0, 13.0, 14.0)
GREYS = ((1.25, 16, 16), (1.25, 4, 4), (1.0, 16, 16), (1.0, 4, 16), (1.0, 4, 4), (1.0, 2, 16))  # scale, of the seal, of what is smaller


@dataclass(frozen=True, slots=True)
class Cell:
    """One number to be measured: a kind of text, drawn in a style, shown at a tier."""

    kind: Kind
    tier: Tier = Tier.SMALL
    renderer: str = "chromium"
    style: PageStyle = field(default=PageStyle())

    @property
    def label(self) -> str:
        return f"{self.kind.name}, {self.renderer}"


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured for a cell.

    Attributes:
        score: of all pages together.
        tokens: of text on a page, as plain text, on average.
        size: bytes of the picture shown, on average.
    """

    score: Score
    tokens: float
    size: float

    @property
    def wrong(self) -> str:
        return f"{100 * self.score.error_rate:.2f} %"

    @property
    def exact(self) -> str:
        return f"{self.score.words_right} of {self.score.words}"


@lru_cache(maxsize=2)
def renderer_named(name: str) -> Renderer:
    return open_renderer(name)


@lru_cache(maxsize=64)
def first_page(name: str, kind: Kind, number: int, style: PageStyle) -> RenderedPage:
    """The first page of sample `number`."""
    return renderer_named(name).render(samples(kind, number + 1)[number], style)[0]


def measure(cell: Cell, pages: int) -> Result:
    """Draw `pages` pages and read them."""
    found = [_measure_one(cell, number) for number in range(min(pages, len(samples(cell.kind, pages))))]
    total = sum((result.score for result in found), Score())
    count = len(found)
    means = [sum(values) / count for values in zip(*((result.tokens, result.size) for result in found), strict=True)]
    return Result(total, *means)


def _measure_one(cell: Cell, number: int) -> Result:
    canvas, exchanges = Canvas(cell.style), samples(cell.kind, number + 1)[number]
    page = first_page(cell.renderer, cell.kind, number, cell.style)
    shown = at_tier(page, cell)
    reading = "\n".join(_columns(shown, page, cell))
    truth = truth_of(exchanges, canvas.row_width)
    found = score(truth, reading, spaces=cell.kind.spaced)
    tokens = sum(open_counter().count(turn.text) for exchange in exchanges for unit in exchange for turn in unit)
    return Result(found, tokens * min(1.0, len(reading) / len(truth)), len(shown))


def at_tier(page: RenderedPage, cell: Cell) -> bytes:
    """The page as the memory would show it."""
    if cell.tier.side == page.width:
        return page.png
    return resize(page.png, cell.tier.side, cell.style.faint_levels if cell.tier.side < page.width else cell.style.grey_levels)


def truth_of(exchanges: Iterable[Exchange], row_width: int) -> str:
    """All words of a conversation, as they are drawn."""
    words = []
    for exchange in exchanges:
        turns = [turn for unit in exchange for turn in unit]
        words += [drawn_text(turn, label, row_width) for turn, label in zip(turns, head_labels(exchange), strict=True)]
    return "\n".join(words)


def _columns(shown: bytes, page: RenderedPage, cell: Cell) -> list[str]:
    """The words of each column of a page."""
    canvas, image = Canvas(cell.style), decode_grey(shown)
    ratio = image.width / page.width
    size = (cell.style.code_size if cell.kind.mono else cell.style.font_size) * canvas.scale * ratio
    readings = []
    for column in range(cell.style.columns):
        left = canvas.left - canvas.lane + column * canvas.pitch
        box = (left, 0, left + canvas.column_width, page.height)
        crop = image.crop((max(0, round(box[0] * ratio)), 0, round(box[2] * ratio), image.height))
        readings.append(read(crop, size, cell.kind.language))
    return readings


def measure_all(cells: Sequence[Cell], pages: int) -> list[Result]:
    """The results in the order of the cells. Pages are drawn first, so that only reading is done in parallel."""
    for cell in cells:
        for number in range(len(samples(cell.kind, pages))):
            first_page(cell.renderer, cell.kind, number, cell.style)
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda cell: measure(cell, pages), cells))


def tiers(pages: int) -> Table:
    """The default page at every tier."""
    table = _table(
        "The default page: wrong characters, exact words, kB", "text", "tokens", *(tier.label for tier in TIERS), "turn numbers at small"
    )
    for renderer in renderers():
        for kind in ("prose", "chat", "code", "json"):
            cells = [Cell(KINDS[kind], tier, renderer) for tier in TIERS]
            found = measure_all(cells, pages)
            shown = [f"{result.wrong}  {result.exact}  {result.size / 1000:.0f}" for result in found]
            numbers = found[1].score
            table.add_row(cells[0].label, f"{found[0].tokens:.0f}", *shown, f"{numbers.numbers_right} of {numbers.numbers}")
    return table


def code(pages: int) -> Table:
    """Sizes of the code font, at Small."""
    table = _table("Size of the code font, at Small", "text", "px", "tokens", "per vision token", "wrong", "exact")
    for kind in ("json", "code"):
        cells = [Cell(KINDS[kind], renderer=renderers()[0], style=PageStyle(code_size=size)) for size in CODE_SIZES]
        for cell, result in zip(cells, measure_all(cells, pages), strict=True):
            ratio = result.tokens / cell.tier.sequence_length
            table.add_row(cell.label, f"{cell.style.code_size:g}", f"{result.tokens:.0f}", f"{ratio:.1f}", result.wrong, result.exact)
    return table


def greys(pages: int) -> Table:
    """Greys of the sealed picture and of the smaller one, and the scale at which the page is sealed."""
    table = _table(
        "Greys and scale, json and prose", "scale", "greys", "at Small", "text", "Base: kB", "wrong", "exact", "Small: kB", "wrong", "exact"
    )
    for scale, sealed, faint in GREYS:
        style = PageStyle(scale=scale, grey_levels=sealed, faint_levels=faint)
        for kind in ("prose", "json"):
            base, small = measure_all([Cell(KINDS[kind], tier, renderers()[0], style) for tier in (Tier.BASE, Tier.SMALL)], pages)
            numbers = [text for result in (base, small) for text in (f"{result.size / 1000:.0f}", result.wrong, result.exact)]
            table.add_row(f"{scale:g}", str(sealed), str(style.faint_levels), kind, *numbers)
    return table


def variants(pages: int) -> Table:
    """Other settings, at Small and Base."""
    table = _table("Other settings", "text", "setting", "tokens", "Base", "Small")
    plain = PageStyle()
    settings = {
        "prose": {"13 px": replace(plain, font_size=13), "line height 1.05": replace(plain, line_height=1.05)},
        "chinese": {"14 px": plain, "16 px": replace(plain, font_size=16)},
    }
    for kind, styles in settings.items():
        if not has_reader(KINDS[kind].language):
            continue
        for name, style in styles.items():
            base, small = measure_all([Cell(KINDS[kind], tier, renderers()[0], style) for tier in (Tier.BASE, Tier.SMALL)], pages)
            table.add_row(kind, name, f"{base.tokens:.0f}", base.wrong, small.wrong)
    return table


TABLES: dict[str, Callable[[int], Table]] = {"tiers": tiers, "code": code, "greys": greys, "variants": variants}


def renderers() -> list[str]:
    """Those that this machine has."""
    return ["chromium", "pillow"] if find_browser() else ["pillow"]


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="all of them if none is named")
    parser.add_argument("--pages", type=int, default=1, help="pages read for each number")
    parser.add_argument("--unhinted", action="store_true", help="with letters as the browser would draw them by itself")
    arguments = parser.parse_args()
    if arguments.unhinted:
        launching.FULL_HINTING = ""
    console = Console(width=140)
    if not has_reader():
        console.print("no Tesseract with English on this machine: nothing measured. Install it with: apt install tesseract-ocr")
        return
    for name in arguments.tables or TABLES:
        console.print(TABLES[name](arguments.pages))


if __name__ == "__main__":
    main()
