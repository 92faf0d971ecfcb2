"""A large import into SQLite: stored many conversations at a time, and killed in the middle it is finished by the next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from optical_memory.imports import import_into
from optical_memory.stores import SessionId, open_store

ROOT = Path(__file__).parents[2]
CHATS = 600
SCRIPT = """
import sys
from optical_memory.imports import import_into
import_into(sys.argv[1], sys.argv[2], progress=lambda step, done, of: step == "importing" and (print(done, flush=True), sys.stdin.read()))
"""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    chats = [
        {"id": f"chat-{place}", "conversations": [{"from": "human", "value": f"Question {place}"}, {"from": "gpt", "value": "Answer"}]}
        for place in range(CHATS)
    ]
    path = tmp_path / "chats.json"
    path.write_text(json.dumps(chats), encoding="utf-8")
    return path


def held(url: str) -> Counter[str]:
    """Every turn's id in the store, with how often it is there."""
    store = open_store(url)
    return Counter(turn.id for info in store.sessions() for turn in store.read(info.id))


def test_an_import_killed_in_the_middle_is_finished_by_the_next(tmp_path: Path, export: Path) -> None:
    url, whole = f"sqlite:///{tmp_path / 'killed.db'}", f"sqlite:///{tmp_path / 'whole.db'}"
    import_into(whole, export)
    command, pipe = [sys.executable, "-c", SCRIPT, url, str(export)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        first = int(next(child.stdout))  # it waits there
        os.kill(child.pid, signal.SIGKILL)
    before = held(url)
    assert 0 < first < CHATS
    assert sum(before.values()) == 2 * first
    done = import_into(url, export)
    assert [one.session for one in done] == [f"sharegpt/chat-{place}" for place in range(CHATS)]
    assert sum(one.new for one in done) == 2 * CHATS - sum(before.values())
    assert held(url) == held(whole)
    assert set(held(url).values()) == {1}
    assert open_store(url).search(SessionId("sharegpt/chat-7"), "question 7", 5) == [1]


def test_progress_counts_every_conversation(tmp_path: Path, export: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    import_into(f"sqlite:///{tmp_path / 'x.db'}", export, progress=lambda *step: told.append(step))
    stored = [step for step in told if step[0] == "importing"]
    assert stored[-1] == ("importing", CHATS, CHATS)
    assert [done for _, done, _ in stored] == sorted({done for _, done, _ in stored})


def test_an_export_that_was_partly_imported_keeps_its_order(tmp_path: Path, export: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    part = tmp_path / "part.json"
    part.write_text(json.dumps(json.loads(export.read_text(encoding="utf-8"))[5:7]), encoding="utf-8")
    import_into(url, part)
    done = import_into(url, export)
    assert [one.session for one in done] == [f"sharegpt/chat-{place}" for place in range(CHATS)]
    assert [one.new for one in done[4:8]] == [2, 0, 0, 2]


def test_one_conversation_twice_in_an_export_is_stored_once(tmp_path: Path, export: Path) -> None:
    chats = json.loads(export.read_text(encoding="utf-8"))[:2]
    export.write_text(json.dumps([*chats, *chats]), encoding="utf-8")
    done = import_into(f"sqlite:///{tmp_path / 'x.db'}", export)
    assert [(one.session, one.new, one.known) for one in done] == [
        ("sharegpt/chat-0", 2, 0),
        ("sharegpt/chat-1", 2, 0),
        ("sharegpt/chat-0", 0, 2),
        ("sharegpt/chat-1", 0, 2),
    ]


def test_the_temporary_file_is_gone_whatever_happens(tmp_path: Path, export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("optical_memory.imports.spool.IN_MEMORY", 1)
    import_into(f"sqlite:///{tmp_path / 'x.db'}", export)
    export.write_text(export.read_text(encoding="utf-8")[:-10], encoding="utf-8")
    with pytest.raises(ValueError, match=r"chats\.json"):
        import_into(f"sqlite:///{tmp_path / 'y.db'}", export)
    assert not list(folder.iterdir())
    assert not (tmp_path / "y.db").exists()
