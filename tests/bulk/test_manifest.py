from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from optical_memory.bulk.manifest import DeadLetter, Done, FolderBusy, Manifest, Receipt, new_run
from optical_memory.errors import OpticalMemoryError

ABOUT: dict[str, Any] = {"job": "keep", "source": "here"}
LETTER = DeadLetter("bad", "draw", "ValueError", "it is \ud800 no picture", "look at it")


def staged(folder: Path, number: int, *done: str, failed: tuple[DeadLetter, ...] = ()) -> Receipt:
    """A batch whose file is staged, as a worker leaves it."""
    run = new_run(folder)
    path = f"pages/part-{number}.txt"
    (run / "one" / "pages").mkdir(parents=True)
    (run / "one" / path).write_text(" ".join(done))
    return Receipt(number, f"{run.name}/one", done, failed, (path,), pages=len(done))


def test_a_batch_is_in_its_place_and_its_items_are_known_after_a_restart(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, ABOUT)
    assert manifest.commit(staged(tmp_path, 1, "a", "b", failed=(LETTER,)))
    manifest.close()
    again = Manifest(tmp_path, ABOUT)
    assert [again.is_done(key) for key in ("a", "b", "bad", "c")] == [True, True, True, False]
    assert again.next_number() == 2
    assert again.counts() == {"done": 2, "failed": 1, "pages": 2, "bytes": 0}
    again.close()
    assert (tmp_path / "pages" / "part-1.txt").read_text() == "a b"
    assert not (tmp_path / "staging").exists()
    assert [json.loads(line) for line in (tmp_path / "dead-letter.jsonl").read_text("utf-8").splitlines()] == [
        {"item": "bad", "step": "draw", "error": "ValueError", "why": "it is \ud800 no picture", "advice": "look at it"}
    ]


def test_a_kill_between_transaction_and_move_loses_nothing(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, ABOUT)
    manifest.commit(staged(tmp_path, 1, "a"))
    manifest.close()
    receipt = staged(tmp_path, 2, "b")
    with sqlite3.connect(tmp_path / "manifest.sqlite3") as db:  # what the transaction leaves if the process ends right after it
        db.execute("INSERT INTO batches VALUES (2, ?, 1, 0, 0)", (receipt.staged,))
        db.execute("INSERT INTO files VALUES (?, 2, 0)", receipt.files)
    Manifest(tmp_path, ABOUT).close()
    assert (tmp_path / "pages" / "part-2.txt").read_text() == "b"


def test_a_batch_without_its_file_is_an_error_and_not_a_gap(tmp_path: Path) -> None:
    Manifest(tmp_path, ABOUT).close()
    with sqlite3.connect(tmp_path / "manifest.sqlite3") as db:
        db.execute("INSERT INTO batches VALUES (1, 'gone/one', 1, 0, 0)")
        db.execute("INSERT INTO files VALUES ('pages/part-1.txt', 1, 0)")
    with pytest.raises(OpticalMemoryError, match=r"'pages/part-1.txt' of batch 1 .* changed by hand"):
        Manifest(tmp_path, ABOUT)
    (tmp_path / "pages").mkdir(exist_ok=True)
    (tmp_path / "pages" / "part-1.txt").write_text("moved before the kill")
    Manifest(tmp_path, ABOUT).close()  # the refused one has left no lock


def test_a_batch_that_comes_twice_is_dropped_and_a_mixed_one_refused(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, ABOUT)
    assert manifest.commit(staged(tmp_path, 1, "a"))
    assert not manifest.commit(staged(tmp_path, 2, "a"))
    assert not (tmp_path / "pages" / "part-2.txt").exists()
    with pytest.raises(OpticalMemoryError, match="1 of 2 items that are done already"):
        manifest.commit(staged(tmp_path, 3, "a", "b"))
    assert not manifest.is_done("b")
    manifest.close()


def test_a_folder_belongs_to_one_job_at_a_time_and_to_one_kind_of_job(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "out", ABOUT)
    with pytest.raises(FolderBusy, match="another job is at work"):
        Manifest(tmp_path / "out", ABOUT)
    manifest.close()
    with pytest.raises(ValueError, match=r"outputs with source .*here.*, not .*there"):
        Manifest(tmp_path / "out", ABOUT | {"source": "there"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"'thesis.txt' and no manifest"):
        Manifest(tmp_path / "mine", ABOUT)


def test_failures_are_tried_again_only_if_asked(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, ABOUT)
    manifest.commit(staged(tmp_path, 1, failed=(LETTER,)))
    assert manifest.is_done("bad")
    assert manifest.forget_failures() == 1
    assert not manifest.is_done("bad")
    assert (tmp_path / "dead-letter.jsonl").read_text() == ""
    manifest.close()


def test_a_copy_tells_other_machines_what_is_done(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, ABOUT)
    manifest.commit(staged(tmp_path, 1, "a", failed=(LETTER,)))
    manifest.copy_of_done(tmp_path / "a copy?.sqlite3")
    manifest.commit(staged(tmp_path, 2, "later"))
    with Done(tmp_path / "a copy?.sqlite3") as done:
        assert [key in done for key in ("a", "bad", "later")] == [True, True, False]
    manifest.close()
