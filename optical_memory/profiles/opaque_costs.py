"""What data without words costs as part of a message: files, sounds, films, encrypted reasoning. Estimates, on the high side."""

from __future__ import annotations

import base64
import binascii
import re
import zlib

from ..turns.attachments import image_size
from ..turns.block_words import Opaque
from ..turns.turn import ImageContent
from .profile import ReaderProfile

__all__ = ["opaque_tokens"]

SEALED_CHARACTERS = 4  # of base64 for one token: reasoning is encrypted as the text that it is, three bytes in four characters
PDF_PAGE_TEXT = 3_000  # tokens of a dense page; Anthropic names 1,500 to 3,000, and each page is a picture too
PDF_PAGE = (1024, 1325)  # pixels of a page as a picture
PDF_BYTES = 50_000  # of one page, where pages cannot be counted
SOUND_TOKENS = 32  # of a second: Gemini's rate, the highest
SOUND_BYTES = 8_000  # of a second at 64 kbit/s, a low rate for speech
WAVE_BYTES = 32_000  # of a second of a plain recording at 16 kHz
FILM_TOKENS = 300  # of a second: Gemini's 258 for a picture, and its sound
FILM_BYTES = 125_000  # of a second at 1 Mbit/s
NAMED_FILE = 3_000  # a file that is only named, by its id or URL

_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_STREAM = re.compile(rb"/ObjStm.{0,200}?stream\r?\n", re.DOTALL)
MOST_INFLATED = 50_000_000  # bytes of a PDF's compressed objects that are searched for pages


def opaque_tokens(data: Opaque, profile: ReaderProfile) -> int:
    """Return the tokens of `data` for a reader."""
    kind = data.media_type.lower()
    size = len(data.data) * 3 // 4
    if not data.data:
        return profile.picture_tokens(*PDF_PAGE) if kind.startswith("image/") else NAMED_FILE
    if kind.startswith("image/"):
        return profile.picture_tokens(*_size(data))
    if kind == "application/pdf":
        return _pdf_pages(data.data) * (PDF_PAGE_TEXT + profile.picture_tokens(*PDF_PAGE))
    if kind.startswith("audio/"):
        return SOUND_TOKENS * (1 + size // (WAVE_BYTES if kind.endswith(("wav", "pcm16", "l16")) else SOUND_BYTES))
    if kind.startswith("video/"):
        return FILM_TOKENS * (1 + size // FILM_BYTES)
    return -(-len(data.data) // SEALED_CHARACTERS)


def _size(data: Opaque) -> tuple[int, int]:
    try:
        return image_size(ImageContent(media_type=data.media_type, data=data.data))
    except ValueError:
        return PDF_PAGE


def _pdf_pages(encoded: str) -> int:
    """Count the pages of a PDF; by its size if they cannot be found."""
    try:
        whole = base64.b64decode(encoded)
    except (binascii.Error, ValueError):
        whole = b""
    pages, room = len(_PAGE.findall(whole)), MOST_INFLATED
    for match in _STREAM.finditer(whole):
        try:
            inflated = zlib.decompressobj().decompress(whole[match.end() :], room)
        except zlib.error:
            continue
        pages, room = pages + len(_PAGE.findall(inflated)), room - len(inflated)
        if room <= 0:
            break
    return pages or 1 + len(encoded) * 3 // 4 // PDF_BYTES
