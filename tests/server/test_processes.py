"""The commands as processes: serve, kill -9 and start again, the switch, run, stats."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from optical_memory.server.local_upstream.app import LocalUpstream
from optical_memory.server.local_upstream.serving import Serving
from tests.server.rig import PLAIN, claude
from tests.stores.redis_servers import redis_server

COMMAND = [sys.executable, "-m", "optical_memory"]


@pytest.fixture
def upstream() -> Iterator[tuple[LocalUpstream, str]]:
    app = LocalUpstream()
    with Serving(app) as server:
        yield app, server.address


@contextmanager
def serving(store: Path | str, address: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    names = [option for name in ("anthropic", "openai", "gemini") for option in ("--upstream", f"{name}={address}")]
    url = store if isinstance(store, str) else f"sqlite:///{store}"
    arguments = [*COMMAND, "serve", "--port", "0", "--store", url, "--renderer", "pillow", "--no-probe", *names, *options]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def _post(address: str, body: Any) -> httpx.Response:
    return httpx.post(address + "/v1/messages", json=body, headers={"x-api-key": "a-secret-key"}, timeout=60, verify=PLAIN)


def _settled(address: str, calls: int) -> list[Any]:
    until = time.monotonic() + 20
    while len(found := httpx.get(address + "/api/requests", verify=PLAIN).json()) < calls and time.monotonic() < until:
        time.sleep(0.05)
    return list(found)


def test_a_killed_proxy_goes_on_with_the_same_pages(tmp_path: Path, upstream: tuple[LocalUpstream, str]) -> None:
    app, provider = upstream
    store = tmp_path / "proxy.sqlite3"
    body = claude(16, last="x")
    with serving(store, provider, "--draw-wait", "60") as (process, address):
        assert address.startswith("http://127.0.0.1:")
        _post(address, body)
        first = app.seen[-1]
        _settled(address, 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with serving(store, provider) as (_, address):  # it does not wait for drawing, and need not
        body["messages"] += [{"role": "assistant", "content": "answer"}, {"role": "user", "content": "more"}]
        assert _post(address, body).status_code == 200
        _settled(address, 1)
        again = app.seen[-1]
        assert first.pages and again.json["messages"][: len(first.json["messages"]) - 1] == first.json["messages"][:-1]
        assert again.bill is not None and again.bill.read > 0
    assert b"a-secret-key" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    command = [*COMMAND, "stats", "--store", f"sqlite:///{store}"]
    found = json.loads(subprocess.run([*command, "--json"], capture_output=True, check=True).stdout)
    assert found["conversations"][0]["calls"] == 2 and found["models"]["claude-opus-4-8"]["rewritten"] == 2
    shown = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert "claude-opus-4-8" in shown


def test_a_conversation_moves_between_proxies_on_one_redis_and_outlives_one(tmp_path: Path, upstream: tuple[LocalUpstream, str]) -> None:
    app, provider = upstream
    body, sent = claude(16, last="x"), []
    wait = ("--draw-wait", "60")
    with redis_server(tmp_path) as redis, serving(redis.url(), provider, *wait) as one, serving(redis.url(), provider, *wait) as two:
        for turn in range(6):
            process, address = (one, two)[turn % 2 if turn < 4 else 1]
            assert _post(address, body).status_code == 200
            if turn == 2:
                process.kill()  # at once: its accounts of this call may not be written yet
            sent.append(app.seen[-1])
            body["messages"] += [{"role": "assistant", "content": f"answer {turn}"}, {"role": "user", "content": f"more {turn}"}]
        calls = _settled(two[1], 2)
    assert all(seen.pages == sent[0].pages > 0 for seen in sent) and all(call["rewritten"] for call in calls)
    for before, after in pairwise(seen.json["messages"] for seen in sent):
        assert after[: len(before) - 1] == before[:-1]  # but for the marker of the last


def test_two_proxies_that_get_the_first_requests_of_a_conversation_at_once_keep_it_whole(
    tmp_path: Path, upstream: tuple[LocalUpstream, str]
) -> None:
    """Neither has stored its record when the other begins."""
    app, provider = upstream
    app.delay = 0.01  # of a stream: none ends before both have begun
    with redis_server(tmp_path) as redis, serving(redis.url(), provider) as (_, one), serving(redis.url(), provider) as (_, two):
        for at, talk in enumerate(("a", "b")):
            bodies = [claude(rounds, seed=talk) | {"stream": True} for rounds in range(3)]
            with ThreadPoolExecutor() as threads:
                assert [*threads.map(_status, (one, two), bodies)] == [200, 200]
            _settled(one, 2 * at + 1), _settled(two, at + 1)
            assert _status(one, bodies[2]) == 200
            named = {call["conversation"] for call in (*_settled(one, 2 * at + 2)[:2], _settled(two, at + 1)[0])}
            assert len(named) == 1
        found = httpx.get(two + "/api/conversations", verify=PLAIN).json()
    assert [each["lines"] for each in found] == [1, 1]


def _status(address: str, body: Any) -> int:
    return _post(address, body).status_code


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGUSR1")
def test_the_switch_by_signal_and_by_command(tmp_path: Path, upstream: tuple[LocalUpstream, str]) -> None:
    app, provider = upstream
    with serving(tmp_path / "s.sqlite3", provider, "--draw-wait", "60") as (process, address):
        pages = []
        for turn in range(4):
            _post(address, claude(16, last="x"))
            pages.append(bool(app.seen[-1].pages))
            if turn < 2:
                process.send_signal(signal.SIGUSR1)
                until = time.monotonic() + 10
                while httpx.get(address + "/api/switch", verify=PLAIN).json()["on"] is pages[-1] and time.monotonic() < until:
                    time.sleep(0.05)
            elif turn == 2:
                subprocess.run([*COMMAND, "switch", "off", "--model", "claude-opus-4-8", "--url", address], check=True, capture_output=True)
        assert pages == [True, False, True, False]
        assert httpx.get(address + "/api/switch", verify=PLAIN).json()["models"] == {"claude-opus-4-8": False}


CLIENT = """
import json, os, sys, urllib.request
request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", sys.argv[1].encode(), {"x-api-key": "k"})
print(json.load(urllib.request.urlopen(request))["type"], os.environ["OPENAI_BASE_URL"].endswith("/v1"))
print(os.environ["GOOGLE_GEMINI_BASE_URL"])
sys.exit(7)
"""


def test_run_starts_a_proxy_for_a_client_and_ends_it(tmp_path: Path, upstream: tuple[LocalUpstream, str]) -> None:
    app, provider = upstream
    small = json.dumps(claude(0, last="hello"))
    environment = {**os.environ, "ANTHROPIC_BASE_URL": provider}
    arguments = [
        *COMMAND,
        "run",
        "--port",
        "0",
        "--store",
        f"sqlite:///{tmp_path / 'r.sqlite3'}",
        "--",
        sys.executable,
        "-c",
        CLIENT,
        small,
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 7, done.stderr
    kind, versioned, address = done.stdout.split()
    assert (kind, versioned) == ("message", "True") and app.seen[-1].json == json.loads(small)
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_a_port_that_is_taken_is_named(tmp_path: Path, upstream: tuple[LocalUpstream, str]) -> None:
    port = upstream[1].rpartition(":")[2]
    arguments = [*COMMAND, "serve", "--port", port, "--store", "memory://"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and f"127.0.0.1:{port}" in done.stderr
