"""The same jobs on a real Ray, started on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from optical_memory.bulk import Outage, Running, VisionTokens, encode, run
from optical_memory.bulk.jobs import Job
from optical_memory.bulk.outputs import WritePages
from optical_memory.bulk.stages import Part

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


@pytest.mark.endurance
def test_a_cluster_that_runs_already_is_reached_as_a_client(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    start = ["ray", "start", "--head", "--block", "--num-cpus=1", "--include-dashboard=false", "--node-ip-address=127.0.0.1", "--port=0"]
    start += [f"--ray-client-server-port={port}", "--object-store-memory=100000000"]
    command = [sys.executable, "-m", "tests.bulk.sessions", str(tmp_path / "out"), str(tmp_path / "notes"), "1", f"ray://127.0.0.1:{port}"]
    with subprocess.Popen([str(Path(sys.executable).parent / start[0]), *start[1:]], env=environment, stdout=subprocess.PIPE) as head:
        assert head.stdout
        try:
            while b"Ray runtime started" not in (line := head.stdout.readline()):
                assert line, "the cluster did not start"
            done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
        finally:
            head.terminate()
            head.communicate()
    assert done.returncode == 0, done.stderr
    assert kept(tmp_path / "out") == Counter(f"page-{number}" for number in range(20))
