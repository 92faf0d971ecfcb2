"""Pages in letters of whole pixels: what two OCR engines read of them, and what drawing costs beside pxpipe.

`python -m benchmarks.dense [--strings 45] [--against pxpipe=FOLDER]`. A page holds strings of 12 hex digits, each after a word and a colon,
and prose between them. A string is *exact*, *wrong* where another of about its length stands in its place, as sure as a right one, or *not
read*. *Gist* is the share of the prose's words that are read, in any order. Intervals are Wilson's, of 95 %. The engines are a yardstick
and no more: they stand for no vision-language model. Texts are the same in every run.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from rich.table import Table

from optical_memory.calibration.scoring import wilson
from optical_memory.pages.page import PageStyle
from optical_memory.readers.rapidocr import RapidOcrReader
from optical_memory.readers.tesseract import OcrReader
from optical_memory.renderers.base import Renderer, open_renderer
from optical_memory.turns.exchanges import exchanges_of
from optical_memory.turns.turn import Turn

from . import _rivals
from ._console import open_console

CELLS = ((5, 8), (6, 12), (8, 13), (9, 18))
NAMES = ("river", "copper", "window", "lantern", "garden", "harbour", "pencil", "meadow", "silver", "thunder", "basket", "mirror", "candle")
PARTS = 6  # each of several pieces of a text that is drawn, the first of which warms both up
FOUND = 0.6  # of a string's length: what is shorter counts as not read


def style_of(cell: tuple[int, int]) -> PageStyle:
    """A page of one column in letters of a cell."""
    wide, high = cell
    size = float(high)
    return PageStyle(
        width=100 * wide,
        height=100 * high,
        columns=1,
        font_size=size,
        code_size=size,
        number_size=size,
        line_height=1.0,
        advance=wide / high,
    )


def probes(count: int) -> tuple[dict[str, str], str]:
    """So many strings by the word before each, and a page's text with them."""
    chance = random.Random(17)
    keys = [f"{name}{place}" for place, name in zip(range(10, 10 + count), NAMES * (count // len(NAMES) + 1), strict=False)]
    strings = {key: f"{chance.getrandbits(48):012x}" for key in keys}
    said = spoken()
    lines = [f"{key}: {string}\n{' '.join(said[12 * place : 12 * place + 12])}" for place, (key, string) in enumerate(strings.items())]
    return strings, "\n\n".join(lines)


def spoken() -> list[str]:
    """The words that people say in the demo's conversation."""
    loaded = json.loads(files("optical_memory.demo").joinpath("airline-agent.json").read_text("utf-8"))["messages"]
    return [word for message in loaded if message["role"] == "assistant" for word in re.findall(r"[A-Za-z]+", message["content"] or "")]


def read_back(text: str, strings: dict[str, str]) -> Counter[str]:
    """Count strings that are exact, wrong, and not read in what an engine says."""
    found: Counter[str] = Counter()
    for key, string in strings.items():
        after = re.search(re.escape(key) + r"\s*[:;.]\s*(\S+)", text)
        given = re.split(r"[↵+#]", after[1])[0] if after else ""
        found["exact" if given[: len(string)] == string else "wrong" if len(given) > FOUND * len(string) else "not read"] += 1
    return found


def gist(text: str, page: str) -> tuple[int, int]:
    """How many of the prose's words of four letters and more are read, and how many there are."""
    said, read = (Counter(re.findall(r"(?<![\w:])[a-z]{4,}(?!\w)", each)) for each in (page, text))
    return (said & read).total(), said.total()


def reading(count: int) -> Table:
    """A row for each cell and engine."""
    table = Table(
        "cell", "px² a character", "engine", "exact", "95 %", "wrong", "not read", "gist", title=f"{count} strings of 12 hex digits"
    )
    renderer, (strings, page) = open_renderer("bitmap"), probes(count)
    engines: dict[str, Callable[[bytes, float], str]] = {
        "Tesseract": lambda png, letter: OcrReader("eng").read_picture(png, letter=letter),
        "RapidOCR": lambda png, letter: RapidOcrReader().read_picture(png, letter=letter),
    }
    for cell in CELLS:
        # Each probe on rows of its own, so that a mark of a line end never touches a string.
        turns = [Turn(role="user", content=line, number=place) for place, line in enumerate(page.split("\n\n"), start=1)]
        turns = [turn.model_copy(update={"content": str(turn.content).replace("\n", " ")}) for turn in turns]
        drawn = renderer.render(exchanges_of(turns), style_of(cell))
        for name, engine in engines.items():
            text = "\n".join(engine(each.png, float(cell[1])) for each in drawn)
            found, (known, words) = read_back(text, strings), gist(text, page)
            low, high = wilson(found["exact"], count)
            area, whole = f"{cell[0] * cell[1]}", f"{100 * known / words:.0f} %"
            span = f"{100 * low:.0f} to {100 * high:.0f} %"
            table.add_row(
                f"{cell[0]} x {cell[1]}", area, name, str(found["exact"]), span, str(found["wrong"]), str(found["not read"]), whole
            )
    return table


def drawing(folder: Path) -> Table:
    """Characters drawn in a second of CPU time, by this renderer and by pxpipe's, in turn on the same texts."""
    table = Table("characters", "bitmap", "pxpipe", "times", title="characters a CPU second, thousands, caches empty of each text")
    [turns] = [
        [str(message.get("content") or "") for message in spoken]
        for name, spoken in _rivals.conversations().items()
        if name == "airline-agent"
    ]
    rival, renderer = _rivals.Pxpipe(folder), open_renderer("bitmap")
    for part in range(PARTS):
        share = turns[part * len(turns) // PARTS : (part + 1) * len(turns) // PARTS]
        size = sum(map(len, share))
        theirs = rival.drawn("\n".join(share))
        ours = _seconds(renderer, share)
        table.add_row(f"{size:,}", f"{size / ours / 1e3:.0f}", f"{size / theirs / 1e3:.0f}", f"{theirs / ours:.1f}")
    rival.close()
    return table


def _seconds(renderer: Renderer, share: Sequence[str]) -> float:
    given = exchanges_of([Turn(role="user", content=text, number=place) for place, text in enumerate(share, start=1)])
    style = PageStyle(width=1568, height=728, columns=2, font_size=8.0, code_size=8.0, number_size=8.0, line_height=1.0, advance=5 / 8)
    began = time.process_time()
    renderer.render(given, style)
    return time.process_time() - began


def main(arguments: Sequence[str] = ()) -> None:
    """Print what is read, or what drawing costs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dense", description=__doc__)
    parser.add_argument("--strings", type=int, default=45)
    parser.add_argument("--against", metavar="pxpipe=FOLDER", help="draw the same texts with pxpipe")
    given = parser.parse_args(arguments)
    table = drawing(Path(given.against.partition("=")[2])) if given.against else reading(given.strings)
    open_console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
