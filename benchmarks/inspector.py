"""How long a session of 5,000 turns takes to open in the inspector, and whether it scrolls. `python -m benchmarks.inspector [TURNS]`.

Real Chromium, a window of 1,300 x 900. Opened: from the request until the first rows and pictures are there. The longest task and the
frames are the browser's own (`PerformanceObserver`, `requestAnimationFrame`) while it scrolls through all turns in 5 seconds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import CDPSession, Page, sync_playwright
from rich.table import Table

from optical_memory import OpticalMemory
from optical_memory.renderers.chromium.finding import require_browser
from optical_memory.server.access import Access
from optical_memory.server.inspector.app import Inspector
from optical_memory.server.inspector.proxy_window import ProxyWindow
from optical_memory.server.local_upstream.serving import Serving
from optical_memory.stores.base import open_store

from ._console import open_console

PARTS = ("Task", "Script", "Layout", "RecalcStyle")
SCROLL = """() => new Promise((done) => {
  const frames = [], tasks = [], began = performance.now();
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((each) => each.duration))).observe({ type: "longtask" });
  const height = document.documentElement.scrollHeight - innerHeight;
  let last = began;
  requestAnimationFrame(function step(now) {
    frames.push(now - last);
    last = now;
    scrollTo(0, height * Math.min(1, (now - began) / 5000));
    now - began < 5000 ? requestAnimationFrame(step) : setTimeout(() => done({ frames, tasks }), 300);
  });
})"""


def main(turns: int) -> None:
    """Fill a store, open it, scroll, and print what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder) / 'store.db'}"
        with OpticalMemory("talk", store=store, renderer="pillow") as memory:
            memory.extend(
                [("user" if at % 2 == 0 else "assistant", f"Turn {at} of a long talk. " + "On it went. " * 30) for at in range(turns)]
            )
            memory.context(20_000)
        opened = open_store(store)
        with Serving(Inspector(opened, Access(), ProxyWindow(opened))) as serving, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=require_browser().path, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1_300, "height": 900})
            page.goto(f"{serving.address}/inspect/")
            seconds = min(opening(page, serving.address) for _ in range(5))
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})  # CPU of the page's thread, whatever else runs
            before = spent(session)
            seen = page.evaluate(SCROLL)
            used = [(after - was) * 1_000 for was, after in zip(before, spent(session), strict=True)]
            browser.close()
        opened.close()
    frames = sorted(seen["frames"][1:])
    table = Table(title=f"A session of {turns:,} turns in Chromium")
    for head in ("opened (best of 5)", "longest task while scrolling", "frames a second", "p99 frame", "longest frame"):
        table.add_column(head, justify="right")
    longest = f"{max(seen['tasks'], default=0):.0f} ms" if seen["tasks"] else "none over 50 ms"
    p99 = frames[int(0.99 * len(frames))]
    table.add_row(f"{seconds:.2f} s", longest, f"{1_000 * len(frames) / sum(frames):.0f}", f"{p99:.0f} ms", f"{frames[-1]:.0f} ms")
    open_console().print(table)
    print("CPU of the page's thread while scrolling: " + ", ".join(f"{part} {ms:.0f} ms" for part, ms in zip(PARTS, used, strict=True)))


def spent(session: CDPSession) -> list[float]:
    """Return seconds of CPU by part: all tasks, and of them scripts, layout and style."""
    found = {each["name"]: float(each["value"]) for each in session.send("Performance.getMetrics")["metrics"]}
    return [found[f"{part}Duration"] for part in PARTS]


def opening(page: Page, address: str) -> float:
    """Open the session; return the seconds until its first rows are there."""
    began = time.perf_counter()
    page.goto(f"{address}/inspect/session?name=talk&tenant=", wait_until="commit")
    page.locator("#turn-1").wait_for()
    page.wait_for_function("[...document.images].slice(0, 4).every((image) => image.complete)")
    return time.perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)
