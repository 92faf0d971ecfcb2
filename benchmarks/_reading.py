"""Reading pages back with an OCR engine, and counting what it got wrong.

Tesseract is an independent yardstick and no more: a vision-language model repairs prose and guesses ids. Its own floor shows too. It knows
neither the line-end mark nor a typographic quote from a straight one, so the first is not scored and the second are made one.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from shutil import which

from PIL import Image

from optical_memory.renderers.blocks import Block, Code, Heading, ListItem, Math, Paragraph, Quote, Span, Table
from optical_memory.renderers.compaction import JOIN_MARK
from optical_memory.renderers.document import blocks_of
from optical_memory.turns import Turn

__all__ = ["LEAST_COVERED", "Score", "drawn_text", "faults", "has_reader", "read", "score"]

LETTER = 34  # px; the font size that a picture is enlarged to before it is read. Tesseract fails on letters under 20 px
TYPOGRAPHIC = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‐": "-", "…": "...", "\u00a0": " "})
HEAD = re.compile(r"#\d+\s*(?:user|assistant|tool|system)")
CRITICAL = re.compile(r"[\w./@+-]*\d[\w./@+-]*")
UNSCORED = "\0"
LEAST_COVERED = 0.8  # of a reading's length: so much of the truth was surely on the page, however badly it was read


def has_reader(language: str = "eng") -> bool:
    """Whether Tesseract is on this machine with `language`."""
    if which("tesseract") is None:
        return False
    known = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=False)
    return language in known.stdout.split()


def read(image: Image.Image, font_size: float, language: str = "eng") -> str:
    """The words in one column of a page, as Tesseract sees them.

    Args:
        image: the column.
        font_size: of its text, in pixels of `image`.
        language: a Tesseract model.
    """
    factor = LETTER / font_size
    size = (round(image.width * factor), round(image.height * factor))
    file = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(file, "PNG", compress_level=1)
    command = ["tesseract", "-", "-", "-l", language, "--psm", "6", "--dpi", "300"]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    return subprocess.run(command, input=file.getvalue(), capture_output=True, check=True, env=environment).stdout.decode("utf-8")


def drawn_text(turn: Turn, label: str, row_width: int) -> str:
    """The words of a turn as they are drawn, its head in front."""
    return f"#{turn.number} {label} " + "\n".join(_words(blocks_of(turn, row_width=row_width)))


def _words(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Paragraph(spans) | Heading(_, spans):
                yield _text(spans)
            case Code(text):
                yield text
            case ListItem(_, marker, inner):
                yield f"{marker} " + "\n".join(_words(inner))
            case Quote(inner):
                yield from _words(inner)
            case Table(rows):
                yield from (" ".join(_text(cell) for cell in row) for row in rows)
            case Math(tex):
                yield tex
            case _:
                yield ""


def _text(spans: Iterable[Span]) -> str:
    return "".join(span.text for span in spans)


@dataclass(frozen=True, slots=True)
class Score:
    """What a reading got wrong.

    Attributes:
        characters, errors: of the text, heads left out.
        numbers, numbers_right: turn numbers drawn, and those given back exactly.
        words, words_right: words with a digit in them (ids, amounts, dates), and those given back exactly.
    """

    characters: int = 0
    errors: int = 0
    numbers: int = 0
    numbers_right: int = 0
    words: int = 0
    words_right: int = 0

    @property
    def error_rate(self) -> float:
        return self.errors / max(1, self.characters)

    def __add__(self, other: Score) -> Score:
        pairs = zip(self._fields(), other._fields(), strict=True)
        return Score(*(one + another for one, another in pairs))

    def _fields(self) -> tuple[int, ...]:
        return self.characters, self.errors, self.numbers, self.numbers_right, self.words, self.words_right


def score(truth: str, reading: str, *, spaces: bool) -> Score:
    """Compare a reading with the truth, which may go on after the reading ends.

    `spaces` tells whether white space counts, a line's end as a space.
    """
    wanted, got = _normal(truth, spaces), _normal(reading, spaces)
    wrong = faults(wanted, got)
    unscored, heads = set[int](), [match.span() for match in HEAD.finditer(wanted)]
    for begin, end in heads:
        unscored.update(range(begin, end + 1))
    unscored.update(at for mark in re.finditer(UNSCORED, wanted) for at in range(mark.start() - 1, mark.end() + 1) if at < len(wanted))
    end = len(wrong)
    words = [match.span() for match in CRITICAL.finditer(wanted) if match.end() <= end and match.start() not in unscored]
    digits = [(begin, begin + len(wanted[begin:stop].rstrip("abcdefghijklmnopqrstuvwxyz "))) for begin, stop in heads if stop <= end]
    return Score(
        characters=sum(at not in unscored for at in range(end)),
        errors=sum(count for at, count in enumerate(wrong) if at not in unscored),
        numbers=len(digits),
        numbers_right=sum(not any(wrong[begin + 1 : stop]) for begin, stop in digits),
        words=len(words),
        words_right=sum(not any(wrong[begin:stop]) for begin, stop in words),
    )


def _normal(text: str, spaces: bool) -> str:
    shown = text.replace("\f", "").replace(JOIN_MARK, UNSCORED).translate(TYPOGRAPHIC)
    return (" " if spaces else "").join(shown.split())


def faults(truth: str, reading: str) -> list[int]:
    """Errors at each character of `truth`, up to where `reading` ends, by the alignment with the fewest errors.

    Myers' bit-parallel distance (JACM 46, 1999): a column of the table is two long integers, which makes a page a matter of milliseconds.
    An insertion is charged to the character before it.
    """
    places: dict[str, int] = {}
    for at, char in enumerate(truth):
        places[char] = places.get(char, 0) | 1 << at
    full = (1 << len(truth)) - 1
    plus, minus = full, 0
    columns: list[tuple[int, int]] = []
    for char in reading:
        match = places.get(char, 0)
        diagonal = (((match & plus) + plus) ^ plus) | match | minus
        up, down = minus | ~(diagonal | plus) & full, plus & diagonal
        up, down = (up << 1 | 1) & full, (down << 1) & full
        plus, minus = down | ~(diagonal | up) & full, up & diagonal
        columns.append((plus, minus))
    found = [0] * _best_end(plus, minus, len(truth), least=min(len(truth), max(1, int(LEAST_COVERED * len(reading)))))
    _trace(truth, reading, columns, found)
    return found


def _best_end(plus: int, minus: int, size: int, *, least: int) -> int:
    """How much of the truth the reading covers: where the last column is lowest, but not before `least`."""
    best, lowest, here = least, size + 1, 0
    for at in range(size + 1):
        if at >= least and here < lowest:
            best, lowest = at, here
        here += (plus >> at & 1) - (minus >> at & 1)
    return best


def _trace(truth: str, reading: str, columns: Sequence[tuple[int, int]], found: list[int]) -> None:
    """Walk back from the end and count each error where it happened."""
    row, column = len(found), len(reading)
    while row and column:
        if columns[column - 1][0] >> (row - 1) & 1:
            row -= 1
            found[row] += 1
            continue
        column -= 1
        if column and columns[column - 1][1] >> (row - 1) & 1:
            found[row - 1] += 1
        else:
            row -= 1
            found[row] += truth[row] != reading[column]
    for at in range(row):
        found[at] += 1
    if column and found:
        found[0] += column
