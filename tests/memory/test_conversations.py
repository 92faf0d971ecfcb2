"""Real conversations through the whole house: appended, aged, recalled, erased."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory
from optical_memory.demo.demo import conversation
from tests.remembered import REMEMBERED
from tests.sampling import mostly_slow

DATA = Path(__file__).parents[1] / "data"
NAMES = ["airline-agent", *sorted(path.stem for path in DATA.glob("*.json"))]
BUDGET = 6_000
CONTEXTS = 8  # while a conversation grows
SHORT = 24  # characters; a shorter text of an erased turn may stand in another turn as well


def messages_of(name: str) -> list[dict[str, Any]]:
    if name == "airline-agent":
        return list(conversation().messages)
    messages: list[dict[str, Any]] = json.loads((DATA / f"{name}.json").read_text("utf-8"))["messages"]
    return messages


@pytest.fixture(
    scope="module",
    params=mostly_slow(NAMES, quick=("travel-chat-chinese", "reasoning-maths-code"), daily=("airline-agent", "coding-agent")),
)
def messages(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return messages_of(request.param)


@pytest.fixture(scope="module")
def file(messages: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("session") / "memory.sqlite3"


@pytest.fixture(scope="module")
def memory(file: Path, messages: list[dict[str, Any]]) -> Iterator[OpticalMemory]:
    with OpticalMemory("real", store=f"sqlite:///{file}", renderer=REMEMBERED) as opened:
        opened.extend(messages)
        yield opened


def test_every_message_is_kept_word_for_word(memory: OpticalMemory, messages: list[dict[str, Any]]) -> None:
    assert [(turn.role, turn.content) for turn in memory.turns()] == [(m["role"], m["content"] or "") for m in messages]


def test_the_context_grows_within_its_budget_and_shows_every_turn_once(messages: list[dict[str, Any]]) -> None:
    with OpticalMemory("real", store="memory://", renderer=REMEMBERED) as memory:
        stride = -(-len(messages) // CONTEXTS)
        for start in range(0, len(messages), stride):
            turns = memory.extend(messages[start : start + stride])
            given = memory.context(budget=BUDGET)
            assert given.usage.prompt_tokens <= BUDGET
            assert given.usage.prompt_tokens <= given.usage.text_tokens
            as_text = [turn.number for turn in given.turns]
            on_pages = {segment.turn for part in given.pages for segment in part.page.segments}
            assert as_text == sorted(set(as_text))
            assert not on_pages & set(as_text)
            assert len(as_text) + len(on_pages) + given.usage.turns_left_out == turns[-1].number


def test_results_stand_with_their_calls(memory: OpticalMemory) -> None:
    seen: set[str] = set()
    for turn in memory.context(budget=BUDGET).turns:
        assert set(turn.answered_calls) <= seen
        seen |= {call.id for call in turn.tool_calls}


def test_any_turn_comes_back_by_number_and_by_its_words(memory: OpticalMemory) -> None:
    spoken = [turn for turn in memory.turns() if len(turn.text) > 20]
    for turn in spoken[:: max(1, len(spoken) // 25)]:
        assert memory.recall([turn.number]) == [turn]
        assert turn.text in {found.text for found in memory.recall(turn.text[:300], limit=10)}


def test_an_erased_half_leaves_no_byte_behind(memory: OpticalMemory, file: Path) -> None:
    memory.context(budget=BUDGET)
    half = memory.turns()[: len(memory) // 2]
    rest = "\n".join(turn.text for turn in memory.turns(half[-1].number + 1))
    pieces = [piece for turn in half for piece in (turn.content, *(call.arguments for call in turn.tool_calls)) if isinstance(piece, str)]
    words = {piece[:80] for piece in pieces if len(piece) >= SHORT and piece[:80] not in rest}
    assert found_in(file, words) == words
    memory.erase([turn.number for turn in half])
    assert found_in(file, words) == set()
    assert memory.recall([len(memory)])


def found_in(file: Path, words: set[str]) -> set[str]:
    """Which of `words` stand in the store's files, as they are or as JSON writes them."""
    data = b"".join(path.read_bytes() for path in file.parent.iterdir())
    return {text for text in words if text.encode() in data or json.dumps(text, ensure_ascii=False)[1:-1].encode() in data}
