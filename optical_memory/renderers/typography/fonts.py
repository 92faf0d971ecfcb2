"""Which font draws what: four bundled faces first, then the machine's own fonts by what they cover.

Four faces come with the package (see `fonts/`), so Latin, Greek, Cyrillic, symbols and much more look alike on every machine: DejaVu Sans
Mono and its bold, and Optical Memory Sans and its bold, which are DejaVu Sans with an I, an l and a 0 without twins (tools/make_fonts.py).
Other scripts need a font of the machine; `renderers.bitmap` stands in where there is none.
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

# Fonts that claim every character and draw boxes, and the outline twin of our own last resort.
USELESS = ("lastresort", "adobeblank", "unifont", "fallback-boxes")
# The first match decides. Upright sans regular faces come first; what is set for other ends follows.
PENALTIES = (
    ("bold", 40), ("black", 40), ("italic", 40), ("oblique", 40), ("thin", 40), ("light", 40), ("condensed", 30), ("narrow", 30),
    ("serif", 20), ("mono", 15), ("rashi", 15), ("nastaliq", 15), ("kufi", 15), ("looped", 15), ("unjoined", 15), ("display", 10),
    ("supplement", 10), ("cjk", 5), ("emoji", 4), ("notosans", 0), ("noto", 2),
)  # fmt: skip
OTHER_PENALTY = 8
COLLECTION_ORDER = (" SC", " JP", " KR", " TC", " HK")  # which face of a CJK collection writes Han
_EAST_ASIAN = re.compile("[\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]")
_EAST_ASIAN_NAME = re.compile(
    r"CJK|SourceHan|WenQuanYi|wqy|PingFang|Hiragino|YaHei|msyh|simsun|yugoth|malgun|NotoSans(SC|TC|JP|KR|HK)", re.IGNORECASE
)
FACES_KEPT = 50_000  # answers; a page has a few hundred


@dataclass(frozen=True, slots=True)
class Face:
    """A face that can be loaded: a file, a face's index in it, and whether its glyphs are pictures of a fixed size."""

    path: Path
    index: int = 0
    has_strikes: bool = False


def find_system_fonts() -> tuple[Path, ...]:
    """The machine's font files, sorted by path: those that fontconfig lists where it is installed, else those in the usual folders."""
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
        return []  # the folders are looked at instead
    return [Path(line) for line in set(done.stdout.splitlines()) if line]


def font_folders() -> list[Path]:
    """Where this kind of machine keeps its fonts; the folders need not exist."""
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
    """The faces of a file, the one to be preferred first; read once in the process."""
    infos = sorted(read_faces(path), key=lambda info: (_collection_rank(info.family), info.index))
    return tuple((Face(path, info.index, info.has_strikes), info.coverage) for info in infos)


class FontBook:
    """Answers which face draws a cluster of characters.

    Args:
        extra: font files beyond the bundled ones, in any order; None takes what the machine has, `()` nothing.
    """

    def __init__(self, extra: Sequence[Path] | None = None) -> None:
        self._given = None if extra is None else tuple(sorted(extra))
        self._chosen: dict[tuple[str, str], Face | None] = {}

    @cached_property
    def extra(self) -> tuple[Path, ...]:
        """The font files beyond the bundled ones, in the order in which they are asked."""
        paths = find_system_fonts() if self._given is None else self._given
        return tuple(sorted(paths, key=lambda path: (_penalty(path), path.name, str(path))))

    @cached_property
    def _east_asian_first(self) -> tuple[Path, ...]:
        """Many fonts hold a few East Asian signs, each in its own place in the square: all are to come from one font."""
        return tuple(sorted(self.extra, key=lambda path: not _EAST_ASIAN_NAME.search(path.stem)))

    @cached_property
    def identity(self) -> str:
        """A hash of every font that may be used: the name and size of each, and of the machine's own also the time of its last change."""
        lines = [f"{path.name}|{path.stat().st_size}" for path in BUNDLED.values()]
        for path in self.extra:
            try:
                status = path.stat()
            except OSError:
                continue  # listed, but gone: it cannot be used either
            lines.append(f"{path.name}|{status.st_size}|{status.st_mtime_ns}")
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def face_for(self, codes: Sequence[int], style: str) -> Face | None:
        """The first face that maps all of `codes`, or None.

        Args:
            codes: code points that must stand together.
            style: `sans`, `bold`, `mono` or `monobold`, the bundled face that is asked first.
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
    """The same face in bold where it lies beside, else the face itself."""
    path = face.path.with_name(face.path.name.replace("Regular", "Bold"))
    if path == face.path or not path.is_file():
        return face
    bold = {other.index: (other, coverage) for other, coverage in _faces_of(path)}.get(face.index)
    return bold[0] if bold and all(code in bold[1] for code in codes) else face
