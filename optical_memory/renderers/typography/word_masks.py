"""Words: the smallest pieces that are measured and drawn, each once, and kept.

A page repeats most of its words, so their masks are cached and a page costs little more than pasting them. A word is cut into clusters (a
base with its marks, an emoji sequence), each cluster finds its font, and neighbours of one font are shaped together.
"""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont, features

from .bidi import mirrored
from .fonts import BUNDLED, Face, FontBook
from .unifont import bitmap_glyph, hex_box

__all__ = ["Ink", "Look", "Word", "WordBook", "clusters_of"]

WORDS_KEPT = 20_000  # masks of about one kilobyte each
CLUSTER_LIMIT = 24  # code points; a longer pile of marks is cut, so that shaping stays linear
ASCENT, DESCENT = 1.3, 0.6  # of the font size: no ink goes further from the baseline, lest one line deface another
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
_KEYCAP = "\u20e3"  # colour fonts draw the digit white on blue, which is lost in grey: digit and frame are drawn one by one


@dataclass(frozen=True, slots=True)
class Look:
    """How a word looks. `size` is in pixels of the picture; `grey` is 0 for black."""

    size: float
    style: str = "sans"
    italic: bool = False
    strike: bool = False
    grey: int = 0


class Ink(NamedTuple):
    """A mask and where its upper left corner stands, relative to the word's start on the baseline."""

    left: int
    top: int
    mask: Image.Image


class Word(NamedTuple):
    """A measured and drawn word: its advance in pixels, its ink, and how many of its characters no font could draw."""

    width: float
    inks: tuple[Ink, ...]
    missing: int


def is_ignorable(char: str) -> bool:
    """Whether a character draws nothing by itself: variation selectors, joiners and other format characters."""
    return bool(_IGNORABLE.match(char)) or (unicodedata.category(char) == "Cf" and not _VISIBLE_FORMATS.match(char))


def clusters_of(text: str) -> list[str]:
    """Text cut so that nothing that is drawn as one is parted: marks, joiners, variation selectors, skin tones, flags."""
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
    """Measures and draws words. Safe to use from many threads."""

    def __init__(self, fonts: FontBook) -> None:
        self.fonts = fonts
        self._words: dict[tuple[Look, bool], dict[str, Word]] = {}
        self._count = 0
        self._lock = threading.RLock()  # Pillow's font objects are not promised to be safe for two threads at once

    def shelf(self, look: Look, rtl: bool = False) -> dict[str, Word]:
        """The words of one look that are known already, for callers that look up many."""
        return self._words.setdefault((look, rtl), {})

    def word(self, text: str, look: Look, rtl: bool = False) -> Word:
        """The word of `text`, which holds no line break."""
        found = self.shelf(look, rtl).get(text)
        return found if found is not None else self._add(text, look, rtl)

    def _add(self, text: str, look: Look, rtl: bool) -> Word:
        with self._lock:
            if self._count >= WORDS_KEPT:
                self._count = 0
                for shelf in self._words.values():
                    shelf.clear()
            word = self._draw(text, look, rtl)
            self.shelf(look, rtl)[text] = word
            self._count += 1
            return word

    def _draw(self, text: str, look: Look, rtl: bool) -> Word:
        if _ASCII.fullmatch(text):
            text = mirrored(text[::-1]) if rtl else text
            return _styled(_draw_run(text, Face(BUNDLED[look.style]), look.size, shaped=False, rtl=False), look)
        pieces = [piece for run, face in self._runs(text, look.style) for piece in self._draw_piece(run, face, look, rtl)]
        return _styled(_joined(pieces[::-1] if rtl else pieces), look)

    def _runs(self, text: str, style: str) -> list[tuple[str, Face | None]]:
        faced = [piece for cluster in clusters_of(text) for piece in self._faced(cluster, style)]
        return [("".join(cluster for cluster, _ in run), face) for face, run in groupby(faced, key=lambda pair: pair[1])]

    def _faced(self, cluster: str, style: str) -> list[tuple[str, Face | None]]:
        """A cluster with its face; character by character where no font has all of it."""
        seen = [ord(char) for char in cluster if not is_ignorable(char)]
        face = self.fonts.face_for(seen or [0x20], style)
        if (face is not None and _KEYCAP not in cluster) or len(cluster) == 1:
            return [(cluster, face)]
        return [(char, self.fonts.face_for([ord(char)], style)) for char in cluster if not is_ignorable(char)]

    def _draw_piece(self, run: str, face: Face | None, look: Look, rtl: bool) -> list[Word]:
        if face is None:
            return [_last_resort(char, look.size) for char in run]
        if face.has_strikes:
            return [_draw_strike(cluster, face, look.size) for cluster in clusters_of(run)]
        shaped = SHAPED and not _PLAIN.fullmatch(run)
        if not shaped:
            run = "".join(char for char in run if not is_ignorable(char))
            run = mirrored("".join(reversed(clusters_of(run)))) if rtl else run  # HarfBuzz mirrors by itself
        try:
            return [_draw_run(run, face, look.size, shaped=shaped, rtl=rtl)]
        except OSError as exc:  # a font that claims the characters, and that FreeType cannot read
            _log.warning("the font %s cannot be drawn with: %s", face.path, exc)
            return [_last_resort(char, look.size) for char in run]


@lru_cache(maxsize=256)
def load_font(face: Face, size: float, shaped: bool) -> ImageFont.FreeTypeFont:
    """A face at a pixel size, laid out by HarfBuzz (`shaped`) or glyph by glyph."""
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
    """A colour glyph, brought to grey and to the height of the text."""
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
    """Pieces side by side. A mark from another font than its letter stands over the letter's middle, and never out of the word."""
    inks: list[Ink] = []
    pen = before = 0.0
    for piece in pieces:
        for ink in piece.inks:
            left = ink.left if piece.width else max(-pen, -(before + ink.mask.width) / 2)
            inks.append(Ink(round(pen + left), ink.top, ink.mask))
        pen += piece.width
        before = piece.width or before
    return Word(pen, tuple(inks), sum(piece.missing for piece in pieces))


def _styled(word: Word, look: Look) -> Word:
    """Slanted and struck through, as the look says."""
    inks = tuple(_slanted(ink) for ink in word.inks) if look.italic else word.inks
    if look.strike and word.width >= 1:
        line = Image.new("L", (round(word.width), max(1, round(look.size / 14))), 255)
        inks = (*inks, Ink(0, -round(0.28 * look.size), line))
    return Word(word.width, inks, word.missing)


def _slanted(ink: Ink) -> Ink:
    """A sheared mask; what lies on the baseline stays where it is."""
    mask, above = ink.mask, -ink.top
    lean = round(SLANT * above)
    fall = round(SLANT * max(0, mask.height - above))
    size = (mask.width + max(0, lean) + fall, mask.height)
    sheared = mask.transform(size, Image.Transform.AFFINE, (1, SLANT, -SLANT * above - fall, 0, 1, 0), Image.Resampling.BICUBIC)
    return Ink(ink.left - fall, ink.top, sheared)
