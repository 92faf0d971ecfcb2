"""Uses of earlier turns by age, and how fast they fall."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.evaluation.needs import AgeBin, ages_of_uses, bins_of, fall_of
from optical_memory.turns.turn import ToolCall, Turn
from tests.commands import run_command


def turns(*texts: str) -> list[Turn]:
    return [Turn(number=number, role="user", content=text) for number, text in enumerate(texts, 1)]


def test_a_use_is_a_string_that_stood_before() -> None:
    said = turns("order QX-77419 of `grey coat`", "hello", "is QX-77419 sent", "and the `grey coat`?")
    assert sorted(ages_of_uses(said)) == [2, 3], "the id was last seen two turns before, the quoted string three"
    call = Turn(number=5, role="assistant", tool_calls=(ToolCall(id="c", name="find", arguments='{"path": "src/app/main.py"}'),))
    assert ages_of_uses([*turns("open src/app/main.py", "yes"), call]) == [2]
    assert ages_of_uses(turns("hello there", "hello there", "the 12 of 12")) == [], "plain and short words tell nothing"


def test_what_stands_everywhere_tells_nothing() -> None:
    assert ages_of_uses(turns(*["session s-10001 goes on"] * 60)) == []


@given(st.lists(st.integers(2, 200), min_size=1, max_size=5))
def test_bins_cover_every_pair_of_turns_once(lengths: list[int]) -> None:
    bins = bins_of([(length, range(1, length)) for length in lengths])
    assert sum(each.pairs for each in bins) == sum(length * (length - 1) // 2 for length in lengths)
    assert sum(each.uses for each in bins) == sum(length - 1 for length in lengths)
    assert [each.first for each in bins[1:]] == [each.last + 1 for each in bins[:-1]]


@pytest.mark.parametrize("fall", [0.0, 0.5, 1.0, 1.5])
def test_the_fall_of_made_up_uses_is_found(fall: float) -> None:
    chance = random.Random(3)
    logs = [(600, [age for age in range(1, 600) for _ in range(600 - age) if chance.random() < 0.3 * (1 + age) ** -fall])]
    assert fall_of(bins_of(logs)) == pytest.approx(fall, abs=0.1)


def test_without_uses_nothing_falls() -> None:
    assert fall_of([]) == fall_of([AgeBin(1, 1, 0, 10)]) == 0.0


def test_the_command(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": f"ticket QX-{n // 2:05} again"} for n in range(90)]
    (tmp_path / "talk.json").write_text(json.dumps(messages))
    found = json.loads(run_command("eval-needs", "talk.json", "--json", cwd=tmp_path).stdout)
    assert found["ages"][0] | {"rate": 0} == {"first": 1, "last": 1, "uses": 45, "pairs": 89, "rate": 0}
    assert f"fall={found['fall']:.2f}" in run_command("eval-needs", "talk.json", cwd=tmp_path).stdout
