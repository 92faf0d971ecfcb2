"""Select the font for each character: four bundled faces first, then the machine's own fonts by coverage.

Four faces come with the package (see `fonts/`), so Latin, Greek, Cyrillic, symbols and more are the same on every machine: DejaVu Sans Mono
and its bold, and Optical Memory Sans and its bold, which are DejaVu Sans with unambiguous I, l and 0 (tools/make_fonts.py). Other scripts
need a font of the machine; without one, `unifont` is used.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from .sfnt import Coverage, read_faces

__all__ = ["BUNDLED", "Face", "FontBook", "find_system_fonts", "font_folders"]

FOLDER = Path(__file__).parents[1] / "fonts"
BUNDLED = {
    "sans": FOLDER / "OpticalMemorySans.ttf",
    "bold": FOLDER / "OpticalMemorySans-Bold.ttf",
    "mono": FOLDER / "DejaVuSansMono.ttf",
    "monobold": FOLDER / "DejaVuSansMono-Bold.ttf",
}
SUFFIXES = {".ttf", ".otf", ".ttc", ".otc"}
FC_LIST_SECONDS = 10.0  # fontconfig may have to build its cache on a fresh machine

# Fonts that map every character to a box, and the outline version of our own last resort.
USELESS = ("lastresort", "adobeblank", "unifont", "fallback-boxes")
# The first match decides. Upright regular sans faces come first; special-purpose fonts follow.
PENALTIES = (
    ("bold", 40), ("black", 40), ("italic", 40), ("oblique", 40), ("thin", 40), ("light", 40), ("condensed", 30), ("narrow", 30),
    ("serif", 20), ("mono", 15), ("rashi", 15), ("nastaliq", 15), ("kufi", 15), ("looped", 15), ("unjoined", 15), ("display", 10),
    ("supplement", 10), ("cjk", 5), ("emoji", 4), ("notosans", 0), ("noto", 2),
)  # fmt: skip
OTHER_PENALTY = 8
COLLECTION_ORDER = (" SC", " JP", " KR", " TC", " HK")  # order of a CJK collection's faces for Han
_EAST_ASIAN = re.compile("[\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]")
_EAST_ASIAN_NAME = re.compile(
    r"CJK|SourceHan|WenQuanYi|wqy|PingFang|Hiragino|YaHei|msyh|simsun|yugoth|malgun|NotoSans(SC|TC|JP|KR|HK)", re.IGNORECASE
)
FACES_KEPT = 50_000  # cached lookups; a page has a few hundred


@dataclass(frozen=True, slots=True)
class Face:
    """A face that can be loaded: a file, the face's index in it, and whether its glyphs are bitmaps of a fixed size."""

    path: Path
    index: int = 0
    has_strikes: bool = False


def find_system_fonts() -> tuple[Path, ...]:
    """Return the machine's font files, sorted by path: those listed by fontconfig if installed, else those in the usual folders."""
    listed = _listed_by_fontconfig()
    paths = listed if listed else _in_folders(font_folders())
    return tuple(sorted(path for path in paths if path.suffix.lower() in SUFFIXES and not _is_useless(path)))


