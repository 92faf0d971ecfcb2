"""Reading pages back with an OCR engine, and counting what it got wrong.

Tesseract is an independent yardstick and no more: a vision-language model repairs prose and guesses ids. Its own floor shows too. It knows
neither the line-end mark nor a typographic quote from a straight one, so the first is not scored and the second are made one.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from PIL import Image

from optical_memory.readers.tesseract import OcrReader
from optical_memory.readers.tesseract import has_language as has_reader
from optical_memory.renderers.document.blocks_of_turn import blocks_of
from optical_memory.renderers.document.compaction import JOIN_MARK
from optical_memory.turns.turn import Turn
from optical_memory.verification.alignment import LEAST_COVERED, faults
from optical_memory.verification.words import TYPOGRAPHIC, words_of

__all__ = ["LEAST_COVERED", "Score", "drawn_text", "faults", "has_reader", "read", "score"]

HEAD = re.compile(r"#\d+\s*(?:user|assistant|tool|system)")
CRITICAL = re.compile(r"[\w./@+-]*\d[\w./@+-]*")
UNSCORED = "\0"


def read(image: Image.Image, font_size: float, language: str = "eng") -> str:
    """The words in one column of a page, as Tesseract sees them.

    Args:
        image: the column.
        font_size: of its text, in pixels of `image`.
        language: a Tesseract model.
    """
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return OcrReader(language).read_picture(file.getvalue(), letter=font_size)


def drawn_text(turn: Turn, label: str, row_width: int) -> str:
    """The words of a turn as they are drawn, its head in front."""
    return f"#{turn.number} {label} " + words_of(blocks_of(turn, row_width=row_width))


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
