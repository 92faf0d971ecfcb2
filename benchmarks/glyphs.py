"""Which letters survive: fonts and ways to put them into pixels, by what an OCR engine reads back of strings that nobody can guess.

`python -m benchmarks.glyphs [fonts] [raster] [--font FILE ...] [--pages N]` prints the tables of docs/experiments.md. The bundled faces are
measured, and every file given by `--font`. Lines of random strings are drawn at 14 px as Pillow draws them, sealed in four greys, shown
at a tier and read; spaces are not scored. The same strings are drawn in every font and every way.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.table import Table

from benchmarks._console import open_console
from benchmarks._samples import KINDS as TEXTS
from benchmarks._samples import samples
from optical_memory.calibration.scoring import normal, wilson
from optical_memory.pages.page import PageStyle
from optical_memory.pages.tiers import Tier
from optical_memory.readers.tesseract import OcrReader, has_language
from optical_memory.renderers.png import encode_grey, resize
from optical_memory.renderers.typography.fonts import BUNDLED

READERS = 2  # Tesseract processes at a time
STYLE = PageStyle()
TIERS = (Tier.BASE, Tier.SMALL, Tier.TINY)
LINES, STRINGS = 44, 4  # of a page; of a line
PITCH = 16  # px between base lines, as on a page of the default style
EDGE = 8  # px of white around the text
TWINS = "Il1|iO0oQDS58B2ZG6HKuvcermn"  # drawn together, so that every one of them stands beside the signs it is taken for
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
FINE = 8  # times larger than shown: letters that are drawn so, and averaged down, are as good as unhinted
SHOWN = 7  # confusions in a row of a table


def _hex(rng: random.Random) -> str:
    return f"{rng.getrandbits(48):012x}"


def _ids(rng: random.Random) -> str:
    return "".join(rng.choices(LETTERS, k=8))


def _names(rng: random.Random) -> str:
    """Words with I and l where names and abbreviations have them."""
    begin = rng.choice(["I", "Il", "Al", "El", "Li", "Ali", "AI", "IT", "UI", "API", "LI", "Ill"])
    dash = "-" if begin.isupper() and len(begin) > 1 else ""
    return begin + dash + "".join(rng.choices(["la", "li", "ro", "na", "il", "ve", "to"], k=2))


def _twins(rng: random.Random) -> str:
    return "".join(rng.choices(TWINS, k=8))


@lru_cache(maxsize=1)
def _words() -> list[str]:
    turns = [turn for sample in samples(TEXTS["prose"], 3) for exchange in sample for unit in exchange for turn in unit]
    return [normal(word) for turn in turns for word in turn.text.split() if len(word) > 3]


def _prose(rng: random.Random) -> str:
    return rng.choice(_words())


KINDS: dict[str, Callable[[random.Random], str]] = {"prose": _prose, "names": _names, "hex": _hex, "ids": _ids, "twins": _twins}


@dataclass(frozen=True, slots=True)
class Raster:
    """A way from outlines to the picture that is shown.

    Attributes:
        letters: `hinted`, `unhinted`, or `1-bit` (hinted for black and white, without grey edges).
        greys: of the sealed picture.
        size: font size in pixels at which letters are drawn.
        nearest: enlarge without interpolation.
    """

    name: str = "hinted, 4 greys"
    letters: str = "hinted"
    greys: int = STYLE.grey_levels
    size: float = STYLE.font_size
    nearest: bool = False


RASTERS = (
    Raster(),
    Raster("hinted, 16 greys", greys=16),
    Raster("hinted, thresholded", greys=2),
    Raster("1-bit letters", "1-bit", 2),
    Raster("unhinted, 4 greys", "unhinted"),
    Raster("unhinted, 16 greys", "unhinted", 16),
    Raster("drawn at 512 px, 4 greys", size=STYLE.font_size / 2),
    Raster("drawn at 512 px, 16 greys", size=STYLE.font_size / 2, greys=16),
    Raster("drawn at 512 px, 1-bit", "1-bit", 2, size=STYLE.font_size / 2),
    Raster("drawn at 512 px, 4 greys, pixels doubled", size=STYLE.font_size / 2, nearest=True),
    Raster("drawn at 512 px, 1-bit, pixels doubled", "1-bit", 2, size=STYLE.font_size / 2, nearest=True),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One number to be measured."""

    font: Path
    kind: str
    tier: Tier
    raster: Raster = field(default=RASTERS[0])


