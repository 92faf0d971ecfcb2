from __future__ import annotations

from hypothesis import given

from optical_memory.turns.exchanges import exchanges_of, open_calls, starts_exchange, units_of
from optical_memory.turns.from_messages import turn_of
from optical_memory.turns.turn import Turn
from tests.histories import histories


def turns(*messages: object) -> list[Turn]:
    return [turn_of(message).model_copy(update={"number": n}) for n, message in enumerate(messages, 1)]  # type: ignore[arg-type]


def call(*ids: str) -> dict[str, object]:
    return {"role": "assistant", "content": "", "tool_calls": [{"id": call_id, "name": "f"} for call_id in ids]}


def result(call_id: str) -> dict[str, object]:
    return {"role": "tool", "tool_call_id": call_id, "content": "r"}


def numbers(groups: list[tuple[Turn, ...]]) -> list[list[int]]:
    return [[turn.number for turn in group] for group in groups]


def test_parallel_calls_and_their_results_are_one_unit() -> None:
    assert numbers(units_of(turns(("user", "q"), call("a", "b"), result("b"), result("a"), ("assistant", "done")))) == [[1], [2, 3, 4], [5]]


def test_what_comes_between_a_call_and_its_result_belongs_to_the_unit() -> None:
    assert numbers(units_of(turns(call("a"), ("user", "hurry"), result("a")))) == [[1, 2, 3]]


def test_a_repeated_id_binds_the_nearest_call() -> None:
    assert numbers(units_of(turns(call("a"), result("a"), ("user", "q"), call("a"), result("a")))) == [[1, 2], [3], [4, 5]]


def test_a_call_that_nobody_answers_binds_nothing() -> None:
    assert numbers(units_of(turns(call("a"), ("user", "q"), ("assistant", "x")))) == [[1], [2], [3]]
    assert open_calls(turns(call("a", "b"), result("a"))) == ["b"]


def test_exchanges_begin_with_a_user_who_speaks() -> None:
    anthropic_result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "r"}]}
    log = turns(("assistant", "hello"), ("user", "q"), call("a"), anthropic_result, ("user", "more"), ("user", "and more"))
    assert [numbers(list(exchange)) for exchange in exchanges_of(log)] == [[[1]], [[2], [3, 4]], [[5]], [[6]]]
    assert not starts_exchange(log[3])


@given(histories())
def test_units_and_exchanges_keep_every_turn_in_order(history: list[dict[str, object]]) -> None:
    log = turns(*history)
    assert [turn for unit in units_of(log) for turn in unit] == log
    assert [turn for exchange in exchanges_of(log) for unit in exchange for turn in unit] == log
