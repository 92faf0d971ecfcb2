"""Words: the smallest pieces that are measured and drawn, once each, and cached.

A page repeats most of its words, so their masks are cached and a page costs little more than pasting them. A word is cut into clusters (a
base with its marks, an emoji sequence), each cluster finds its font, and neighbours of one font are shaped together.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple
from weakref import WeakValueDictionary

from PIL import Image, ImageDraw, ImageFont, features

from .bidi import mirrored
from .fonts import BUNDLED, Face, FontBook
from .unifont import bitmap_glyph, hex_box

__all__ = ["Ink", "TextStyle", "Word", "WordBook", "clusters_of", "shared_words"]

WORDS_KEPT = 20_000  # masks of about one kilobyte each
CLUSTER_LIMIT = 24  # code points; a longer stack of marks is cut, so that shaping stays linear
ASCENT, DESCENT = 1.3, 0.6  # of the font size: ink is clipped beyond, so that lines do not overlap
STRIKE_SIZES = (109, 136, 160, 128, 96, 72, 64, 32)  # pixel sizes of colour emoji fonts: Noto's first, then Apple's
SLANT = 0.2  # shear of the drawn italics
SHAPED = bool(features.check("raqm"))

# What needs no shaping: Latin, Greek and Cyrillic without combining marks, punctuation, symbols, kana, Han, Hangul syllables.
_PLAIN = re.compile(
    "[!-~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u2070-\u20cf\u2100-\u2dff"
    "\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef]+"
)
_ASCII = re.compile("[!-~]+")
# Invisible wherever they stand (DerivedCoreProperties.txt, Default_Ignorable_Code_Point), beyond the characters of category Cf.
_IGNORABLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
_VISIBLE_FORMATS = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")
_log = logging.getLogger(__name__)
_ZWJ = "\u200d"
_KEYCAP = "\u20e3"  # colour fonts draw a white digit on blue, invisible in grey: digit and frame are drawn one by one


@dataclass(frozen=True, slots=True)
class TextStyle:
    """Size, face and decoration of a word. `size` is in pixels of the image; `grey` is 0 for black."""

    size: float
    style: str = "sans"
    italic: bool = False
    strike: bool = False
    grey: int = 0


class Ink(NamedTuple):
    """A mask and the position of its upper left corner, relative to the word's start on the baseline."""

    left: int
    top: int
    mask: Image.Image


class Word(NamedTuple):
    """A measured and drawn word: its advance in pixels, its ink, and the number of characters that no font could draw."""

    width: float
    inks: tuple[Ink, ...]
    missing: int


def is_ignorable(char: str) -> bool:
    """Whether a character draws nothing by itself: variation selectors, joiners and other format characters."""
    return bool(_IGNORABLE.match(char)) or (unicodedata.category(char) == "Cf" and not _VISIBLE_FORMATS.match(char))


def clusters_of(text: str) -> list[str]:
    """Split text into clusters that are drawn as one: with marks, joiners, variation selectors, skin tones, flags."""
    clusters: list[str] = []
    for char in text:
        if clusters and len(clusters[-1]) < CLUSTER_LIMIT and _extends(clusters[-1], char):
            clusters[-1] += char
        else:
            clusters.append(char)
    return clusters


def _extends(cluster: str, char: str) -> bool:
    if char < "\u0300":
        return False
    if unicodedata.category(char)[0] == "M" or is_ignorable(char):
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff":  # skin tones
        return cluster[0] > "\u2190"
    if "\U0001f1e6" <= char <= "\U0001f1ff":  # flags: two letters each
        return len(cluster) == 1 and "\U0001f1e6" <= cluster <= "\U0001f1ff"
    return cluster[-1] == _ZWJ and char > "\u2190"


