"""Pages drawn ahead, by one thread of the process, while nobody waits for a context.

The thread begins no drawing while a context is being made anywhere in the process. A process that ends waits for the drawing that is going
on, not for those to come: a daemon thread may be torn out of a library that does not bear it. A forked child starts its own thread.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from ..archive.drawn_ahead import Abandoned
from .rehearsal import Gate

__all__ = ["Ahead", "settled", "somebody_waits"]

LAST_WAIT = 2.0  # seconds that a process that ends waits for the drawing that is going on
LONGEST_WAIT = 30.0  # seconds that a rehearsal waits for contexts of others before it is given up

Work = Callable[[Gate, Callable[[], None]], None]  # gets the gate, and what to call before each drawing


@dataclass(slots=True)
class _Crew:
    """The thread of a process, and what it is to do, by memory."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    jobs: OrderedDict[int, tuple[Gate, Work]] = field(default_factory=OrderedDict)
    at_work: bool = False
    waiting: int = 0  # contexts that are being made
    is_over: bool = False  # the process ends
    thread: threading.Thread | None = None

    def ask(self, owner: int, gate: Gate, work: Work) -> None:
        with self.changed:
            if self.is_over:
                return
            self.jobs[owner] = gate, work
            if self.thread is None:
                self.thread = threading.Thread(target=self._run, name="optical-memory-ahead", daemon=True)
                self.thread.start()
            self.changed.notify_all()

    def forget(self, owner: int) -> None:
        with self.changed:
            self.jobs.pop(owner, None)
            self.changed.notify_all()

    def _run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.jobs)
                self.at_work = True
            self._work()
            with self.changed:
                self.at_work = False
                self.changed.notify_all()

    def _work(self) -> None:
        with self.changed:
            if not self.jobs:
                return
            _, (gate, work) = self.jobs.popitem(last=False)
        with suppress(Exception):  # what cannot be drawn now is drawn, or fails, where a context needs it
            work(gate, lambda: self._yield_to_others(gate))

    def _yield_to_others(self, gate: Gate) -> None:
        with self.changed:
            if not self.changed.wait_for(lambda: not self.waiting or gate.is_shut or self.is_over, LONGEST_WAIT) or self.is_over:
                raise Abandoned
        gate.check()
        _end_before_browsers()


_crews: dict[int, _Crew] = {}


def _crew() -> _Crew:
    return _crews.get(os.getpid()) or _crews.setdefault(os.getpid(), _Crew())


def _end() -> None:
    crew = _crew()
    with crew.changed:
        crew.is_over = True
        crew.jobs.clear()
        crew.changed.notify_all()


def _end_before_browsers() -> None:
    """Have `_end` called before anything that was registered so far: a drawing that is begun later would start a browser again."""
    atexit.unregister(_end)
    atexit.register(_end)


def _join() -> None:
    settled(LAST_WAIT)


atexit.register(_join)


@contextmanager
def somebody_waits() -> Iterator[None]:
    """A context is being made in this block: nothing new is drawn ahead."""
    crew = _crew()
    with crew.changed:
        crew.waiting += 1
    try:
        yield
    finally:
        with crew.changed:
            crew.waiting -= 1
            crew.changed.notify_all()


def settled(seconds: float) -> bool:
    """Wait until nothing is left to draw ahead in this process, at most so long; whether it came to that."""
    crew = _crew()
    with crew.changed:
        return crew.changed.wait_for(lambda: not crew.jobs and not crew.at_work, seconds)


class Ahead:
    """What one memory wants drawn ahead: the newest wish counts."""

    def __init__(self) -> None:
        self._asked: tuple[int, Gate] | None = None  # by the process: a forked child must not wait for a lock of its parent's thread

    def ask(self, work: Work) -> None:
        """Have `work` done when the thread is free, in place of what was asked for before."""
        self.stop()
        _end_before_browsers()
        gate = Gate()
        self._asked = os.getpid(), gate
        _crew().ask(id(self), gate, work)

    def stop(self) -> None:
        """End what is going on; it looks at nothing and draws nothing new from now on."""
        asked, self._asked = self._asked, None
        if asked and asked[0] == os.getpid():
            _crew().forget(id(self))
            asked[1].shut()
