"""What repeats cost: pages and tokens of conversations whose messages repeat each other, beside those of an older build.

`python -m benchmarks.repeats [--against FOLDER] [--renderer NAME] [--reader NAME] [file ...]`: FOLDER is a checkout of another version. The
conversations are the demo's and the tests' with tools by default. Each is measured twice: the whole log at once, and with a context at
every user's turn, where a page can refer only to what had been said when it was drawn.
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

HERE = Path(__file__).parent
FILES = (HERE.parent / "optical_memory" / "demo" / "airline-agent.json", *sorted((HERE.parent / "tests" / "data").glob("*-agent.json")))
HEADINGS = ("references", "pages", "ratio", "tokens sent", "ratio", "CPU ratio")


def measured(build: Path, renderer: str, file: Path, reader: str, *, grows: bool) -> dict[str, Any]:
    """What a build makes of a conversation, in a process of its own."""
    command = [sys.executable, str(HERE / "_whole_session.py"), renderer, str(file.resolve()), reader, "yes" if grows else "no"]
    known = {**os.environ, "PYTHONPATH": str(build.resolve())}
    done = subprocess.run(command, cwd=build, env=known, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{build} could not draw {file} with {renderer}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def row_of(now: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Cells of a conversation: before, now, and the ratio."""
    cells = [f"{now['references']}"]
    for what in ("pages", "sent"):
        cells += [f"{before[what]:,} -> {now[what]:,}", f"{now[what] / before[what]:.2f}" if before[what] else ""]
    return [*cells, f"{now['seconds'] / before['seconds']:.2f}"]


def main(arguments: Sequence[str]) -> None:
    """Print two rows for each conversation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, default=HERE.parent, help="folder of the build to compare with")
    parser.add_argument("--renderer", default="pillow")
    parser.add_argument("--reader", default="deepseek-ocr")
    parser.add_argument("files", nargs="*", type=Path)
    given = parser.parse_args(arguments)
    table = Table("conversation", "", title=f"this build beside {given.against}, {given.renderer}, pages for {given.reader}")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for file in given.files or FILES:
        for grows in (False, True):
            before, now = (measured(build, given.renderer, file, given.reader, grows=grows) for build in (given.against, HERE.parent))
            table.add_row(file.stem, "as it grows" if grows else "at once", *row_of(now, before))
    open_console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
