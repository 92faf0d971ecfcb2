"""One Chromium per process, on its own thread.

Callers on any thread, inside an event loop or not, submit a coroutine and wait for its result. The browser starts on first use, restarts
if it dies, and ends with the process. A forked child starts its own.

`launching` starts it isolated from the network.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import concurrent.futures
import importlib.resources
import logging
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import BrowserNotFound, DriverNotStarted, RenderError
from ...text.excerpts import said
from .driver import ASKED_AGAIN, DriverLoop, driver_silent, start_driver
from .finding import require_browser
from .launching import font_configuration, launch, launch_failure, sealed_context, was_killed

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, CDPSession, Page, Playwright

__all__ = ["Engine", "Session", "Tab", "TabLost", "release_engine", "shared_engine"]

T = TypeVar("T")

MOST_TABS = 4  # a capture waits half of its time, so two tabs keep a core busy; a tab holds 30 to 60 MB
ANSWER_LIMIT = 60.0  # s; a browser or tab without an answer by then counts as dead
LAUNCH_LIMIT = 70.0  # s; the driver gives the browser 60 to start
STOP_LIMIT = 5.0  # s; for a browser to end by itself
_log = logging.getLogger(__name__)


class TabLost(Exception):
    """The tab, or its browser, ended. Its work can be repeated in another one."""


class Tab:
    """One page of the browser, and the functions of `layout.js` in it."""

    def __init__(self, page: Page, devtools: CDPSession) -> None:
        self._page = page
        self._devtools = devtools
        self._gone = _signal()
        self._document = ""
        self._functions = ""
        page.on("crash", lambda _: self._lose())
        page.on("close", lambda _: self._lose())  # sent for every page when the browser dies

    @property
    def lost(self) -> bool:
        """Whether it was closed, has crashed, or did not answer."""
        return self._gone.done()

    async def prepare(self, document: str, size: tuple[int, int], slots: int) -> None:
        """Load `document`, a page without content, in a viewport of `size` pixels. Cheap if it is loaded already."""
        if document == self._document:
            return
        if self._document:
            await self._send("Page.navigate", {"url": "about:blank"})  # else the policy of the previous page would apply to this one too
        self._document = ""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        await self._send("Emulation.setDeviceMetricsOverride", metrics)
        frame = (await self._send("Page.getFrameTree"))["frameTree"]["frame"]["id"]
        await self._send("Page.setDocumentContent", {"frameId": frame, "html": document})
        world = (await self._send("Page.createIsolatedWorld", {"frameId": frame}))["executionContextId"]
        source = importlib.resources.files(__package__).joinpath("layout.js").read_text("utf-8")
        making = {"functionDeclaration": source, "arguments": [{"value": slots}], "executionContextId": world}
        self._functions = _result(await self._send("Runtime.callFunctionOn", making))["objectId"]
        self._document = document

    async def call(self, name: str, *arguments: object) -> Any:
        """Call a function of `layout.js`; return its result as plain JSON."""
        parameters = {
            "functionDeclaration": f"function(...given) {{ return this.{name}(...given); }}",
            "objectId": self._functions,
            "arguments": [{"value": argument} for argument in arguments],
            "returnByValue": True,
        }
        return _result(await self._send("Runtime.callFunctionOn", parameters)).get("value")

    async def capture(self) -> bytes:
        """Take a PNG of the viewport, in colour."""
        answer = await self._send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
        return base64.b64decode(answer["data"])

    async def close(self) -> None:
        """Close the page; waits no longer than Playwright does."""
        await self._page.close()

    def _lose(self) -> None:
        _give(self._gone)

    async def _send(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        if self.lost:
            raise TabLost("the tab is closed")
        try:
            return dict(await _answer(method, self._devtools.send(method, parameters or {}), self._gone))
        except TabLost:
            self._lose()
            raise


class Session:
    """A running browser with its tabs. Lives on the engine's loop."""

    _context: BrowserContext  # sealed; set by `start`

    def __init__(self, loop: DriverLoop, playwright: Playwright, browser: Browser, folder: Path | None) -> None:
        self._loop = loop
        self._playwright = playwright
        self._browser = browser
        self._folder = folder
        self._idle: list[Tab] = []
        self._room = asyncio.Semaphore(min(MOST_TABS, 2 * (os.cpu_count() or 1)))
        self._ended = _signal()
        browser.on("disconnected", lambda _: _give(self._ended))

    @classmethod
    async def start(cls, loop: DriverLoop, setting: str | None) -> Session:
        """Start driver and browser. Raises `BrowserNotFound` if there is none or it does not start, `DriverNotStarted`, `TabLost`."""
        found = require_browser(setting)
        playwright = await start_driver(loop)
        folder = font_configuration()
        try:
            browser = await asyncio.wait_for(launch(playwright, found.path, folder), LAUNCH_LIMIT)
        except Exception as exc:  # a driver that ends is a plain Exception of Playwright's
            driven = loop.has_driver
            await _end_driver(loop, playwright)
            _remove(folder)
            if isinstance(exc, TimeoutError):
                raise driver_silent(LAUNCH_LIMIT) from exc
            if not driven or was_killed(str(exc)):
                raise TabLost("the browser was killed while it started, or its driver was") from exc
            raise BrowserNotFound(launch_failure(found.path, str(exc))) from exc
        session = cls(loop, playwright, browser, folder)
        try:
            session._context = await _answer("a new context", sealed_context(browser), session._ended)
        except TabLost:
            await session.stop()
            raise
        return session

    @property
    def alive(self) -> bool:
        """Whether browser and driver still run and answer."""
        return self._loop.has_driver and self._browser.is_connected() and not self._ended.done()

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Tab]:
        """Take a free tab for exclusive use; waits for one. A lost tab is not used again."""
        async with self._room:
            tab = self._idle.pop() if self._idle else await self._new_tab()
            try:
                yield tab
            except BaseException:
                tab._lose()  # its state is unknown, so it is not used again
                raise
            finally:
                if tab.lost:
                    await _within(STOP_LIMIT, tab.close())
                else:
                    self._idle.append(tab)

    async def stop(self) -> None:
        """End the browser and Playwright; waits a few seconds at most for each."""
        await _within(STOP_LIMIT, self._browser.close())
        await _end_driver(self._loop, self._playwright)
        _remove(self._folder)

    async def _new_tab(self) -> Tab:
        """Open a tab. Also waits for the browser's end, since Playwright never answers the request if the browser is killed meanwhile."""
        try:
            page = await _answer("a new tab", self._context.new_page(), self._ended)
            return Tab(page, await _answer("a new tab", self._context.new_cdp_session(page), self._ended))
        except TabLost:
            _give(self._ended)  # a browser that cannot open a tab is unusable
            raise


