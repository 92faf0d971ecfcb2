"""The seam of bulk work: a stage is a picklable setting that opens a worker; workers take a batch's records through, item by item.

A line of stages runs in one process, one after the other; with Ray each part of a job is a pool of actors, and batches stream from one to
the next. The last stage of a job writes: it turns records into files, and the batch into a receipt.
"""

from __future__ import annotations

import errno
import pickle
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..errors import InvalidTurn, OpticalMemoryError, ReaderError, ReaderUnavailable, RenderError, StoreError, StoreUnavailable
from ..text.excerpts import said
from .attempts import Attempts, WorkerLost
from .manifest import DeadLetter, Receipt

__all__ = ["Batch", "Failures", "Line", "Outage", "Part", "Place", "Stage", "Worker", "Writer", "Written", "letter_of", "portable"]

T = TypeVar("T")

PAUSE = 0.5  # s before something that failed is tried again; doubled each time
LONGEST_WHY = 2_000  # characters of an error in a dead letter
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)  # no fault of an item
OUTAGES = (StoreUnavailable, ReaderUnavailable)
PASSING = (ReaderError, StoreError, OSError)  # may be gone at the next try; a renderer tries again by itself


class Outage(OpticalMemoryError):
    """Something that all items need is not there: a store, a server, room on the disk. The job stops; run again, it goes on."""


class Keyed(Protocol):
    """What goes from stage to stage: an item, or what was made of it."""

    @property
    def key(self) -> str: ...


class Worker(Protocol):
    """An opened stage, in one process."""

    def work(self, records: Sequence[Any], failures: Failures) -> list[Any]:
        """Make a record of each; leave out those that `failures` took."""
        ...

    def close(self) -> None:
        """Release what was opened."""
        ...


class Stage(Protocol):
    """A step of a job. Frozen and picklable: workers are opened where they run."""

    def open(self) -> Worker:
        """Open a browser, a model, a reader. What it raises stops the job: every item would fail alike."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer made: paths below its folder, the pages in them."""

    files: tuple[str, ...]
    pages: int


class Writer(Protocol):
    """What writes the records of a batch. Frozen and picklable."""

    def write(self, records: Sequence[Any], folder: Path, name: str) -> Written:
        """Write files below `folder`; `name` (`part-000017`) is the batch's own."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """Stages that run in one process, and what such a process needs.

    Attributes:
        stages: in order.
        gpus: GPUs of a process; 0 for one that works on CPUs.
    """

    stages: tuple[Stage, ...]
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run works.

    Attributes:
        folder: the job's staging folder of this run.
        attempts: workers that may die at one item, and tries of what may pass (a reader that failed).
    """

    folder: Path
    attempts: int = 3

    def notes(self) -> Attempts:
        """The notes of what is in hand."""
        return Attempts(self.folder / "attempts", self.attempts)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records on their way, with those that failed on it."""

    number: int
    records: tuple[Any, ...]
    failed: tuple[DeadLetter, ...] = ()
    seconds: float = field(default=0.0, compare=False)


class Failures:
    """Takes the failures of a stage, so that one item's does not stop the others."""

    def __init__(self, attempts: Attempts, pause: float = PAUSE) -> None:
        self._attempts, self._pause = attempts, pause
        self.letters: list[DeadLetter] = []

    def each(self, step: str, records: Sequence[Keyed], work: Callable[[Any], T]) -> Iterator[T]:
        """Yield what `work` makes of each record; failures become dead letters. Raises `Outage`."""
        for record in records:
            try:
                with self._attempts.at([record.key]):
                    yield self._tried(step, lambda record=record: work(record))  # type: ignore[misc]
            except Outage:
                raise
            except Exception as exc:  # whatever an item's content brings about: the others go on
                self.letters.append(letter_of(record.key, step, exc))

    def together(self, step: str, records: Sequence[Keyed], work: Callable[[Sequence[Any]], list[T]]) -> list[T]:
        """What `work` makes of all records at once; where that fails, or a worker died at one of them, of each alone."""
        suspects = any(self._attempts.lost(record.key) for record in records)
        if len(records) > 1 and not suspects:
            try:
                with self._attempts.at([record.key for record in records]):
                    return work(records)
            except Exception as exc:
                _raise_outage(step, exc)
        return list(self.each(step, records, lambda record: work([record])[0]))

    def _tried(self, step: str, work: Callable[[], T]) -> T:
        pause = self._pause
        for last in [False] * (self._attempts.most - 1) + [True]:
            try:
                return work()
            except PASSING as exc:
                if last:
                    _raise_outage(step, exc)
                    raise
                if isinstance(exc, FileNotFoundError | PermissionError | IsADirectoryError):
                    raise
            time.sleep(pause)
            pause *= 2
        raise AssertionError("unreachable")


