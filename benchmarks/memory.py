"""What a session costs as it grows: appending, asking for a context again, and asking after one new turn.

`python -m benchmarks.memory` measures at 1,000, 10,000 and 100,000 turns; `--quick` leaves the last out. The turns are those of the demo's
conversation, over and over. Pages are drawn by the tests' ruled renderer, so that it is planning and storing that is measured; what
drawing costs stands in `benchmarks.rendering`.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

from rich.table import Table

from optical_memory import OpticalMemory
from tests.support import RuledRenderer

from ._console import open_console
from ._timing import timed

STEPS = 400  # turns appended one at a time once the session has its size: some ten epochs
BLANK = "import time; began = time.perf_counter(); import json, sqlite3, datetime; print(time.perf_counter() - began)"
IMPORT = "import time; began = time.perf_counter(); import optical_memory; print(time.perf_counter() - began)"


def messages() -> Iterator[dict[str, Any]]:
    """The demo's conversation without end."""
    [name] = [path.name for path in files("optical_memory.demo").iterdir() if path.name.endswith(".json")]
    loaded = json.loads(files("optical_memory.demo").joinpath(name).read_text("utf-8"))["messages"]
    return itertools.cycle(loaded)


def measure(turns: int) -> dict[str, float]:
    """Medians and means in milliseconds for a session of `turns` turns on SQLite."""
    source = messages()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/memory.db"
        memory = OpticalMemory("grown", store=url, renderer=RuledRenderer(rows=6_000))
        memory.extend(itertools.islice(source, turns))
        first = timed(memory.context)
        again = [timed(memory.context) for _ in range(100)]
        appends, contexts = [], []
        for message in itertools.islice(source, STEPS):
            appends.append(timed(lambda message=message: memory.append(message)))  # type: ignore[misc]
            contexts.append(timed(memory.context))
        cold = timed(OpticalMemory("grown", store=url, renderer=RuledRenderer(rows=6_000)).context)
    return {
        "append, median": statistics.median(appends),
        "context, nothing new, median": statistics.median(again),
        "context after one turn, median": statistics.median(contexts),
        "context after one turn, mean with re-plans": statistics.mean(contexts),
        "context in a new process": cold,
        "first context ever (all pages drawn)": first,
    }


def import_seconds(code: str) -> float:
    """The median over five fresh interpreters, in seconds."""
    return statistics.median(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) for _ in range(5)
    )


def main(arguments: Sequence[str] = ()) -> None:
    """Print both tables."""
    sizes = [1_000, 10_000, *([] if "--quick" in arguments else [100_000])]
    results = [measure(size) for size in sizes]
    table = Table("ms", *(f"{size:,} turns" for size in sizes), f"{sizes[-1]:,} / {sizes[0]:,}", title="A session as it grows (SQLite)")
    for row in results[0]:
        values = [result[row] for result in results]
        table.add_row(row, *(f"{value:,.2f}" for value in values), f"{values[-1] / values[0]:.1f}x")
    console = open_console()
    console.print(table)
    ours, blank = import_seconds(IMPORT), import_seconds(BLANK)
    console.print(f"import optical_memory: {ours * 1_000:.0f} ms; json, sqlite3 and datetime alone: {blank * 1_000:.0f} ms")


if __name__ == "__main__":
    main(sys.argv[1:])
