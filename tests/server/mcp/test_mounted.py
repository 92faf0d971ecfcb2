"""`/mcp` at the addresses of `optical-memory inspect` and `serve`: real processes, and the SDK's own client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from optical_memory import OpticalMemory
from tests.server.mcp.serving import ROOT, call, failure, texts


@contextmanager
def started(*arguments: str) -> Iterator[str]:
    """Start a command; yield the first line of its output."""
    command = [sys.executable, "-m", "optical_memory", *arguments, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().rstrip("/")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("command", ["inspect", "serve"])
def test_a_server_answers_mcp_beside_all_else(tmp_path: Path, command: str) -> None:
    store = f"sqlite:///{tmp_path / 'store.db'}"
    with OpticalMemory("talk", store=store) as memory:
        memory.append(("user", "The parcel went to Lyon."))
    with started(command, "--store", store) as address:
        assert "#1 user" in texts(call(f"{address}/mcp", "recall", session="talk", words="Lyon"))
        call(f"{address}/mcp", "remember", session="talk", role="assistant", content="Noted.")
        assert "unknown" in failure(call(f"{address}/mcp", "erase", session="talk")).lower()
        assert "talk" in httpx.get(f"{address}/inspect/", headers={"accept": "text/html"}).text
    with OpticalMemory("talk", store=store) as memory:
        assert [turn.text for turn in memory.turns()] == ["The parcel went to Lyon.", "Noted."]


def test_an_inspector_that_reads_alone_has_no_mcp(tmp_path: Path) -> None:
    with started("inspect", "--store", f"sqlite:///{tmp_path / 'store.db'}", "--read-only") as address:
        assert httpx.post(f"{address}/mcp", json={}).status_code == 404


def test_with_a_token_mcp_asks_for_it_too(tmp_path: Path) -> None:
    with started("inspect", "--store", f"sqlite:///{tmp_path / 'store.db'}", "--token", "of-the-house") as line:
        address = line.partition("/?")[0]
        assert httpx.post(f"{address}/mcp", json={}).status_code == 403
        headers = {"authorization": "Bearer of-the-house", "accept": "application/json, text/event-stream"}
        assert httpx.post(f"{address}/mcp", json={}, headers=headers).status_code == 400
