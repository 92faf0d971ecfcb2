"""What a page costs to draw: milliseconds of CPU, of the browser's processes and of this one together, and pages a second.

The yardstick is the straightforward way, in the same run on the same machine: for each page a fresh tab, `set_content` and `screenshot`.
Text is real conversations, two full columns a page. Goals: at most 45 ms of CPU a 1024 page when warm, four times the yardstick's pages a
second, and the first page within a second of a cold start, which is told with the imports of a new interpreter and without them. Pages a
second suffer from whatever else the machine does; CPU hardly does.
"""

from __future__ import annotations

import asyncio
import html
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.table import Table

from optical_memory.pages.page import PageStyle
from optical_memory.renderers.base import RenderedPage
from optical_memory.renderers.chromium.finding import find_browser
from optical_memory.turns.exchanges import Exchange, exchanges_of
from optical_memory.turns.from_messages import turn_of

from ._console import open_console

DATA = Path(__file__).parent.parent / "tests" / "data"
KINDS = {"chat": "assistant-chats", "code": "coding-agent", "maths": "reasoning-maths-code", "chinese": "travel-chat-chinese"}
ENOUGH = 160_000  # characters of a conversation: it is repeated until there are as many, about thirty pages
YARDSTICK_PAGES = 8
FIRST_PAGE = """
from optical_memory.exchanges import exchanges_of
from optical_memory.pages import PageStyle
from optical_memory.renderers import open_renderer
from optical_memory.turns import Turn
open_renderer("chromium").render(exchanges_of([Turn(number=1, role="user", content="hello " * 1000)]), PageStyle())
print("page", flush=True)
"""
IMPORTS = """
import playwright.async_api, optical_memory.renderers.chromium.renderer
from optical_memory.renderers.markdown import markdown_blocks
markdown_blocks("what is imported with the first text")
print("imported", flush=True)
"""
TICK = 1000 / os.sysconf("SC_CLK_TCK")  # ms


def conversation(name: str) -> list[Exchange]:
    """The exchanges of one of the tests' conversations."""
    held = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    messages = held["messages"] if isinstance(held, dict) else held
    once = [turn_of(message) for message in messages]
    times = -(-ENOUGH // sum(len(turn.text) * (1 if turn.text.isascii() else 2) for turn in once))
    return exchanges_of([turn.model_copy(update={"number": number}) for number, turn in enumerate(once * times, start=1)])


def family_cpu() -> float:
    """CPU milliseconds spent so far by this process and all that descend from it."""
    parents: dict[int, int] = {}
    spent: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents[int(folder.name)], spent[int(folder.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    return TICK * sum(ticks for process, ticks in spent.items() if _descends(process, parents))


def _descends(process: int, parents: dict[int, int]) -> bool:
    while process in parents and process != os.getpid():
        process = parents[process]
    return process == os.getpid()


def measure(work: Callable[[], list[RenderedPage]]) -> tuple[list[RenderedPage], float, float]:
    """The pages, and the milliseconds of CPU and of the clock that each took."""
    cpu, clock = family_cpu(), time.perf_counter()
    pages = work()
    return pages, (family_cpu() - cpu) / len(pages), 1000 * (time.perf_counter() - clock) / len(pages)


def yardstick(texts: list[str], side: int) -> tuple[float, float]:
    """Milliseconds of CPU and of the clock a page: a fresh tab, `set_content`, `screenshot`, one after the other."""
    from playwright.async_api import async_playwright

    async def draw() -> tuple[float, float]:
        found = find_browser()
        assert found
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=found.path)
            context = await browser.new_context(viewport={"width": side, "height": side}, java_script_enabled=False)
            await (await context.new_page()).screenshot()
            cpu, began = family_cpu(), time.perf_counter()
            for text in texts:
                page = await context.new_page()
                style = "margin:0;padding:6px;height:100vh;columns:2;column-fill:auto;box-sizing:border-box;font:14px/1.15 DejaVu Sans"
                await page.set_content(f"<body style='{style}'>{text}")
                await page.screenshot()
                await page.close()
            spent, took = family_cpu() - cpu, 1000 * (time.perf_counter() - began)
            await browser.close()
        return spent / len(texts), took / len(texts)

    return asyncio.run(draw())


def page_texts(exchanges: list[Exchange], pages: list[RenderedPage]) -> list[str]:
    """The words of each page as plain paragraphs, for the yardstick."""
    words = {turn.number: turn.text for exchange in exchanges for unit in exchange for turn in unit}
    some = [[words[segment.turn] for segment in page.segments] for page in pages[:YARDSTICK_PAGES]]
    return ["".join(f"<p style='margin:2px 0'>{html.escape(text)}</p>" for text in texts) for texts in some]


def first_page(*, imported: bool) -> float:
    """Seconds to the first page of a new process: from the interpreter's start, or from the browser's once all is imported."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", (IMPORTS if imported else "") + FIRST_PAGE], stdout=subprocess.PIPE) as process:
        assert process.stdout
        if imported:
            assert process.stdout.readline() == b"imported\n"
            began = time.perf_counter()
        assert process.stdout.readline() == b"page\n"
        return time.perf_counter() - began


def main() -> None:
    """Print a row for each kind of text, then the times to the first page."""
    from optical_memory.renderers.chromium.renderer import ChromiumRenderer

    console = open_console()
    if find_browser() is None:
        console.print("no Chromium on this machine: nothing measured")
        return
    table = Table(title="Chromium renderer, warm, best of three runs; all numbers are per page")
    ours = ("text", "scale", "pages", "chars/4", "fill", "kB", "CPU ms", "pages/s")
    for heading in (*ours, "tabs CPU", "tabs p/s", "CPU ratio", "p/s ratio"):
        table.add_column(heading, justify="right")
    renderer = ChromiumRenderer()
    for kind, scale in [("chat", 1.0), ("chat", 1.25), ("code", 1.0), ("maths", 1.0), ("chinese", 1.0)]:
        exchanges, style = conversation(KINDS[kind]), PageStyle(scale=scale)
        renderer.render(exchanges[:20], style)
        runs = sorted((measure(partial(renderer.render, exchanges, style)) for _ in range(3)), key=lambda run: run[1])
        pages, cpu, _ = runs[0]
        clock = min(run[2] for run in runs)
        tokens = sum(len(turn.text) for exchange in exchanges for unit in exchange for turn in unit) / 4 / len(pages)
        slow_cpu, slow = min(yardstick(page_texts(exchanges, pages), style.pixel_size[0]) for _ in range(2))
        fill, size = sum(page.fill for page in pages) / len(pages), sum(len(page.png) for page in pages) / len(pages) / 1000
        numbers = (str(len(pages)), f"{tokens:.0f}", f"{fill:.2f}", f"{size:.0f}", f"{cpu:.1f}", f"{1000 / clock:.1f}")
        table.add_row(kind, str(scale), *numbers, f"{slow_cpu:.0f}", f"{1000 / slow:.1f}", f"{slow_cpu / cpu:.1f}", f"{slow / clock:.1f}")
    renderer.close()
    console.print(table)
    console.print("'tabs' is a fresh tab, set_content and screenshot for each page")
    console.print("to the first page, best of three")
    console.print(f"  cold start, from the interpreter's start: {min(first_page(imported=False) for _ in range(3)):.2f} s")
    console.print(f"  launch to first page, from the browser's start: {min(first_page(imported=True) for _ in range(3)):.2f} s")


if __name__ == "__main__":
    main()
