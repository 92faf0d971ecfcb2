"""Run the demo and put its table and its picture where the README shows them: `make docs`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- demo -->\n", "<!-- /demo -->"


def demo_output() -> str:
    """What the demo prints; the picture goes into docs/."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "optical_memory", "demo", "--out", folder, "--picture", "docs/demo.png"]
        return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True).stdout


def shown(output: str) -> str:
    """The table, the recalls and the summary; not the paths and times of one run."""
    lines = [line.rstrip() for line in output.partition("\nThe report:")[0].splitlines()]
    return "```\n" + "\n".join(lines).strip("\n") + "\n```\n"


def main() -> None:
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(before + BEGIN + shown(demo_output()) + END + after, "utf-8")


if __name__ == "__main__":
    main()
