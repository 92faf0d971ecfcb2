"""What a caller of `context()` waits for, in CPU seconds of all processes: with pages drawn ahead, without, and with an earlier build.

`python -m benchmarks.waiting [--renderer chromium] [--turns 987] [--against FOLDER]`; FOLDER holds the other build's `optical_memory`, as
`git archive COMMIT optical_memory | tar x -C FOLDER` puts it there. Everything that is sent is compared byte for byte. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.table import Table

from ._console import open_console

HERE = Path(__file__).parents[1]
STEPS = (0.05, 0.2, 0.5, 1.0, 2.0)  # CPU seconds: the edges of the distribution


def replay(build: Path, renderer: str, turns: int, *, ahead: bool) -> dict[str, Any]:
    """Replay the conversation in a process of its own."""
    arguments = [sys.executable, str(Path(__file__).with_name("_waiting_replay.py")), renderer, str(turns), "yes" if ahead else "no"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(build)})
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def row(name: str, found: dict[str, Any]) -> list[str]:
    """The distribution of the waits of one replay."""
    waits = sorted(found["waits"])
    edges = [0.0, *STEPS, float("inf")]
    counts = [sum(low <= wait < high for wait in waits) for low, high in pairwise(edges)]
    figures = [waits[len(waits) // 2], waits[int(len(waits) * 0.99)], waits[-1], sum(waits), found["whole"]]
    return [name, *map(str, counts), *(f"{figure:.2f}" for figure in figures)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting")
    parser.add_argument("--renderer", default="pillow")
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--against", type=Path, help="folder with another build's optical_memory")
    options = parser.parse_args(arguments)
    ways = {"when asked": (HERE, False), "drawn ahead": (HERE, True)}
    if options.against:
        ways = {"earlier build": (options.against.resolve(), False), **ways}
    found = {name: replay(build, options.renderer, options.turns, ahead=ahead) for name, (build, ahead) in ways.items()}
    edges = [f"< {STEPS[0]:g} s", *(f"from {step:g}" for step in STEPS)]
    table = Table(
        "pages", *edges, "median", "p99", "max", "all calls", "whole replay", title=f"calls of context() by CPU seconds, {options.renderer}"
    )
    for name, each in found.items():
        table.add_row(*row(name, each))
    console = open_console()
    console.print(table)
    console.print("sent byte for byte the same" if len({each["sent"] for each in found.values()}) == 1 else "NOT the same was sent")


if __name__ == "__main__":
    main()
