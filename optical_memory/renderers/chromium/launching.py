"""Start the browser: fonts, sandbox, and isolation of hostile content.

No scripts, no name resolution, a proxy that does not exist, every request aborted, the context offline; in addition to the page's own
policy (`stylesheet.document`) and the escaping (`html`).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Playwright, Route

__all__ = ["font_configuration", "launch", "launch_failure", "sealed_context", "was_killed"]

KILLED = ("exitCode=137", "signal=SIGKILL")  # in Playwright's log of a launch; the first one if started by a shell
SANDBOX_VARIABLE = "OPTICAL_MEMORY_NO_SANDBOX"
ARGUMENTS = (
    "--proxy-server=http://nowhere.invalid:1",
    "--proxy-bypass-list=<-loopback>",  # loopback uses the non-existent proxy too
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-remote-fonts",
    "--no-pings",
    "--dns-prefetch-disable",
    "--disable-lcd-text",
    "--lang=en-US",
)
# Letters on whole pixels: a third fewer bytes, and half the errors in code (docs/experiments.md). Only these fonts have manual hints.
FULL_HINTING = "".join(
    f'<match target="font"><test name="family" compare="contains"><string>{family}</string></test>'
    '<edit name="hinting" mode="assign"><bool>true</bool></edit><edit name="hintstyle" mode="assign"><const>hintfull</const></edit>'
    '<edit name="autohint" mode="assign"><bool>false</bool></edit></match>'
    for family in ("Optical Memory Sans", "DejaVu Sans")
)


async def launch(playwright: Playwright, path: Path, fonts: Path | None) -> Browser:
    """Start the browser at `path`. Raises Playwright's `Error`."""
    environment: dict[str, str | float | bool] = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    if fonts:
        environment["FONTCONFIG_FILE"] = str(fonts / "fonts.conf")
    return await playwright.chromium.launch(
        executable_path=path,
        args=list(ARGUMENTS),
        chromium_sandbox=_sandboxed(),
        handle_sigint=False,
        handle_sigterm=False,
        handle_sighup=False,
        env=environment,
        timeout=60_000,
    )


async def sealed_context(browser: Browser) -> BrowserContext:
    """Open a context without scripts and without a network."""
    context = await browser.new_context(
        java_script_enabled=False,
        offline=True,
        no_viewport=True,
        service_workers="block",
        accept_downloads=False,
        locale="en-US",
        timezone_id="UTC",
        color_scheme="light",
        reduced_motion="reduce",
        forced_colors="none",
    )
    await context.route("**/*", _abort)
    return context


async def _abort(route: Route) -> None:
    await route.abort()


def _sandboxed() -> bool:
    """Whether to use the sandbox: Chromium refuses it as root."""
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return not as_root and not os.environ.get(SANDBOX_VARIABLE)


def was_killed(account: str) -> bool:
    """Whether Playwright's log of a launch says that the browser was killed, for example by the out-of-memory killer."""
    return any(sign in account for sign in KILLED)


def launch_failure(path: Path, reason: str) -> str:
    """Return the error text for a browser that does not start."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    said = next((line for line in lines if "ERROR" in line or "FATAL" in line or "error while loading" in line), lines[0] if lines else "")
    hint = f" If this machine allows no user namespaces, set {SANDBOX_VARIABLE}=1." if _sandboxed() else ""
    return f"the browser {str(path)!r} does not start: {said[:300]}{hint}"


def font_configuration() -> Path | None:
    """Make a folder with a fontconfig file: the bundled fonts before the system's."""
    if sys.platform in ("win32", "darwin"):
        return None
    system = os.environ.get("FONTCONFIG_FILE", "/etc/fonts/fonts.conf")
    carried = Path(__file__).parents[1] / "fonts"
    folder = Path(tempfile.mkdtemp(prefix="optical-memory-"))
    folder.joinpath("fonts.conf").write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f'<dir>{escape(str(carried))}</dir><include ignore_missing="yes">{escape(system)}</include>{FULL_HINTING}'
        f"<cachedir>{escape(str(folder))}</cachedir></fontconfig>",
        encoding="utf-8",
    )
    return folder
