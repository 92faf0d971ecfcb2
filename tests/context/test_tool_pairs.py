"""Calls that are answered late, never, twice or out of order: what was sent stays as it was sent."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from optical_memory import Context, OpticalMemory, WaterMarks
from optical_memory.context.context import PagePart
from optical_memory.context.messages.gemini import to_gemini
from optical_memory.context.messages.openai_anthropic import to_anthropic, to_openai
from optical_memory.context.messages.request_outline import Kept, MissingResult, Note, Pages, outline
from optical_memory.context.messages.tool_pairs import NO_RESULT
from optical_memory.errors import BudgetTooSmall
from optical_memory.turns.exchanges import open_calls
from tests.sampling import examples
from tests.support import RuledRenderer

Message = dict[str, Any]
MARKS = WaterMarks(high=400, low=80)
IDS = ("c1", "c2", "c3", "c4")


def _png() -> str:
    file = io.BytesIO()
    Image.new("L", (8, 8), 255).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _png()}}


def fresh() -> OpticalMemory:
    return OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=900), marks=MARKS)


def calls(*ids: str, says: str = "") -> Message:
    made = [{"id": call_id, "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}} for call_id in ids]
    return {"role": "assistant", "content": says, "tool_calls": made}


def result(call_id: str, text: str = "done", *, picture: bool = False) -> Message:
    content = [{"type": "text", "text": text}, PICTURE] if picture else text
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def results_and_words(*ids: str, says: str = "") -> Message:
    """Anthropic's shape: several results in one message of the user's, with words after them or none."""
    blocks: list[Message] = [{"type": "tool_result", "tool_use_id": call_id, "content": f"found {call_id}"} for call_id in ids]
    return {"role": "user", "content": [*blocks, *([{"type": "text", "text": says}] if says else [])]}


_ids = st.sampled_from(IDS)
_some_ids = st.lists(_ids, min_size=1, max_size=3, unique=True)
_words = st.sampled_from(["", "Go on.", "What now? " * 8, "We went to Kyoto by train. " * 30])
STEPS = st.one_of(
    st.builds(lambda text: {"role": "user", "content": text}, _words),
    st.builds(lambda text: {"role": "assistant", "content": text}, _words),
    st.builds(lambda ids, says: calls(*ids, says=says), _some_ids, _words),
    st.builds(lambda call_id, text, picture: result(call_id, text, picture=picture), _ids, _words, st.booleans()),
    st.builds(lambda call_id: result(call_id), _ids),
    st.builds(lambda ids, says: results_and_words(*ids, says=says), _some_ids, _words),
)


def answerable(history: Sequence[Message]) -> list[Message]:
    """Without results of calls that were never made, which no memory takes."""
    made: set[str] = set()
    kept: list[Message] = []
    for message in history:
        answered = {message["tool_call_id"]} if message["role"] == "tool" else set()
        if message["role"] == "user" and not isinstance(message["content"], str):
            answered = {block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"}
        if answered <= made:
            kept.append(message)
        made.update(call["id"] for call in message.get("tool_calls", ()))
    return kept


def histories(fewest: int) -> st.SearchStrategy[list[Message]]:
    return st.lists(STEPS, min_size=fewest, max_size=24).map(answerable)


def flat(messages: Sequence[Message], blocks: str) -> list[tuple[str, str]]:
    """Block by block, for formats that put neighbours of one role into one message."""
    return [(message["role"], json.dumps(block, sort_keys=True)) for message in messages for block in message[blocks]]


def pieces(context: Context) -> list[object]:
    return [(piece.framing, [page.text for page in piece.pages]) if isinstance(piece, Pages) else piece for piece in outline(context)]


def is_open(context: Context) -> bool:
    """Whether calls at the end wait for results, so that no provider takes the request yet. More of that message may still come."""
    return bool(open_calls(context.turns)) and not isinstance(context.parts[-1], PagePart)


FORMATS: dict[str, Callable[[Context], Sequence[object]]] = {
    "openai": lambda context: [json.dumps(message, sort_keys=True) for message in to_openai(context)],
    "anthropic": lambda context: flat(to_anthropic(context), "content"),
    "gemini": lambda context: flat(to_gemini(context), "parts"),
    "frameworks": pieces,
}


@settings(max_examples=examples(150), suppress_health_check=list(HealthCheck), deadline=None)
@given(history=histories(2), budget=st.sampled_from([None, 700]))
def test_a_request_begins_with_the_one_before(history: list[Message], budget: int | None) -> None:
    memory = fresh()
    epoch, before = 0, dict[str, Sequence[object]]()
    for message in history:
        memory.append(message)
        try:
            context = memory.context(budget)
        except BudgetTooSmall:
            before = {}
            continue
        now = {name: convert(context) for name, convert in FORMATS.items()}
        if context.plan.epoch == epoch:
            for name, sent in before.items():
                assert now[name][: len(sent)] == sent, name
        epoch, before = context.plan.epoch, {} if is_open(context) else now


@settings(max_examples=examples(150), deadline=None)
@given(history=histories(1))
def test_every_call_that_is_not_the_last_has_one_result_right_after_it(history: list[Message]) -> None:
    memory = fresh()
    memory.extend(history)
    waiting: list[str] = []
    for message in to_openai(memory.context()):
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
        else:
            assert not waiting, "a message between a call and its result"
            waiting = [call["id"] for call in message.get("tool_calls", [])]


@settings(max_examples=examples(150), deadline=None)
@given(history=histories(1))
def test_every_result_is_sent_once(history: list[Message]) -> None:
    marked = [{**message, "content": f"result {place}"} if message["role"] == "tool" else message for place, message in enumerate(history)]
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(), marks=WaterMarks(high=100_000, low=100_000))
    memory.extend([*marked, {"role": "user", "content": "and now?"}])
    sent = json.dumps(to_openai(memory.context()))
    for place, message in enumerate(marked):
        if message["role"] == "tool":
            assert sent.count(f'result {place}"') + sent.count(f"result {place}\\n") == 1


def sent(*messages: Message) -> list[tuple[str, Any]]:
    memory = fresh()
    memory.extend(messages)
    return [(message["role"], message["content"]) for message in to_openai(memory.context())]


ASKED = {"role": "user", "content": "q"}


def test_a_result_in_time_stays_before_the_substitute_of_another_call() -> None:
    before = sent(ASKED, calls("c1", "c2"), result("c2"))
    after = sent(ASKED, calls("c1", "c2"), result("c2"), {"role": "user", "content": "go on"})
    assert after[: len(before)] == before
    assert after[2:] == [("tool", "done"), ("tool", NO_RESULT), ("user", "go on")]


def test_a_result_that_comes_late_is_a_note_where_it_came() -> None:
    history = [ASKED, calls("c1"), {"role": "user", "content": "go on"}, result("c1", "at last")]
    assert sent(*history[:3]) == [("user", "q"), ("assistant", ""), ("tool", NO_RESULT), ("user", "go on")]
    *before, (role, content) = sent(*history)
    assert before == sent(*history[:3])
    assert role == "user" and content[0]["text"] == "[result of an earlier tool call, turn #4]\nat last"


def test_a_late_result_waits_for_the_calls_that_are_open() -> None:
    history = [calls("c1"), ASKED, calls("c2"), result("c1", "late"), result("c2", "in time")]
    assert sent(*history[:4]) == sent(*history[:3]), "a note would stand between the call and its result"
    assert [role for role, _ in sent(*history)] == ["assistant", "tool", "user", "assistant", "tool", "user"]
    assert sent(*history)[4] == ("tool", "in time")


def test_calls_that_follow_each_other_are_one_message_and_frameworks_keep_theirs_apart() -> None:
    history = [
        ASKED,
        calls("c1", says="Looking."),
        {"role": "assistant", "content": "And there."},
        calls("c2"),
        result("c1"),
        result("c2", "2"),
    ]
    memory = fresh()
    memory.extend(history)
    _, called, *results = to_openai(memory.context())
    assert [block["text"] for block in called["content"]] == ["Looking.", "And there."]
    assert [call["id"] for call in called["tool_calls"]] == ["c1", "c2"]
    assert [(message["tool_call_id"], message["content"]) for message in results] == [("c1", "done"), ("c2", "2")]
    assert pieces(memory.context()) == [Kept(1), Kept(2), Kept(5), Kept(3), Kept(4), Kept(6)], "results right after their calls"


@pytest.mark.parametrize("convert", [to_openai, to_anthropic, to_gemini])
def test_pictures_of_results_follow_all_of_them(convert: Callable[[Context], list[Message]]) -> None:
    memory = fresh()
    memory.extend([ASKED, calls("c1", "c2"), result("c1", picture=True)])
    before = json.dumps(convert(memory.context()))
    memory.append(result("c2"))
    after = json.dumps(convert(memory.context()))
    assert PICTURE["source"]["data"] in after  # type: ignore[index]  # a dict of JSON
    common = next(place for place, (one, other) in enumerate(zip(before, after, strict=False)) if one != other)
    assert set(before[common:]) <= set("]}"), "what was sent is only added to"


def test_what_is_said_beside_a_result_comes_after_every_result() -> None:
    memory = fresh()
    memory.extend([ASKED, calls("c1", "c2"), results_and_words("c1", says="and c2 failed")])
    assert pieces(memory.context()) == [Kept(1), Kept(2), MissingResult(2, "c2"), Kept(3)]
    memory.append(result("c2"))
    assert isinstance(pieces(memory.context())[-1], Note)