class Line:
    """Opened stages of one process, and the writer if it is the job's last part."""

    def __init__(self, part: Part, place: Place, writer: Writer | None) -> None:
        self._place, self._writer = place, writer
        self._notes = place.notes()
        self._workers: list[Worker] = []
        with ExitStack() as opened:
            for stage in part.stages:
                worker = stage.open()
                opened.callback(worker.close)
                self._workers.append(worker)
            self._opened = opened.pop_all()

    def through(self, batch: Batch) -> Batch:
        """Take a batch through the stages."""
        began = time.perf_counter()
        records, failures = list(batch.records), Failures(self._notes)
        for worker in self._workers:
            records = worker.work(records, failures) if records else []
        took = batch.seconds + time.perf_counter() - began
        return replace(batch, records=tuple(records), failed=(*batch.failed, *failures.letters), seconds=took)

    def finished(self, batch: Batch) -> Receipt:
        """Take a batch through, write its files and return the receipt. Raises `Outage` where the disk is full."""
        assert self._writer is not None, "only a job's last part writes"
        done = self.through(batch)
        name = uuid.uuid4().hex
        folder = self._place.folder / name
        try:
            folder.mkdir(parents=True)
            written = self._writer.write(done.records, folder, f"part-{done.number:06d}") if done.records else Written((), 0)
        except OSError as exc:
            raise Outage(f"the files of batch {done.number} could not be written: {exc}. Make room, and run again: it goes on") from exc
        return Receipt(
            number=done.number,
            staged=f"{self._place.folder.name}/{name}",
            done=tuple(record.key for record in done.records),
            failed=done.failed,
            files=written.files,
            pages=written.pages,
            bytes=sum((folder / path).stat().st_size for path in written.files),
            seconds=done.seconds,
        )

    def close(self) -> None:
        """Close all workers."""
        self._opened.close()


def portable(exc: BaseException) -> BaseException:
    """Return an exception that another process can unpickle: itself, or one of the same branch with its words."""
    try:
        pickle.loads(pickle.dumps(exc))
        return exc
    except Exception:  # its constructor takes more than a message
        named = f"{type(exc).__name__}: {exc}"
        return ValueError(str(exc)) if isinstance(exc, ValueError) else OpticalMemoryError(named)


def letter_of(item: str, step: str, exc: BaseException) -> DeadLetter:
    """The dead letter of an item that failed with an exception."""
    return DeadLetter(item, step, type(exc).__name__, said(exc)[:LONGEST_WHY], _advice(exc))


def _raise_outage(step: str, exc: BaseException) -> None:
    if isinstance(exc, Outage):
        raise exc
    if isinstance(exc, OUTAGES) or (isinstance(exc, OSError) and exc.errno in FULL):
        raise Outage(f"{step}: {exc}. The job stopped; run it again when that is back, and it goes on") from exc


def _advice(exc: BaseException) -> str:
    """What to do about a failure."""
    if isinstance(exc, WorkerLost):
        return "look at the item itself; try it alone with more memory"
    if isinstance(exc, InvalidTurn):
        return "mend the message that the error names in the source"
    if isinstance(exc, FileNotFoundError | PermissionError):
        return "see that the file is there and may be read, then run again with --retry-failed"
    if isinstance(exc, RenderError):
        return "try --renderer pillow, or run again with --retry-failed"
    if isinstance(exc, OpticalMemoryError):
        return "run again with --retry-failed; if it fails again, the error says what is missing"
    if isinstance(exc, MemoryError):
        return "run again with --retry-failed, fewer workers and a smaller --batch"
    if isinstance(exc, ValueError | LookupError):
        return "look at the item itself: it is not what the job expects"
    return "a fault of the program: report it with this line"
