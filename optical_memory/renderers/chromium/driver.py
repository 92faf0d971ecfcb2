"""Playwright's driver: the Node.js process between this process and the browser. Start it, and diagnose why it does not start."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DriverNotStarted, MissingExtra
from ...text.excerpts import said
from ...worker_threads import in_thread

if TYPE_CHECKING:
    from playwright.async_api import Playwright

__all__ = ["ASKED_AGAIN", "DRIVER_VARIABLE", "DriverLoop", "driver_silent", "require_driver", "start_driver", "try_driver"]

DRIVER_VARIABLE = "PLAYWRIGHT_NODEJS_PATH"  # Playwright's own: a Node.js to use instead of the bundled one
VERSION_LIMIT = 15.0  # s for Node.js to print its version, which usually takes 0.05 s
START_LIMIT = 30.0  # s for the driver to start, which takes about 1 s on a busy machine
ASKED_AGAIN = 60  # s; TTL of an answer: notices a library installed meanwhile, and a hanging driver delays few calls
LONGEST = 65_536  # bytes of an answer
PACKAGES = {
    "libatomic.so.1": "libatomic1",
    "libgcc_s.so.1": "libgcc-s1",
    "libstdc++.so.6": "libstdc++6",
}  # what Node.js links to, in Debian
_log = logging.getLogger(__name__)
MISSING_LIBRARY = re.compile(r"(?:error while loading shared libraries: |Error loading shared library |Library not loaded: )([^\s:]+)")


if sys.platform == "win32":
    _Loop = asyncio.ProactorEventLoop
else:
    _Loop = asyncio.SelectorEventLoop


class DriverLoop(_Loop):
    """An event loop that tracks the processes started on it: Playwright does not expose its driver's, so a hanging one cannot be ended."""

    def __init__(self) -> None:
        super().__init__()
        self._started: list[asyncio.SubprocessTransport] = []
        self.set_exception_handler(_noted)

    async def subprocess_exec(self, *arguments: Any, **options: Any) -> Any:
        """See `asyncio.loop.subprocess_exec`."""
        transport, protocol = await super().subprocess_exec(*arguments, **options)
        self._started.append(transport)
        return transport, protocol

    @property
    def has_driver(self) -> bool:
        """Whether the driver runs."""
        return any(transport.get_returncode() is None for transport in self._started)

    def kill_driver(self) -> None:
        """Kill a driver that does not end by itself."""
        for transport in self._started:
            transport.close()  # kills it, and closes the pipes that its child may hold open
        self._started.clear()


