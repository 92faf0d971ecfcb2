"""One long message among short ones, against an earlier build: CPU seconds of the first context, for each kind of text and renderer.

`python -m benchmarks.long_messages --against FOLDER` runs both builds side by side; FOLDER holds the other one's `optical_memory`, as
`git archive COMMIT optical_memory | tar x -C FOLDER` puts it there. Each context is made in a fresh process, after another one that starts
the browser. CPU is that of the process and of all below it, the browser included; a build that has not answered after `--cap` seconds is
given up. `--kinds "lines,one line"`, `--renderers pillow`, `--size` and `--beside` choose less. Only ratios mean something: the machine
may be busy.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ._console import open_console

HERE = Path(__file__).parents[1]
SIZE = 1_000_000  # bytes of the message
SHORT_PARAGRAPHS = 87_000  # of the kinds that an earlier build took quadratic time for
WORDS = ("the", "budget", "of", "a", "page", "is", "planned", "before", "anything", "on", "it", "drawn", "and", "no", "reader", "looks")
STARTING = 30.0  # s for the interpreter, the browser and a first context, beyond the cap
FIRST_CONTEXT = """
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
import optical_memory
LOREM = "lorem ipsum dolor sit amet " * 60
def cpu():
    ticks, parents = {}, {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try: fields = open(f"/proc/{name}/stat").read().rpartition(")")[2].split()
        except OSError: continue
        parents[int(name)], ticks[int(name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    ours, found = {os.getpid()}, 1
    while found:
        below = {pid for pid, parent in parents.items() if parent in ours} - ours
        ours, found = ours | below, len(below)
    return sum(ticks.get(pid, 0) for pid in ours) / os.sysconf("SC_CLK_TCK")
def memory_of(text):
    memory = optical_memory.OpticalMemory("long", store="memory://", renderer=sys.argv[2])
    memory.append(("user", text))
    for number in range(int(sys.argv[4])):
        memory.append(("user" if number % 2 else "assistant", LOREM))
    return memory
with memory_of(LOREM) as warm:
    warm.context(int(sys.argv[3]))
    text = sys.stdin.read()
    began, clock = cpu(), time.perf_counter()
    memory = memory_of(text)
    context = memory.context(int(sys.argv[3]))
    print(json.dumps({"cpu": cpu() - began, "wall": time.perf_counter() - clock, "drawn": memory.stats().pages_sealed,
                      "shown": len(context.pages)}), flush=True)
"""


def filled(make: Callable[[int], str], size: int) -> str:
    """Pieces made of running numbers, up to `size` bytes."""
    return "".join(_pieces(make, size))


def _pieces(make: Callable[[int], str], size: int) -> Iterator[str]:
    length = number = 0
    while length < size:
        piece = make(number)
        yield piece
        length += len(piece.encode())
        number += 1


def _prose(number: int) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=60))


KINDS: dict[str, Callable[[int], str]] = {
    "short paragraphs": lambda size: filled(lambda number: "a\n\n", min(size, SHORT_PARAGRAPHS)),
    "numbered paragraphs": lambda size: filled(lambda number: f"word {number}\n\n", min(size, SHORT_PARAGRAPHS)),
    "Hebrew paragraphs": lambda size: filled(lambda number: f"שלום {number}\n\n", min(size, SHORT_PARAGRAPHS)),
    "nested emphasis": lambda size: "*a **a " * (min(size, SHORT_PARAGRAPHS) // 14) + "b" + " a** a*" * (min(size, SHORT_PARAGRAPHS) // 14),
    "open maths": lambda size: filled(lambda number: "\\begin{equation}\n", min(size, SHORT_PARAGRAPHS)),
    "lines": lambda size: filled(lambda number: f"{number} {_prose(number)[:70]}\n", size),
    "one line": lambda size: filled(lambda number: f"{_prose(number)} ", size),
    "ideographs": lambda size: filled(
        lambda number: "".join(random.Random(number).choices("的一是不了人我在有他这为之大来以个中", k=200)) + "。", size
    ),
    "paragraphs": lambda size: filled(lambda number: f"{_prose(number)}\n\n", size),
    "table": lambda size: "| a | b |\n|---|---|\n" + filled(lambda number: f"| {number} | {_prose(number)[:20]} |\n", size),
    "nested lists": lambda size: filled(lambda number: "  " * (number % 5) + f"- item {number}\n", size),
    "code": lambda size: "```python\n" + filled(lambda number: f"def f{number}(x):\n    return x + {number}\n", size) + "```",
    "JSON": lambda size: json.dumps([{"id": number, "name": f"name {number}"} for number in range(size // 32)], separators=(",", ":")),
    "base64": lambda size: base64.b64encode(random.Random(1).randbytes(size * 3 // 4)).decode(),
    "one word": lambda size: "a" * size,
    "digits": lambda size: filled(str, size),
    "Arabic": lambda size: filled(lambda number: f"مرحبا بالعالم هذا نص طويل {number}\n\n", size),
    "emoji": lambda size: filled(lambda number: "😀🎉👍🏽❤️"[number % 4] + " ", size),
}


def first_context(build: Path, renderer: str, text: str, budget: int, beside: int, cap: float) -> dict[str, Any] | None:
    """Make the first context with a build's package, in a process of its own; None if it takes longer than `cap` seconds."""
    arguments = [sys.executable, "-c", FIRST_CONTEXT, str(build), renderer, str(budget), str(beside)]
    try:
        done = subprocess.run(arguments, input=text, capture_output=True, text=True, check=True, cwd=build, timeout=cap + STARTING)
    except subprocess.TimeoutExpired:
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found if found["wall"] <= cap else None


def row(kind: str, renderer: str, results: dict[str, dict[str, Any] | None], cap: float) -> list[str]:
    """Return the cells of one comparison."""
    this, other = results["this"], results.get("other")
    ratio = f"{other['cpu'] / this['cpu']:.1f}" if this and other else ""
    if this and "other" in results and not other:
        ratio = f"over {cap / this['wall']:.0f} (time)"
    cells = [f"over {cap:.0f}" if found is None else f"{found['cpu']:.1f} / {found['wall']:.1f}" for found in results.values()]
    return [kind, renderer, *cells, ratio, f"{this['drawn']} / {this['shown']}" if this else ""]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each kind and renderer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="folder with the package of the build to compare with")
    parser.add_argument("--kinds", default=",".join(KINDS), help="kinds of text, separated by commas")
    parser.add_argument("--renderers", default="pillow,chromium")
    parser.add_argument("--size", type=int, default=SIZE, help="bytes of the message")
    parser.add_argument("--budget", type=int, default=4_000)
    parser.add_argument("--beside", type=int, default=40, help="turns of 1,600 characters after the message")
    parser.add_argument("--cap", type=float, default=60.0, help="seconds after which a build is given up")
    options = parser.parse_args(arguments)
    builds = {"this": HERE} | ({"other": options.against.resolve()} if options.against else {})
    title = f"context({options.budget:,}) with one message of {options.size:,} bytes; CPU s / s"
    table = Table("message", "renderer", *builds, "times faster", "pages drawn / shown", title=title)
    for kind in options.kinds.split(","):
        text = KINDS[kind](options.size)
        for renderer in options.renderers.split(","):
            results = {
                name: first_context(build, renderer, text, options.budget, options.beside, options.cap) for name, build in builds.items()
            }
            table.add_row(*row(kind, renderer, results, options.cap))
    open_console().print(table)


if __name__ == "__main__":
    main()
