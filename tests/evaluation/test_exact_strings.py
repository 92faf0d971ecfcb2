"""Exact strings: available at every tier, in every shipped session, and found by themselves in every store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.evaluation.exact_strings import found_by_search, places_of, strings_of
from optical_memory.evaluation.policies import AtOneTier
from optical_memory.pages.tiers import Tier
from optical_memory.text.exact_strings import exact_strings
from optical_memory.turns.chat_files import read_chat
from tests.cli.test_evaluation import run
from tests.sampling import examples
from tests.support import RuledRenderer

SESSIONS = [Path("tests/data/coding-agent.json"), Path("tests/data/office-agent.json"), Path("optical_memory/demo/airline-agent.json")]
MARKS = WaterMarks(high=400, low=100)
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("tier", Tier, ids=lambda tier: tier.label)
def test_none_is_lost_at_any_tier(path: Path, tier: Tier) -> None:
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=6_000), forgetting=AtOneTier(tier), marks=MARKS)
    memory.extend(read_chat((ROOT / path).read_bytes(), path.name))
    strings = strings_of(memory.turns())
    context = memory.context()
    found = places_of(memory, context, strings)
    assert tier in {part.tier for part in context.pages}, "but for pages that pay at a fainter one only"
    assert found["nowhere"] == 0 and found["by number"] > found["in a sidecar"] > 0
    assert sum(found.values()) == sum(map(len, strings.values()))


def test_what_is_not_named_is_nowhere() -> None:
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=6_000), marks=MARKS)
    memory.extend([("user" if n % 2 else "assistant", f"order QX-{n:05} " * 40) for n in range(60)])
    strings = strings_of(memory.turns())
    context = memory.context(900)
    found = places_of(memory, context, strings)
    assert context.usage.turns_left_out and found["nowhere"] == 0, "the ranges left out are named"
    strings[61] = ["QX-99999"]
    assert places_of(memory, context, strings)["nowhere"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("url", ["sqlite", pytest.param("memory://", marks=pytest.mark.nightly)])
@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_every_one_is_found_by_itself(path: Path, url: str, tmp_path: Path) -> None:
    memory = OpticalMemory("s", store=f"sqlite:///{tmp_path}/m.db" if url == "sqlite" else url)
    memory.extend(read_chat((ROOT / path).read_bytes(), path.name))
    strings = strings_of(memory.turns())
    assert found_by_search(memory, strings) == sum(map(len, strings.values()))
    memory.close()


SIGNS = st.sampled_from(
    ["$30", "30 %", "€60", "-n", "--git", "863,920p", "+894,8", "/if", "1.0e+10", "June 1, 2024", "10,000 km", "10:30", "v2.0.1"]
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.lists(st.one_of(SIGNS, st.from_regex(r"\A[a-z0-9$€+./:,_-]{2,9}\Z")), min_size=1, max_size=6), min_size=1, max_size=30))
def test_what_was_said_is_found_to_the_letter(said: list[list[str]]) -> None:
    memory = OpticalMemory("s", store="memory://")
    memory.extend([("user", f"it is {', '.join(words)} now") for words in said])
    for turn in memory.turns():
        for string in exact_strings(turn.text):
            if exact_strings(string) == [string]:  # a piece cut out of a longer one may be none by itself
                assert any(string in found.text for found in memory.recall(string)), string


def test_the_command_counts(tmp_path: Path) -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"invoice QX-{n:05} of $30 and {n} more " * 30} for n in range(40)]
    (tmp_path / "talk.json").write_text(json.dumps(messages))
    rows = json.loads(run(tmp_path, "eval-exact", "talk.json", "--renderer", "pillow", "--json").stdout)
    assert [row["tier"] for row in rows] == [tier.label for tier in Tier] and all(row["pages"] for row in rows)
    assert all(row["nowhere"] == 0 and row["found by search"] == row["strings"] for row in rows)
    assert "in a sidecar" in run(tmp_path, "eval-exact", "talk.json", "--renderer", "pillow").stdout
