"""The renderer for whoever did not choose one."""

from __future__ import annotations

import importlib.util
import logging
import threading

from .base import Renderer
from .finding import find_browser

__all__ = ["open_auto"]

_log = logging.getLogger(__name__)
_said = threading.Event()


def open_auto() -> Renderer:
    """Chromium where a browser and Playwright are found, else Pillow. Which one, and what is missing, is logged once per process."""
    found = find_browser()
    if found and importlib.util.find_spec("playwright"):
        from .chromium import ChromiumRenderer

        _say(logging.INFO, f"pages are drawn by Chromium: {found.path}")
        return ChromiumRenderer()
    from .pillow import PillowRenderer

    missing = "the playwright package is not installed (pip install 'optical-memory[chromium]')" if found else "no Chromium was found"
    _say(logging.WARNING, f"pages are drawn by Pillow, for {missing}; 'optical-memory doctor' says what to install")
    return PillowRenderer()


def _say(level: int, message: str) -> None:
    if not _said.is_set():
        _said.set()
        _log.log(level, message)