def _noted(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Ignore exceptions of futures that Playwright abandons once the driver has ended."""
    if str(context.get("message")).endswith("never retrieved"):
        _log.debug("after the driver's end: %s", said(context.get("exception")))
    else:
        loop.default_exception_handler(context)


def require_driver() -> str:
    """Run the driver's Node.js for its version, and return it. Takes 0.05 s, at most VERSION_LIMIT; cached for a minute.

    Raises `DriverNotStarted` with what is missing, `MissingExtra` without Playwright.
    """
    node, script = _files()
    version, why, advice = _version(node, script, _state(node), int(time.monotonic() // ASKED_AGAIN))
    if why:
        raise DriverNotStarted(node, why, advice)
    return version


def try_driver() -> str:
    """Like `require_driver`, but starts the whole driver and ends it again, which takes a second."""
    version = require_driver()
    node, script = _files()
    try:
        code, said = _answer([node, script, "run-driver"], START_LIMIT)  # it ends at the end of its input, which is empty
    except (OSError, TimeoutError) as exc:
        raise DriverNotStarted(node, str(exc), _advice("")) from exc
    if code:
        raise DriverNotStarted(node, _why(code, said), _advice(said))
    return version


async def start_driver(loop: DriverLoop) -> Playwright:
    """Start Playwright and its driver on the running `loop`. Raises `DriverNotStarted` after START_LIMIT at most, `MissingExtra`."""
    await in_thread(require_driver)  # tells what is missing; Playwright only notices a missing answer
    from playwright.async_api import async_playwright

    try:
        return await asyncio.wait_for(async_playwright().start(), START_LIMIT)
    except Exception as exc:  # Playwright raises a plain Exception for a driver that ends
        loop.kill_driver()
        if isinstance(exc, TimeoutError):
            raise driver_silent(START_LIMIT) from exc
        raise DriverNotStarted(_files()[0], str(exc), _advice("")) from exc


def driver_silent(seconds: float) -> DriverNotStarted:
    """Return the error for a driver that runs but does not answer."""
    return DriverNotStarted(_files()[0], f"no answer in {seconds:.0f} s", _advice(""))


def _files() -> tuple[str, str]:
    """Return the paths of Node.js and of the driver's script."""
    try:
        from playwright._impl._driver import compute_driver_executable
    except ImportError as exc:
        raise MissingExtra("the chromium renderer", "chromium") from exc
    try:
        node, script = compute_driver_executable()
    except Exception as exc:  # Playwright's source distribution has no Node.js
        raise DriverNotStarted("node", str(exc), _advice("")) from exc
    return str(node), str(script)


def _state(node: str) -> tuple[int, int] | None:
    """Return size and time of Node.js's file, which change with an update."""
    found = shutil.which(node)
    state = os.stat(found) if found else None
    return (state.st_size, state.st_mtime_ns) if state else None


@lru_cache(maxsize=8)
def _version(node: str, script: str, state: tuple[int, int] | None, minute: int) -> tuple[str, str, str]:
    """Return the version of Node.js; or why it does not start, and what to do. `state` and `minute` are only keys of the cache."""
    if not Path(script).is_file():
        return "", f"its script {script!r} is not there", _advice("")
    try:
        # Not --version: it is answered before the JavaScript engine starts, which a memory limit may prevent.
        code, said = _answer([node, "-p", "process.version"], VERSION_LIMIT)
    except (OSError, TimeoutError) as exc:
        return "", str(exc), _advice("")
    version = re.search(r"^v(\d+)\.\d+\.\d+", said, re.MULTILINE)
    if code or not version:
        return "", _why(code, said), _advice(said)
    least = _least_version(Path(script))
    if int(version[1]) < least:
        return "", f"it is Node.js {version[0]}, and Playwright needs {least} or later", _advice("")
    return version[0], "", ""


def _least_version(script: Path) -> int:
    """Return the oldest Node.js version that Playwright supports; 0 if unknown."""
    try:
        engines = json.loads(script.with_name("package.json").read_text("utf-8"))["engines"]["node"]
        return int(re.findall(r"\d+", engines)[0])
    except (OSError, ValueError, LookupError, TypeError):
        return 0


def _why(code: int, said: str) -> str:
    """Describe why Node.js ended with exit code `code` and output `said`."""
    if missing := MISSING_LIBRARY.search(said):
        return f"the shared library {missing[1]} is missing"
    gist = repr(said.strip()[:150]) if said.strip() else "nothing"
    return f"it prints {gist} and leaves with {code}" if code else f"it is no Node.js: asked for its version, it prints {gist}"


def _advice(said: str) -> str:
    """Return advice for an output."""
    if missing := MISSING_LIBRARY.search(said):
        package = PACKAGES.get(Path(missing[1]).name)
        return f"apt install {package}" if package else f"install the package that has {missing[1]}"
    if os.environ.get(DRIVER_VARIABLE):
        return f"unset {DRIVER_VARIABLE}, or set it to a Node.js that Playwright runs on"
    return f"pip install --force-reinstall playwright, or set {DRIVER_VARIABLE} to another Node.js"


def _answer(command: Sequence[str], limit: float) -> tuple[int, str]:
    """Run a program; return its exit code and output. Ends its children. Raises `OSError`, `TimeoutError` after `limit` seconds."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, bufsize=0
    )
    said = bytearray()
    # On a thread of its own: a surviving child of the program may hold the pipe open for ever.
    reader = threading.Thread(target=_read, args=(process, said), daemon=True)
    reader.start()
    until = time.monotonic() + limit
    try:
        reader.join(limit)
        if not reader.is_alive() and len(said) < LONGEST:
            process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        pass  # it closed its output and goes on
    finally:
        late = time.monotonic() >= until
        _end(process)
    if late:
        raise TimeoutError(f"no answer in {limit:.0f} s")
    return process.returncode, said.decode(errors="replace")


def _read(process: subprocess.Popen[bytes], said: bytearray) -> None:
    assert process.stdout
    with process.stdout:
        while len(said) < LONGEST and (piece := process.stdout.read(4096)):
            said += piece


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
