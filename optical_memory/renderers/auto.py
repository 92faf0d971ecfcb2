"""The default renderer."""

from __future__ import annotations

import importlib.util
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from ..errors import BrowserNotFound, DriverNotStarted
from .base import Renderer
from .chromium.driver import require_driver
from .chromium.finding import BrowserFound, browser_version, find_browser, named_in_vain

__all__ = ["open_auto"]

_log = logging.getLogger(__name__)
_said = threading.Event()


def open_auto() -> Renderer:
    """Open Chromium if a browser and Playwright's driver start, else Pillow. Logs which one and why, once per process."""
    found = find_browser()
    missing = _missing(found)
    if found and not missing:
        from .chromium.renderer import ChromiumRenderer

        _say(logging.INFO, f"pages are drawn by Chromium: {found.path}")
        return ChromiumRenderer()
    from .pillow.renderer import PillowRenderer

    _say(logging.WARNING, f"pages are drawn by Pillow, for {missing}; 'optical-memory doctor' says what to install")
    return PillowRenderer()


def _missing(found: BrowserFound | None) -> str:
    """Return what the Chromium renderer lacks; empty for nothing. Some distributions install a stub in place of the browser."""
    if not found:
        return named_in_vain() or "no Chromium was found"
    if not importlib.util.find_spec("playwright"):
        return "the playwright package is not installed (pip install 'optical-memory[chromium]')"
    try:
        with ThreadPoolExecutor(1) as meanwhile:
            driver = meanwhile.submit(require_driver)
            browser_version(found.path)
            driver.result()
    except BrowserNotFound as exc:
        return str(exc).rstrip(".")
    except DriverNotStarted as exc:
        return f"Playwright's driver {exc.node!r} does not start: {exc.why} ({exc.advice})"
    return ""


def _say(level: int, message: str) -> None:
    if not _said.is_set():
        _said.set()
        _log.log(level, message)
