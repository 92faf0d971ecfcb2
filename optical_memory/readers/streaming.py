"""What a reader says, piece by piece, and what it did."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, Self

__all__ = ["Ending", "ReaderStats", "StreamedAnswer"]


@dataclass(frozen=True, slots=True)
class ReaderStats:
    """What a reader did since it was opened.

    Attributes:
        pages_encoded, pages_from_memory, pages_from_shelf: where vision tokens came from.
        vision_bytes: held in memory.
        positions_computed, positions_reused: of prompts.
        prefix_bytes, prefixes, prefixes_dropped: keys and values held, and dropped for room.
        tokens: generated.
        loops_cut: tokens that were not said because they would have closed a loop.
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
    """What is known of an answer when it has ended. `deepseek_ocr.generation` has one with counts."""

    stopped: str | None


@dataclass(slots=True)
class Ending:
    """Why an answer ended; None before that."""

    stopped: str | None = None


class StreamedAnswer:
    """What the model says, as it says it. Nothing is computed before it is iterated, and between two pieces other answers may go on.

    `str(answer)` waits for all of it. It can be iterated once; what was said stays in `text`. What failed fails again when it is asked for
    again: a failure is no empty answer.

    Args:
        pieces: makes them, given a look at whether the answer was cancelled.
        outcome: is told by them why the answer ended.
        lock: held while a piece is made.
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
        """Why it ended: `end`, `stop`, `length` or `cancelled`; None before that."""
        return self._outcome.stopped

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self._said)

    def cancel(self) -> None:
        """End it at the next token, or at the next part of the prompt. Safe from another thread."""
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
