"""A store with sessions, an inspector in front of it over real HTTP, and a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from optical_memory import OpticalMemory
from optical_memory.renderers.chromium.finding import require_browser
from optical_memory.server.access import Access
from optical_memory.server.inspector.app import Inspector
from optical_memory.server.inspector.proxy_window import ProxyWindow
from optical_memory.server.local_upstream.serving import Serving
from optical_memory.stores.base import open_store
from tests.remembered import REMEMBERED

HOSTILE = (
    "<script>window.ran = 1</script><img src=x onerror=\"window.ran = 1\"><svg onload='window.ran=1'></svg> \"'><iframe src=http://evil.test>",
    "</pre></article><a href='javascript:window.ran=1'>here</a> {{7*7}} {% raw %} \u202egpj.exe\u2066 <base href=http://evil.test/>",
    "<meta http-equiv=refresh content='0;url=http://evil.test'><form action=http://evil.test><button>Erase</button></form><style>*{display:none}</style>",
    "</title><title>x</title> --><!-- <link rel=stylesheet href=http://evil.test/x.css> &lt;script&gt; \x00\x1b[31m <math><mtext></math>",
)


@contextmanager
def inspected(store: str, *, token: str | None = None, may_erase: bool = True) -> Iterator[str]:
    """Serve a store's inspector; yield its address."""
    opened = open_store(store)
    with Serving(Inspector(opened, Access(token), ProxyWindow(opened), may_erase=may_erase)) as serving:
        yield serving.address
    opened.close()


@contextmanager
def a_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_browser().path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched(browser: Browser, address: str, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """Open a page that writes down errors, dialogs, and requests to anywhere else."""
    context = browser.new_context(**options)
    page, seen = context.new_page(), list[str]()
    page.on("console", lambda message: seen.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(address) else seen.append(request.url))
    yield page, seen
    context.close()


def filled(path: Path, *, turns: int = 60, reader: str = "deepseek-ocr") -> str:
    """Make a store with a session that has plans and pages, and a hostile one; return its URL."""
    url = f"sqlite:///{path}"
    with OpticalMemory("talk", store=url, reader=reader, renderer=REMEMBERED) as memory:
        for at in range(turns):
            memory.append(
                ("user" if at % 2 == 0 else "assistant", f"Turn {at + 1} tells of parcel PX-{at:04d}. " + "It went on by road. " * 40)
            )
            if at % 20 == 19:
                memory.context(4_000)
    with OpticalMemory("<b>bad</b>", store=url, reader=reader, renderer=REMEMBERED) as memory:
        for at in range(24):
            memory.append({"role": "user" if at % 2 == 0 else "assistant", "content": HOSTILE[at % 4] * 8, "name": "<i>me</i>"})
        memory.context(3_000)
    return url


def address_of(base: str, path: str, **query: object) -> str:
    return f"{base}/inspect/{path}?{urlencode({'tenant': '', **query})}"
