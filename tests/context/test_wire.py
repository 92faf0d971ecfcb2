"""What each format is sent of messages of other providers: no field, id or name that its API refuses, every block that it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from optical_memory import Context, OpticalMemory
from optical_memory.context.messages.gemini import to_gemini
from optical_memory.context.messages.openai_anthropic import to_anthropic, to_openai
from optical_memory.errors import BudgetTooSmall
from tests.context.test_openai_anthropic import call, context_of, fresh
from tests.support import RuledRenderer

FORMATS: dict[str, Callable[[Context], list[dict[str, Any]]]] = {"openai": to_openai, "anthropic": to_anthropic, "gemini": to_gemini}
ASK = {"role": "user", "content": "q"}
PDF = {"type": "document", "title": "Plan", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}


def answer(*blocks: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks), **fields}


def result(call_id: str, text: str = "3", **fields: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text, **fields}


@pytest.mark.parametrize("to", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(
    "message",
    [
        answer(refusal="QX-1"),
        answer({"type": "refusal", "refusal": "QX-1"}),
        answer(audio={"id": "a", "transcript": "QX-1"}),
        answer({"type": "of_tomorrow", "note": "QX-1"}),
        {"role": "user", "content": [{"type": "of_tomorrow", "note": "QX-1"}]},
        {"role": "user", "content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "QX-1"}}]},
        {"role": "user", "content": [{"type": "search_result", "source": "QX-1", "title": "t", "content": []}]},
    ],
)
def test_every_format_sends_the_words(to: Any, message: Any) -> None:
    assert "QX-1" in json.dumps(to(context_of(ASK, message)))


@pytest.mark.parametrize("big", ["thinking", "extra", "document", "sealed", "unknown", "result"])
def test_nothing_is_sent_beyond_the_budget(big: str) -> None:
    words = " ".join(f"word{n}" for n in range(20_000))
    messages = {
        "thinking": [answer({"type": "thinking", "thinking": words, "signature": "s"}, {"type": "text", "text": "ok"})],
        "extra": [{"role": "assistant", "content": "ok", "reasoning_details": [{"type": "reasoning.text", "text": words}]}],
        "document": [
            {"role": "user", "content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": words}}]}
        ],
        "sealed": [
            answer({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "A" * 200_000}, {"type": "text", "text": "ok"})
        ],
        "unknown": [answer({"type": "of_tomorrow", "deep": {"note": words}})],
        "result": [call("c"), {"role": "tool", "tool_call_id": "c", "content": [{"rows": [words]}]}],
    }[big]
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer())
    memory.extend([ASK, *messages])
    with pytest.raises(BudgetTooSmall) as raised:
        memory.context(budget=3_000)
    assert raised.value.needed > 20_000


def test_anthropics_own_blocks_come_out_as_they_went_in() -> None:
    cited = {"type": "text", "text": "Sunny.", "citations": [{"type": "web_search_result_location", "url": "https://a.example"}]}
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "weather"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result", "title": "W"}]}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    use = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    inner = [{"type": "search_result", "source": "s", "title": "t", "content": []}, PDF]
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [PDF, {"type": "text", "text": "q"}]},
        answer(thought, search, found, cited, use, thought, {**use, "id": "b"}, {"type": "redacted_thinking", "data": "x"}),
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": inner, "cache_control": {"type": "ephemeral"}},
            {"type": "tool_result", "tool_use_id": "b", "content": "no", "is_error": True},
        ]},
    ]  # fmt: skip
    assert to_anthropic(context_of(*messages)) == messages


def test_anthropic_is_sent_only_what_it_knows() -> None:
    out = to_anthropic(
        context_of(
            ASK,
            answer(
                {"type": "reasoning", "id": "rs", "summary": []},
                {"type": "thinking", "thinking": "of another server, unsigned"},
                {"type": "output_text", "text": "ok", "annotations": [], "logprobs": [], "id": "x"},
                tool_calls=[{"id": "a.b:1", "index": 0, "name": "my tool", "args": {}, "type": "tool_call"}],
            ),
            result("a.b:1", status="error"),
        )
    )
    use = {"type": "tool_use", "id": "a_b_1", "name": "my_tool", "input": {}}
    assert out[1]["content"] == [{"type": "text", "text": "ok"}, use]
    assert out[2]["content"] == [{"type": "tool_result", "tool_use_id": "a_b_1", "content": "3", "is_error": True}]


def test_openai_is_sent_only_what_it_knows() -> None:
    out = to_openai(
        context_of(
            {"role": "user", "name": "Zoë Tan", "content": [{"type": "text", "text": "q", "cache_control": {"type": "x"}}], "uuid": "u"},
            answer(
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                tool_calls=[{"id": "x" * 60, "index": 0, "type": "function", "function": {"name": "a.b", "arguments": "null"}}],
                usage={"input_tokens": 3}, logprobs=[], reasoning_content="hm",
            ),
            result("x" * 60, "down", is_error=True, artifact=3),
            answer({"type": "thinking", "thinking": "only this", "signature": "s"}),
        )
    )  # fmt: skip
    call_id = out[1]["tool_calls"][0]["id"]
    assert len(call_id) <= 40 and out == [
        {"role": "user", "name": "Zoe_Tan", "content": [{"type": "text", "text": "q"}]},
        {
            "role": "assistant", "content": "", "reasoning_content": "hm",
            "tool_calls": [{"id": call_id, "type": "function", "function": {"name": "a_b", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": call_id, "content": "[error]\ndown"},
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "sent"), [("Ms Tan", "Ms_Tan"), ("李", None), ("a" * 70, "a" * 64), ("ann-1", "ann-1")])
def test_names_fit_or_are_left_out(name: str, sent: str | None) -> None:
    assert to_openai(context_of({"role": "user", "name": name, "content": "hi"}))[0].get("name") == sent


@pytest.mark.parametrize(
    "fields",
    [
        {"extra_content": {"google": {"thought_signature": "SIG"}}},
        {"thought_signature": "SIG"},
        {"provider_specific_fields": {"thought_signature": "SIG"}},
        {"callProviderMetadata": {"google": {"thoughtSignature": "SIG"}}},
    ],
)
def test_a_signature_of_geminis_comes_back_on_its_call(fields: Any) -> None:
    made = call("c1")
    made["tool_calls"][0] |= fields
    out = to_gemini(context_of(ASK, made, result("c1")))
    assert out[1]["parts"][0]["thought_signature"] == "SIG"
    native = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "SIG"}]}
    answered = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "3"}}}]}
    out = to_gemini(context_of(ASK, native, answered))
    assert out[1]["parts"] == [{"function_call": {"id": "f", "name": "f", "args": {"x": 1}}, "thought_signature": "SIG"}]
    assert out[2]["parts"] == [{"function_response": {"id": "f", "name": "f", "response": {"output": "3"}}}]


@pytest.mark.parametrize("to", FORMATS.values(), ids=FORMATS)
def test_calls_with_the_same_id_get_different_ones_in_the_whole_request(to: Any) -> None:
    pair = {
        "role": "assistant",
        "content": None,
        "tool_calls": [*call("c", '{"x": 1}')["tool_calls"], *call("c", '{"x": 2}')["tool_calls"]],
    }
    context = context_of(ASK, pair, result("c", "one"), result("c", "two"), ASK, call("c", '{"x": 3}'), result("c", "three"))
    text = json.dumps(to(context))
    ids = re.findall(r'"(?:tool_call_id|tool_use_id)": "([^"]+)"', text) or re.findall(r'"function_response": {"id": "([^"]+)"', text)
    assert ids == ["c", "c-2", "c-3"] and all(text.count(f'"{each}"') == 2 for each in ids)
    assert [word for word in re.findall(r"one|two|three", text)] == ["one", "two", "three"]


@pytest.mark.parametrize("to", [to_anthropic, to_gemini])
def test_a_conversation_that_the_assistant_began_starts_with_the_user(to: Any) -> None:
    out = to(context_of({"role": "assistant", "content": "Hello, how can I help?"}, ASK))
    assert [message["role"] for message in out] == ["user", out[1]["role"], "user"] and "how can I help" in json.dumps(out[1])


@pytest.mark.parametrize("to", FORMATS.values(), ids=FORMATS)
def test_an_answer_of_a_user_interface_becomes_calls_and_results_in_turn(to: Any) -> None:
    tool = {"type": "tool-f", "state": "output-available", "input": {"x": 1}}
    parts = [
        {"type": "text", "text": "Looking."},
        {**tool, "toolCallId": "a", "output": "found A"},
        {"type": "text", "text": "And there."},
        {**tool, "toolCallId": "b", "output": "found B"},
        {"type": "text", "text": "Done."},
    ]
    text = json.dumps(to(context_of(ASK, {"role": "assistant", "parts": parts}, {"role": "user", "content": "thanks"})))
    assert re.findall(r"Looking|found .|And there|Done|thanks", text) == ["Looking", "found A", "And there", "found B", "Done", "thanks"]
    assert "no result" not in text


@pytest.mark.parametrize("to", FORMATS.values(), ids=FORMATS)
def test_half_a_surrogate_pair_is_not_sent_and_stays_in_the_log(to: Any) -> None:
    memory = fresh()
    memory.extend([{"role": "user", "content": "cut \ud83d"}, call("c", '{"a": "\ud83d"}'), result("c", "x \ud83d")])
    json.dumps(to(memory.context()), ensure_ascii=False).encode()
    assert memory.turns()[0].content == "cut \ud83d"


def test_a_pdf_goes_to_each_provider_as_its_file() -> None:
    context = context_of({"role": "user", "content": [PDF]})
    data = "data:application/pdf;base64,JVBERi0="
    assert to_openai(context)[0]["content"] == [{"type": "file", "file": {"filename": "Plan", "file_data": data}}]
    assert to_gemini(context)[0]["parts"] == [{"inline_data": {"mime_type": "application/pdf", "data": "JVBERi0="}}]
    file = {"type": "file", "file": {"filename": "Plan", "file_data": data}}
    assert to_anthropic(context_of({"role": "user", "content": [file]}))[0]["content"] == [
        {"type": "document", "source": PDF["source"], "title": "Plan"}
    ]
