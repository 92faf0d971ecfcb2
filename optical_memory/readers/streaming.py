"""Streamed answers of readers, and their counters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, Self

__all__ = ["Ending", "ReaderStats", "StreamedAnswer"]


@dataclass(frozen=True, slots=True)
class ReaderStats:
    """Counters of a reader since it was opened.

    Attributes:
        pages_encoded, pages_from_memory, pages_from_shelf: where vision tokens came from.
        vision_bytes: held in memory.
        positions_computed, positions_reused: of prompts.
        prefix_bytes, prefixes, prefixes_dropped: keys and values held, and evicted.
        tokens: generated.
        loops_cut: tokens that were rejected because they would have closed a loop.
    """

    pages_encoded: int
    pages_from_memory: int
    pages_from_shelf: int
    vision_bytes: int
    positions_computed: int
    positions_reused: int
    prefix_bytes: int
    prefixes: int
    prefixes_dropped: int
    tokens: int
    loops_cut: int


class Outcome(Protocol):
    """The result of a finished answer. `deepseek_ocr.generation.Outcome` adds counts."""

    stopped: str | None


@dataclass(slots=True)
class Ending:
    """The stop reason of an answer; None until it ends."""

    stopped: str | None = None


class StreamedAnswer:
    """A streamed answer. Nothing is computed before iteration starts; other answers may run between two pieces.

    `str(answer)` waits for the end. It can be iterated once; `text` keeps all pieces. After a failure every further iteration raises the
    same error, so that a failure never passes for an empty answer.

    Args:
        pieces: generator factory; receives a function that returns True once cancelled.
        outcome: receives the stop reason.
        lock: held while a piece is computed.
    """

    def __init__(
        self, pieces: Callable[[Callable[[], bool]], Iterator[str]], outcome: Outcome, lock: AbstractContextManager[object] | None = None
    ) -> None:
        self._outcome, self._cancelled, self._lock = outcome, threading.Event(), lock or nullcontext()
        self._pieces = pieces(self._cancelled.is_set)
        self._said: list[str] = []
        self._failure: Exception | None = None

    @property
    def stopped(self) -> str | None:
        """The stop reason: `end`, `stop`, `length` or `cancelled`; None until then."""
        return self._outcome.stopped

    @property
    def text(self) -> str:
        """All pieces so far."""
        return "".join(self._said)

    def cancel(self) -> None:
        """Stop at the next token, or at the next part of the prompt. Safe from another thread."""
        self._cancelled.set()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            try:
                piece = next(self._pieces)
            except StopIteration:
                raise
            except Exception as exc:
                self._failure = exc
                raise
            self._said.append(piece)
            return piece

    def __str__(self) -> str:
        for _ in self:
            pass
        return self.text
