"""What is quoted, and that all of the package quotes that way."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from optical_memory import OpticalMemory
from optical_memory.errors import UnknownName
from optical_memory.text.excerpts import excerpt, said, shape
from tests.planted import TOKENS


def test_excerpts_are_bounded_and_say_what_a_value_is() -> None:
    assert excerpt("robot") == "'robot'" and excerpt(5) == "5" and excerpt(None) == "None" and excerpt(b"x") == "b'x'"
    assert (
        len(excerpt("x" * 10**7)) < 70 and len(excerpt(10**50_000)) < 40 and len(shape({"k" * 1_000: 1} | dict.fromkeys(range(99)))) < 200
    )
    assert shape({"type": "document", "data": "words"}) == "a mapping of type 'document' with the keys ['type', 'data']"
    assert shape(["words"]) == "a list of 1" and excerpt(object()) == "a object"
    assert "\n" not in excerpt("two\nlines") and len(said(ValueError("x" * 9_999))) == 300


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("before", [0, 30, 50, 55, 59])
def test_a_secret_is_masked_before_an_excerpt_is_cut(kind: str, before: int) -> None:
    secret = TOKENS[kind](random.Random(4))
    shown = excerpt("y" * before + " " + secret) + excerpt(f"{'y' * before} {secret} " + "z" * 30_000)
    assert not any(secret[start + 4 : start + 12] in shown for start in range(len(secret) - 12))


def test_unknown_names_are_still_named() -> None:
    with pytest.raises(UnknownName, match="unknown renderer 'pilow'; known: "):
        OpticalMemory("x", store="memory://", renderer="pilow")


WARNS = """
import logging, sys, warnings
if sys.argv[1] == "captured":
    logging.captureWarnings(True)
shown = warnings.showwarning
from optical_memory.text.excerpts import excerpt
from optical_memory.turns.redaction import Secrets
excerpt("words"), Secrets()
print("detect_secrets" in sys.modules, warnings.showwarning is shown)
"""


@pytest.mark.parametrize("before", ["shown", "captured"])
def test_the_library_s_rules_leave_warnings_as_they_were(before: str) -> None:
    pytest.importorskip("detect_secrets", reason="needs the redaction extra")
    done = subprocess.run([sys.executable, "-c", WARNS, before], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    assert done.stdout.split() == ["True", "True"]


QUOTED = r"\{(?:str\()?(?:message|content|block|call|item|text|record|data|said|body|event|answer|value|line|query)\b[^{}]*!r\}"


def test_no_error_quotes_content_as_it_is() -> None:
    """What holds words of a conversation goes through `excerpt`, `shape` or `said`, in all of the package."""
    package = Path(__file__).parents[2] / "optical_memory"
    found = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in sorted(package.rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if re.search(QUOTED, line) and re.search(r"raise|Error\(|warn|_log|f\"", line)
    ]
    assert [line for line in found if "No earlier turn" not in line] == [], "a tool's answer to the model quotes the model"
