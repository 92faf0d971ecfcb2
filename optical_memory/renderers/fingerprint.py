"""Fingerprints of renderers: hash everything but the turns that affects pixels."""

from __future__ import annotations

import hashlib
import importlib.metadata
import unicodedata
import zlib
from functools import lru_cache
from pathlib import Path

__all__ = ["code_files", "fingerprint_of"]

# They affect the blocks and how they are drawn.
PACKAGES = ("latex2mathml", "markdown-it-py", "mdit-py-plugins", "pillow", "pygments", "python-bidi")
PIXEL_FILES = (".py", ".js", ".ttf", ".xz")


@lru_cache(maxsize=32)
def fingerprint_of(*facts: str) -> str:
    """Return sixteen hexadecimal digits, the same in every process of an unchanged machine.

    Args:
        facts: what one renderer depends on beyond the shared code, packages and Unicode tables: its libraries, its fonts.
    """
    packages = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    whole = "\n".join([_code_state(), unicodedata.unidata_version, zlib.ZLIB_RUNTIME_VERSION, *packages, *facts])
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def _code_state() -> str:
    """Hash the code and data that affect pixels, so that no version number has to be maintained."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in code_files())).hexdigest()


def code_files() -> list[Path]:
    """Return every file under `renderers/` that affects pixels, and the modules elsewhere that decide what is on which page."""
    here = Path(__file__).parent
    inside = sorted(path for path in here.rglob("*") if path.suffix in PIXEL_FILES)
    return [*inside, here.parent / "pages" / "pagination.py", here.parent / "turns" / "exchanges.py"]
