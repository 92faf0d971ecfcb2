"""What is faster than in an earlier build, and by how much: a row for each thing that somebody waits for.

`python -m benchmarks.speeds --against FOLDER [--rows sidecar,tiny-pillow] [--rounds 3]`; FOLDER holds the other build's `optical_memory`,
as `git archive COMMIT optical_memory | tar x -C FOLDER` puts it there. Both builds take turns, each round in a new process, and the best
round counts. CPU seconds of all processes, so that a busy machine matters little; only ratios mean something. Linux only.

What came out is compared too: `other` in the last column means that the builds do not agree, which images at Tiny are free to.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ._console import open_console
from ._speeds_row import ROWS

HERE = Path(__file__).parents[1]
LONG = ("recall-sqlite-million", "replan-100000")  # minutes: only if it is named


def measured(build: Path, row: str) -> dict[str, Any] | None:
    """A row with a build; None if that build has no such thing."""
    arguments = [sys.executable, "-m", "benchmarks._speeds_row", row]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # else each import compiles
    done = subprocess.run(arguments, cwd=build, capture_output=True, text=True, check=False, env={**environment, "PYTHONPATH": str(HERE)})
    if done.returncode:
        print(f"{row} with {build}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def both(row: str, against: Path, rounds: int) -> list[str]:
    """Measure a row with both builds in turn."""
    ways: dict[Path, list[dict[str, Any]]] = {against: [], HERE: []}
    for _ in range(rounds):
        for build, found in ways.items():
            one = measured(build, row)
            found += [one] if one else []
    best = [min((each["seconds"] for each in found), default=float("nan")) for found in ways.values()]
    came_out = {each["same"] for found in ways.values() for each in found}
    return [row, *(f"{1_000 * seconds:,.2f}" for seconds in best), f"{best[0] / best[1]:.2f}", "same" if len(came_out) == 1 else "other"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speeds")
    parser.add_argument("--against", type=Path, required=True, help="folder with another build's optical_memory")
    parser.add_argument("--rows", default=",".join(row for row in ROWS if row not in LONG))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    table = Table("what", "before, ms", "after, ms", "times faster", "came out", title="CPU of all processes, best of the rounds")
    for row in options.rows.split(","):
        found = both(row, options.against.resolve(), options.rounds)
        print(" ".join(found), file=sys.stderr, flush=True)  # all rows together take a while
        table.add_row(*found)
    open_console().print(table)


if __name__ == "__main__":
    main()