class Engine:
    """The thread, its event loop, and the session on it."""

    def __init__(self, setting: str | None) -> None:
        self._setting = setting
        self._loop = DriverLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="optical-memory-browser", daemon=True)
        self._thread.start()
        self._session: Session | None = None
        self._starting = asyncio.Lock()
        self._refused: DriverNotStarted | None = None
        self._wait_until = 0.0
        self.users: set[int] = set()

    def run(self, task: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
        """Run `task(self)` on the browser's thread, and wait for its result."""
        future = asyncio.run_coroutine_threadsafe(task(self), self._loop)
        try:
            return future.result()
        except (KeyboardInterrupt, concurrent.futures.CancelledError):
            future.cancel()
            raise

    async def session(self) -> Session:
        """Return the running session; start a new one if there is none or its browser died."""
        async with self._starting:
            if self._session and not self._session.alive:
                _log.warning("the browser ended unexpectedly; starting it again")
                await self._session.stop()
                self._session = None
            if not self._session:
                self._session = await self._start()
            return self._session

    async def _start(self) -> Session:
        """Start a session. Retries a driver that did not start only after a while, since each try may take its whole time limit."""
        if self._refused and time.monotonic() < self._wait_until:
            raise DriverNotStarted(self._refused.node, self._refused.why, self._refused.advice)
        try:
            return await Session.start(self._loop, self._setting)
        except DriverNotStarted as exc:
            self._refused, self._wait_until = exc, time.monotonic() + ASKED_AGAIN
            raise

    async def _end(self) -> None:
        if self._session:
            await self._session.stop()
        self._loop.kill_driver()
        rest = asyncio.all_tasks() - {asyncio.current_task()}  # Playwright's, after a driver that failed
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def stop(self) -> None:
        """End browser and thread; waits a few seconds at most."""
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        concurrent.futures.wait([ending], timeout=3 * STOP_LIMIT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_LIMIT)


_engines: dict[str | None, Engine] = {}
_inherited: list[Engine] = []  # engines of the parent process: referenced, so that the child does not finalise them
_guard = threading.Lock()


def shared_engine(setting: str | None, user: int) -> Engine:
    """Return the process's engine for a browser setting; `user` holds it until `release_engine`."""
    with _guard:
        if setting not in _engines:
            _engines[setting] = Engine(setting)
        _engines[setting].users.add(user)
        return _engines[setting]


def release_engine(setting: str | None, user: int) -> None:
    """Release the engine; ends it after its last user."""
    with _guard:
        engine = _engines.get(setting)
        if engine is None or user not in engine.users:
            return
        engine.users.discard(user)
        if engine.users:
            return
        del _engines[setting]
    engine.stop()


def _stop_all() -> None:
    while _engines:
        _engines.popitem()[1].stop()


def _after_fork() -> None:
    global _guard
    _guard = threading.Lock()  # another thread may have held it at the moment of the fork
    _inherited.extend(_engines.values())
    _engines.clear()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    if "exceptionDetails" in answer:
        details = answer["exceptionDetails"]
        raise RenderError(f"the page's layout failed: {said(details.get('exception', {}).get('description', details.get('text')))}")
    return dict(answer["result"])


def _remove(folder: Path | None) -> None:
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _signal() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def _give(signal: asyncio.Future[None]) -> None:
    if not signal.done():
        signal.set_result(None)


async def _answer(request: str, work: Coroutine[Any, Any, T], end: asyncio.Future[None]) -> T:
    """Await the browser's answer. Raises `TabLost` if it refuses, if `end` comes first, or after ANSWER_LIMIT."""
    answer = asyncio.ensure_future(work)
    try:
        either: set[asyncio.Future[Any]] = {answer, end}
        await asyncio.wait(either, timeout=ANSWER_LIMIT, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise TabLost(f"no answer to {request}")
        return answer.result()
    except TabLost:
        raise
    except Exception as exc:  # an Error of Playwright's, or a plain Exception where its driver ended
        raise TabLost(f"{request}: {said(exc)}") from exc
    finally:
        answer.cancel()


async def _end_driver(loop: DriverLoop, playwright: Playwright) -> None:
    await _within(STOP_LIMIT, playwright.stop())
    loop.kill_driver()


async def _within(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """Await the end of something that may have ended already."""
    try:
        await asyncio.wait_for(work, seconds)
    except Exception as exc:
        _log.debug("while closing: %s: %s", type(exc).__name__, said(exc))
