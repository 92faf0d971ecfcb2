"""The same stages with Ray Data: a pool of actors for each part of a job, and batches that stream from one to the next.

A row is a whole batch, pickled, and a block is a row. So Ray moves, spills and repeats batches, and never cuts or joins them: a batch that
is done twice, because a machine was lost with its result, is known by its items and dropped. Ray holds a part back while the next one is
behind (back-pressure), by the size of the blocks between them. Actors that die are started again, and have their batch done again.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra, OpticalMemoryError
from .manifest import Receipt
from .stages import Batch, Line, Part, Place, Writer, portable

if TYPE_CHECKING:
    from .jobs import ItemStream, Running

__all__ = ["LOCAL", "receipts_of_ray"]

LOCAL, CLIENT = "local", "ray://"
ROW, SKIPPED = "batch", "skipped"
Task = tuple[tuple[Part, ...], Writer, "ItemStream", Place, "Running"]
Result = tuple[int, Any]


def receipts_of_ray(
    parts: tuple[Part, ...], writer: Writer, stream: ItemStream, place: Place, running: Running, *, skipped: Callable[[int], None]
) -> Iterator[Receipt]:
    """Work on a cluster, or on one that is started here. Receipts come in whatever order batches are done.

    Args:
        skipped: told the number of items that were done already.

    Raises `MissingExtra`, `OpticalMemoryError` if the cluster is not there, and what a stage raised.
    """
    task = parts, writer, stream, place, running
    with _connected(running) as ray:
        results = _through_client(ray, task) if str(running.address).startswith(CLIENT) else _results(*task)
        try:
            for known, found in results:
                skipped(known)
                if isinstance(found, BaseException):
                    raise found
                if found is not None:
                    yield found
        except ray.exceptions.RayError as exc:
            why = str(exc).strip().splitlines()[-1]
            raise OpticalMemoryError(f"Ray gave up: {why}. Run again: it goes on") from exc


def _results(parts: tuple[Part, ...], writer: Writer, stream: ItemStream, place: Place, running: Running) -> Iterator[Result]:
    """The number of items that were skipped before each batch, and its receipt, or the error that stops the job."""
    import ray

    with _context(ray, running):
        rows = ray.data.read_datasource(_items_source(ray, stream), override_num_blocks=1, num_cpus=0)
        for place_of, part in enumerate(parts):
            last = writer if place_of == len(parts) - 1 else None
            rows = rows.map_batches(
                _Actor,
                fn_constructor_args=(pickle.dumps((part, place, last)),),
                batch_size=1,
                batch_format="numpy",
                compute=ray.data.ActorPoolStrategy(size=running.gpu_workers if part.gpus else max(1, running.workers)),
                num_cpus=0 if part.gpus else _share(parts),
                num_gpus=part.gpus or None,
            )
        for row in rows.iter_rows():
            yield int(row[SKIPPED]), pickle.loads(row[ROW]) if row[ROW] else None


def _through_client(ray: Any, task: Task) -> Iterator[Result]:
    """The same over a client's connection (`ray://`), on which Ray Data does not run: an actor on the cluster drives it."""
    driver = ray.remote(num_cpus=0)(_Driver).remote(pickle.dumps(task))
    while (found := ray.get(driver.following.remote())) is not None:
        yield pickle.loads(found)


class _Driver:
    """Drives a job inside the cluster, and gives its results one by one."""

    def __init__(self, task: bytes) -> None:
        self._results = _results(*pickle.loads(task))

    def following(self) -> bytes | None:
        """The next result, pickled; None after the last."""
        found = next(self._results, None)
        return None if found is None else pickle.dumps(found)


class _Actor:
    """A part of a job in a process of Ray's."""

    def __init__(self, task: bytes) -> None:
        part, place, writer = pickle.loads(task)
        self._is_last = writer is not None
        try:
            self._line: Line | BaseException = Line(part, place, writer)
        except Exception as exc:  # raised here, Ray would start the actor again and again
            self._line = portable(exc)

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        return {ROW: [self._done(row) for row in rows[ROW]], SKIPPED: rows[SKIPPED]}

    def _done(self, row: bytes) -> bytes:
        """What is made of a batch; an error stands in its place, since Ray would hand on only its words."""
        found = pickle.loads(row) if row else None
        if not isinstance(found, Batch):
            return row
        if isinstance(self._line, BaseException):
            return pickle.dumps(self._line)
        try:
            return pickle.dumps(self._line.finished(found) if self._is_last else self._line.through(found))
        except Exception as exc:
            return pickle.dumps(portable(exc))


def _share(parts: tuple[Part, ...]) -> float:
    """CPUs that an actor reserves: parts on CPUs share those of a worker, since they wait for each other."""
    return round(1 / sum(1 for part in parts if not part.gpus), 2)


def _items_source(ray: Any, stream: ItemStream) -> Any:
    import pyarrow
    from ray.data.block import BlockMetadata
    from ray.data.datasource import Datasource, ReadTask

    def read() -> Iterator[Any]:
        for batch, skipped in stream.batches():
            row = pickle.dumps(batch) if batch.records else b""
            yield pyarrow.table({ROW: pyarrow.array([row], pyarrow.binary()), SKIPPED: pyarrow.array([skipped], pyarrow.int64())})

    class Items(Datasource):  # type: ignore[misc,unused-ignore]
        """Batches, one after the other, by a task that Ray holds back while the stages are behind."""

        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, *_: object, **__: object) -> list[Any]:
            return [ReadTask(read, BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None))]

    return Items()


@contextmanager
def _connected(running: Running) -> Iterator[Any]:
    """Ray, connected as asked: a cluster, the one that the program is connected to already, or one that is started here and stopped."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to others that nobody asked for
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as exc:
        raise MissingExtra("a Ray cluster", "bulk") from exc
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if running.address == LOCAL:
        # Its core writes a line about each actor that may be started again.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        options |= {
            "address": LOCAL,
            "num_cpus": max(1, running.workers),
            "include_dashboard": False,
            "object_store_memory": running.object_store,
        }
    else:
        options["address"] = running.address
    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError) as exc:
        raise OpticalMemoryError(
            f"no Ray cluster at {running.address!r}: {exc}. Start one with 'ray start --head', or pass 'local'"
        ) from exc
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _context(ray: Any, running: Running) -> Iterator[None]:
    """Settings of Ray Data while a job runs."""
    context = ray.data.DataContext.get_current()
    before = {name: getattr(context, name) for name in ("target_max_block_size", "enable_progress_bars", "enable_operator_progress_bars")}
    context.target_max_block_size = 1  # a block for each row
    context.enable_progress_bars = context.enable_operator_progress_bars = False
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
