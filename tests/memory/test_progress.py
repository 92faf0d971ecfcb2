"""A long context tells how many pages it has drawn, while it draws them."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from pathlib import Path

from optical_memory import OpticalMemory
from tests.support import RuledRenderer

ROOT = Path(__file__).parents[2]
PAST = [(("user", "assistant")[place % 2], f"Line {place}: order QX-77{place:03} left Lyon. " * 60) for place in range(200)]


def test_every_page_that_a_context_draws_is_told_once() -> None:
    told: list[int] = []
    with OpticalMemory(store="memory://", renderer=RuledRenderer(rows=900)) as memory:
        memory.extend(PAST)
        memory.context(8_000, progress=told.append)
        drawn = memory.stats().pages_sealed
        assert sum(told) == drawn > 3
        assert len(told) > 1, "not all at the end"
        assert all(pages > 0 for pages in told)
        memory.context(8_000, progress=told.append)
        assert sum(told) == drawn, "nothing was drawn again"
        memory.extend(PAST)
        asyncio.run(memory.acontext(8_000))
        assert memory.stats().pages_sealed > drawn
        assert sum(told) == drawn, "a later context tells nobody"


def test_on_a_terminal_the_command_counts_pages(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'log.db'}"
    with OpticalMemory("long", store=store) as memory:
        memory.extend(PAST)
    command = [sys.executable, "-m", "optical_memory", "context", "--session", "long", "--store", store]
    command += ["--renderer", "pillow", "--budget", "8000", "--format", "text"]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "PYTHONPATH": str(ROOT)}
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=env, cwd=ROOT) as child:
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    assert child.returncode == 0, shown
    assert b"drawing pages" in shown
    piped = subprocess.run(command, capture_output=True, env=env, cwd=ROOT, check=True)
    assert b"drawing pages" not in piped.stderr


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's answer once the other end is closed
        return b""
