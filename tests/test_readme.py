"""What the README shows is true: its code runs, and what it names is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_code_runs_as_it_stands(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    code = "\n".join(blocks("python"))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "tokens as text" in done.stdout
    assert "booking **QX-77419**" in done.stdout


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_tree_names_files_that_are_there() -> None:
    tree = README.partition("## The tree")[2].partition("```\n")[2].partition("```")[0]
    modules = re.findall(r"\b([a-z_]+\.py)\b", tree)
    assert len(modules) > 15
    assert [name for name in modules if not (ROOT / "optical_memory" / name).is_file()] == []
    folders = re.findall(r"(?:^|\s)([a-z]+)/", tree, re.MULTILINE)
    assert [name for name in folders if not (ROOT / name).is_dir() and not (ROOT / "optical_memory" / name).is_dir()] == []


def test_every_command_of_the_readme_is_one() -> None:
    named = set(re.findall(r"^optical-memory ([a-z]+)", README, re.MULTILINE))
    done = subprocess.run([sys.executable, "-m", "optical_memory", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert named >= {"append", "import", "context", "recall", "pages", "show", "erase", "sessions", "doctor"}
    assert [name for name in named if not re.search(rf"\b{name}\b", done.stdout)] == []
