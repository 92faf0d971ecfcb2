"""The examples for the providers' own clients, run as a user runs them, against a server on this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.wire import Wire
from tests.documents.handmade import HandmadePage, lines, pdf

EXAMPLES = Path(__file__).parent.parent / "examples"
# More than the examples' budgets hold, so that old turns are pages whatever a warm cache is worth.
LINES = [f"Line {n}: the parcel QX-77{n:03} of order {n} left Lyon for Hamburg on track {n % 9}. " * 32 for n in range(1, 31)]
CLIENTS = {"openai_loop": "openai", "anthropic_loop": "anthropic", "gemini_loop": "google.genai"}


def installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIENTS)
def test_a_plain_loop(name: str, tmp_path: Path) -> None:
    if not installed(CLIENTS[name]):
        pytest.skip(f"{CLIENTS[name]} is not installed")
    with Wire(default="Noted.") as wire:
        places = {"OPENAI_BASE_URL": wire.openai_url, "ANTHROPIC_BASE_URL": wire.url, "GEMINI_BASE_URL": wire.url}
        keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), "none")
        env = {**os.environ, **places, **keys, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(EXAMPLES.parent)}
        command = [sys.executable, str(EXAMPLES / f"{name}.py"), "a-model"]
        done = subprocess.run(command, input="\n".join(LINES), env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[: len(LINES)] == ["Noted."] * len(LINES)
    assert len(wire.requests) == len(LINES)
    assert LINES[0].strip() in json.dumps(wire.requests[1].body), "recent turns are text"
    assert "Noted." in json.dumps(wire.requests[1].body)
    last = wire.requests[-1].body
    assert LINES[-1].strip() in json.dumps(last)
    assert any("png" in json.dumps(block) for block in blocks(last)), "old turns are pages"
    assert LINES[0].strip() not in json.dumps(last)


def blocks(body: dict[str, Any]) -> list[Any]:
    turns = body.get("messages") or body["contents"]
    return [block for turn in turns for block in (turn.get("parts") or turn["content"])]


def test_a_library_of_documents(tmp_path: Path) -> None:
    if not installed("openai") or not installed("pypdfium2"):
        pytest.skip("openai or pypdfium2 is not installed")
    pump = [f"Pump {number} runs at {number * 37} bar and is oiled on Mondays." for number in range(30)]
    (tmp_path / "pump.pdf").write_bytes(pdf([HandmadePage(lines(*pump)), HandmadePage(lines("Blank"))]))
    with Wire(default="777.") as wire:
        places = {"OPENAI_BASE_URL": wire.openai_url, "OPENAI_API_KEY": "none"}
        env = {**os.environ, **places, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(EXAMPLES.parent)}
        command = [sys.executable, "-W", "ignore", str(EXAMPLES / "documents_library.py"), "a-model", str(tmp_path)]
        done = subprocess.run(command, input="Pump 21, how many bar?", env=env, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "777.\n", "pump.pdf: 2 pages\n"), done.stderr
    sent = json.dumps(wire.requests[0].body)
    assert "[documents-library: pump.pdf p. 1 of 2]" in sent and "image_url" in sent and "Pump 21, how many bar?" in sent


@pytest.mark.slow
def test_deepseek_ocr_without_weights_says_that_it_is_random(tmp_path: Path) -> None:
    if not installed("torch"):
        pytest.skip("the deepseek extra is not installed")
    env = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(EXAMPLES.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLES / "deepseek_ocr_reader.py")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8", timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "random weights" in done.stdout
    reused = re.search(r"positions_reused=(\d+)", done.stdout)
    assert reused is not None
    assert int(reused[1]) > 1_000, "the second question finds the pages prefilled"


def test_examples_are_short() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text("utf-8").splitlines()) <= 40, path.name
