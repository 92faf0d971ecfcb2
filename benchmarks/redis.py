"""What the Redis store costs beside plainer ways to keep a chat in Redis: all in one run, on one server, with turns of 1,000 characters.

`python -m benchmarks.redis` starts a `redis-server` of its own on a free loopback port, which writes no files, and ends it afterwards;
`--quick` measures less. The ways, each through a client of redis-py with its own settings:

- a bare list: RPUSH of the very record that our store writes, made before the clock starts. A floor: whoever sends it again has it twice.
- our store, and the same with encryption.
- documents: what langchain-redis writes, as near as core commands come, since a plain server has neither JSON nor search: a hash for each
  message, its place in an index by time, and EXPIRE, without a transaction. Its RediSearch index is not there; ZADD stands for it, which is
  far less work for the server. Its library sends a message in one pipeline; three calls one after the other are measured beside it.
- a list with an end: what langchain-community writes, LPUSH and then EXPIRE.

The server gets a core of its own where it can: a round trip within one core takes less than half the time, and it is else left to chance.
"""

from __future__ import annotations

import base64
import importlib.util
import itertools
import json
import multiprocessing
import os
import random
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

import redis  # redis-py, and not this file: with -m its folder is not on the path
from rich.table import Table

from optical_memory.stores import SessionId
from optical_memory.stores.codec import encode
from optical_memory.stores.redis import RedisStore
from optical_memory.stores.redis.key_names import PARTS, Layout
from optical_memory.turns.turn import Turn

from ._console import open_console
from ._timing import timed
from .stores import texts

SESSION = SessionId("benchmark")
LIFE = 30 * 86_400  # seconds that the other ways give a message
LENGTH = 1_000  # turns of the session that is read, and weighed
TAIL = 20
PAGES, PAGE = 50, 60_000  # pictures of so many bytes
BARE, OURS, SEALED = "bare list: RPUSH", "our store", "our store, encrypted"
DOCUMENTS, APART, LIST = "documents: one pipeline", "documents: three calls", "list with an end: LPUSH, EXPIRE"

Said = tuple[Turn, bytes]  # a turn and its record


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    rounds: int = 3_000  # appends, one at a time, of each way
    together: int = 4_800  # appends of all processes
    processes: tuple[int, ...] = (1, 4, 8)
    repeats: int = 5
    reads: int = 20


QUICK = Extent(rounds=400, together=1_200, processes=(1, 4), repeats=1, reads=7)


class Way(Protocol):
    """A way to keep a session."""

    def append(self, turn: Turn, record: bytes) -> None: ...

    def read(self, last: int = LENGTH) -> Sequence[object]:
        """So many of the last turns, out of `LENGTH`."""
        ...

    def keep(self, name: str, page: bytes) -> None: ...

    def close(self) -> None: ...


class Ours:
    """Our store. It makes turns of what it reads, and the others the objects that JSON has."""

    def __init__(self, url: str, session: SessionId = SESSION, keys: Sequence[str] = ()) -> None:
        self.store, self.session = RedisStore(url, keys=keys), session
        self.close = self.store.close

    def append(self, turn: Turn, record: bytes) -> None:
        self.store.append(self.session, [turn])

    def read(self, last: int = LENGTH) -> Sequence[object]:
        return self.store.read(self.session, LENGTH - last + 1)

    def keep(self, name: str, page: bytes) -> None:
        self.store.put(self.session, {name: page})


class Chat:
    """What another way stores are messages."""

    def __init__(self, url: str) -> None:
        self.client: Any = redis.Redis.from_url(url)
        self.close = self.client.close

    def append(self, turn: Turn, record: bytes) -> None:
        self.say(_message(turn.content))

    def keep(self, name: str, page: bytes) -> None:
        self.say(_message([{"type": "image", "mime_type": "image/png", "base64": base64.b64encode(page).decode()}]))

    def say(self, message: dict[str, Any]) -> None:
        raise NotImplementedError


class Bare(Chat):
    """A list of records."""

    def append(self, turn: Turn, record: bytes) -> None:
        self.client.rpush("bare", record)

    def read(self, last: int = LENGTH) -> Sequence[object]:
        return [json.loads(record) for record in self.client.lrange("bare", -last, -1)]


class Listed(Chat):
    """A list of messages, the last one first, with an end."""

    def read(self, last: int = LENGTH) -> Sequence[object]:
        return [json.loads(message) for message in self.client.lrange("message_store:s", 0, last - 1)[::-1]]

    def say(self, message: dict[str, Any]) -> None:
        self.client.lpush("message_store:s", json.dumps(message))
        self.client.expire("message_store:s", LIFE)


class Documents(Chat):
    """A hash for each message, written in one pipeline."""

    def read(self, last: int = LENGTH) -> Sequence[object]:
        pipe = self.client.pipeline(transaction=False)
        for key in self.client.zrange("index:s", -last, -1):
            pipe.hgetall(key)
        return [json.loads(document[b"data"]) for document in pipe.execute()]

    def say(self, message: dict[str, Any]) -> None:
        pipe = self.client.pipeline(transaction=False)
        _document(pipe, message)
        pipe.execute()


