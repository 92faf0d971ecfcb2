from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from optical_memory.bulk import Outage, Running, run
from optical_memory.bulk.jobs import Job
from optical_memory.bulk.outputs import WritePages
from optical_memory.bulk.stages import Part

from .sessions import Deadly, Slow, pictures
from .work import Gone, NoStage, keep_pages, kept, letters

ROOT = Path(__file__).parents[2]


def test_an_item_that_kills_its_workers_is_a_dead_letter_and_the_others_are_done(tmp_path: Path) -> None:
    items = [*pictures(5), Deadly("deadly", str(tmp_path / "counter")), Deadly("unlucky", str(tmp_path / "once"), times=1)]
    done = run(keep_pages(), items, tmp_path / "out", Running(workers=2, batch=4, attempts=2))
    assert (done.items, done.failed, done.pages) == (6, 1, 6)
    assert kept(tmp_path / "out") == Counter(f"page-{number}" for number in range(5)) + Counter(["unlucky"])
    [letter] = letters(tmp_path / "out")
    assert letter["item"] == "deadly"
    assert letter["error"] == "WorkerLost"
    assert letter["why"].startswith("2 workers died at this item")
    assert (tmp_path / "counter").read_bytes() == b"xx", "two workers, not one more"


@pytest.mark.slow
def test_an_item_that_hangs_costs_its_worker_and_no_other(tmp_path: Path) -> None:
    items = [Slow("hangs", 3600, str(tmp_path / "notes")), *pictures(3)]
    done = run(keep_pages(), items, tmp_path / "out", Running(workers=1, batch=2, attempts=1, limit=15.0))
    assert (done.items, done.failed) == (3, 1)
    assert [letter["item"] for letter in letters(tmp_path / "out")] == ["hangs"]


@pytest.mark.parametrize("workers", [0, 1])
def test_what_no_worker_can_open_stops_the_job_with_its_own_error(tmp_path: Path, workers: int) -> None:
    job = Job("none", (Part((NoStage(),)),), WritePages(), {})
    with pytest.raises(ValueError, match="unknown reader 'crystal ball'"):
        run(job, pictures(2), tmp_path / "out", Running(workers=workers))


def test_an_outage_stops_the_job_and_condemns_no_item(tmp_path: Path) -> None:
    parts = (*keep_pages().parts, Part((Gone(after=4),)))
    job = Job("gone", parts, WritePages(), {})
    with pytest.raises(Outage, match="nobody answers"):
        run(job, pictures(6), tmp_path / "out", Running(batch=2, attempts=1))
    assert letters(tmp_path / "out") == []
    back = Job("gone", (*keep_pages().parts, Part((Gone(after=99),))), WritePages(), {})
    done = run(back, pictures(6), tmp_path / "out", Running(batch=2))
    assert (done.items, done.skipped) == (2, 4)
    assert kept(tmp_path / "out") == Counter(f"page-{number}" for number in range(6))


def start(out: Path, notes: Path, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bulk.sessions", str(out), str(notes), str(workers)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def killed_after(out: Path, notes: Path, batches: int, workers: int = 2) -> bool:
    """Start the job, and kill it with signal 9 once so many batches are done. False if it came to its end."""
    with start(out, notes, workers) as job:
        assert job.stdout
        for _ in range(batches):
            if not job.stdout.readline():
                return False
        job.send_signal(signal.SIGKILL)
    return True


def test_a_job_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    out, notes = tmp_path / "out", tmp_path / "notes"
    assert killed_after(out, notes, batches=3)
    before = len(notes.read_text().split())
    job = start(out, notes, 1)
    job.communicate()
    assert job.returncode == 0
    assert kept(out) == Counter(f"page-{number}" for number in range(20))
    # The killed job's workers may end the batch that each has in hand. If nothing were known of before, it would be 20 or more.
    in_hand = 2 * 2
    assert len(notes.read_text().split()) - before <= 20 - 3 * 2 + in_hand, "the three batches of before were not begun again"
    assert not (out / "staging").exists()


@pytest.mark.endurance
@pytest.mark.nightly
def test_a_job_that_is_killed_again_and_again_comes_to_its_end(tmp_path: Path) -> None:
    out, notes = tmp_path / "out", tmp_path / "notes"
    while killed_after(out, notes, batches=2):
        pass
    assert kept(out) == Counter(f"page-{number}" for number in range(20))
