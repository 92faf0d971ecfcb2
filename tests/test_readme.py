"""What the README shows is true: its code runs and prints what stands there, its figures and commands are real."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.update_readme import PLAIN, first_snippet, table, with_block

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def block(name: str) -> str:
    return README.partition(f"<!-- {name} -->\n```\n")[2].partition(f"```\n<!-- /{name} -->")[0]


def test_the_first_snippet_prints_what_the_readme_shows(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PLAIN + f"exec({first_snippet(README)!r})"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip("\n") == block("output").strip("\n")


def test_the_headline_is_the_output() -> None:
    headline = README.partition("```")[0]
    as_text, as_sent, by_deepseek = re.findall(r"\d+,\d+", headline)
    assert f"{as_text} tokens as text, {as_sent} as sent" in block("output")
    assert block("demo").splitlines()[-1].split()[2] == by_deepseek


def test_installing_and_code_come_early() -> None:
    lines = README.splitlines()
    assert any(line.startswith("pip install optical-memory") for line in lines[:20])
    assert len(first_snippet(README).splitlines()) <= 12
    assert len(lines) <= 140
    assert "make demo" in README
    assert "make test" in README


def test_the_demo_block_is_the_table_of_a_whole_demo() -> None:
    rows = [line.split() for line in block("demo").splitlines() if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["50", "100", "200", "400", "600", "987"]


def test_marked_blocks_are_replaced_and_nothing_else() -> None:
    text = "a\n<!-- demo -->\nold\n<!-- /demo -->\nb\n"
    filled = with_block(text, "demo", table(" turns \n 50 \n\nmemory.recall(1)\n"))
    assert filled == "a\n<!-- demo -->\n```\n turns\n 50\n```\n<!-- /demo -->\nb\n"
    with pytest.raises(SystemExit, match="lacks the marks"):
        with_block(text, "output", "")
