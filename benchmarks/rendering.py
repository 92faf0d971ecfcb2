"""What a page costs to draw: milliseconds of CPU, of the browser's processes and of this one together, and pages a second.

The yardstick is the straightforward way, in the same run on the same machine: for each page a fresh tab, `set_content` and `screenshot`.
Text is real chat prose, two full columns a page. Goals: at most 45 ms of CPU a 1024 page when warm, four times the yardstick's pages a
second, and the first page within a second of a cold start.
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
from pathlib import Path

from rich.console import Console
from rich.table import Table

from optical_memory.exchanges import Exchange, exchanges_of
from optical_memory.pages import PageStyle
from optical_memory.parsing import turn_of
from optical_memory.renderers.base import RenderedPage
from optical_memory.renderers.finding import find_browser

DATA = Path(__file__).parent.parent / "tests" / "data"
KINDS = {"chat": "assistant-chats", "code": "coding-agent", "maths": "reasoning-maths-code", "chinese": "travel-chat-chinese"}
MOST_TURNS = 1200
YARDSTICK_PAGES = 8
TICK = 1000 / os.sysconf("SC_CLK_TCK")  # ms


def conversation(name: str) -> list[Exchange]:
    """The exchanges of one of the tests' conversations."""
    held = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    messages = held["messages"] if isinstance(held, dict) else held
    turns = [turn_of(message).model_copy(update={"number": number}) for number, message in enumerate(messages[:MOST_TURNS], start=1)]
    return exchanges_of(turns)


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


def yardstick(texts: list[str], side: int) -> float:
    """Milliseconds of the clock a page: a fresh tab, `set_content`, `screenshot`, one after the other."""
    from playwright.async_api import async_playwright

    async def draw() -> float:
        found = find_browser()
        assert found
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=found.path)
            context = await browser.new_context(viewport={"width": side, "height": side}, java_script_enabled=False)
            await (await context.new_page()).screenshot()
            began = time.perf_counter()
            for text in texts:
                page = await context.new_page()
                style = "margin:0;padding:6px;height:100vh;columns:2;column-fill:auto;box-sizing:border-box;font:14px/1.15 DejaVu Sans"
                await page.set_content(f"<body style='{style}'>{text}")
                await page.screenshot()
                await page.close()
            took = time.perf_counter() - began
            await browser.close()
        return 1000 * took / len(texts)

    return asyncio.run(draw())


def page_texts(exchanges: list[Exchange], pages: list[RenderedPage]) -> list[str]:
    """The words of each page as plain paragraphs, for the yardstick."""
    words = {turn.number: turn.text for exchange in exchanges for unit in exchange for turn in unit}
    return [
        "".join(f"<p style='margin:2px 0'>{html.escape(words[segment.turn])}</p>" for segment in page.segments) for page in pages[:YARDSTICK_PAGES]
    ]


def cold_start() -> float:
    """Seconds from the start of a new interpreter to its first page in hand."""
    program = (
        "from optical_memory.turns import Turn\nfrom optical_memory.exchanges import exchanges_of\nfrom optical_memory.pages import PageStyle\n"
        "from optical_memory.renderers import open_renderer\n"
        "open_renderer('chromium').render(exchanges_of([Turn(number=1, role='user', content='hello ' * 1000)]), PageStyle())\n"
        "print('page', flush=True)\n"
    )
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"page\n"
        return time.perf_counter() - began


def main() -> None:
    from optical_memory.renderers.chromium import ChromiumRenderer

    console = Console()
    if find_browser() is None:
        console.print("no Chromium on this machine: nothing measured")
        return
    table = Table(title="Chromium renderer, warm, median of three runs")
    for heading in ("text", "scale", "pages", "chars/4 a page", "fill", "kB a page", "CPU ms a page", "pages/s", "fresh tabs: pages/s", "ratio"):
        table.add_column(heading, justify="right")
    renderer = ChromiumRenderer()
    for kind, scale in [("chat", 1.0), ("chat", 1.25), ("code", 1.0), ("maths", 1.0), ("chinese", 1.0)]:
        exchanges, style = conversation(KINDS[kind]), PageStyle(scale=scale)
        renderer.render(exchanges[:20], style)
        runs = sorted((measure(lambda e=exchanges, s=style: renderer.render(e, s)) for _ in range(3)), key=lambda run: run[1])
        pages, cpu, clock = runs[1]
        tokens = sum(len(turn.text) for exchange in exchanges for unit in exchange for turn in unit) / 4 / len(pages)
        slow = yardstick(page_texts(exchanges, pages), style.pixel_size[0])
        fill, size = sum(page.fill for page in pages) / len(pages), sum(len(page.png) for page in pages) / len(pages) / 1000
        row = (len(pages), f"{tokens:.0f}", f"{fill:.2f}", f"{size:.0f}", f"{cpu:.1f}", f"{1000 / clock:.1f}", f"{1000 / slow:.1f}", f"{slow / clock:.1f}")
        table.add_row(kind, str(scale), *map(str, row))
    renderer.close()
    console.print(table)
    console.print(f"cold start, from the interpreter's start to the first page: {min(cold_start() for _ in range(3)):.2f} s (best of three)")


if __name__ == "__main__":
    main()
