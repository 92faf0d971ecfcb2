"""The same jobs on a real Ray, started on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from optical_memory.bulk import Outage, Running, VisionTokens, encode, run
from optical_memory.bulk.jobs import ItemStream, Job
from optical_memory.bulk.manifest import Manifest, new_run
from optical_memory.bulk.outputs import WritePages
from optical_memory.bulk.ray_data import _through_client
from optical_memory.bulk.sources import GivenItems
from optical_memory.bulk.stages import Part, Place

from .sessions import Deadly, lines, pictures
from .work import Gone, keep_pages, kept, letters

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Ray of two workers at most, that the tests of this file share."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
    yield "local"
    ray.shutdown()


def test_workers_that_die_are_replaced_and_the_item_at_fault_is_named(cluster: str, tmp_path: Path) -> None:
    items = [*pictures(5), Deadly("deadly", str(tmp_path / "counter")), Deadly("unlucky", str(tmp_path / "once"), times=1)]
    running = Running(workers=2, batch=3, attempts=2, address=cluster)
    done = run(keep_pages(), items, tmp_path / "out", running)
    assert (done.items, done.failed) == (6, 1)
    assert kept(tmp_path / "out") == Counter(f"page-{number}" for number in range(5)) + Counter(["unlucky"])
    assert [(letter["item"], letter["error"]) for letter in letters(tmp_path / "out")] == [("deadly", "WorkerLost")]
    again = run(keep_pages(), items, tmp_path / "out", running)
    assert (again.items, again.failed, again.skipped) == (0, 0, 7)


def test_sessions_stream_from_drawing_to_encoding(cluster: str, tmp_path: Path) -> None:
    from optical_memory.deepseek_ocr.tiny import make_tiny

    weights = make_tiny(tmp_path / "model")
    running = Running(workers=1, batch=2, address=cluster)
    options = {"weights": str(weights), "tier": "tiny", "device": "cpu", "renderer": "pillow", "threads": 1}
    done = encode(lines(tmp_path / "talk.jsonl", 5), tmp_path / "out", running, **options)
    assert (done.items, done.failed, done.pages) == (5, 0, 5)
    assert [len(VisionTokens(tmp_path / "out").rows(f"session-{number} (line {number + 1})")) for number in range(5)] == [73] * 5


def test_an_outage_in_an_actor_stops_the_job_with_its_own_words(cluster: str, tmp_path: Path) -> None:
    job = Job("gone", (*keep_pages().parts, Part((Gone(after=0),))), WritePages(), {})
    with pytest.raises(Outage, match="nobody answers"):
        run(job, pictures(3), tmp_path / "out", Running(workers=1, batch=2, attempts=1, address=cluster))
    assert letters(tmp_path / "out") == []


@pytest.mark.endurance
@pytest.mark.nightly
def test_a_job_whose_driver_is_killed_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bulk.sessions", str(tmp_path / "out"), str(tmp_path / "notes"), "2", "local"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as job:
        assert job.stdout
        for _ in range(2):
            assert job.stdout.readline()
        job.send_signal(signal.SIGKILL)
    again = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    assert again.stdout
    assert kept(tmp_path / "out") == Counter(f"page-{number}" for number in range(20))


def test_a_job_that_is_driven_from_inside_the_cluster_gives_the_same_receipts(cluster: str, tmp_path: Path) -> None:
    """As it is for a client (`ray://`): Ray's server for clients has half a minute to start, which a busy machine does not keep."""
    import ray

    manifest, job = Manifest(tmp_path, {"job": "keep"}), keep_pages()
    place = Place(new_run(tmp_path))
    manifest.copy_of_done(place.folder / "done.sqlite3")
    stream = ItemStream(GivenItems("given", tuple(pictures(3))), 2, 1, place.folder / "done.sqlite3")
    found = list(_through_client(ray, (job.parts, job.writer, stream, place, Running(workers=1))))
    receipts = [receipt for _, receipt in found if receipt is not None]
    assert sorted(key for receipt in receipts for key in receipt.done) == ["page-0", "page-1", "page-2"]
    assert all(manifest.commit(receipt) for receipt in receipts)
    manifest.close()
    assert kept(tmp_path) == Counter(["page-0", "page-1", "page-2"])
