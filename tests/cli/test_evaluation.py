"""`optical-memory eval` and `eval-identifiers`, run as a user runs them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from optical_memory.evaluation.harness import load_results
from tests.commands import run_command
from tests.evaluation.test_harness import talk


def run(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = run_command(*arguments, cwd=folder, env={"COLUMNS": "200"})
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def file(tmp_path: Path) -> str:
    if shutil.which("tesseract") is None:
        pytest.skip("needs tesseract")
    made = talk(30)
    questions = [{"question": each.text, "answers": each.answers, "evidence_turns": each.evidence} for each in made.questions]
    (tmp_path / "talk.json").write_text(json.dumps({"messages": made.messages, "questions": questions}))
    return "talk.json"


def test_a_table_raw_results_and_a_plot(file: str, tmp_path: Path) -> None:
    said = run(
        tmp_path, "eval", file, "--budgets", "1000", "--policies", "cut the oldest,all small", "--renderer", "pillow", "--out", "o"
    ).stdout
    assert "cut the oldest" in said and "all small" in said and "evidence legible" in said
    assert len(load_results(tmp_path / "o" / "results.jsonl")) == 12
    assert (tmp_path / "o" / "plot.svg").read_text().startswith("<svg")
    again = json.loads(
        run(tmp_path, "eval", file, "--budgets", "1000", "--policies", "full text,aged", "--renderer", "pillow", "--json").stdout
    )
    assert [row["policy"] for row in again] == ["full text", "aged"] and again[0]["legible"]["value"] == 1


def test_misuse_is_told(file: str, tmp_path: Path) -> None:
    assert "'1k'" in run(tmp_path, "eval", file, "--budgets", "1k", code=2).stderr
    assert "known: " in run(tmp_path, "eval", file, "--policies", "x", code=2).stderr
    (tmp_path / "empty.json").write_text("{}")
    assert "'empty.json'" in run(tmp_path, "eval", "empty.json", code=2).stderr


def test_identifiers(file: str, tmp_path: Path) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"id": "AB-1029"}'}}
    messages = [{"role": "user", "content": f"AB-1029 or {n}"} if n == 0 else {"role": "user", "content": f"more {n}"} for n in range(12)]
    messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
    (tmp_path / "agent.json").write_text(json.dumps(messages))
    (row,) = json.loads(run(tmp_path, "eval-identifiers", "agent.json", "--budgets", "2000", "--renderer", "pillow", "--json").stdout)
    assert (row["probes"], row["as text"], row["cut"]) == (1, 1, 1)
    assert "offered" in run(tmp_path, "eval-identifiers", "agent.json", "--budgets", "2000", "--renderer", "pillow").stdout