def _listed_by_fontconfig() -> list[Path]:
    command = shutil.which("fc-list")
    if command is None:
        return []
    try:
        done = subprocess.run([command, "--format", "%{file}\n"], capture_output=True, text=True, timeout=FC_LIST_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return []  # search the folders instead
    return [Path(line) for line in set(done.stdout.splitlines()) if line]


def font_folders() -> list[Path]:
    """Return this platform's font folders; they need not exist."""
    home = Path.home()
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    if sys.platform == "win32":
        return [Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts", home / "AppData/Local/Microsoft/Windows/Fonts"]
    return [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".fonts", home / ".local/share/fonts"]


def _in_folders(folders: Iterable[Path]) -> list[Path]:
    return [Path(root) / name for folder in folders for root, _, names in os.walk(folder) for name in names]


def _is_useless(path: Path) -> bool:
    stem = path.stem.lower().replace(" ", "")
    return any(word in stem for word in USELESS) or path.name in {bundled.name for bundled in BUNDLED.values()}


def _penalty(path: Path) -> int:
    stem = path.stem.lower().replace("-", "").replace("_", "")
    return next((points for word, points in PENALTIES if word in stem), OTHER_PENALTY)


def _collection_rank(family: str) -> int:
    place = next((place for place, mark in enumerate(COLLECTION_ORDER) if mark in family), len(COLLECTION_ORDER))
    return place + (len(COLLECTION_ORDER) + 1 if "Mono" in family else 0)


@lru_cache(maxsize=512)
def _faces_of(path: Path) -> tuple[tuple[Face, Coverage], ...]:
    """Return the faces of a file, preferred ones first; cached per process."""
    infos = sorted(read_faces(path), key=lambda info: (_collection_rank(info.family), info.index))
    return tuple((Face(path, info.index, info.has_strikes), info.coverage) for info in infos)


class FontBook:
    """Selects the face for a cluster of characters.

    Args:
        extra: font files beyond the bundled ones, in any order; None for the machine's fonts, `()` for none.
    """

    def __init__(self, extra: Sequence[Path] | None = None) -> None:
        self._given = None if extra is None else tuple(sorted(extra))
        self._chosen: dict[tuple[str, str], Face | None] = {}

    @cached_property
    def extra(self) -> tuple[Path, ...]:
        """Font files beyond the bundled ones, in order of preference."""
        paths = find_system_fonts() if self._given is None else self._given
        return tuple(sorted(paths, key=lambda path: (_penalty(path), path.name, str(path))))

    @cached_property
    def _east_asian_first(self) -> tuple[Path, ...]:
        """Return the fonts with East Asian fonts first: many other fonts have a few such characters, placed differently in the square."""
        return tuple(sorted(self.extra, key=lambda path: not _EAST_ASIAN_NAME.search(path.stem)))

    @cached_property
    def identity(self) -> str:
        """Hash of every available font: name and size, and for the machine's own also the time of the last change."""
        lines = [f"{path.name}|{path.stat().st_size}" for path in BUNDLED.values()]
        for path in self.extra:
            try:
                status = path.stat()
            except OSError:
                continue  # listed, but missing, so not usable
            lines.append(f"{path.name}|{status.st_size}|{status.st_mtime_ns}")
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def face_for(self, codes: Sequence[int], style: str) -> Face | None:
        """Return the first face that maps all of `codes`, or None.

        Args:
            codes: code points of one cluster.
            style: `sans`, `bold`, `mono` or `monobold`: the bundled face to try first.
        """
        key = ("".join(map(chr, codes)), style)
        if key in self._chosen:
            return self._chosen[key]
        if len(self._chosen) >= FACES_KEPT:
            self._chosen.clear()
        face = self._chosen[key] = self._find(codes, style)
        return face

    def _find(self, codes: Sequence[int], style: str) -> Face | None:
        for path in (BUNDLED[style], BUNDLED["sans"]):
            face, coverage = _faces_of(path)[0]
            if all(code in coverage for code in codes):
                return face
        for path in self._east_asian_first if _EAST_ASIAN.match(chr(codes[0])) else self.extra:
            for face, coverage in _faces_of(path):
                if all(code in coverage for code in codes):
                    return _bold_sibling(face, codes) if style.endswith("bold") else face
        return None


def _bold_sibling(face: Face, codes: Sequence[int]) -> Face:
    """Return the bold face of the same folder, else the face itself."""
    path = face.path.with_name(face.path.name.replace("Regular", "Bold"))
    if path == face.path or not path.is_file():
        return face
    bold = {other.index: (other, coverage) for other, coverage in _faces_of(path)}.get(face.index)
    return bold[0] if bold and all(code in bold[1] for code in codes) else face
