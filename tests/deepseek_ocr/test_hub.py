"""Models from a hub, with the real client, from a server on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the deepseek extra is not installed")

from optical_memory.deepseek_ocr.hub import REPOSITORIES
from optical_memory.deepseek_ocr.tiny import make_tiny
from optical_memory.deepseek_ocr.weights import SINGLE
from tests.commands import run_command

from .hub_server import COMMIT, Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    folder = make_tiny(tmp_path / "served")
    (folder / "modeling_evil.py").write_text("raise SystemExit('run')")
    with Hub(REPOSITORIES["deepseek-ocr"], folder) as running:
        yield running


def models(hub: Hub, tmp_path: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`optical-memory models ...` with a hub cache of its own."""
    place = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return run_command("models", *arguments, cwd=tmp_path, env=place | more, without="HF_HUB_OFFLINE")


def test_pull_list_and_open(hub: Hub, tmp_path: Path) -> None:
    nothing = models(hub, tmp_path, "list")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "optical-memory models pull deepseek-ocr" in nothing.stderr
    pulled = models(hub, tmp_path, "pull", "deepseek-ocr")
    assert pulled.returncode == 0, pulled.stderr
    folder = Path(pulled.stdout.strip())
    assert {file.name for file in folder.iterdir()} >= {"config.json", "tokenizer.json", SINGLE}
    assert not (folder / "modeling_evil.py").exists(), "code is not fetched"
    assert f"checking {folder}" in pulled.stderr
    (listed,) = json.loads(models(hub, tmp_path, "list", "--json").stdout)
    assert (listed["name"], listed["folder"]) == ("deepseek-ocr", str(folder))
    again = models(hub, tmp_path, "pull", "deepseek-ocr")
    assert again.returncode == 0
    assert hub.ranges == [0], "what is there is not fetched again"
    program = "from optical_memory.readers import open_reader; print(open_reader('deepseek-ocr').random)"
    env = os.environ | {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(tmp_path)}
    opened = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=120, check=False)
    assert opened.stdout == "True\n", opened.stderr


def test_a_broken_transfer_goes_on_where_it_broke(hub: Hub, tmp_path: Path) -> None:
    (hub.folder / SINGLE).write_bytes(bytes(24_000_000))
    hub.cut = 15_000_000
    done = models(hub, tmp_path, "pull", "deepseek-ocr")
    assert done.returncode == 0, done.stderr
    assert hub.ranges[0] == 0
    assert 0 < hub.ranges[1] <= 15_000_000, "the rest alone was fetched"
    assert Path(done.stdout.strip(), SINGLE).read_bytes() == bytes(24_000_000)


@pytest.mark.parametrize("name", [SINGLE, "tokenizer.json"])
def test_a_damaged_file_is_no_model(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.damaged = name
    done = models(hub, tmp_path, "pull", "deepseek-ocr")
    assert done.returncode == 1
    assert f"{name} is damaged" in done.stderr and "Pull again" in done.stderr
    assert not list((tmp_path / "cache").rglob(name))
    assert list((tmp_path / "cache").rglob("config.json")), "whole files are kept"
    hub.damaged = None
    again = models(hub, tmp_path, "pull", "deepseek-ocr")
    assert again.returncode == 0, again.stderr
    assert Path(again.stdout.strip(), name).read_bytes() == (hub.folder / name).read_bytes()


def test_a_file_that_rots_is_found_by_the_next_pull(hub: Hub, tmp_path: Path) -> None:
    folder = Path(models(hub, tmp_path, "pull", "deepseek-ocr").stdout.strip())
    (folder / "config.json").write_bytes(b"{}")
    done = models(hub, tmp_path, "pull", "deepseek-ocr")
    assert (done.returncode, "config.json is damaged: its git-sha1 is" in done.stderr) == (1, True)
    assert models(hub, tmp_path, "pull", "deepseek-ocr").returncode == 0
    assert (folder / "config.json").read_bytes() == (hub.folder / "config.json").read_bytes()


def test_a_revision_is_kept_to(hub: Hub, tmp_path: Path) -> None:
    pinned = models(hub, tmp_path, "pull", "deepseek-ocr", "--revision", COMMIT)
    assert Path(pinned.stdout.strip()).name == COMMIT
    assert not list((tmp_path / "cache").rglob("refs/main"))
    offline = models(hub, tmp_path, "pull", "deepseek-ocr", HF_HUB_OFFLINE="1")
    assert (offline.returncode, "could not be fetched" in offline.stderr) == (1, True)


def test_errors_say_what_to_do(hub: Hub, tmp_path: Path) -> None:
    unknown = models(hub, tmp_path, "pull", "deepsek")
    assert (unknown.returncode, "known: deepseek-ocr, deepseek-ocr-2, unlimited-ocr" in unknown.stderr) == (2, True)
    absent = models(hub, tmp_path, "pull", "nobody/nothing")
    assert absent.returncode == 1
    assert "'nobody/nothing' could not be fetched" in absent.stderr
    tiny = models(hub, tmp_path, "make-tiny", str(tmp_path / "tiny"))
    assert (tiny.returncode, "random: it reads nothing" in tiny.stderr) == (0, True)
    taken = models(hub, tmp_path, "make-tiny", str(tmp_path))
    assert (taken.returncode, "not empty" in taken.stderr) == (2, True)
