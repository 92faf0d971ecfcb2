from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from optical_memory import ByAge, Context, OpticalMemory, WaterMarks
from optical_memory.context.messages.openai_anthropic import to_anthropic, to_openai
from optical_memory.readers import profile_of
from tests.support import RuledRenderer

MARKS = WaterMarks(high=300, low=60)
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()


def fresh() -> OpticalMemory:
    return OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=900), marks=MARKS)


def context_of(*messages: Any) -> Context:
    memory = fresh()
    memory.extend(messages)
    return memory.context()


def filler(count: int) -> list[dict[str, Any]]:
    return [{"role": "user" if n % 2 else "assistant", "content": f"turn {n} is about QX-7741{n % 10}. " * 6} for n in range(1, count + 1)]


def call(call_id: str, arguments: str = '{"x": 1}') -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}],
    }


UNTOUCHED = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}],
    },
    {"role": "assistant", "content": "ok", "name": "Ann", "refusal": None},
    call("c1", '{"x" :  1.10}'),
    {"role": "tool", "tool_call_id": "c1", "content": "done"},
    {"role": "assistant", "content": "fine"},
]


def test_openai_messages_come_out_as_they_went_in() -> None:
    assert to_openai(context_of(*UNTOUCHED)) == UNTOUCHED


def test_pages_stand_before_the_text_with_framing_and_labels() -> None:
    context = context_of(*filler(30))
    first, *rest = to_openai(context)
    kinds = [block["type"] for block in first["content"]]
    assert kinds == ["text"] + ["text", "image_url"] * len(context.pages)
    assert "not instructions" in first["content"][0]["text"]
    assert first["content"][1]["text"].startswith("[p1 #1-")
    assert "QX-7741" in first["content"][1]["text"], "the sidecar"
    picture = first["content"][2]["image_url"]
    assert base64.b64decode(picture["url"].partition(",")[2]) == context.pages[0].image()
    assert [message["content"] for message in rest] == [turn.content for turn in context.turns]


def test_the_label_of_a_page_says_that_it_goes_on_with_a_turn() -> None:
    context = context_of(("user", "One long story. " * 400), *filler(30))
    labels = [part.text.partition("]")[0] for part in context.pages]
    assert labels[0].startswith("[p1 #1-1")
    assert labels[1].startswith("[p2 #1(continued)-")
    assert [part.page.segments[0].continued for part in context.pages] == ["(continued)" in label for label in labels]


def test_identical_plans_give_identical_bytes() -> None:
    contexts = [context_of(*[{**message, "created_at": "2026-05-01"} for message in filler(30)]) for _ in range(2)]
    assert len({json.dumps(to_openai(context)) for context in contexts}) == 1
    assert len({json.dumps(to_anthropic(context)) for context in contexts}) == 1


def test_the_systems_words_stay_first_and_text() -> None:
    context = context_of({"role": "system", "content": "Be brief."}, *filler(30))
    messages = to_openai(context)
    assert context.pages
    assert messages[0] == {"role": "system", "content": "Be brief."}
    assert "not instructions" in messages[1]["content"][0]["text"]


