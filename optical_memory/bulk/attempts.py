"""Notes of what is being worked on, so that an item at which workers die is known, whoever was killed and wherever.

A worker writes a byte into a small file before it begins an item, and removes the file when the item is done or has failed. What is left
of a worker that was killed is the file of the item that it had in hand. Whoever gets that item next counts the bytes: one at which as many
workers have died as are allowed is not begun again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import OpticalMemoryError
from .items import key_digest

__all__ = ["Attempts", "WorkerLost"]


class WorkerLost(OpticalMemoryError):
    """Workers died whenever they had this item in hand: memory ran out, or native code crashed."""

    def __init__(self, times: int) -> None:
        super().__init__(
            f"{times} workers died at this item: memory ran out, native code crashed, or it took longer than --limit. "
            "Look at the item itself; try it alone with more memory"
        )
        self.times = times


class Attempts:
    """The notes of one run.

    Args:
        folder: where they lie; on a cluster a folder that all machines see.
        most: how many workers may die at one item, at least 1.
    """

    def __init__(self, folder: Path, most: int) -> None:
        if most < 1:
            raise ValueError(f"attempts must be 1 or more; got {most!r}")
        self._folder, self.most = folder, most
        folder.mkdir(parents=True, exist_ok=True)

    def lost(self, key: str) -> int:
        """How many workers have died at an item so far in this run."""
        try:
            return self._note(key).stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def at(self, keys: Sequence[str]) -> Iterator[None]:
        """These items are in hand while the block runs. Raises `WorkerLost` if one of them has used its attempts up."""
        for key in keys:
            if (times := self.lost(key)) >= self.most:  # the note stays: its batch may be worked on once more, for another item
                raise WorkerLost(times)
        for key in keys:
            with self._note(key).open("ab") as file:
                file.write(b".")
        try:
            yield
        finally:
            for key in keys:
                self._note(key).unlink(missing_ok=True)

    def _note(self, key: str) -> Path:
        return self._folder / key_digest(key)

    def __reduce__(self) -> tuple[type[Attempts], tuple[Path, int]]:
        return Attempts, (Path(os.path.abspath(self._folder)), self.most)
