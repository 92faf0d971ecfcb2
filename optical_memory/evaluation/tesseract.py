"""Tesseract as an independent yardstick: what an OCR engine still reads, without a model that repairs prose and guesses ids."""

from __future__ import annotations

import io
import os
import shutil
import subprocess

from PIL import Image

from ..errors import OpticalMemoryError, ReaderError

__all__ = ["NoTesseract", "Tesseract"]

LETTER = 34  # px; the font size that a picture is enlarged to before it is read. Tesseract fails on letters under 20 px
SECONDS = 120.0  # for one picture


class NoTesseract(OpticalMemoryError):
    """Tesseract, or its data for a language, is not on this machine."""


class Tesseract:
    """The system's `tesseract`, one thread a picture: with more it is slower (measured 3.6 s against 52 on a busy machine of 2 cores).

    Raises `NoTesseract` where it is missing.
    """

    def __init__(self, language: str = "eng") -> None:
        binary = shutil.which("tesseract")
        if binary is None:
            raise NoTesseract("there is no Tesseract on this machine. Install it with: apt install tesseract-ocr")
        known = subprocess.run([binary, "--list-langs"], capture_output=True, text=True, check=False).stdout.split()
        if language not in known:
            package = f"tesseract-ocr-{language.replace('_', '-')}"
            raise NoTesseract(f"Tesseract has no data for {language!r}. Install it with: apt install {package}")
        self._command = [binary, "-", "-", "-l", language, "--psm", "6", "--dpi", "300"]

    def read(self, png: bytes, letters: float) -> str:
        """The words of a picture of one column, a line for each. Raises `ReaderError`.

        Args:
            letters: the font size, in pixels of the picture; it is enlarged until they are as large as the engine wants them.
        """
        picture, file, factor = Image.open(io.BytesIO(png)).convert("L"), io.BytesIO(), LETTER / letters
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        picture.resize(size, Image.Resampling.BICUBIC).save(file, "PNG", compress_level=1)
        environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        try:
            done = subprocess.run(self._command, input=file.getvalue(), capture_output=True, check=True, env=environment, timeout=SECONDS)
        except (subprocess.SubprocessError, OSError) as exc:
            raise ReaderError(f"Tesseract could not read a picture of {size[0]} x {size[1]} px: {exc}") from exc
        return done.stdout.decode("utf-8", "replace").replace("\f", "")