class Apart(Documents):
    """The same in three calls."""

    def say(self, message: dict[str, Any]) -> None:
        _document(self.client, message)


def _document(client: Any, message: dict[str, Any]) -> None:
    now = time.time()
    key = f"chat:s:{int(now * 1_000):012x}{secrets.token_hex(10)}"  # as long as with a ULID, or nearly
    client.hset(key, mapping={"type": message["type"], "data": json.dumps(message["data"]), "session_id": "s", "timestamp": now})
    client.zadd("index:s", {key: now})
    client.expire(key, LIFE)


def _message(content: Any) -> dict[str, Any]:
    return {"type": "human", "data": {"content": content, "additional_kwargs": {}, "type": "human"}}


OTHERS: dict[str, Callable[[str], Way]] = {BARE: Bare, OURS: Ours, DOCUMENTS: Documents, LIST: Listed}


@contextmanager
def server() -> Iterator[str]:
    """The URL of a Redis server that is there for this run only."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise SystemExit("needs redis-server on the PATH")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"]
        with subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL) as process:
            _part_cores(process.pid)
            try:
                url = f"redis://127.0.0.1:{port}/0"
                patient = redis.retry.Retry(redis.backoff.ConstantBackoff(0.02), 500)  # it may still be starting
                redis.Redis.from_url(url, retry=patient).ping()
                yield url
            finally:
                process.terminate()


def _part_cores(server: int) -> None:
    if sys.platform == "linux" and len(cores := os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(server, {max(cores)})
        os.sched_setaffinity(0, cores - {max(cores)})


def ask(url: str, *command: object) -> Any:
    """What the server answers to a client that has just come, and goes again."""
    with redis.Redis.from_url(url) as client:
        return client.execute_command(*command)


def turns(name: str, count: int) -> list[Said]:
    """Turns that no other call with another name gives, and their records."""
    said = itertools.cycle(list(itertools.islice(texts(), min(count, 500))))
    made = [Turn(id=f"{name} {place}", role="user", content=next(said)) for place in range(count)]
    return [(turn, encode(turn)) for turn in made]


def say_all(way: Way, said: Sequence[Said]) -> None:
    """Append turns, one at a time."""
    for each in said:
        way.append(*each)


def appends(url: str, rounds: int) -> Table:
    """Microseconds for an append; in each round every way appends once, in an order of chance."""
    ways = {title: make(url) for title, make in {**OTHERS, APART: Apart}.items()}
    if importlib.util.find_spec("cryptography"):
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        ways[SEALED] = Ours(url, SessionId("sealed"), [key])
    times = _append_times(ways, rounds)
    table = Table("µs", "median", "p95", "p99", "median / bare", title=f"Appending one turn, {rounds:,} of each way")
    for title in (BARE, OURS, SEALED, DOCUMENTS, APART, LIST):
        if title in times:
            table.add_row(title, *_spread(times[title]), f"{statistics.median(times[title]) / statistics.median(times[BARE]):.2f}")
    for way in ways.values():
        way.close()
    return table


def _append_times(ways: Mapping[str, Way], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {title: [] for title in ways}
    order, chance = list(ways), random.Random(3)
    for said in turns("single", rounds + 50):
        chance.shuffle(order)
        for title in order:
            times[title].append(timed(lambda title=title, said=said: ways[title].append(*said)) * 1_000)  # type: ignore[misc]
    return {title: each[50:] for title, each in times.items()}  # the first are slow: connections, scripts


def _spread(times: Sequence[float]) -> list[str]:
    hundredths = statistics.quantiles(times, n=100)
    return [f"{value:,.0f}" for value in (statistics.median(times), hundredths[94], hundredths[98])]


def work(url: str, orders: Connection) -> None:
    """What a process of its own does: appends so many turns when it is told to, and says when they are there."""
    ways = {title: make(url) for title, make in OTHERS.items()}
    for title, name, count in iter(orders.recv, None):
        said = turns(f"{os.getpid()} {name}", count)
        orders.send("ready")
        orders.recv()
        say_all(ways[title], said)
        orders.send("done")


@contextmanager
def workers(url: str, count: int) -> Iterator[list[Connection]]:
    """Processes that wait for orders."""
    context = multiprocessing.get_context("spawn")
    crew, processes = list[Connection](), []
    for _ in range(count):
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=work, args=(url, theirs), daemon=True))
        processes[-1].start()
        theirs.close()  # one that dies is then noticed
        crew.append(ours)
    yield crew
    for ours, process in zip(crew, processes, strict=True):
        ours.send(None)
        process.join()


def rate(url: str, title: str, crew: Sequence[Connection], together: int) -> float:
    """Appends per second of some processes on one session, which is there already."""
    ask(url, "FLUSHALL")
    first = OTHERS[title](url)
    first.append(*turns("first", 1)[0])
    first.close()
    _told(crew, (title, secrets.token_hex(8), together // len(crew)))
    return together / timed(lambda: _told(crew, "go")) * 1_000


def _told(crew: Sequence[Connection], word: object) -> None:
    """Tell all of them, and wait until all have answered."""
    for each in crew:
        each.send(word)
    for each in crew:
        each.recv()


def rates(url: str, extent: Extent) -> Table:
    """Appends per second, the median of some repeats."""
    found: dict[tuple[str, int], list[float]] = {}
    with workers(url, max(extent.processes)) as crew:
        for _, count, title in itertools.product(range(extent.repeats), extent.processes, OTHERS):
            found.setdefault((title, count), []).append(rate(url, title, crew[:count], extent.together))
    heads = [f"{count} process{'es' if count > 1 else ''}" for count in extent.processes]
    table = Table("appends per second (/ bare)", *heads, title=f"Appending to one session, on a machine of {os.cpu_count()} cores")
    for title in OTHERS:
        each = [(statistics.median(found[title, count]), statistics.median(found[BARE, count])) for count in extent.processes]
        table.add_row(title, *(f"{value:,.0f} ({value / bare:.2f})" for value, bare in each))
    return table


def reads(url: str, times: int) -> Table:
    """Milliseconds to have all turns of a session as objects, and its last ones."""
    ask(url, "FLUSHALL")
    ways = {title: make(url) for title, make in OTHERS.items()}
    for way in ways.values():
        say_all(way, turns("read", LENGTH))
    found: dict[tuple[str, int], list[float]] = {}
    order, chance = list(ways), random.Random(4)
    for _, last in itertools.product(range(times), (LENGTH, TAIL)):
        chance.shuffle(order)
        for title in order:
            found.setdefault((title, last), []).append(timed(lambda title=title, last=last: ways[title].read(last)))  # type: ignore[misc]
    heads = itertools.chain.from_iterable((f"{'last ' * (last < LENGTH)}{last:,} turns", "/ bare") for last in (LENGTH, TAIL))
    table = Table("ms", *heads, title=f"Reading a session of {LENGTH:,} turns, median of {times}")
    for title in ways:
        pairs = [(statistics.median(found[title, last]), statistics.median(found[BARE, last])) for last in (LENGTH, TAIL)]
        table.add_row(title, *itertools.chain.from_iterable((f"{value:.2f}", f"{value / bare:.2f}") for value, bare in pairs))
    for way in ways.values():
        way.close()
    return table


def held(url: str) -> int:
    """Bytes that the server holds."""
    time.sleep(0.1)  # it notices that clients are gone, and their buffers with them
    return int(ask(url, "INFO", "memory")["used_memory"])


def weight(url: str, make: Callable[[str], Way], fill: Callable[[Way], None]) -> int:
    """Bytes that the server holds more of once a way has stored something."""
    before = held(url)
    way = make(url)
    fill(way)
    way.close()
    return held(url) - before


def memory(url: str) -> list[Table]:
    """Bytes a turn and a page, and what each of our keys takes."""
    said = turns("weighed", LENGTH)
    record = statistics.mean(len(each) for _, each in said)
    table = Table("bytes", "a turn", "/ record", "a page", "/ picture", title=f"The server's memory: {LENGTH:,} turns, {PAGES} pages")
    table.add_row("the record, and the picture", f"{record:,.0f}", "1.00", f"{PAGE:,}", "1.00")
    usage = dict[str, int]()
    for title in (OURS, DOCUMENTS, LIST):
        ask(url, "FLUSHALL")
        turn = weight(url, OTHERS[title], lambda way: say_all(way, said)) / LENGTH
        page = weight(url, OTHERS[title], _draw) / PAGES
        table.add_row(title, f"{turn:,.0f}", f"{turn / record:.2f}", f"{page:,.0f}", f"{page / PAGE:.2f}")
        usage = usage or _usage(url)
    title = f"Where it goes: {LENGTH:,} turns without calls and pins, {PAGES} pages"
    parts = Table("MEMORY USAGE of our keys, SAMPLES 0", *PARTS, title=title)
    parts.add_row("bytes", *(f"{usage[part]:,}" for part in PARTS))
    parts.add_row("bytes a turn", *("" if part == "cache" else f"{usage[part] / LENGTH:,.1f}" for part in PARTS))
    return [table, parts]


def _draw(way: Way) -> None:
    for place in range(PAGES):
        way.keep(f"page {secrets.token_hex(8)} {place}", secrets.token_bytes(PAGE))


def _usage(url: str) -> dict[str, int]:
    keys = zip(PARTS, Layout().keys(SESSION), strict=True)
    return {part: ask(url, "MEMORY USAGE", key, "SAMPLES", 0) or 0 for part, key in keys}


def main(arguments: Sequence[str] = ()) -> None:
    """Print the tables."""
    extent = QUICK if "--quick" in arguments else Extent()
    console = open_console()
    with server() as url:
        console.print(appends(url, extent.rounds))
        console.print(rates(url, extent))
        console.print(reads(url, extent.reads))
        console.print(*memory(url))


if __name__ == "__main__":
    main(sys.argv[1:])
