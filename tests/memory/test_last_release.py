"""A session that the last release wrote: its turns are kept, its pages are known to be old."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from optical_memory import OpticalMemory, WaterMarks

FILE = Path(__file__).parents[1] / "data" / "session-0.1.0.sqlite.xz"  # 24 turns, one page drawn by Pillow


@pytest.fixture
def memory(tmp_path: Path) -> OpticalMemory:
    path = tmp_path / "old.sqlite3"
    path.write_bytes(lzma.decompress(FILE.read_bytes()))
    return OpticalMemory("trip", store=f"sqlite:///{path}", renderer="pillow", marks=WaterMarks(high=500, low=100))


def test_turns_are_read_and_old_pages_do_not_pass_for_new_ones(memory: OpticalMemory) -> None:
    old = memory._store.names(memory.session, "run/")
    assert len(old) == 1 and memory.pages() == []
    context = memory.context()
    assert context.pages and memory.stats().pages_sealed == len(memory.pages()) > 0
    assert set(memory._store.names(memory.session, "run/")) > set(old)
    assert memory.recall("QX-77003")[0].number == 5 and len(memory.turns()) == 24


def test_an_erased_turn_leaves_the_old_pages_too(memory: OpticalMemory) -> None:
    memory.context()
    assert memory.erase([3]).pages == 2, "the old page and the new one"
    assert memory._store.names(memory.session, "picture/") == memory._store.names(memory.session, "run/") == []
