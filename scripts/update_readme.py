"""Run the README's first snippet and the demo, and put what they print, and the picture, where the README has them: `make docs`.

Text tokens are counted as a plain installation counts them, with the estimate, whatever tokenizers this machine has.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
# A module that is None in sys.modules is one that cannot be found.
PLAIN = "import runpy, sys; sys.modules.update(tiktoken=None, bpe_openai=None); "


def first_snippet(readme: str) -> str:
    """The first block of Python."""
    found = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    if found is None:
        raise SystemExit("the README has no block of Python")
    return found[1]


def snippet_output(readme: str) -> str:
    """What the first snippet prints."""
    return _printed(PLAIN + f"exec({first_snippet(readme)!r})")


def demo_output() -> str:
    """What the demo prints; the picture goes into docs/."""
    with tempfile.TemporaryDirectory() as folder:
        code = PLAIN + "runpy.run_module('optical_memory', run_name='__main__')"
        return _printed(code, "demo", "--out", folder, "--picture", "docs/demo.png")


def table(output: str) -> str:
    """The demo's table alone: neither the recalls nor the paths and times of one run."""
    lines = "\n".join(line.rstrip() for line in output.splitlines())
    return lines.strip("\n").partition("\n\n")[0]


def with_block(readme: str, name: str, printed: str) -> str:
    """The README with `printed` between the marks of that name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    if begin not in readme or end not in readme:
        raise SystemExit(f"the README lacks the marks {begin.strip()} and {end}")
    before, _, rest = readme.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + "```\n" + printed.strip("\n") + "\n```\n" + end + after


def _printed(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True).stdout


def main() -> None:
    readme = README.read_text("utf-8")
    readme = with_block(readme, "output", snippet_output(readme))
    readme = with_block(readme, "demo", table(demo_output()))
    README.write_text(readme, "utf-8")


if __name__ == "__main__":
    main()