class WordBook:
    """Measures and draws words. Thread-safe."""

    def __init__(self, fonts: FontBook) -> None:
        self.fonts = fonts
        self._words: dict[tuple[TextStyle, bool], dict[str, Word]] = {}
        self._latest: tuple[TextStyle | None, bool, dict[str, Word]] = (None, False, {})
        self._count = 0
        self._lock = threading.RLock()  # Pillow's font objects are not documented as thread-safe

    def shelf(self, text_style: TextStyle, rtl: bool = False) -> dict[str, Word]:
        """Return the cached words of one text style, for callers that need many."""
        return self._words.setdefault((text_style, rtl), {})

    def word(self, text: str, text_style: TextStyle, rtl: bool = False) -> Word:
        """Return the word of `text`, which must not contain a line break."""
        latest = self._latest
        if latest[0] is not text_style or latest[1] != rtl:  # hashing a style for every word would take longer than finding the word
            latest = self._latest = (text_style, rtl, self.shelf(text_style, rtl))
        found = latest[2].get(text)
        return found if found is not None else self._add(text, text_style, rtl)

    def _add(self, text: str, text_style: TextStyle, rtl: bool) -> Word:
        with self._lock:
            if self._count >= WORDS_KEPT:
                self._count = 0
                for shelf in self._words.values():
                    shelf.clear()
            word = self._draw(text, text_style, rtl)
            self.shelf(text_style, rtl)[text] = word
            self._count += 1
            return word

    def _draw(self, text: str, text_style: TextStyle, rtl: bool) -> Word:
        if _ASCII.fullmatch(text):
            text = mirrored(text[::-1]) if rtl else text
            return _styled(_draw_run(text, Face(BUNDLED[text_style.style]), text_style.size, shaped=False, rtl=False), text_style)
        pieces = [piece for run, face in self._runs(text, text_style.style) for piece in self._draw_piece(run, face, text_style, rtl)]
        return _styled(_joined(pieces[::-1] if rtl else pieces), text_style)

    def _runs(self, text: str, style: str) -> list[tuple[str, Face | None]]:
        faced = [piece for cluster in clusters_of(text) for piece in self._faced(cluster, style)]
        return [("".join(cluster for cluster, _ in run), face) for face, run in groupby(faced, key=lambda pair: pair[1])]

    def _faced(self, cluster: str, style: str) -> list[tuple[str, Face | None]]:
        """Return a cluster with its face; character by character if no font has all of it."""
        seen = [ord(char) for char in cluster if not is_ignorable(char)]
        face = self.fonts.face_for(seen or [0x20], style)
        if (face is not None and _KEYCAP not in cluster) or len(cluster) == 1:
            return [(cluster, face)]
        return [(char, self.fonts.face_for([ord(char)], style)) for char in cluster if not is_ignorable(char)]

    def _draw_piece(self, run: str, face: Face | None, text_style: TextStyle, rtl: bool) -> list[Word]:
        if face is None:
            return [_last_resort(char, text_style.size) for char in run]
        if face.has_strikes:
            return [_draw_strike(cluster, face, text_style.size) for cluster in clusters_of(run)]
        shaped = SHAPED and not _PLAIN.fullmatch(run)
        if not shaped:
            run = "".join(char for char in run if not is_ignorable(char))
            run = mirrored("".join(reversed(clusters_of(run)))) if rtl else run  # HarfBuzz mirrors by itself
        try:
            return [_draw_run(run, face, text_style.size, shaped=shaped, rtl=rtl)]
        except OSError as exc:  # a font that maps the characters, but FreeType cannot read it
            _log.warning("the font %s cannot be drawn with: %s", face.path, exc)
            return [_last_resort(char, text_style.size) for char in run]


_shared: WeakValueDictionary[tuple[int, str], WordBook] = WeakValueDictionary()


def shared_words(fonts: FontBook) -> WordBook:
    """Return the words of all renderers with the same fonts in this process, for each memory may open one. They last as long as one does.

    A forked child has its own: another thread may have held the lock of its parent's at the moment of the fork.
    """
    key = os.getpid(), fonts.identity
    book = _shared.get(key)
    if book is None:  # two threads may each make one; then the later one is shared from now on
        book = _shared[key] = WordBook(fonts)
    return book


