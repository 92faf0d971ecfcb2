"""Dockerfile, compose file and the unit for systemd: what they name exists, and their commands run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.commands import run_command

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def test_the_image_has_the_packages_that_set_up_installs() -> None:
    set_up = (ROOT / "scripts" / "setup.sh").read_text("utf-8").partition("missing_packages() {")[2].partition('if [ "$purpose"')[0]
    wanted = set(re.findall(r"\|\| echo ([\w-]+)", set_up))
    assert len(wanted) >= 7 and wanted <= set(re.findall(r"[\w-]+", DOCKERFILE.partition("apt-get install")[2].partition("&& rm")[0]))


def test_the_image_gets_what_the_package_is_built_from() -> None:
    copied = [name for line in re.findall(r"^COPY (.+) /source", DOCKERFILE, re.MULTILINE) for name in line.split()]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"pyproject.toml", project["readme"], project["license-files"][0], "optical_memory"} == set(copied)
    assert {f"!{name}" for name in copied} <= set((ROOT / ".dockerignore").read_text("utf-8").split())
    extras = re.search(r"/source\[([\w,-]+)\]", DOCKERFILE)
    assert extras and set(extras[1].split(",")) <= set(project["optional-dependencies"])


def test_nothing_listens_beyond_this_machine() -> None:
    assert {name: service["network_mode"] for name, service in COMPOSE["services"].items()} == {"proxy": "host", "redis": "none"}
    assert not any("ports" in service for service in COMPOSE["services"].values())
    assert "--host" not in COMPOSE["services"]["proxy"]["command"]


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[Path]:
    """The Redis of the compose file, in a folder of this test."""
    command = shlex.split(COMPOSE["services"]["redis"]["command"].replace("/data", str(tmp_path)))
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as server:
        try:
            while not (tmp_path / "redis.sock").exists():
                assert server.poll() is None
                time.sleep(0.02)
            yield tmp_path / "redis.sock"
        finally:
            server.terminate()


def test_the_proxy_of_the_compose_file_serves_from_its_redis(socket: Path, tmp_path: Path) -> None:
    program, *options = COMPOSE["services"]["proxy"]["command"]
    assert options == ["--store", "unix:///run/redis/redis.sock"]
    options[1] = f"unix://{socket}"
    assert run_command("append", "Words.", *options, cwd=tmp_path).stdout == "#1\n"
    checked = run_command("redis", "check", *options, cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    command = [sys.executable, "-m", "optical_memory", program, *options, "--port", "0", "--renderer", "pillow"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as proxy:
        assert proxy.stdout is not None
        try:
            assert proxy.stdout.readline().startswith("http://127.0.0.1:")
        finally:
            proxy.terminate()


def test_the_unit_for_systemd_runs_a_command_that_there_is(tmp_path: Path) -> None:
    unit = (ROOT / "docs" / "server.md").read_text("utf-8").partition("```ini\n")[2].partition("```")[0]
    program, command, *options = shlex.split(unit.partition("ExecStart=")[2].partition("\n")[0])
    shown = run_command(command, "--help", cwd=tmp_path, env={"COLUMNS": "200"})
    assert program.endswith("/optical-memory") and shown.returncode == 0
    assert all(option in shown.stdout for option in options if option.startswith("--"))
