from __future__ import annotations

from typing import Any

import pytest

from optical_memory import ByAge, OpticalMemory, WaterMarks
from optical_memory.context.messages.gemini import to_gemini
from optical_memory.errors import UnknownName
from optical_memory.readers import profile_of
from tests.context.test_openai_anthropic import PIXEL, call, filler
from tests.support import RuledRenderer


def memory_of(*messages: Any) -> OpticalMemory:
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=900), marks=WaterMarks(high=300, low=60))
    memory.extend(messages)
    return memory


def test_turns_as_contents() -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    signed = call("c2", "not json")
    signed["tool_calls"][0]["thought_signature"] = "c2ln"
    memory = memory_of(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "look"}, picture]},
        {**call("c1"), "tool_calls": [*call("c1")["tool_calls"], *signed["tool_calls"]]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "assistant", "content": "fine"},
    )
    assert memory.messages(dialect="gemini") == [
        {
            "role": "user",
            "parts": [
                {"text": "[system]"},
                {"text": "Be brief."},
                {"text": "look"},
                {"inline_data": {"mime_type": "image/png", "data": PIXEL}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"function_call": {"id": "c1", "name": "f", "args": {"x": 1}}},
                {"function_call": {"id": "c2", "name": "f", "args": {"arguments": "not json"}}, "thought_signature": "c2ln"},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"function_response": {"id": "c1", "name": "f", "response": {"output": "done"}}},
                {"function_response": {"id": "c2", "name": "f", "response": {"output": ""}}},
            ],
        },
        {"role": "model", "parts": [{"text": "fine"}]},
    ]


def test_pages_stand_before_the_text() -> None:
    context = memory_of(*filler(30)).context()
    first, *rest = to_gemini(context)
    kinds = [next(iter(part)) for part in first["parts"]]
    assert kinds[: 1 + 2 * len(context.pages)] == ["text"] + ["text", "inline_data"] * len(context.pages)
    assert [content["role"] for content in rest[:2]] in (["model", "user"], ["user", "model"])


def test_googles_own_types_take_them() -> None:
    types = pytest.importorskip("google.genai.types", reason="google-genai is not installed: pip install google-genai")
    memory = memory_of(*filler(30), call("c1"), {"role": "tool", "tool_call_id": "c1", "content": "done"})
    contents = [types.Content.model_validate(content) for content in memory.messages(dialect="gemini")]
    assert contents[0].parts[2].inline_data.data == memory.context().pages[0].image()
    assert contents[-1].parts[0].function_response.name == "f"


def test_each_page_asks_for_the_resolution_that_it_was_counted_at() -> None:
    types = pytest.importorskip("google.genai.types", reason="google-genai is not installed: pip install google-genai")
    memory = OpticalMemory(
        "s",
        store="memory://",
        reader=profile_of("gemini-3").allowing("tiny"),
        renderer=RuledRenderer(rows=9_000),
        marks=WaterMarks(high=300, low=60),
        forgetting=ByAge(gundam=0, large=0, base=1, small=2, tiny=9),
    )
    memory.extend([("user" if n % 2 else "assistant", f"turn {n} is about QX-7741{n % 10}. " * 40) for n in range(1, 70)])
    context = memory.context()
    parts = [part for content in to_gemini(context) for part in content["parts"] if "inline_data" in part]
    asked = [part["media_resolution"]["level"].removeprefix("MEDIA_RESOLUTION_") for part in parts]
    price = {"LOW": 280, "MEDIUM": 560, "HIGH": 1120}
    assert asked == [page.rung.media_resolution for page in context.pages]
    assert [price[level] for level in asked] == [page.vision_tokens for page in context.pages]
    assert {"LOW", "MEDIUM"} <= set(asked)
    levels = [types.Part.model_validate(part).media_resolution.level.value for part in parts]
    assert levels == [f"MEDIA_RESOLUTION_{level}" for level in asked], "the client's own types take it"
    with pytest.warns(RuntimeWarning, match="media_resolution (LOW|MEDIUM), which these messages cannot ask for"):
        memory.messages()


def test_gemini_2_is_asked_for_no_resolution_of_a_page() -> None:
    memory = OpticalMemory(
        "s",
        store="memory://",
        reader=profile_of("gemini-2.5").allowing("tiny", "small"),
        renderer=RuledRenderer(rows=9_000),
        marks=WaterMarks(high=300, low=60),
    )
    memory.extend([("user" if n % 2 else "assistant", f"turn {n} is about QX-7741{n % 10}. " * 40) for n in range(1, 50)])
    parts = [part for content in memory.messages(dialect="gemini") for part in content["parts"]]
    assert any("inline_data" in part for part in parts)
    assert not any("media_resolution" in part for part in parts), "the API takes it for the whole request only"


def test_dialects_by_name() -> None:
    memory = memory_of(("user", "hi"))
    assert memory.messages() == [{"role": "user", "content": "hi"}]
    assert memory.messages(dialect="anthropic") == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    with pytest.raises(UnknownName, match="anthropic, gemini, openai"):
        memory.messages(dialect="cohere")
