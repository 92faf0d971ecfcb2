"""Tesseract as a reader: it transcribes pages and answers no questions. Independent of any model, and needs none.

A program, not a Python package: Debian's `tesseract-ocr` with the English data, `tesseract-ocr-chi-sim` and the like for others. Three
things make it read small print on pages of several columns, as measured in docs/experiments.md: each column is read by itself, letters are
enlarged to about 34 px first (below 20 px it fails; large ones are brought to 20), and it runs in one thread, which is ten times faster on
a busy machine.
"""

from __future__ import annotations

import io
import math
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from ..context.context import Context
from ..errors import ProgramNotFound, ReaderError
from ..pages.page import Box, Page
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..profiles.registry import profile_of
from ..text.excerpts import said
from .base import Answer
from .columns import BAR, INK, letter_size, text_columns
from .prompts import picture_of

__all__ = ["OcrReader", "OcrWord", "has_language"]

LETTER = 34.0  # px; the font size that a picture is enlarged to before it is read
# Letters that measure more than the first are brought to the second: else points of an enlarged page become colons.
LARGE, LARGE_LETTER = 15.2, 20.0  # px
LEAST_FACTOR, MOST_FACTOR = 0.5, 8.0
MOST_PIXELS = 60_000_000  # of an enlarged picture
TIMEOUT = 120.0  # s for one column


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


def _factor(column: Image.Image, letter: float) -> float:
    most = min(MOST_FACTOR, math.sqrt(MOST_PIXELS / (column.width * column.height)))
    wanted = LETTER if letter < LARGE else LARGE_LETTER
    return min(most, max(LEAST_FACTOR, wanted / letter))


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
