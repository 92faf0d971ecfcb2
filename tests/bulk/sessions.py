"""Sessions and items for the tests of bulk jobs, some of which kill or hold up the worker that has them in hand."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from optical_memory.bulk.items import Item, Picture

PAST = "2026-01-01T00:00:00Z"


def messages(number: int, pairs: int = 2) -> list[dict[str, str]]:
    """A short conversation with a booking of its own."""
    talk = []
    for place in range(pairs):
        talk.append({"role": "user", "content": f"My train to Lyon is the 7:{number % 60:02d}, booking QX-{number}-{place}."})
        talk.append({"role": "assistant", "content": f"I have noted booking QX-{number}-{place} for the train to Lyon."})
    return talk


def lines(path: Path, count: int) -> Path:
    """A file with a session on each line."""
    path.write_text("".join(json.dumps({"id": f"session-{number}", "messages": messages(number)}) + "\n" for number in range(count)))
    return path


def png(shade: int = 255) -> bytes:
    """A small picture of one grey."""
    file = BytesIO()
    Image.new("L", (64, 64), shade).save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class Deadly:
    """A picture at which the worker is killed, as by the kernel when memory is short: `times` times, counted in a file; always for 0."""

    key: str
    counter: str
    times: int = 0

    def pictures(self) -> Sequence[bytes]:
        with open(self.counter, "ab") as file:
            file.write(b"x")
        if not self.times or os.path.getsize(self.counter) <= self.times:
            os.kill(os.getpid(), signal.SIGKILL)
        return [png()]


@dataclass(frozen=True, slots=True)
class Slow:
    """A picture that takes its time, and leaves a note of each time that it was begun."""

    key: str
    seconds: float
    notes: str

    def pictures(self) -> Sequence[bytes]:
        with open(self.notes, "a") as file:
            file.write(self.key + "\n")
        time.sleep(self.seconds)
        return [png()]


@dataclass(frozen=True, slots=True)
class SlowPictures:
    """A source of pictures that take their time."""

    count: int
    seconds: float
    notes: str

    @property
    def name(self) -> str:
        return "slow pictures"

    def items(self) -> Iterator[Item]:
        return iter([Slow(f"page-{number}", self.seconds, self.notes) for number in range(self.count)])


def pictures(count: int) -> list[Picture]:
    """Pictures that nothing is wrong with."""
    return [Picture(f"page-{number}", data=png(number)) for number in range(count)]


if __name__ == "__main__":  # a job that a test kills: OUT NOTES WORKERS [ADDRESS]
    import sys

    from optical_memory.bulk import Running, run
    from tests.bulk.sessions import SlowPictures as Pictures  # not of `__main__`, which workers do not have
    from tests.bulk.work import keep_pages

    out, notes, workers, *address = sys.argv[1:]
    running = Running(workers=int(workers), batch=2, address=address[0] if address else None)
    run(keep_pages(), Pictures(20, 0.15, notes), out, running, advance=lambda receipt: print(receipt.number, flush=True))
