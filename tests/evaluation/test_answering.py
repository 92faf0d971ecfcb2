"""Answers of a model over what a policy offers: scores, and the command against a real server that looks with Tesseract."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.evaluation.answering import exact_match, read_answers, token_f1
from optical_memory.evaluation.harness import load_results, spread
from tests.commands import run_command
from tests.evaluation.answer_server import AnswerServer

KEY = "key-7f3a-not-to-be-seen"
NOUNS = ["river", "stone", "garden", "window", "market", "letter", "bridge", "winter", "castle", "engine", "mirror", "orchard"]
MODEL = "ocr-eyes"
POLICIES = "full text,cut the oldest,all base"


@pytest.mark.parametrize(
    ("said", "answers", "f1", "exact"),
    [
        ("The Denver Broncos!", ["Denver Broncos"], 1.0, True),
        ("Denver", ["Carolina Panthers", "Denver Broncos"], 2 / 3, False),
        ("it was in 1903, in Paris", ["1903"], 2 / 7, False),
        ("unknown", ["7"], 0.0, False),
        ("", ["a"], 1.0, True),
        ("", ["7"], 0.0, False),
    ],
)
def test_scores_match_squad(said: str, answers: list[str], f1: float, exact: bool) -> None:
    assert token_f1(said, answers) == pytest.approx(f1)
    assert exact_match(said, answers) is exact


@given(st.integers(0, 500), st.integers(1, 60))
def test_questions_are_spread_evenly(count: int, most: int) -> None:
    places = spread(count, most)
    assert len(places) == min(count, most) == len(set(places))
    assert all(0 <= place < count for place in places)
    gaps = {later - earlier for earlier, later in zip(places, [*places[1:], count], strict=True)} if places else {0}
    assert max(gaps) - min(gaps) <= 1


def run(folder: Path, *arguments: str, model: str = MODEL, code: int = 0) -> subprocess.CompletedProcess[str]:
    fixed = ["--policies", POLICIES, "--budgets", "1100", "--renderer", "pillow", "--out", "o", "--questions", "4"]
    environment = {"COLUMNS": "200", "OPTICAL_MEMORY_API_KEY": KEY}
    done = run_command("eval", "talk.json", *fixed, "--model", model, *arguments, cwd=folder, env=environment)
    assert done.returncode == code, done.stderr
    assert KEY not in done.stdout + done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A talk in which every third turn tells the colour of something, and asks after each."""
    if shutil.which("tesseract") is None:
        pytest.skip("needs tesseract")
    chance = random.Random(3)
    messages: list[dict[str, Any]] = []
    questions = []
    for place, noun in enumerate(NOUNS):
        colour = " ".join(chance.sample(["amber", "crimson", "turquoise", "violet", "silver", "olive"], 2))
        messages.append({"role": "user", "content": f"Listen. The colour of the {noun} is {colour}. Good."})
        questions.append({"question": f"What colour has the {noun}?", "answers": [colour], "evidence_turns": [3 * place + 1]})
        filler = ["We walked along without a word and saw nothing at all", "They had been there for hours before anybody came"]
        messages += [{"role": "assistant", "content": f"{text}, {' '.join(chance.choices(filler, k=4))}."} for text in filler]
    (tmp_path / "talk.json").write_text(json.dumps({"messages": messages, "questions": questions}))
    return tmp_path


@pytest.mark.slow
def test_answers_over_each_policy(folder: Path) -> None:
    with AnswerServer() as server:
        rows = json.loads(run(folder, "--ask", server.url, "--json").stdout)
        asked = len(server.requests)
        again = run(folder, "--ask", server.url).stdout
        priced = run(folder, "--ask", server.url, "--dry-run").stdout
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    f1 = {row["policy"]: row["f1"]["value"] for row in rows}
    assert f1["full text"] == 1 > f1["cut the oldest"]
    assert f1["all base"] > f1["cut the oldest"], "what is read off pages is answered"
    assert all(0 <= row["f1"]["low"] <= row["f1"]["value"] <= row["f1"]["high"] <= 1 for row in rows)
    assert asked == len(server.requests) == 12, "what was answered is not asked again"
    assert "answer F1" in again
    assert priced.split()[:5] == ["requests", "0", "answered", "before", "12"]
    assert any(isinstance(message["content"], list) for request in server.requests for message in request["messages"]), "pictures"
    assert [result.question for result in load_results(folder / "o" / "results.jsonl") if result.f1 is not None][:4] == [0, 3, 6, 9]
    assert all(KEY not in path.read_text("utf-8") for path in (folder / "o").iterdir())


@pytest.mark.slow
def test_a_broken_run_goes_on(folder: Path) -> None:
    assert "answer F1" not in run(folder).stdout, "nobody is asked unless told to"
    with AnswerServer(fail_after=5) as server:
        assert "400" in run(folder, "--ask", server.url, code=1).stderr
    path = folder / "o" / "answers.jsonl"
    assert len(read_answers(path, MODEL)) == 5
    with path.open("a") as file:
        file.write('{"key": "half a li')
    priced = run(folder, "--ask", server.url, "--dry-run").stdout
    assert priced.split()[:5] == ["requests", "7", "answered", "before", "5"]
    with AnswerServer() as server:
        run(folder, "--ask", server.url)
    assert len(server.requests) == 7 and len(read_answers(path, MODEL)) == 12


def test_misuse_is_told(folder: Path, tmp_path: Path) -> None:
    path = folder / "o" / "answers.jsonl"
    path.parent.mkdir()
    path.write_text('{"v": 1, "model": "another"}\n')
    assert "'another', not of 'ocr-eyes'" in run(folder, "--ask", "http://127.0.0.1:9/v1", code=2).stderr
    path.write_text("nonsense\n")
    assert "is no file of answers" in run(folder, "--ask", "http://127.0.0.1:9/v1", code=2).stderr


def test_a_known_model_is_asked_as_a_chat(folder: Path) -> None:
    with AnswerServer() as server:
        run(folder, "--ask", server.url, model="gpt-4o")
    assert all(len(request["messages"]) > 1 for request in server.requests), "turns keep their roles"
