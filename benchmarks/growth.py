"""The first context of a long log, against an earlier build: CPU seconds, peak memory, pages drawn and shown.

`python -m benchmarks.growth --against FOLDER` runs both builds side by side; FOLDER holds the other one's `optical_memory`, as
`git archive COMMIT optical_memory | tar x -C FOLDER` puts it there. Each context is made in a fresh process, from a copy of one SQLite
file (and, with `--memory`, from the store in memory too, which holds the log itself). `--turns 1000,10000` chooses other sizes. Only ratios
mean something: the machine may be busy. Peaks are read from Linux's /proc.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from optical_memory import OpticalMemory

from ._console import open_console

HERE = Path(__file__).parents[1]
BATCH = 2_000  # turns appended at a time
FIRST_CONTEXT = """
import json, re, sys, time
sys.path.insert(0, sys.argv[1])
import optical_memory
def mb(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024  # getrusage has the parent's in it
bare = mb()
memory = optical_memory.OpticalMemory("grown", store=sys.argv[2], renderer="pillow")
def turn(i): return ("user" if i % 2 == 0 else "assistant", f"{i} " + "lorem ipsum dolor sit amet " * 40)
if sys.argv[2] == "memory://":
    for start in range(0, int(sys.argv[3]), 2_000):
        memory.extend([turn(i) for i in range(start, min(int(sys.argv[3]), start + 2_000))])
held = mb()
began = time.process_time()
context = memory.context(int(sys.argv[4]))
spent = time.process_time() - began
assert context.usage.prompt_tokens <= int(sys.argv[4])
print(json.dumps({"bare": bare, "held": held, "peak": mb(), "cpu": spent, "drawn": memory.stats().pages_sealed,
                  "shown": len(context.pages), "left out": context.usage.turns_left_out}))
"""


def turn(number: int) -> tuple[str, str]:
    """About 1,100 characters by either speaker in turn."""
    return ("user" if number % 2 == 0 else "assistant", f"{number} " + "lorem ipsum dolor sit amet " * 40)


def write_log(file: Path, turns: int) -> None:
    """Write a session of so many turns to a SQLite file."""
    with OpticalMemory("grown", store=f"sqlite:///{file}?index=none") as memory:
        for start in range(0, turns, BATCH):
            memory.extend([turn(number) for number in range(start, min(turns, start + BATCH))])


def first_context(build: Path, store: str, turns: int, budget: int) -> dict[str, Any]:
    """Make the first context with a build's package, in a process of its own."""
    arguments = [sys.executable, "-c", FIRST_CONTEXT, str(build), store, str(turns), str(budget)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=build)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(turns: int, budget: int, builds: dict[str, Path], *, in_memory: bool) -> dict[str, dict[str, Any]]:
    """Measure each build on a log of so many turns; from the store in memory, or from a copy of one SQLite file."""
    if in_memory:
        return {name: first_context(build, "memory://", turns, budget) for name, build in builds.items()}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log.db")
        write_log(log, turns)
        for name, build in builds.items():
            copy = Path(shutil.copy(log, Path(folder, f"{name}.db")))
            found[name] = first_context(build, f"sqlite:///{copy}", turns, budget)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each build, store and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="folder with the package of the build to compare with")
    parser.add_argument("--turns", default="1000,10000,100000")
    parser.add_argument("--budget", type=int, default=4_000)
    parser.add_argument("--memory", action="store_true", help="measure the store in memory too")
    options = parser.parse_args(arguments)
    builds = {"this": HERE} | ({"other": options.against.resolve()} if options.against else {})
    title = f"First context({options.budget:,}), in a fresh process; MB are peaks, after the import and after the context"
    table = Table("turns", "store", "build", "CPU s", "MB", "pages drawn", "shown", "times faster", title=title)
    for turns in map(int, options.turns.split(",")):
        for in_memory in (False, True) if options.memory else (False,):
            results = measure(turns, options.budget, builds, in_memory=in_memory)
            for name, found in results.items():
                ratio = f"{results['other']['cpu'] / found['cpu']:.1f}" if name == "this" and "other" in results else ""
                sizes = (
                    f"{found['bare']:.0f} / {found['held']:.0f} / {found['peak']:.0f}"
                    if in_memory
                    else f"{found['bare']:.0f} / {found['peak']:.0f}"
                )
                store = "memory" if in_memory else "SQLite"
                table.add_row(f"{turns:,}", store, name, f"{found['cpu']:.2f}", sizes, f"{found['drawn']:,}", str(found["shown"]), ratio)
    open_console().print(table)


if __name__ == "__main__":
    main()
