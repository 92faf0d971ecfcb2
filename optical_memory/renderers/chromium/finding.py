"""Find a Chromium on this machine, without starting it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...errors import BrowserNotFound

__all__ = ["BROWSER_VARIABLE", "BrowserFound", "browser_version", "find_browser", "named_in_vain", "require_browser"]

BROWSER_VARIABLE = "OPTICAL_MEMORY_BROWSER"
ON_PATH = (
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "brave-browser",
)
APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
OWN_PATTERNS = (  # of Playwright's folder of browsers, the light shell before the full browser
    "chromium_headless_shell-*/*/headless_shell*",
    "chromium_headless_shell-*/*/chrome-headless-shell*",
    "chromium-*/chrome-*/chrome",
    "chromium-*/chrome-*/chrome.exe",
    "chromium-*/chrome-*/*.app/Contents/MacOS/*",
)


@dataclass(frozen=True, slots=True)
class BrowserFound:
    """A browser's executable, and the source of its path: `setting`, `environment`, `playwright` or `path`."""

    path: Path
    source: str


def find_browser(setting: str | None = None) -> BrowserFound | None:
    """Return the browser to draw with, or None. Checks files only, in well under a millisecond.

    A `setting`, or else the variable OPTICAL_MEMORY_BROWSER, names it: a path, or a command on PATH; then nothing else is tried. Without
    either: Playwright's own download, then the usual commands on PATH, then the usual application folders.
    """
    named = setting or os.environ.get(BROWSER_VARIABLE)
    if named:
        path = shutil.which(os.path.expanduser(named))
        return BrowserFound(Path(path), "setting" if setting else "environment") if path else None
    return next(_candidates(), None)


def require_browser(setting: str | None = None) -> BrowserFound:
    """Like `find_browser`, but raises `BrowserNotFound` with what was tried and what to install."""
    found = find_browser(setting)
    if found:
        return found
    usual = f"looked for Playwright's own in {str(_own_folder())!r} and for {', '.join(ON_PATH)} on PATH"
    raise BrowserNotFound(
        f"no Chromium to draw with: {named_in_vain(setting) or usual}. "
        "Install one: 'playwright install chromium-headless-shell', or on Debian "
        f"'apt install chromium-headless-shell'; or set {BROWSER_VARIABLE} to a Chromium or Chrome; or use renderer='pillow'."
    )


def named_in_vain(setting: str | None = None) -> str:
    """Describe why the named browser was not found; empty if none was named."""
    named = setting or os.environ.get(BROWSER_VARIABLE)
    source = "" if setting else f", {BROWSER_VARIABLE},"
    return f"the browser named{source} {named!r} is no executable" if named else ""


def browser_version(path: Path) -> str:
    """Return the output of `--version`, such as `Chromium 156.0.8078.79`; cached per file."""
    real = path.resolve()
    state = real.stat()
    return _version(real, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _version(path: Path, size: int, modified: int) -> str:
    """Run `--version`. `size` and `modified` are keys of the cache that change with an update."""
    if sys.platform == "win32":  # a browser there opens a window instead of answering
        return f"{path.name} {size}"
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as exc:
        said = f"--version leaves with {exc.returncode}" if isinstance(exc, subprocess.CalledProcessError) else f"{exc}"
        raise BrowserNotFound(f"the browser {str(path)!r} does not start: {said}. Set {BROWSER_VARIABLE} to another one.") from exc
    return answer.stdout.strip()


def _candidates() -> Iterator[BrowserFound]:
    folder = _own_folder()
    for pattern in OWN_PATTERNS:
        for path in sorted(folder.glob(pattern), key=_revision, reverse=True):
            if path.is_file() and os.access(path, os.X_OK):
                yield BrowserFound(path, "playwright")
    for command in ON_PATH:
        if found := shutil.which(command):
            yield BrowserFound(Path(found), "path")
    for place in APPLICATIONS:
        if os.access(place, os.X_OK):
            yield BrowserFound(Path(place), "path")


def _own_folder() -> Path:
    """Return Playwright's folder of browsers (its documentation, "Managing browser binaries")."""
    if named := os.environ.get("PLAYWRIGHT_BROWSERS_PATH"):
        return Path(named)
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library/Caches/ms-playwright"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local")) / "ms-playwright"
    return home / ".cache/ms-playwright"


def _revision(path: Path) -> int:
    revisions = [part.rpartition("-")[2] for part in path.parts if part.startswith("chromium")]
    return int(revisions[0]) if revisions and revisions[0].isdigit() else 0
