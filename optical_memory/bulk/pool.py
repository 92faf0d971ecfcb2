"""The process pool: each worker has a pipe of its own and one batch in hand, so that it is known what a worker that dies takes with it."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from ..errors import OpticalMemoryError
from .attempts import WorkerLost
from .manifest import Receipt
from .stages import Batch, Line, Part, Place, Writer, letter_of, portable

__all__ = ["PoolFailed", "receipts_here", "receipts_of_pool"]

GRACE = 10.0  # s that a worker has to close its browser once nothing is left to do
MOST_STARTS = 3  # workers in a row that may die before they are ready


class PoolFailed(OpticalMemoryError):
    """Workers die before they begin."""


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    batch: Batch | None = None
    since: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    is_hung: bool = False


def receipts_here(parts: tuple[Part, ...], writer: Writer, batches: Iterator[Batch], place: Place) -> Iterator[Receipt]:
    """Work in this process. What is killed here kills the job."""
    line = Line(_joined(parts), place, writer)
    try:
        for batch in batches:
            yield line.finished(batch)
    finally:
        line.close()


def receipts_of_pool(
    parts: tuple[Part, ...], writer: Writer, batches: Iterator[Batch], place: Place, *, workers: int, limit: float | None = None
) -> Iterator[Receipt]:
    """Work in `workers` processes; receipts come in whatever order batches are done.

    Args:
        limit: seconds for a batch; a worker that takes longer is killed, and the item that it had in hand is charged with it.

    Raises `Outage`, `PoolFailed`, and whatever opening a stage raises. A worker that dies is replaced, and its batch worked on again.
    """
    pool = _Pool(parts, writer, place, workers, limit)
    try:
        yield from pool.run(batches)
    finally:
        pool.close()


class _Pool:
    def __init__(self, parts: tuple[Part, ...], writer: Writer, place: Place, workers: int, limit: float | None) -> None:
        self._context = multiprocessing.get_context("spawn")  # a fork would take a browser's threads and this job's lock along
        self._task = pickle.dumps((_joined(parts), place, writer))
        self._attempts, self._limit = place.attempts, limit
        self._lost: dict[int, int] = {}  # deaths at a batch, by its first item's place
        self._failed_starts = 0
        self._again: deque[Batch] = deque()
        self._workers = [self._start() for _ in range(workers)]

    def run(self, batches: Iterator[Batch]) -> Iterator[Receipt]:
        while True:
            for worker in self._workers:
                if worker.is_ready and worker.batch is None:
                    self._hand_out(worker, batches)
            busy = [worker for worker in self._workers if worker.batch is not None or not worker.is_ready]
            if not any(worker.batch for worker in busy) and not self._again and self._is_over(batches):
                return
            for worker in self._heard(busy):
                yield from self._answers(worker)

    def close(self) -> None:
        for worker in self._workers:
            worker.pipe.close()  # tells a worker that waits to end
        until = time.monotonic() + GRACE
        for worker in self._workers:
            if worker.batch is not None or not worker.is_ready:
                worker.process.terminate()
            worker.process.join(max(0.0, until - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    # -- inside ----------------------------------------------------------------------------------------------------------------------

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._task), name="optical-memory-bulk", daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _is_over(self, batches: Iterator[Batch]) -> bool:
        found = next(batches, None)
        if found is not None:
            self._again.append(found)
        return found is None

    def _hand_out(self, worker: _Worker, batches: Iterator[Batch]) -> None:
        batch = self._again.popleft() if self._again else next(batches, None)
        if batch is None:
            return
        worker.batch, worker.since = batch, time.monotonic()
        with suppress(OSError):  # it died while it waited: `_heard` sees that
            worker.pipe.send_bytes(pickle.dumps(batch))

    def _heard(self, busy: list[_Worker]) -> list[_Worker]:
        """Workers that said something or died. Kills those that are over their limit."""
        now = time.monotonic()
        left = [worker.since + self._limit - now for worker in busy if self._limit and worker.batch] if self._limit else []
        ready = wait([worker.pipe for worker in busy], timeout=max(0.0, min(left)) if left else None)
        for worker in busy:
            if self._limit and worker.batch and worker.pipe not in ready and time.monotonic() - worker.since >= self._limit:
                worker.process.kill()
                worker.process.join()
        return [worker for worker in busy if worker.pipe in ready]

    def _answers(self, worker: _Worker) -> Iterator[Receipt]:
        try:
            kind, value = pickle.loads(worker.pipe.recv_bytes())
        except (EOFError, OSError):
            yield from self._buried(worker)
            return
        if kind == "ready":
            worker.is_ready, self._failed_starts = True, 0
        elif kind == "receipt":
            worker.batch = None
            yield value
        else:
            raise value

    def _buried(self, worker: _Worker) -> Iterator[Receipt]:
        """Replace a worker that died, and see to its batch."""
        worker.process.join()
        worker.pipe.close()
        self._workers[self._workers.index(worker)] = self._start()
        batch = worker.batch
        if not worker.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= MOST_STARTS * len(self._workers):
                code = worker.process.exitcode
                how = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
                raise PoolFailed(f"{self._failed_starts} workers died with {how} before they were ready; try fewer workers")
        if batch is None:
            return
        self._lost[batch.number] = self._lost.get(batch.number, 0) + 1
        # Notes tell at which item workers die. A batch at which they die otherwise, while it is written, must end as well.
        if self._lost[batch.number] > self._attempts * (len(batch.records) + 1):
            lost = WorkerLost(self._lost[batch.number])
            letters = tuple(letter_of(record.key, "write", lost) for record in batch.records)
            yield Receipt(batch.number, f"lost-{batch.number}", failed=(*batch.failed, *letters))
        else:
            self._again.append(replace(batch))


def _joined(parts: tuple[Part, ...]) -> Part:
    """All stages in one process."""
    return Part(tuple(stage for part in parts for stage in part.stages), max(part.gpus for part in parts))


def _work(pipe: Connection, task: bytes) -> None:
    """The main function of a worker. It ends when the pipe does: with the job, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the job, which then ends the workers
    try:
        part, place, writer = pickle.loads(task)
        line = Line(part, place, writer)
    except BaseException as exc:
        _say(pipe, "failed", exc)
        return
    try:
        _say(pipe, "ready", None)
        while True:
            batch = pickle.loads(pipe.recv_bytes())
            try:
                receipt = line.finished(batch)
            except BaseException as exc:
                _say(pipe, "failed", exc)
                return
            _say(pipe, "receipt", receipt)
    except (EOFError, OSError):
        pass
    finally:
        line.close()


def _say(pipe: Connection, kind: str, value: Any) -> None:
    pipe.send_bytes(pickle.dumps((kind, portable(value) if isinstance(value, BaseException) else value)))
