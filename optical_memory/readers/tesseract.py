"""Tesseract as a reader: it transcribes pages and answers no questions. Independent of any model, and needs none.

A program, not a Python package: Debian's `tesseract-ocr` with the English data, `tesseract-ocr-chi-sim` and the like for others. Three
things make it read small print on pages of several columns, as measured in docs/experiments.md: each column is read by itself, letters are
enlarged to about 34 px first (below 20 px it fails), and it runs in one thread, which is ten times faster on a busy machine.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from ..context.context import Context
from ..errors import ProgramNotFound, ReaderError
from ..pages.page import Box, Page, PageStyle
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..profiles.registry import profile_of
from ..text.excerpts import said
from .base import Answer
from .prompts import picture_of

__all__ = ["OcrReader", "OcrWord", "has_language", "letter_size", "text_columns"]

LETTER = 34.0  # px; the font size that a picture is enlarged to before it is read
LEAST_FACTOR, MOST_FACTOR = 0.5, 8.0
MOST_PIXELS = 60_000_000  # of an enlarged picture
TIMEOUT = 120.0  # s for one column
INK = 215  # greys darker than this are letters
EDGE = 0.03  # of the height, left out above and below where a column rule is looked for
PAPER = 251  # the mean grey of a row without ink, at least
LEAST_INK, INK_HEIGHT = 4, 0.95  # px of a line, not of a rule; em from its highest ascender to its lowest descender
LEAST_WHITE = 0.15  # share of white rows from which lines are surely apart
LEFT_PART = 0.4  # of a column's width, by which its lines are found
STRONG = 0.4  # of what the strongest twentieth of rows loses in ink: a base line
NEARER, LONGER = 0.6, 0.8  # least distance of two lines, of a line's height; share of distances that are shorter than a line
LEAST_PITCH = 5  # px between two lines
BAR = re.compile(r"^[|¦\[\](){}!Il1][ \t]*(?=#\s?\d)", re.MULTILINE)  # as the bar before a turn's number is read; it is no text


@dataclass(frozen=True, slots=True)
class OcrWord:
    """A word as Tesseract read it.

    Attributes:
        box: in pixels of the picture that was given.
        confidence: 0 to 100, Tesseract's own estimate.
    """

    text: str
    box: Box
    confidence: float


class OcrReader:
    """Reads pages with Tesseract.

    Args:
        language: Tesseract's name of a language, several joined by a plus sign: `eng`, `chi_sim`, `eng+ara`.
        binary: the program, if it is not found by its name.
        timeout: seconds for one column of a page.

    Raises `ProgramNotFound` if the program or its data for the language is missing.
    """

    def __init__(self, language: str = "eng", binary: str | Path | None = None, *, timeout: float = TIMEOUT) -> None:
        self.language, self.timeout = language, timeout
        self.binary = _program(binary)
        self.profile: ReaderProfile = profile_of("tesseract")
        for name in language.split("+"):
            if name not in _languages(self.binary):
                package = f"tesseract-ocr-{name.replace('_', '-')}"
                raise ProgramNotFound(f"Tesseract has no data for the language {name!r} here", package)

    def answer(self, context: Context, question: str, *, max_tokens: int | None = None, stop: Sequence[str] = ()) -> Answer:
        """Always raises `ReaderError`: Tesseract only transcribes."""
        raise ReaderError("Tesseract reads pages and answers no questions: use transcribe(page), or open another reader for answers")

    def transcribe(self, page: Page | bytes | Image.Image, *, tier: Tier | str = Tier.BASE) -> str:
        """Transcribe a page shown at a tier, column by column. Raises `ReaderError`, and `RenderError` for a lost picture."""
        return self.read_picture(picture_of(page, tier).png())

    def read_picture(self, png: bytes, *, letter: float | None = None) -> str:
        """The words of a picture, column by column.

        Args:
            letter: the font size in pixels of `png`; measured by the distance of its lines if it is not given.
        """
        columns = self._columns(png, letter)
        return BAR.sub("", "\n".join(self._run(enlarged, "txt").rstrip("\f\n") for enlarged, _, _ in columns))

    def words(self, png: bytes, *, letter: float | None = None) -> list[OcrWord]:
        """The words of a picture with their boxes and confidences, column by column."""
        return [word for enlarged, left, factor in self._columns(png, letter) for word in _words(self._run(enlarged, "tsv"), left, factor)]

    def close(self) -> None:
        """Nothing is held."""

    def __repr__(self) -> str:
        return f"OcrReader({self.language!r}, {self.binary!r})"

    def _columns(self, png: bytes, letter: float | None) -> Iterator[tuple[bytes, int, float]]:
        """Each column enlarged, where it began, and by how much it was enlarged. Blank ones are left out."""
        image = _grey(png)
        for left, right in text_columns(image):
            column = image.crop((left, 0, right, image.height))
            if column.getextrema()[0] >= INK:  # type: ignore[operator]  # one band, so two numbers
                continue
            factor = _factor(column, letter or letter_size(column))
            size = (max(1, round(column.width * factor)), max(1, round(column.height * factor)))
            file = io.BytesIO()
            column.resize(size, Image.Resampling.BICUBIC).save(file, "PNG", compress_level=1)
            yield file.getvalue(), left, factor

    def _run(self, png: bytes, form: str) -> str:
        command = [self.binary, "-", "-", "-l", self.language, "--psm", "6", "--dpi", "300", form]
        environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        try:
            done = subprocess.run(command, input=png, capture_output=True, check=False, env=environment, timeout=self.timeout)
        except subprocess.TimeoutExpired as exc:
            raise ReaderError(f"Tesseract read for {self.timeout:g} s without an end; pass a larger timeout=") from exc
        except OSError as exc:
            raise ReaderError(f"{self.binary!r} could not be run: {exc}") from exc
        if done.returncode:
            raise ReaderError(f"Tesseract failed with status {done.returncode}: {said(done.stderr.decode('utf-8', 'replace'))}")
        return done.stdout.decode("utf-8", "replace")


def has_language(language: str = "eng") -> bool:
    """Whether Tesseract is on this machine with the data for `language`."""
    try:
        return language in _languages(_program(None))
    except ProgramNotFound:
        return False


def text_columns(image: Image.Image) -> list[tuple[int, int]]:
    """The columns of a page of this library, left and right edge: parted by hairlines from the top of the page to its end."""
    edge = max(1, round(image.height * EDGE))
    band = image.crop((0, edge, image.width, max(edge + 1, image.height - edge)))
    quiet = [x for x in range(image.width) if _is_rule(band, x)]
    cuts = [0, *(x for x in quiet if x - 1 not in quiet), image.width]
    columns = [(left + bool(left), right) for left, right in itertools.pairwise(cuts)]
    return [(left, right) for left, right in columns if left < right]  # nothing stands beside a rule at the very edge


def letter_size(image: Image.Image) -> float:
    """The font size of the text in a column, in pixels: by the height of its lines' ink or, where no white parts them, by their distance.

    Only the left part is looked at, where the short lines have ink too. A guess by the column's height where no lines show.
    """
    left_part = image.crop((0, 0, max(1, round(image.width * LEFT_PART)), image.height))
    profile = left_part.resize((1, image.height), Image.Resampling.BOX).tobytes()
    return _by_ink(profile) or _by_distance(profile) or PageStyle().font_size * image.height / PageStyle().height


def _by_ink(profile: bytes) -> float | None:
    """From the middle height of runs of rows with ink; None unless enough rows between the first and the last are white."""
    runs = [(has_ink, len(list(rows))) for has_ink, rows in itertools.groupby(grey < PAPER for grey in profile)]
    inner = runs[not runs[0][0] : len(runs) - (not runs[-1][0])]  # from the first row with ink to the last
    heights = sorted(height for has_ink, height in inner if has_ink and height >= LEAST_INK)
    white = sum(height for has_ink, height in inner if not has_ink)
    if len(heights) < 2 or white < LEAST_WHITE * sum(height for _, height in inner):
        return None
    return heights[(len(heights) - 1) // 2] / INK_HEIGHT


def _by_distance(profile: bytes) -> float | None:
    """From the middle distance between base lines, so that gaps between turns do not count. A base line is where much ink ends."""
    drops = [below - above for above, below in itertools.pairwise(profile)]
    pitch = float(LEAST_PITCH)
    for _ in range(2):  # the first pass also finds descenders and bars of letters
        rows = _base_lines(drops, NEARER * pitch)
        pitches = sorted(below - above for above, below in itertools.pairwise(rows))
        if len(pitches) < 2:
            return None
        pitch = max(LEAST_PITCH, pitches[int(LONGER * (len(pitches) - 1))])
    return pitches[(len(pitches) - 1) // 2] / PageStyle().line_height


def _base_lines(drops: Sequence[int], nearest: float) -> list[int]:
    """Rows where much ink ends, the strongest of those that lie nearer to each other than `nearest`."""
    strong = max(1.0, STRONG * sorted(drops)[-max(1, len(drops) // 20)])
    rows: list[int] = []
    for row in sorted((row for row, drop in enumerate(drops) if drop >= strong), key=lambda row: -drops[row]):
        if all(abs(row - other) >= nearest for other in rows):
            rows.append(row)
    return sorted(rows)


def _is_rule(band: Image.Image, x: int) -> bool:
    """Whether column `x` of pixels is nowhere white. Not of one grey: in a small picture it takes some from the bars near it."""
    return band.crop((x, 0, x + 1, band.height)).getextrema()[1] < 250  # type: ignore[operator]  # one band, so two numbers


def _factor(column: Image.Image, letter: float) -> float:
    most = min(MOST_FACTOR, math.sqrt(MOST_PIXELS / (column.width * column.height)))
    return min(most, max(LEAST_FACTOR, LETTER / letter))


def _grey(png: bytes) -> Image.Image:
    image = picture_of(png, Tier.BASE).load()
    return image.convert("L")


def _words(tsv: str, left: int, factor: float) -> Iterator[OcrWord]:
    """Rows of level 5 of Tesseract's table: level, page, block, paragraph, line, word, left, top, width, height, confidence, text."""
    for line in tsv.splitlines()[1:]:
        cells = line.split("\t")
        if len(cells) == 12 and cells[0] == "5" and cells[11].strip():
            x, y, width, height = (round(int(cell) / factor) for cell in cells[6:10])
            yield OcrWord(cells[11], Box(left + x, y, width, height), float(cells[10]))


def _program(binary: str | Path | None) -> str:
    found = shutil.which(str(binary or "tesseract"))
    if found is None:
        raise ProgramNotFound(f"the reader 'tesseract' runs the program {str(binary or 'tesseract')!r}, which is not here", "tesseract-ocr")
    return found


@cache
def _languages(binary: str) -> frozenset[str]:
    try:
        done = subprocess.run([binary, "--list-langs"], capture_output=True, text=True, check=False, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ReaderError(f"{binary!r} could not be run: {exc}") from exc
    return frozenset(done.stdout.split("\n")[1:]) - {""}