@lru_cache(maxsize=256)
def load_font(face: Face, size: float, shaped: bool) -> ImageFont.FreeTypeFont:
    """Load a face at a pixel size, laid out by HarfBuzz (`shaped`) or glyph by glyph."""
    engine = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
    return ImageFont.truetype(face.path, size, index=face.index, layout_engine=engine)


def _draw_run(text: str, face: Face, size: float, *, shaped: bool, rtl: bool) -> Word:
    font = load_font(face, size, shaped)
    direction = ("rtl" if rtl else "ltr") if shaped else None
    advance = font.getlength(text, direction=direction)
    left, top, right, bottom = (round(side) for side in font.getbbox(text, anchor="ls", direction=direction))
    top, bottom = max(top, -round(ASCENT * size)), min(bottom, round(DESCENT * size))
    if right <= left or bottom <= top:
        return Word(advance, (), 0)
    mask = Image.new("L", (right - left, bottom - top), 0)
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=font, anchor="ls", direction=direction)
    return Word(advance, (Ink(left, top, mask),), 0)


def _last_resort(char: str, size: float) -> Word:
    code = ord(char)
    glyph = bitmap_glyph(code, size)
    if glyph is not None:
        advance, left, top, mask = glyph
        return Word(advance, (Ink(left, top, mask),), 0)
    box = hex_box(code, size)
    return Word(box.width, (Ink(0, -box.height + round(0.15 * size), box),), 1)


@lru_cache(maxsize=8)
def _strike_font(face: Face) -> ImageFont.FreeTypeFont | None:
    for size in STRIKE_SIZES:
        try:
            return load_font(face, size, SHAPED)
        except OSError:  # FreeType has no strike of this size
            continue
    return None


def _draw_strike(cluster: str, face: Face, size: float) -> Word:
    """Draw a colour glyph in grey, scaled to the height of the text."""
    font = _strike_font(face)
    side = max(1, round(1.15 * size))
    box = font.getbbox(cluster) if font is not None else (0, 0, 0, 0)
    width, height = round(box[2] - box[0]), round(box[3] - box[1])
    if font is None or width <= 0 or height <= 0:
        return _last_resort(cluster[0], size)
    canvas = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(canvas).text((-box[0], -box[1]), cluster, font=font, embedded_color=True, fill="black")
    small = canvas.convert("L").resize((max(1, round(side * width / height)), side), Image.Resampling.LANCZOS)
    return Word(small.width + 1, (Ink(0, -round(0.93 * size), small.point([255 - level for level in range(256)])),), 0)


def _joined(pieces: list[Word]) -> Word:
    """Join pieces side by side. A mark from another font than its letter is centred on the letter, inside the word."""
    inks: list[Ink] = []
    pen = before = 0.0
    for piece in pieces:
        for ink in piece.inks:
            left = ink.left if piece.width else max(-pen, -(before + ink.mask.width) / 2)
            inks.append(Ink(round(pen + left), ink.top, ink.mask))
        pen += piece.width
        before = piece.width or before
    return Word(pen, tuple(inks), sum(piece.missing for piece in pieces))


def _styled(word: Word, text_style: TextStyle) -> Word:
    """Slant and strike through a word by its text style."""
    inks = tuple(_slanted(ink) for ink in word.inks) if text_style.italic else word.inks
    if text_style.strike and word.width >= 1:
        line = Image.new("L", (round(word.width), max(1, round(text_style.size / 14))), 255)
        inks = (*inks, Ink(0, -round(0.28 * text_style.size), line))
    return Word(word.width, inks, word.missing)


def _slanted(ink: Ink) -> Ink:
    """Shear a mask about the baseline."""
    mask, above = ink.mask, -ink.top
    lean = round(SLANT * above)
    fall = round(SLANT * max(0, mask.height - above))
    size = (mask.width + max(0, lean) + fall, mask.height)
    sheared = mask.transform(size, Image.Transform.AFFINE, (1, SLANT, -SLANT * above - fall, 0, 1, 0), Image.Resampling.BICUBIC)
    return Ink(ink.left - fall, ink.top, sheared)
