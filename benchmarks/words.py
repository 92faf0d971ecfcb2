"""What listings cost and how their words break: pages, and breaks inside words, beside those of an older build.

`python -m benchmarks.words [--against FOLDER] [--renderer NAME] [file ...]`: FOLDER is a checkout of another version; without it only this
one is measured. The conversations are the demo's and the tests' with tools by default.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ._console import open_console

HERE = Path(__file__).parent
FILES = (HERE.parent / "optical_memory" / "demo" / "airline-agent.json", *sorted((HERE.parent / "tests" / "data").glob("*-agent.json")))
RENDERERS = ("pillow", "chromium")
KINDS = ("middle", "separator", "marked")


def measured(build: Path, renderer: str, file: Path) -> dict[str, Any]:
    """What a build makes of a conversation, in a process of its own."""
    command = [sys.executable, str(HERE / "_rows.py"), renderer, str(file.resolve())]
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{build} could not draw {file} with {renderer}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def row_of(now: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Cells of a conversation: before, now, and the ratio."""
    pages = f"{before['filled']:.2f} -> {now['filled']:.2f}"
    kinds = [f"{before.get(kind, 0):,} -> {now.get(kind, 0):,}" for kind in KINDS]
    return [pages, f"{now['filled'] / before['filled']:.3f}", *kinds, f"{now['seconds'] / before['seconds']:.2f}"]


def main(arguments: Sequence[str]) -> None:
    """Print a row for each conversation and renderer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, default=HERE.parent, help="folder of the build to compare with")
    parser.add_argument("--renderer", action="append", choices=RENDERERS)
    parser.add_argument("files", nargs="*", type=Path)
    given = parser.parse_args(arguments)
    table = Table("conversation", "renderer", title=f"this build beside {given.against}")
    for heading in ("full pages", "ratio", "breaks mid-word", "after separator", "with mark", "CPU ratio"):
        table.add_column(heading, justify="right")
    for renderer in given.renderer or RENDERERS:
        for file in given.files or FILES:
            before, now = (measured(build, renderer, file) for build in (given.against, HERE.parent))
            table.add_row(file.stem, renderer, *row_of(now, before))
    open_console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
