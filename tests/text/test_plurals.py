from __future__ import annotations

import pytest

from optical_memory import OpticalMemory
from optical_memory.text.plurals import counted


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (0, "turn", "0 turns"),
        (1, "turn", "1 turn"),
        (2, "cache entry", "2 cache entries"),
        (1, "entry", "1 entry"),
        (1_200, "page", "1,200 pages"),
    ],
)
def test_numbers_of_things(number: int, noun: str, said: str) -> None:
    assert counted(number, noun) == said


def test_one_turn_is_not_said_to_be_several() -> None:
    memory = OpticalMemory("one", store="memory://", renderer="pillow")
    memory.append(("user", "Hello"))
    assert "1 turn as text" in repr(memory.context())
    assert "the session has 1 turn" in str(memory.prove_erased())
    assert "still there: #1" in str(memory.prove_erased([1]))
    memory.erase([1])
    assert "1 turn is gone" in str(memory.prove_erased([1]))


def test_a_turn_that_is_recalled_is_not_said_to_be_hidden() -> None:
    memory = OpticalMemory("many", store="memory://", renderer="pillow")
    memory.extend([("user", f"The code of gate {number} is QX{number:03}. " * 30) for number in range(100)])
    shown = memory.context(1_500, question="What is the code of gate 3?")
    assert shown.plan.recalled and "Turns left out: #" in shown.framing and "not shown" not in shown.framing
