"""RapidOCR as a reader: PP-OCR's networks in ONNX Runtime. It transcribes pages and answers no questions.

A second reader beside Tesseract, which shares nothing with it: figures that both give are not one engine's habits. The package `rapidocr`
brings the networks in its wheel (PP-OCRv6 small: English, Chinese, Japanese and other Latin scripts) and downloads nothing.

What the engine does by itself to a page of this library, and what is done about it here (rapidocr 3.10.0):

- It reads boxes by height, so it jumps between two columns at every line. Each column is read by itself.
- It shrinks a picture until its longer side is 2,000 px, below the size of its letters. That limit is off, and a column is read in strips.
- It enlarges a picture until its shorter side is 736 px, also a picture of one line. That is off: letters are enlarged here, to one size.
- It takes the numbers of a palette picture for greys. Pictures are converted to grey first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from ..context.context import Context
from ..errors import MissingExtra, ReaderError
from ..pages.page import Page
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..profiles.registry import profile_of
from .base import Answer
from .columns import BAR, INK, letter_size, strips, text_columns
from .prompts import picture_of

if TYPE_CHECKING:
    from rapidocr import RapidOCR

__all__ = ["RapidOcrReader"]

LETTER = 20.0  # px; the font size that a picture is enlarged to: 16 to 36 were read alike, and larger ones take longer
LEAST_FACTOR, MOST_FACTOR = 0.5, 8.0
MARGIN = 16  # px of white around a strip: the detector misses letters at an edge
STRIP = 1_200  # px of height that are read at once, so that memory does not grow with a page
SAME_LINE = 0.5  # of a box's height: boxes whose centres are nearer stand on one line


class _Piece(NamedTuple):
    """A piece of a line as it was read, in pixels of the strip."""

    middle: float
    left: float
    height: float
    text: str


class RapidOcrReader:
    """Reads pages with RapidOCR. Thread-safe: one page is read at a time.

    Args:
        threads: threads of the networks; 0 for as many as there are cores.

    Raises `MissingExtra` without the extra `rapidocr`.
    """

    def __init__(self, *, threads: int = 1) -> None:
        if threads < 0:
            raise ValueError(f"threads must be 0, for all cores, or more; got {threads!r}")
        self.threads = threads
        self.profile: ReaderProfile = profile_of("rapidocr")
        self._engine, self._lock = _engine(threads)

    def answer(self, context: Context, question: str, *, max_tokens: int | None = None, stop: Sequence[str] = ()) -> Answer:
        """Always raises `ReaderError`: RapidOCR only transcribes."""
        raise ReaderError("RapidOCR reads pages and answers no questions: use transcribe(page), or open another reader for answers")

    def transcribe(self, page: Page | bytes | Image.Image, *, tier: Tier | str = Tier.BASE) -> str:
        """Transcribe a page shown at a tier, column by column. Raises `ReaderError`, and `RenderError` for a lost picture."""
        return self.read_picture(picture_of(page, tier).png())

    def read_picture(self, png: bytes, *, letter: float | None = None) -> str:
        """Return the words of a picture, column by column.

        Args:
            letter: font size in pixels of `png`; measured by the distance of its lines if it is not given.
        """
        image = picture_of(png, Tier.BASE).load().convert("L")
        return BAR.sub("", "\n".join(line for strip in _strips(image, letter) for line in self._lines(strip)))

    def close(self) -> None:
        """Do nothing: the networks are shared by all readers of the process."""

    def __repr__(self) -> str:
        return f"RapidOcrReader(threads={self.threads})"

    def _lines(self, strip: Image.Image) -> list[str]:
        import numpy

        try:
            with self._lock:
                found: Any = self._engine(numpy.asarray(strip.convert("RGB")))
        except Exception as exc:  # whatever OpenCV or ONNX Runtime raises
            raise ReaderError(f"RapidOCR failed on a picture of {strip.width} x {strip.height} px: {exc}") from exc
        if found.txts is None or found.boxes is None:
            return []
        corners = ((box[:, 0], box[:, 1]) for box in found.boxes)
        pieces = [
            _Piece(float(y.mean()), float(x.min()), float(y.max() - y.min()), text)
            for (x, y), text in zip(corners, found.txts, strict=True)
        ]
        return _in_lines(pieces)


def _strips(image: Image.Image, letter: float | None) -> Iterator[Image.Image]:
    """Yield the columns in strips, with letters of one size and white around them. Blank columns are left out."""
    for left, right in text_columns(image):
        column = image.crop((left, 0, right, image.height))
        if column.getextrema()[0] >= INK:  # type: ignore[operator]  # one band, so two numbers
            continue
        factor = min(MOST_FACTOR, max(LEAST_FACTOR, LETTER / (letter or letter_size(column))))
        for top, bottom in strips(column, max(1, round(STRIP / factor))):
            size = (max(1, round(column.width * factor)), max(1, round((bottom - top) * factor)))
            part = column.resize(size, Image.Resampling.BICUBIC, box=(0, top, column.width, bottom))
            framed = Image.new("L", (part.width + 2 * MARGIN, part.height + 2 * MARGIN), 255)
            framed.paste(part, (MARGIN, MARGIN))
            yield framed


def _in_lines(pieces: Sequence[_Piece]) -> list[str]:
    """Join pieces to lines: from top to bottom, and each from left to right."""
    if not pieces:
        return []
    near = SAME_LINE * median(piece.height for piece in pieces)
    lines: list[list[_Piece]] = []
    for piece in sorted(pieces):
        if lines and piece.middle - lines[-1][0].middle < near:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [" ".join(piece.text for piece in sorted(line, key=lambda piece: piece.left)) for line in lines]


@lru_cache(maxsize=2)
def _engine(threads: int) -> tuple[RapidOCR, threading.Lock]:
    """Open the networks, once for each number of threads, with a lock: the engine keeps settings of a call in itself."""
    try:
        from rapidocr import RapidOCR
    except ImportError as exc:
        raise MissingExtra("the reader 'rapidocr'", "rapidocr") from exc
    settings: dict[str, Any] = {
        "Global.log_level": "error",
        "Global.use_cls": False,  # nothing on a page is turned around
        "Global.text_score": 0.0,  # an unsure word is a reading too; evaluation says whether it is right
        "Global.use_vertical_padding": False,
        "Global.use_preprocess_img": False,
        "Det.limit_type": "min",
        "Det.limit_side_len": 1,
        "EngineConfig.onnxruntime.intra_op_num_threads": threads or -1,
        "EngineConfig.onnxruntime.inter_op_num_threads": threads or -1,
    }
    return RapidOCR(params=settings), threading.Lock()
