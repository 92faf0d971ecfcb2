"""A long context tells how many pages it has drawn, while it draws them."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from optical_memory import OpticalMemory
from tests.commands import run_command
from tests.support import RuledRenderer

ROOT = Path(__file__).parents[2]
PAST = [(("user", "assistant")[place % 2], f"Line {place}: order QX-77{place:03} left Lyon. " * 60) for place in range(200)]


def test_every_page_that_a_context_draws_is_told_once() -> None:
    told: list[int] = []
    with OpticalMemory(store="memory://", renderer=RuledRenderer(rows=900)) as memory:
        memory.extend(PAST[:80])
        memory.context(4_000, progress=told.append)
        drawn = memory.stats().pages_sealed
        assert sum(told) == drawn > 3
        assert len(told) > 1, "not all at the end"
        assert all(pages > 0 for pages in told)
        memory.context(4_000, progress=told.append)
        assert sum(told) == drawn, "nothing was drawn again"
        memory.extend(PAST[80:160])
        asyncio.run(memory.acontext(4_000))
        assert memory.stats().pages_sealed > drawn
        assert sum(told) == drawn, "a later context tells nobody"


def test_on_a_terminal_the_command_counts_pages(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'log.db'}"
    with OpticalMemory("long", store=store) as memory:
        memory.extend(PAST[:40])
    command = ["context", "--session", "long", "--store", store, "--renderer", "pillow", "--budget", "4000", "--format", "text"]
    code, shown = on_a_terminal(command)
    assert code == 0, shown
    assert b"drawing pages" in shown
    piped = run_command(*command, cwd=ROOT)
    assert piped.returncode == 0 and "drawing pages" not in piped.stderr


def test_searching_everywhere_tells_each_session_once_and_draws_a_bar_on_a_terminal(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'log.db'}"
    told: list[tuple[int, int]] = []
    for name in ("a", "b", "c"):
        with OpticalMemory(name, store=store) as memory:
            memory.extend(PAST[:4])
            if name == "c":
                memory.recall_everywhere("order", progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    command = ["recall", "order", "--everywhere", "--store", store]
    code, shown = on_a_terminal(command)
    assert code == 0, shown
    assert b"searching sessions" in shown
    piped = run_command(*command, cwd=ROOT)
    assert piped.returncode == 0 and piped.stderr == ""
    assert "QX" in piped.stdout or "order" in piped.stdout


def test_an_import_says_that_the_first_search_indexes(tmp_path: Path) -> None:
    (tmp_path / "many.json").write_text(json.dumps([{"role": "user", "content": f"order {n}"} for n in range(1_200)]))
    (tmp_path / "few.json").write_text(json.dumps([{"role": "user", "content": "order"}]))
    for name, says in (("many", True), ("few", False)):
        done = run_command("import", f"{name}.json", "--session", name, "--store", "sqlite:///log.db", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("first search" in done.stderr) is says, done.stderr


def on_a_terminal(arguments: list[str]) -> tuple[int, bytes]:
    """Run a command whose standard error is a terminal; return its exit code and what the terminal was sent."""
    command = [sys.executable, "-m", "optical_memory", *arguments]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "PYTHONPATH": str(ROOT)}
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=env, cwd=ROOT) as child:
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    return child.returncode, shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's answer once the other end is closed
        return b""