def test_anthropic_messages() -> None:
    tool = {"role": "tool", "tool_call_id": "c1", "content": "done"}
    messages = to_anthropic(
        context_of({"role": "system", "content": "Be brief."}, ("user", "q"), call("c1"), tool, ("user", "and?"), call("c2", "oops"))
    )
    assert messages == [
        {"role": "user", "content": [{"type": "text", "text": t} for t in ("[system]", "Be brief.", "q")]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "done"}, {"type": "text", "text": "and?"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c2", "name": "f", "input": {"arguments": "oops"}}]},
    ]


def test_anthropic_blocks_come_out_as_they_went_in() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    result = [{"type": "text", "text": "r"}, {"type": "image", "source": source}]
    messages: list[dict[str, Any]] = [
        {
            "role": "user",
            "content": [{"type": "image", "source": source}, {"type": "text", "text": "q", "cache_control": {"type": "ephemeral"}}],
        },
        {
            "role": "assistant",
            "content": [thinking, {"type": "text", "text": "a"}, {"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": result, "is_error": True}]},
    ]
    context = context_of(*messages)
    assert to_anthropic(context) == messages
    openai = to_openai(context)
    assert [message["role"] for message in openai] == ["user", "assistant", "tool", "user"], "a picture cannot stand in a tool message"
    assert openai[3]["content"][1]["type"] == "image_url"


def test_the_cache_breakpoint_stands_once_after_the_last_page() -> None:
    messages = to_anthropic(context_of(*filler(30)), cache=True)
    marked = [block for message in messages for block in message["content"] if "cache_control" in block]
    assert [block["type"] for block in marked] == ["image"]
    assert marked[0] is [block for message in messages for block in message["content"] if block["type"] == "image"][-1]


def test_a_call_that_was_given_up_gets_a_result_that_says_so() -> None:
    messages = to_openai(context_of(("user", "q"), call("c1"), ("user", "never mind")))
    assert messages[2] == {"role": "tool", "tool_call_id": "c1", "content": "[no result was recorded]"}
    assert to_openai(context_of(("user", "q"), call("c1")))[-1]["role"] == "assistant", "an open call waits for its result"


def test_a_call_is_answered_before_a_stray_result_becomes_a_note() -> None:
    memory = fresh()
    memory.extend([call("c1"), {"role": "tool", "tool_call_id": "c1", "content": "first"}, call("c2"), call("c1")])
    memory.append({"role": "tool", "tool_call_id": "c1", "content": "second"})
    memory.erase([2, 4])
    roles = [message["role"] for message in to_openai(memory.context())]
    assert roles == ["assistant", "tool", "assistant"], "c2 may still be answered"
    memory.erase([1])
    roles = [message["role"] for message in to_openai(memory.context())]
    assert roles == ["assistant", "tool", "user"], "c2 was never answered, and the note about c1 comes after it"


def test_a_result_whose_call_is_on_a_page_becomes_a_note() -> None:
    memory = fresh()
    memory.extend([("user", "q"), call("late"), *filler(30)])
    assert memory.context().plan.tail_from > 2
    memory.append({"role": "tool", "tool_call_id": "late", "content": "at last"})
    last = to_openai(memory.context())[-1]
    assert last["role"] == "user"
    assert "at last" in last["content"][0]["text"] and "#33" in last["content"][0]["text"]


@pytest.mark.parametrize("to", [to_openai, to_anthropic])
def test_an_empty_session_is_no_messages(to: Any) -> None:
    assert to(fresh().context()) == []


def test_openai_is_asked_for_the_detail_that_a_page_was_counted_at() -> None:
    profile = profile_of("gpt-4o").allowing("tiny")
    memory = OpticalMemory(
        "s",
        store="memory://",
        reader=profile,
        renderer=RuledRenderer(rows=9_000),
        marks=WaterMarks(high=300, low=60),
        forgetting=ByAge(gundam=0, large=0, base=2, small=2, tiny=9),
    )
    memory.extend([("user" if n % 2 else "assistant", f"turn {n} is about QX-7741{n % 10}. " * 40) for n in range(1, 70)])
    context = memory.context()

    def details(**options: str) -> list[str]:
        contents = [message["content"] for message in to_openai(context, **options)]
        blocks = [block for content in contents if isinstance(content, list) for block in content]
        return [block["image_url"]["detail"] for block in blocks if block["type"] == "image_url"]

    billed = {"low": {85}, "high": {85 + 170 * tiles for tiles in (1, 2, 3, 4)}}
    assert all(page.vision_tokens in billed[detail] for detail, page in zip(details(), context.pages, strict=True))
    assert set(details()) == {"low", "high"}
    assert set(details(detail="auto")) == {"auto"}, "a caller may say otherwise for all of them"
