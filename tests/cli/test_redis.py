"""`optical-memory redis ...`, and erasure with proof, run as a user runs them against a real server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run_command
from tests.stores.redis_servers import DURABLE, Server, redis_server

pytest.importorskip("redis", reason="needs the redis extra")


class Shell:
    """Runs `optical-memory` against a server."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.environment = {"OPTICAL_MEMORY_STORE": server.url(), "COLUMNS": "200"}

    def __call__(self, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = run_command(*arguments, cwd=self.folder, env=self.environment | environment, without="OPTICAL_MEMORY_")
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with redis_server(tmp_path / "server", *DURABLE, "--maxmemory-policy", "volatile-lru") as server:
        yield Shell(server, tmp_path)


def log(session: bytes = b"YQ") -> bytes:
    return b"{om::" + session + b"}:log"


def test_a_whole_server_is_fine(shell: Shell) -> None:
    shell("append", "hello", "-s", "a")
    shell("append", "there", "-s", "b")
    said = shell("redis", "check").stdout
    assert "2 sessions of 1 tenant, 2 turns, 0 erased" in said and "nothing is wrong" in said
    assert shell("redis", "count").stdout == "2\n"


def test_a_loss_is_found_told_and_erased(shell: Shell) -> None:
    for text in ("one", "two", "three"):
        shell("append", text, "-s", "a")
    with shell.server.client() as client:
        client.lpop(log())
    said = shell("redis", "check", code=1).stdout
    assert "error" in said and "lost: turn #1" in said
    report: dict[str, Any] = json.loads(shell("redis", "check", "--json", code=1).stdout)
    assert report["problems"][0]["session"] == ["a", ""] and report["problems"][0]["level"] == "error"
    assert "turn #1" in shell("show", "#2", "-s", "a", code=1).stderr
    shell("erase", "-s", "a", "--all", "--yes")
    shell("redis", "check")


def test_a_turn_that_cannot_be_read_can_be_erased(shell: Shell) -> None:
    for text in ("one", "two"):
        shell("append", text, "-s", "a")
    with shell.server.client() as client:
        client.lset(log(), 0, b"rubbish")
    assert "erase" in shell("redis", "check", code=1).stdout
    shell("erase", "-s", "a", "--turns", "1", "--yes")
    assert "two" in shell("show", "#2", "-s", "a").stdout
    shell("redis", "check")


def test_an_erasure_is_proven(shell: Shell) -> None:
    shell("append", "the code is XYZZY", "-s", "a")
    shell("append", "kept", "-s", "a")
    files = [path for path in (shell.folder / "server").rglob("*") if path.is_file()]
    assert any(b"XYZZY" in path.read_bytes() for path in files)
    said = shell("erase", "-s", "a", "--turns", "1", "--yes", "--proof").stdout
    assert said.count("clean") == 6 and "written anew after the erasure" in said
    assert not any(b"XYZZY" in path.read_bytes() for path in (shell.folder / "server").rglob("*") if path.is_file())
    whole = json.loads(shell("erase", "-s", "a", "--all", "--yes", "--proof", "--json").stdout)
    assert whole["turns"] == [2] and whole["proof"]["is_complete"] is True
    local = shell("append", "x", OPTICAL_MEMORY_STORE=f"sqlite:///{shell.folder}/x.db")
    assert local.stdout == "#1\n"
    proven = shell("erase", "--all", "--yes", "--proof", OPTICAL_MEMORY_STORE=f"sqlite:///{shell.folder}/x.db")
    assert "rewritten" in proven.stdout


def test_a_proof_that_cannot_be_had_fails(shell: Shell, tmp_path: Path) -> None:
    forbidden = [part for command in ("BGREWRITEAOF", "BGSAVE", "CONFIG") for part in ("--rename-command", command, "")]
    with redis_server(tmp_path, *DURABLE, *forbidden) as server:
        shell("append", "x", OPTICAL_MEMORY_STORE=server.url())
        unknown = shell("erase", "--all", "--yes", "--proof", code=1, OPTICAL_MEMORY_STORE=server.url())
    assert "not known" in unknown.stdout


def test_a_session_ends(shell: Shell) -> None:
    shell("append", "hello", "-s", "a")
    assert shell("redis", "expire", "-s", "a", "--after", "1s").stdout == "session 'a' ends after 1s, sliding\n"
    time.sleep(1.1)
    shell("show", "#1", "-s", "a", code=3)
    assert shell("redis", "count").stdout == "0\n"
    assert "no session 'a'" in shell("redis", "expire", "-s", "a", "--after", "1s", code=3).stderr
    assert "'soon' is no time" in shell("redis", "expire", "-s", "a", "--after", "soon", code=2).stderr


def test_turns_are_sealed_anew(shell: Shell) -> None:
    fernet = pytest.importorskip("cryptography.fernet", reason="needs the encryption extra")
    old, new = (fernet.Fernet.generate_key().decode() for _ in range(2))
    shell("append", "plain", "-s", "a")
    shell("append", "sealed", "-s", "a", OPTICAL_MEMORY_ENCRYPTION_KEYS=old)
    assert "not sealed with the newest key: 2 turns" in shell("redis", "check", OPTICAL_MEMORY_ENCRYPTION_KEYS=f"{new},{old}").stdout
    assert "2 turns and 0 cached" in shell("redis", "rotate", OPTICAL_MEMORY_ENCRYPTION_KEYS=f"{new},{old}").stdout
    assert "sealed" in shell("show", "#2", "-s", "a", OPTICAL_MEMORY_ENCRYPTION_KEYS=new).stdout
    assert "OPTICAL_MEMORY_ENCRYPTION_KEYS" in shell("show", "#2", "-s", "a", code=1).stderr
    assert "no key" in shell("redis", "rotate", code=2).stderr


def test_another_store_is_refused(shell: Shell) -> None:
    assert "redis://" in shell("redis", "check", "--store", "sqlite:///x.db", code=2).stderr
