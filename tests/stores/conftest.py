"""Real back ends for the store tests: files in a temporary folder, and a Redis server that the tests start themselves."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from optical_memory.stores import Store, open_store


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _redis_server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    binary = shutil.which("redis-server")
    if binary is None or importlib.util.find_spec("redis") is None:
        pytest.skip("needs redis-server and the redis extra")
    port = _free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "no"]
    options += ["--unixsocket", str(folder / "s")]
    with subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0", server
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis server that is there for the test run only."""
    with _redis_server(tmp_path_factory.mktemp("redis")) as (url, _):
        yield url


@pytest.fixture
def mortal_redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server that the test may end: its URL and its process."""
    with _redis_server(tmp_path) as served:
        yield served


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@pytest.fixture
def clean_redis(redis_url: str) -> str:
    """The server's URL, emptied."""
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url


BACK_ENDS = ["memory", "sqlite", "sqlite-unindexed", "redis"]


@pytest.fixture(params=BACK_ENDS)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, one for each back end."""
    return url_of(request, tmp_path)


def url_of(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty store of the back end that is the fixture's parameter."""
    if request.param == "memory":
        return f"memory://{tmp_path}"
    if request.param == "redis":
        return str(request.getfixturevalue("clean_redis"))
    return f"sqlite:///{tmp_path / 'log.db'}" + ("?index=none" if request.param == "sqlite-unindexed" else "")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store."""
    opened = open_store(store_url)
    yield opened
    opened.close()
