"""The demo: a real conversation of hundreds of turns, appended turn by turn, becomes pages that shrink with age.

The conversation ships with the package: 987 messages of a customer-service agent with tool calls, from tau-bench (MIT licence, Copyright
(c) 2024 Sierra; the notice is in the data folder).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ..context.context import Context, Usage
from ..errors import BrowserNotFound, RenderError
from ..memory.optical_memory import OpticalMemory
from ..pages.tiers import Tier
from ..renderers import open_renderer
from ..text.labels import label_text
from ..turns.turn import Turn
from .ladder import ladders_of
from .report import Growth, Recalled, Report, ReportPage, to_html

__all__ = ["MARKS", "Demo", "Talk", "conversation", "photograph", "run"]

MARKS = (50, 100, 200, 400, 600)  # lengths at which the printed table has a row; the last row is the whole conversation
STEP = 25  # turns between two points of the growth chart
QUESTIONS: tuple[str | list[int], ...] = ("feeling unwell, travel insurance", [325], "Z7GOZK")
SESSION = "demo"
PICTURE_SIZE = (1280, 2300)  # px of window; enough for the head, the chart and the pages
PICTURE_COLOURS = 256  # an adaptive palette, so that thin lines of the chart keep their colours; keeps a README's picture small


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation: chat messages and their source."""

    title: str
    source: str
    licence: str
    messages: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Demo:
    """The result of a run: the HTML report at `path`, the URL `store` of the session's store, the time in `seconds`, and the `renderer`."""

    report: Report
    path: Path
    store: str
    usage: Usage
    seconds: float
    renderer: str


def conversation() -> Talk:
    """Read the conversation in the package."""
    data = json.loads(resources.files("optical_memory").joinpath("demo/airline-agent.json").read_text("utf-8"))
    return Talk(data["title"], data["source"], data["licence"], tuple(data["messages"]))


def run(talk: Talk, out: Path, *, renderer: str = "auto", advance: Callable[[int], None] = lambda steps: None) -> Demo:
    """Append the conversation turn by turn, build contexts as it grows, recall, and write `out/report.html`.

    `advance` is called with the number of turns done since the last call. An earlier demo's store in `out` is replaced.
    """
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    url = _fresh_store(out)
    drawing = open_renderer(renderer)
    with OpticalMemory(SESSION, store=url, renderer=drawing) as memory:
        growth = _grow(memory, talk.messages, advance)
        given = memory.context()
        seconds = time.perf_counter() - began
        report = replace(_report(talk, memory, given, growth, seconds), ladders=ladders_of(talk.messages, drawing))
    path = out / "report.html"
    path.write_text(to_html(report), "utf-8")
    return Demo(report, path, url, given.usage, time.perf_counter() - began, renderer)


def photograph(html: Path, picture: Path) -> None:
    """Take a PNG of the upper part of a report. Raises `BrowserNotFound` or `RenderError`."""
    from PIL import Image

    from ..renderers.chromium.finding import find_browser

    found = find_browser()
    if found is None:
        raise BrowserNotFound("a picture of the report needs a Chromium; `optical-memory doctor` says what to install")
    command = [str(found.path), "--headless", "--hide-scrollbars", "--disable-gpu"]
    command += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # Chromium's sandbox refuses to run as root
    command += [f"--window-size={PICTURE_SIZE[0]},{PICTURE_SIZE[1]}", f"--screenshot={picture.resolve()}", html.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if done.returncode or not picture.exists():
        raise RenderError(f"the browser took no picture of {str(html)!r}: {done.stderr.decode(errors='replace')[-300:]!r}")
    Image.open(picture).convert("RGB").quantize(PICTURE_COLOURS, Image.Quantize.MAXCOVERAGE).save(picture, "PNG", compress_level=9)


def _fresh_store(out: Path) -> str:
    for suffix in ("", "-wal", "-shm"):
        (out / f"demo.sqlite3{suffix}").unlink(missing_ok=True)
    return f"sqlite:///{out / 'demo.sqlite3'}"


def _grow(memory: OpticalMemory, messages: Sequence[dict[str, Any]], advance: Callable[[int], None]) -> tuple[Growth, ...]:
    growth: list[Growth] = []
    for count, message in enumerate(messages, 1):
        memory.append(message)
        looked_at = count % STEP == 0 or count == len(messages)
        if message["role"] in ("user", "tool") or looked_at:  # an agent builds a context before each call of the model
            context = memory.context()
            growth += [_growth(count, context.usage)] if looked_at else []
        advance(1)
    return tuple(growth)


def _growth(turns: int, usage: Usage) -> Growth:
    return Growth(turns, usage.text_tokens, usage.prompt_tokens, usage.vision_tokens, dict(usage.pages_by_tier), usage.turns_left_out)


def _report(talk: Talk, memory: OpticalMemory, given: Context, growth: tuple[Growth, ...], seconds: float) -> Report:
    pages = memory.pages()
    tiers = {part.page.index: part.tier for part in given.pages}
    recent = [turn.number for turn in given.turns]
    fading = pages[len(pages) // 2] if pages else None
    return Report(
        title="A conversation that fades",
        source=f"{talk.title}. Source: {talk.source}. Licence: {talk.licence}",
        growth=growth,
        pages=tuple(ReportPage.of(page, tiers.get(page.index), sealed=False) for page in pages),
        recent_turns=(recent[0], recent[-1]) if recent else None,
        recalls=tuple(_recalled(memory, question) for question in QUESTIONS),
        fading=tuple((tier, fading.image(tier)) for tier in sorted(Tier, reverse=True)) if fading else (),
        facts=_facts(memory, given.usage, seconds),
    )


def _recalled(memory: OpticalMemory, question: str | list[int]) -> Recalled:
    turns = memory.recall(question, limit=3)
    return Recalled(f"memory.recall({question!r})".replace("'", '"'), tuple(_quoted(turn) for turn in turns))


def _quoted(turn: Turn) -> tuple[int, str, str]:
    return turn.number, turn.role if turn.name is None else f"{turn.role} {label_text(turn.name)}", turn.text


def _facts(memory: OpticalMemory, usage: Usage, seconds: float) -> tuple[tuple[str, str], ...]:
    return (
        ("renderer", memory.stats().renderer),
        ("reader", memory.profile.name),
        ("text counted with", usage.counted_with),
        ("stable prefix", f"{usage.stable_prefix_tokens:,} tokens stay the same from call to call"),
        ("time", f"{seconds:.1f} s for {usage.text_tokens:,} tokens of conversation, drawing included"),
    )