@dataclass(frozen=True, slots=True)
class Result:
    """Strings shown, strings read exactly, and what was taken for what: the shortest stretches that differ."""

    strings: int
    exact: int
    mistaken: Counter[tuple[str, str]]

    def __str__(self) -> str:
        low, high = wilson(self.exact, self.strings)
        return f"{100 * self.exact / self.strings:.0f} % ({100 * low:.0f}-{100 * high:.0f})"


def lines_of(kind: str, page: int) -> list[list[str]]:
    """The strings of a page, line by line; the same in every process."""
    rng = random.Random(f"{kind}/{page}")
    return [[KINDS[kind](rng) for _ in range(STRINGS)] for _ in range(LINES)]


def drawn(lines: Sequence[Sequence[str]], font: Path, raster: Raster) -> Image.Image:
    """Lines of strings in black on white, `PITCH` apart for 14 px."""
    times = FINE if raster.letters == "unhinted" else 1
    unit = times * raster.size / STYLE.font_size
    face = ImageFont.truetype(font, times * raster.size, layout_engine=ImageFont.Layout.BASIC)
    texts = ["  ".join(line) for line in lines]
    width = round(max(map(face.getlength, texts)) + 2 * EDGE * unit)
    image = Image.new("L", (-(-width // FINE) * FINE, round((LINES * PITCH + 2 * EDGE) * unit)), 255)
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1" if raster.letters == "1-bit" else "L"
    for number, text in enumerate(texts):
        base = round((EDGE + (number + 0.8) * PITCH) * unit)
        draw.text((round(EDGE * unit), base), text, fill=0, font=face, anchor="ls")
    return image.reduce(times) if times > 1 else image


def shown(image: Image.Image, tier: Tier, raster: Raster) -> bytes:
    """The picture as it is sealed, brought to the size that the tier gives to a page."""
    ratio = tier.side / STYLE.width * STYLE.font_size / raster.size
    size = (round(image.width * ratio), round(image.height * ratio))
    sealed = encode_grey(image, raster.greys)
    if raster.nearest:
        return encode_grey(image.resize(size, Image.Resampling.NEAREST), raster.greys)
    return resize(sealed, size, STYLE.faint_levels)


def read_lines(png: bytes, ratio: float) -> list[str]:
    """What stands in each line, without spaces."""
    found = [""] * LINES
    for word in OcrReader().words(png, letter=STYLE.font_size * ratio):
        middle = (word.box.top + word.box.height / 2) / ratio - EDGE
        found[min(LINES - 1, max(0, int(middle // PITCH)))] += normal(word.text, spaced=False)
    return found


def measure(cell: Cell, pages: int) -> Result:
    """Draw pages and read them."""
    ratio = cell.tier.side / STYLE.width
    exact, mistaken = 0, Counter[tuple[str, str]]()
    for page in range(pages):
        lines = lines_of(cell.kind, page)
        readings = read_lines(shown(drawn(lines, cell.font, cell.raster), cell.tier, cell.raster), ratio)
        for line, reading in zip(lines, readings, strict=True):
            wrong = list(differences("".join(line), reading))
            mistaken.update((wanted, got) for _, wanted, got in wrong)
            places = {at for begin, wanted, _ in wrong for at in range(begin, begin + max(1, len(wanted)))}
            begin = 0
            for string in line:
                exact += places.isdisjoint(range(begin, begin + len(string)))
                begin += len(string)
    return Result(pages * LINES * STRINGS, exact, mistaken)


def differences(truth: str, reading: str) -> Iterator[tuple[int, str, str]]:
    """Where the truth and its reading differ, what it should be, and what was read, by an alignment with the fewest edits."""
    rows = [list(range(len(reading) + 1))]
    for at, char in enumerate(truth, 1):
        row = [at]
        for column, got in enumerate(reading, 1):
            row.append(min(rows[-1][column] + 1, row[-1] + 1, rows[-1][column - 1] + (char != got)))
        rows.append(row)
    steps: list[tuple[int, str, str]] = []
    at, column = len(truth), len(reading)
    while at or column:
        if at and column and rows[at][column] == rows[at - 1][column - 1] + (truth[at - 1] != reading[column - 1]):
            at, column = at - 1, column - 1
            steps.append((at, truth[at], reading[column]))
        elif at and rows[at][column] == rows[at - 1][column] + 1:
            at -= 1
            steps.append((at, truth[at], ""))
        else:
            column -= 1
            steps.append((max(0, at - 1), "", reading[column]))
    for differs, run in groupby(reversed(steps), key=lambda step: step[1] != step[2]):
        if differs:
            stretch = list(run)
            yield stretch[0][0], "".join(wanted for _, wanted, _ in stretch), "".join(got for _, _, got in stretch)


def table(title: str, rows: dict[str, tuple[Path, Raster]], pages: int) -> Table:
    """Exact strings of each kind at each tier, and the commonest confusions of all kinds but prose."""
    found = Table(title=title)
    for number, heading in enumerate(["", "tier", *KINDS, "taken for another"]):
        found.add_column(heading, justify="left" if number in (0, len(KINDS) + 2) else "right")
    cells = [Cell(font, kind, tier, raster) for font, raster in rows.values() for tier in TIERS for kind in KINDS]
    with ThreadPoolExecutor(READERS) as pool:
        results = dict(zip(cells, pool.map(lambda cell: measure(cell, pages), cells), strict=True))
    for name, (font, raster) in rows.items():
        for tier in TIERS:
            here = [results[Cell(font, kind, tier, raster)] for kind in KINDS]
            taken = sum((result.mistaken for result in here[1:]), Counter[tuple[str, str]]())
            pairs = ", ".join(f"{wanted or '-'}>{got or '-'} {times}" for (wanted, got), times in taken.most_common(SHOWN))
            found.add_row(name if tier == TIERS[0] else "", tier.label, *map(str, here), pairs)
    return found


def fonts(pages: int, extra: Sequence[Path]) -> Table:
    """Every font, drawn as pages are."""
    bundled = {BUNDLED[style].stem: (BUNDLED[style], RASTERS[0]) for style in ("sans", "bold", "mono")}
    given = {f"{file.parent.name}/{file.stem}": (file, RASTERS[0]) for file in extra}
    return table("Fonts: strings read exactly", bundled | given, pages)


def raster(pages: int, extra: Sequence[Path]) -> Table:
    """Every way of drawing, with the bundled sans face."""
    return table("Raster: strings read exactly", {raster.name: (BUNDLED["sans"], raster) for raster in RASTERS}, pages)


TABLES: dict[str, Callable[[int, Sequence[Path]], Table]] = {"fonts": fonts, "raster": raster}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="both if none is named")
    parser.add_argument("--font", type=Path, action="append", default=[], help="a font file to be measured beside the bundled ones")
    parser.add_argument("--pages", type=int, default=1, help="pages read for each number, of 176 strings each")
    arguments = parser.parse_args()
    console = open_console()
    if not has_language():
        console.print("no Tesseract with English on this machine: nothing measured. Install it with: apt install tesseract-ocr")
        return
    for name in arguments.tables or TABLES:
        console.print(TABLES[name](arguments.pages, arguments.font))


if __name__ == "__main__":
    main()
