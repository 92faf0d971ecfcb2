"""Bulk jobs: pages a second in one process, in a pool of 1 and 2 workers and on a local Ray, and memory while a job grows.

    python -m benchmarks.bulk                        # the table
    python -m benchmarks.bulk --ray                  # with Ray, which takes half a minute to start
    python -m benchmarks.bulk --growth 10000         # memory of the job and of its workers at each thousand pages

The clock is started when the first batch is done, so that the start of workers is told apart. Two workers can be twice as fast as one
only where two cores are free: the load of the machine is printed, and the CPU time that a page took, which hardly depends on it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from optical_memory.bulk import Job, RandomTalks, Receipt, Running, encode_job, render_job, run, transcribe_job

from ._console import open_console

DATA = Path(__file__).parent.parent / "tests" / "data"
KINDS = ("assistant-chats", "coding-agent", "reasoning-maths-code", "travel-chat-chinese")
PART = 24  # messages of a session: about a page and a half


def sessions(path: Path, count: int) -> Path:
    """Sessions cut from the tests' conversations, each of some `PART` messages, in words alone."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            held = json.loads((DATA / f"{KINDS[number % len(KINDS)]}.json").read_text("utf-8"))
            whole = held["messages"] if isinstance(held, dict) else held
            plain = [{"role": each["role"], "content": each["content"]} for each in whole if each["role"] != "tool" and each.get("content")]
            start = (number * 7) % max(1, len(plain) - PART)
            file.write(json.dumps({"id": f"session-{number}", "messages": plain[start : start + PART]}) + "\n")
    return path


@dataclass(slots=True)
class Watch:
    """When batches were done, and the memory of this process and of those below it."""

    began: float = field(default_factory=time.perf_counter)
    first: float = 0.0
    last: float = 0.0
    pages: int = 0
    after_first: int = 0
    step: int = 0
    memory: list[tuple[int, float, float]] = field(default_factory=list)

    def __call__(self, receipt: Receipt) -> None:
        self.last = time.perf_counter()
        if not self.first:
            self.first = self.last
        else:
            self.after_first += receipt.pages
        self.pages += receipt.pages
        if self.step and self.pages // self.step > (self.pages - receipt.pages) // self.step:
            self.memory.append((self.pages // self.step * self.step, *family_memory()))

    @property
    def rate(self) -> float:
        """Pages a second since the first batch was done."""
        return self.after_first / (self.last - self.first) if self.last > self.first else 0.0


def family_memory() -> tuple[float, float]:
    """Megabytes of this process, and of the largest of those that descend from it."""
    parents: dict[int, int] = {}
    sizes: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            sizes[int(folder.name)] = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        except OSError:
            continue  # it ended meanwhile
    children = [size for process, size in sizes.items() if process != os.getpid() and _descends(process, parents)]
    return sizes[os.getpid()], max(children, default=0.0)


def _descends(process: int, parents: dict[int, int]) -> bool:
    while process in parents and process != os.getpid():
        process = parents[process]
    return process == os.getpid()


def family_cpu() -> float:
    """CPU seconds of this process and of children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def ways(ray: bool) -> Sequence[tuple[str, Running]]:
    """How each job is run."""
    pool = [("this process", Running(batch=4)), *((f"pool of {n}", Running(workers=n, batch=4)) for n in (1, 2))]
    return [*pool, *((f"Ray, {n}", Running(workers=n, batch=4, address="local")) for n in (1, 2) if ray)]


def jobs(folder: Path) -> dict[str, tuple[Job, int]]:
    """Jobs, and the sessions that each is given."""
    from optical_memory.deepseek_ocr.tiny import make_tiny

    weights = str(make_tiny(folder / "tiny"))
    return {
        "render, pillow": (render_job(renderer="pillow"), 32),
        "render, chromium": (render_job(renderer="chromium"), 64),
        "encode, tiny model": (encode_job(weights=weights, tier="tiny", device="cpu", threads=1, renderer="pillow"), 16),
        "transcribe, tesseract": (transcribe_job(renderer="pillow"), 12),
    }


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--growth", type=int, default=0, metavar="PAGES")
    parser.add_argument("--only", default="", help="begin of the names of jobs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if given.growth:
            grow(Path(name), given.growth)
        else:
            compare(Path(name), ray=given.ray, only=given.only)


def compare(folder: Path, *, ray: bool, only: str) -> None:
    """Print pages a second of each job, run in each way."""
    console, table = open_console(), Table(title="Bulk jobs on this machine")
    for heading in ("job", "run in", "pages", "first batch s", "pages/s after", "CPU ms a page"):
        table.add_column(heading, justify="left" if heading in ("job", "run in") else "right")
    before = os.getloadavg()[0]
    for job_name, (job, count) in jobs(folder).items():
        source = sessions(folder / "sessions.jsonl", count)
        for way, running in ways(ray) if job_name.startswith(only) else ():
            watch, cpu = Watch(), family_cpu()
            run(job, source, folder / f"{job_name} {way}", running, advance=watch)
            # Ray's processes are no children of this one.
            spent = "" if running.address else f"{1000 * (family_cpu() - cpu) / watch.pages:.0f}"
            table.add_row(job_name, way, str(watch.pages), f"{watch.first - watch.began:.1f}", f"{watch.rate:.1f}", spent)
    console.print(table)
    console.print(f"load of the machine before and after: {before:.1f}, {os.getloadavg()[0]:.1f}; cores: {os.cpu_count()}")


def grow(folder: Path, pages: int) -> None:
    """Print memory while a job of two workers goes on, line by line, since it takes long."""
    console, watch = open_console(), Watch(step=max(1, pages // 10))
    console.print("pages    job MB    largest worker MB    (two workers, Pillow)")

    def told(receipt: Receipt) -> None:
        known = len(watch.memory)
        watch(receipt)
        for at, own, worker in watch.memory[known:]:
            console.print(f"{at:>6,} {own:>8.0f} {worker:>14.0f}")

    run(render_job(renderer="pillow"), RandomTalks(pages, languages=("en",)), folder / "out", Running(workers=2), advance=told)
    console.print(f"{watch.pages:,} pages, {watch.rate:.1f} a second")


if __name__ == "__main__":
    main()
