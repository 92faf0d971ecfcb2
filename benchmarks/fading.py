"""At which size letters are lost: character errors of two OCR engines on random, confusable and natural text, from 4 to 13 px.

`python -m benchmarks.fading [--samples N] [--sizes 4,5,...] [--engines tesseract rapidocr] [--kinds ...] [--out FOLDER]`: the question of
FocusVTC (arXiv 2609.36651): the same texts in every face and size, edits over characters, paired bootstrap intervals over texts. Two ways
to a size: *drawn* at it, as there, and *shrunk* to it from 14 px, as this library fades its pages. Spaces are not scored. What that paper
publishes, read by Qwen3.5-9B, is printed beside; other readers, so compare the order of the faces and the shape of a curve, not the level.

Readings are kept by the hash of the picture: a run that broke off resumes.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.table import Table

from optical_memory.calibration.scoring import edits, normal
from optical_memory.errors import MissingExtra, ProgramNotFound
from optical_memory.pages.page import PageStyle
from optical_memory.readers.rapidocr import RapidOcrReader
from optical_memory.readers.tesseract import OcrReader
from optical_memory.renderers.png import encode_grey, resize
from optical_memory.renderers.typography.fonts import BUNDLED

from ._console import open_console
from ._samples import KINDS as TEXTS
from ._samples import samples
from .forgetting import ENGINES, kept_in
from .glyphs import LETTERS, TWINS

STYLE = PageStyle()
SIZES = "4,5,6,7,8,9,10,11,12,13"
LINES, WIDE = 8, 44  # lines of a text, characters of a line
WORD = (3, 8)  # letters of a random word
EDGE = 0.6  # em of white around the text
SAMPLES, RESAMPLES = 4, 1_000
LIMIT = 0.05  # of the characters: the size at which a curve crosses it is told
DEJAVU = ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",)  # Debian's fonts-dejavu-core: the face that ours was made from

# FocusVTC, random text read by Qwen3.5-9B: characters wrong at 9 px, and the size for 5 % wrong.
PUBLISHED = {
    "DejaVu Sans Mono": (0.027, 8.4),
    "Verdana": (0.039, 8.7),
    "DejaVu Sans": (0.039, 8.7),
    "Consolas": (0.049, 9.0),
    "Arial": (0.084, 10.4),
    "Times": (0.132, 10.9),
}
PUBLISHED_AT_5 = {"random": 0.647, "natural": 0.018}  # their text names no face


@dataclass(frozen=True, slots=True)
class Face:
    """A face, and how letters come to a size: drawn at it, or shrunk to it from the size of a page."""

    name: str
    file: Path
    shrunk: bool = False

    @property
    def label(self) -> str:
        return f"{self.name}, {'shrunk' if self.shrunk else 'drawn'}"


Curve = Mapping[float, Sequence[tuple[int, int]]]
"""Size in pixels -> (edits, characters) of each text, in the same order at every size."""


def faces() -> list[Face]:
    """Return the bundled faces, and DejaVu Sans where Debian has it."""
    ours, mono = BUNDLED["sans"], BUNDLED["mono"]
    found = [Face("Optical Memory Sans", ours), Face("Optical Memory Sans", ours, shrunk=True), Face("DejaVu Sans Mono", mono)]
    return [*found, *(Face("DejaVu Sans", Path(file)) for file in DEJAVU if Path(file).is_file())]


def text_of(kind: str, number: int) -> list[str]:
    """Return the lines of a text, the same in every process: `random` letters and digits, `confusable` ones, or `natural` English."""
    if kind == "natural":
        return _natural(number)
    rng, signs = random.Random(f"{kind}/{number}"), TWINS.replace("|", "") if kind == "confusable" else LETTERS
    return [_line(rng, signs) for _ in range(LINES)]


def _line(rng: random.Random, signs: str) -> str:
    words = [""]
    while len(" ".join(words)) < WIDE - WORD[1]:
        words.append("".join(rng.choices(signs, k=rng.randint(*WORD))))
    return " ".join(words[1:])


def _natural(number: int) -> list[str]:
    words = " ".join(turn.text for exchange in samples(TEXTS["prose"], 1)[0] for unit in exchange for turn in unit).split()
    lines = [""]
    for word in words[number * LINES * 10 :]:  # no text reaches the next one: lines of 44 letters hold fewer than ten words
        if len(lines[-1]) + len(word) >= WIDE:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
        if len(lines) > LINES:
            break
    return lines[:LINES]


def picture(lines: Sequence[str], face: Face, size: float) -> bytes:
    """Draw lines in black on white, and bring them to a size. PNG, in greys as on a page."""
    drawn = STYLE.font_size if face.shrunk else size
    font, pitch, edge = ImageFont.truetype(face.file, drawn, layout_engine=ImageFont.Layout.BASIC), drawn * STYLE.line_height, drawn * EDGE
    width, height = max(map(font.getlength, lines)) + 2 * edge, len(lines) * pitch + 2 * edge
    image = Image.new("L", (round(width), round(height)), 255)
    draw = ImageDraw.Draw(image)
    for place, line in enumerate(lines):
        draw.text((round(edge), round(edge + (place + 0.85) * pitch)), line, fill=0, font=font, anchor="ls")
    sealed = encode_grey(image, STYLE.grey_levels)
    ratio = size / drawn
    return resize(sealed, (round(image.width * ratio), round(image.height * ratio)), STYLE.faint_levels) if ratio < 1 else sealed


def curve_of(
    face: Face, kind: str, sizes: Sequence[float], count: int, engine: OcrReader | RapidOcrReader, folder: Path | None = None
) -> Curve:
    """Read `count` texts at every size."""
    return {size: [_read(text_of(kind, number), face, size, engine, folder) for number in range(count)] for size in sizes}


def _read(lines: Sequence[str], face: Face, size: float, engine: OcrReader | RapidOcrReader, folder: Path | None) -> tuple[int, int]:
    truth = normal("".join(lines), spaced=False)
    said = normal(kept_in(folder, engine, picture(lines, face, size), size), spaced=False)
    return edits(truth, said), len(truth)


def rate(texts: Sequence[tuple[int, int]]) -> float:
    """Return edits over characters."""
    return sum(wrong for wrong, _ in texts) / sum(letters for _, letters in texts)


def size_for(curve: Curve, limit: float = LIMIT) -> float | None:
    """Return the smallest size in pixels from which a curve stays below a rate, between sizes by a line; None if it never does."""
    sizes = sorted(curve, reverse=True)
    rates = [rate(curve[size]) for size in sizes]
    if rates[0] > limit:
        return None
    for place in range(1, len(sizes)):
        if rates[place] > limit:
            share = (limit - rates[place - 1]) / (rates[place] - rates[place - 1])
            return sizes[place - 1] + share * (sizes[place] - sizes[place - 1])
    return sizes[-1]


def draws(count: int) -> Iterator[list[int]]:
    """Yield which texts are drawn again: the same for all curves, so that they are compared in pairs."""
    chance = random.Random(0)
    for _ in range(RESAMPLES):
        yield [chance.randrange(count) for _ in range(count)]


def interval(found: Sequence[float]) -> tuple[float, float]:
    """Return the middle 95 % of numbers."""
    ordered = sorted(found)
    return ordered[round(0.025 * (len(ordered) - 1))], ordered[round(0.975 * (len(ordered) - 1))]


def rate_of(curve: Curve, size: float) -> str:
    """`3.9 % (3.1-4.6)`, by bootstrap over texts."""
    texts = curve[size]
    low, high = interval([rate([texts[place] for place in drawn]) for drawn in draws(len(texts))])
    return f"{100 * rate(texts):.1f} % ({100 * low:.1f}-{100 * high:.1f})"


def size_told(curve: Curve) -> str:
    """`8.7 px (8.4-9.0)`: the size for 5 %."""
    count, found = len(next(iter(curve.values()))), size_for(curve)
    again = [size_for({size: [texts[place] for place in drawn] for size, texts in curve.items()}) for drawn in draws(count)]
    most, ends = max(curve), interval([max(curve) + 1 if size is None else size for size in again])
    middle, low, high = (f">{most:g}" if size is None or size > most else f"{size:.1f}" for size in (found, *ends))
    return f"{middle} px ({low}-{high})"


def difference_of(one: Curve, other: Curve, size: float) -> str:
    """`-2.1 (-3.0 to -1.3)`: points between two curves at a size, paired by text."""
    pairs = list(zip(one[size], other[size], strict=True))
    found = [rate([pairs[place][0] for place in drawn]) - rate([pairs[place][1] for place in drawn]) for drawn in draws(len(pairs))]
    low, high = interval(found)
    return f"{100 * (rate(one[size]) - rate(other[size])):+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def print_curves(kind: str, curves: Mapping[str, Curve], sizes: Sequence[float], name: str) -> None:
    """Print characters wrong by size, and the size for 5 %; and each face against our own, in pairs."""
    first = next(iter(curves.values()))
    table = Table("face", *[f"{size:g} px" for size in sizes], "5 % wrong at", title=f"{kind} text, read by {name}: characters wrong")
    for label, curve in curves.items():
        table.add_row(label, *[rate_of(curve, size) for size in sizes], size_told(curve))
    for label, curve in list(curves.items())[1:]:
        table.add_row(f"{label}, points more", *[difference_of(curve, first, size) for size in sizes], "")
    open_console().print(table)


def print_published(found: Mapping[str, Mapping[str, Curve]]) -> None:
    """Print random text at 9 px and the size for 5 %, theirs and ours. `found`: engine -> label of a face -> curve."""
    table = Table("face", "reader", "wrong at 9 px", "5 % wrong at", title="random text, beside FocusVTC as published")
    for face, (wrong, size) in PUBLISHED.items():
        table.add_row(face, "Qwen3.5-9B, published", f"{100 * wrong:.1f} %", f"{size} px")
    for engine, curves in found.items():
        for label, curve in curves.items():
            table.add_row(label, engine, rate_of(curve, 9) if 9 in curve else "-", size_told(curve))
    open_console().print(table)
    told = ", ".join(f"{100 * wrong:.1f} % of {kind} text" for kind, wrong in PUBLISHED_AT_5.items())
    print(f"published for 5 px: {told}")


def main(arguments: Sequence[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fading")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="texts of a kind; each has some 280 characters")
    parser.add_argument("--sizes", type=lambda text: [float(part) for part in text.split(",")], default=SIZES)
    parser.add_argument("--kinds", nargs="+", default=["random", "confusable", "natural"], choices=["random", "confusable", "natural"])
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--out", type=Path, default=Path("public-output"))
    given = parser.parse_args(arguments)
    found: dict[str, dict[str, Curve]] = {}
    for name in given.engines:
        try:
            engine = ENGINES[name]()
        except (MissingExtra, ProgramNotFound) as exc:
            print(f"{name} is left out: {exc}", file=sys.stderr)
            continue
        for kind in given.kinds:
            folder = given.out / "readings" / name
            curves = {face.label: curve_of(face, kind, given.sizes, given.samples, engine, folder) for face in faces()}
            print_curves(kind, curves, given.sizes, name)
            if kind == "random":
                found[name] = curves
    print_published(found)


if __name__ == "__main__":
    main(sys.argv[1:])
