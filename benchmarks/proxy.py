"""What the proxy adds to a request and to an answer, beside a bare pass-through in httpx that is measured in turn with it.

`python -m benchmarks.proxy [--requests N] [--streams N]`. Provider, pass-through, proxy and client are processes of their own.
The long request is 400 messages of the demo's conversation; its plan stands, and each request ends with a message of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import httpx
from rich.table import Table

from ._console import open_console
from .memory import messages

MESSAGES = 400
MODEL = "gpt-5.4"
PATH = "/v1/chat/completions"


def long_request(number: int) -> bytes:
    """Return a request of 400 messages and 60 kB of tools; the last message has a number of its own."""
    talk = [dict(message) for message in islice(messages(), MESSAGES - 2)]
    tools = [{"type": "function", "function": {"name": f"tool{at}", "description": "what it does " * 90}} for at in range(50)]
    asked = {"role": "user", "content": f"question {number}"}
    body = {"model": MODEL, "stream": True, "tools": tools, "messages": [{"role": "system", "content": "rules " * 500}, *talk, asked]}
    return json.dumps(body).encode()


@contextmanager
def processes() -> Iterator[tuple[str, str]]:
    """Start the servers; yield the addresses of the pass-through and of the proxy."""
    ports = [_free() for _ in range(2)]
    provider, bare = (f"http://127.0.0.1:{port}" for port in ports)
    own = [sys.executable, "-m", "benchmarks._proxy_servers"]
    with tempfile.TemporaryDirectory() as folder:
        serve = [sys.executable, "-m", "optical_memory", "serve", "--port", "0", "--store", f"sqlite:///{folder}/p.sqlite3"]
        serve += ["--renderer", "pillow", "--upstream", f"openai={provider}", "--upstream", f"anthropic={provider}"]
        started: list[subprocess.Popen[Any]] = [
            subprocess.Popen([*own, "provider", str(ports[0])]),
            subprocess.Popen([*own, "bare", str(ports[1]), provider]),
            subprocess.Popen(serve, stdout=subprocess.PIPE, text=True),
        ]
        try:
            assert started[2].stdout is not None
            proxy = started[2].stdout.readline().strip()
            for address in (provider, bare):
                _await(address)
            yield bare, proxy
        finally:
            for process in started:
                process.terminate()
                process.wait()


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _await(address: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            httpx.post(address + "/", timeout=5)
            return
        except httpx.TransportError:
            time.sleep(0.1)


def _ask(client: httpx.Client, address: str, body: bytes, **headers: str) -> float:
    began = time.perf_counter()
    client.post(address + PATH, content=body, headers={"authorization": "Bearer k", "content-type": "application/json", **headers})
    return (time.perf_counter() - began) * 1_000


def _stand(client: httpx.Client, proxy: str) -> int:
    """Send until the plan stands; return the pages that are sent with it."""
    for number in range(120):
        _ask(client, proxy, long_request(-1 - number), **{"x-chunks": "1"})
        last = client.get(proxy + "/api/requests?limit=1").json()
        if last and last[0]["rewritten"]:
            return int(last[0]["pages"])
        time.sleep(1.0)
    raise RuntimeError("no pages came")


def overhead(bare: str, proxy: str, requests: int) -> Iterator[Sequence[str]]:
    """Measure requests one by one, in turn; yield rows of the table."""
    times: dict[str, list[float]] = {bare: [], proxy: [], "padded": []}
    with httpx.Client(timeout=120) as client:
        pages = _stand(client, proxy)
        for number in range(requests):
            body = long_request(number)
            for address in (bare, proxy) if number % 2 else (proxy, bare):
                times[address].append(_ask(client, address, body, **{"x-chunks": "1"}))
            sent = client.get(f"{proxy}/api/requests?limit=1").json()[0]["bytes_sent"]
            times["padded"].append(_ask(client, bare, body + b" " * (sent - len(body)), **{"x-chunks": "1"}))
        time.sleep(1)
        calls = client.get(f"{proxy}/api/requests?limit={requests}").json()
    own = [call["own_ms"] for call in calls if call["rewritten"]]
    assert len(own) == requests, "every request had its pages"
    yield "bare pass-through, whole request", *_spread(times[bare])
    yield "the same with as many bytes as with the pages", *_spread(times["padded"])
    yield f"proxy, {pages} pages in place of old messages", *_spread(times[proxy])
    yield "of that, reading and rewriting the request", *_spread(own)


def _spread(times: Sequence[float]) -> Sequence[str]:
    ordered = sorted(times)
    return f"{statistics.median(ordered):.2f} ms", f"{ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]:.2f} ms"


async def _stream(client: httpx.AsyncClient, address: str, body: bytes, chunks: int, wait: int) -> tuple[float, float, int]:
    """Return milliseconds to the first byte and to the last, and the bytes."""
    headers = {"authorization": "Bearer k", "content-type": "application/json", "x-chunks": str(chunks), "x-wait": str(wait)}
    began, first, size = time.perf_counter(), 0.0, 0
    async with client.stream("POST", address + PATH, content=body, headers=headers) as answer:
        async for chunk in answer.aiter_raw():
            first = first or time.perf_counter() - began
            size += len(chunk)
    return first * 1_000, (time.perf_counter() - began) * 1_000, size


async def _round(address: str, bodies: Sequence[bytes], chunks: int, wait: int) -> tuple[float, float]:
    """Return the median time to the first byte in ms, and megabytes a second over all streams."""
    async with httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None)) as client:
        began = time.perf_counter()
        done = await asyncio.gather(*(_stream(client, address, body, chunks, wait) for body in bodies))
        seconds = time.perf_counter() - began
    return statistics.median(first for first, _, _ in done), sum(size for _, _, size in done) / seconds / 1e6


def streams(bare: str, proxy: str, count: int, rounds: int) -> Iterator[Sequence[str]]:
    """Measure streams at once, in turn; yield rows of the table."""
    short = json.dumps({"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "hello"}]}).encode()
    settings = {
        f"{count} short requests, first byte after 500 ms": ([short] * count, 20, 500),
        f"{count} short requests, answers of 1 MB": ([short] * count, 1_600, 0),
        f"{count} requests of {MESSAGES} messages, first byte after 2 s": ([long_request(at) for at in range(count)], 20, 2_000),
    }
    for name, (bodies, chunks, wait) in settings.items():
        found: dict[str, list[tuple[float, float]]] = {bare: [], proxy: []}
        for number in range(rounds):
            for address in (bare, proxy) if number % 2 else (proxy, bare):
                found[address].append(asyncio.run(_round(address, bodies, chunks, wait)))
        first = [statistics.median(each[0] for each in found[address]) for address in (bare, proxy)]
        speed = [statistics.median(each[1] for each in found[address]) for address in (bare, proxy)]
        ratios = first[1] / first[0] - 1, speed[1] / speed[0] - 1
        yield name, f"{first[0]:.0f} -> {first[1]:.0f} ms ({ratios[0]:+.1%})", f"{speed[0]:.1f} -> {speed[1]:.1f} MB/s ({ratios[1]:+.1%})"


def _table(title: str, columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
    table = Table(title=title)
    for at, column in enumerate(columns):
        table.add_column(column, justify="right" if at else "left")
    for row in rows:
        table.add_row(*row)
    open_console().print(table)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with processes() as (bare, proxy):
        _table(
            f"{given.requests} requests of {MESSAGES} messages", ("", "median", "99th percentile"), overhead(bare, proxy, given.requests)
        )
        rows = streams(bare, proxy, given.streams, given.rounds)
        _table("bare pass-through -> proxy, at once", ("", "time to first byte", "throughput"), rows)


if __name__ == "__main__":
    main()
