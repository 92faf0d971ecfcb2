"""What was made of a turn is made once until it is forgotten, and only for turns that are determined by what is compared."""

from __future__ import annotations

from optical_memory.renderers.trials import Trials
from optical_memory.turns.turn import TextContent, ToolCall, Turn


def test_an_equal_turn_is_made_once_until_it_is_forgotten() -> None:
    trials, made = Trials[str](), list[str]()

    def of(turn: Turn, beside: str = "a") -> str:
        return trials.of(turn, beside, lambda: made.append(turn.text) or f"{beside} {turn.text}")

    turn = Turn(number=1, role="user", content="words")
    assert [of(turn), of(turn.model_copy()), of(turn, "b")] == ["a words", "a words", "b words"]
    assert len(made) == 2
    of(turn.model_copy(update={"number": 2}))
    trials.forget()
    of(turn)
    assert len(made) == 4


def test_turns_with_more_than_words_are_made_each_time() -> None:
    trials, made = Trials[int](), list[int]()
    call = ToolCall(id="1", name="f", arguments="{}")
    for turn in (
        Turn(role="assistant", content="x", tool_calls=(call,)),
        Turn(role="user", content=[TextContent(text="x")]),
        Turn(role="tool", content="x", extra={"status": "error"}),
    ):
        for _ in range(2):
            trials.of(turn, "", lambda: made.append(1) or 1)
    assert len(made) == 6
