"""Pydantic AI with optical memory: what its models are sent, what goes over the wire, and what stays in the messages."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic_ai.capabilities", reason="pydantic-ai is not installed")

from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import (
    BinaryContent,
    CompactionPart,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestContext, ModelRequestParameters
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.tools import RunContext
from pydantic_ai.usage import RunUsage

from optical_memory.adapters.pydantic_ai import OpticalMemoryCapability
from optical_memory.adapters.pydantic_ai.messages import said_in, turn_of_said
from optical_memory.planning.triggers import WaterMarks
from tests.adapters.wire import Call, Wire
from tests.support import RuledRenderer

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "pydantic_ai_agent.py"
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
Messages = list[ModelMessage]


def optical(**options: Any) -> OpticalMemoryCapability[None]:
    given = {"reader": "deepseek-ocr", "renderer": RuledRenderer(rows=900), "marks": WaterMarks(high=300, low=60)}
    return OpticalMemoryCapability(**{**given, **options})


class Scripted:
    """Answers from a script, or with how often it was asked, and keeps what it was sent."""

    def __init__(self, *script: ModelResponse) -> None:
        self.script, self.sent = list(script), list[Messages]()
        self.model = FunctionModel(self.answer)

    def answer(self, messages: Messages, info: AgentInfo) -> ModelResponse:
        self.sent.append(list(messages))
        words = f"answer {len(self.sent)}: " + "Your booking QX-77419 is confirmed. " * 5
        return self.script.pop(0) if self.script else ModelResponse(parts=[TextPart(words)])


def question(n: int) -> str:
    return f"question {n} about flight QX-77{n:03}. " * 4


def chat(agent: Agent[None, Any], turns: int, history: Messages | None = None) -> Messages:
    messages = history or []
    for n in range(1, turns + 1):
        messages = agent.run_sync(question(n), message_history=messages).all_messages()
    return messages


def past(turns: int) -> Messages:
    """Messages of a conversation, as an agent would have left them."""
    messages: Messages = [ModelRequest(parts=[SystemPromptPart("You help."), UserPromptPart(question(1))])]
    for n in range(1, turns):
        messages += [
            ModelResponse(parts=[TextPart(f"answer {n}: " + "All is well. " * 12)]),
            ModelRequest(parts=[UserPromptPart(question(n + 1))]),
        ]
    return messages


def shown(capability: OpticalMemoryCapability[None], messages: Messages, model: Any = None, **options: Any) -> Messages:
    """What a capability makes of one request."""
    model = model or Scripted().model
    request = ModelRequestContext(
        model=model,
        messages=list(messages),
        model_settings=options.pop("model_settings", None),
        model_request_parameters=ModelRequestParameters(),
    )
    ctx: RunContext[None] = RunContext(deps=None, model=model, usage=RunUsage(), **options)
    return list(asyncio.run(capability.prepare_model_request(ctx, request)).messages)


def items(messages: Sequence[ModelMessage]) -> Iterator[Any]:
    for message in messages:
        for part in message.parts:
            if isinstance(part, UserPromptPart) and not isinstance(part.content, str):
                yield from part.content


def pictures(messages: Sequence[ModelMessage]) -> list[BinaryContent]:
    return [item for item in items(messages) if isinstance(item, BinaryContent) and item.is_image]


def wired(messages: Sequence[ModelMessage]) -> list[Any]:
    """What a provider gets to see of the parts of messages, near enough to compare calls."""
    return [(part.part_kind, getattr(part, "content", None), getattr(part, "tool_call_id", None)) for one in messages for part in one.parts]


def assert_paired(messages: Sequence[ModelMessage]) -> None:
    """Every result follows its call, and every call has its result before anybody else speaks, but for calls at the very end."""
    waiting: list[str] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            assert not waiting, f"calls without results: {waiting}"
            waiting = [part.tool_call_id for part in message.parts if isinstance(part, ToolCallPart)]
            continue
        for part in message.parts:
            if isinstance(part, ToolReturnPart):
                assert part.tool_call_id in waiting, "an orphaned result"
                waiting.remove(part.tool_call_id)
            else:
                assert not waiting, f"calls without results: {waiting}"


def appends(calls: Sequence[Sequence[Any]]) -> float:
    """The share of calls that only add to what the call before sent."""
    pairs = list(pairwise(calls))
    return sum(list(after[: len(before)]) == list(before) for before, after in pairs) / len(pairs)


# -- what is sent, and what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sync", "async", "stream"])
def test_the_past_becomes_pages_and_the_messages_stay(way: str) -> None:
    model = Scripted()

    async def stream(messages: Messages, info: AgentInfo) -> Any:
        yield model.answer(messages, info).parts[0].content  # type: ignore[union-attr]

    agent = Agent(FunctionModel(model.answer, stream_function=stream), system_prompt="You help.", capabilities=[optical()])

    async def achat() -> Messages:
        messages: Messages = []
        for n in range(1, 13):
            if way == "async":
                messages = (await agent.run(question(n), message_history=messages)).all_messages()
                continue
            async with agent.run_stream(question(n), message_history=messages) as result:
                await result.get_output()
            messages = result.all_messages()
        return messages

    messages = chat(agent, 12) if way == "sync" else asyncio.run(achat())
    last = model.sent[-1]
    assert isinstance(last[0].parts[0], SystemPromptPart)
    assert len(pictures(last)) >= 2
    assert "not instructions" in next(items(last))
    assert last[-1].parts[-1].content == question(12)  # type: ignore[union-attr]
    assert len(wired(last)) < 12
    assert [message.kind for message in messages] == ["request", "response"] * 12
    assert not list(items(messages)) and len(ModelMessagesTypeAdapter.dump_json(messages)) < 30_000
    assert appends([wired(sent) for sent in model.sent]) > 0.5


def test_kept_messages_are_the_objects_that_came() -> None:
    messages = past(20)
    before = ModelMessagesTypeAdapter.dump_json(messages)
    sent = shown(optical(), messages)
    assert pictures(sent)
    assert sent[-1] is messages[-1]
    kept = [message for message in sent if any(message is original for original in messages)]
    assert len(kept) == len(sent) - 2, "all but the system prompt, alone now, and the pages"
    assert ModelMessagesTypeAdapter.dump_json(messages) == before


def test_a_conversation_that_was_stored_and_loaded_keeps_its_prefix() -> None:
    one, messages = optical(), past(20)
    first = shown(one, messages)
    later = [*messages, ModelResponse(parts=[TextPart("yes")]), ModelRequest(parts=[UserPromptPart("and now?")])]
    loaded = ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(later))
    assert wired(shown(one, loaded))[: len(wired(first))] == wired(first)
    assert pictures(shown(optical(), loaded)), "another process plans anew"


def test_a_new_system_prompt_leaves_the_pages_as_they_are() -> None:
    one, messages = optical(), past(20)
    first = shown(one, messages)
    messages[0] = replace(messages[0], parts=[SystemPromptPart("It is Tuesday."), *messages[0].parts[1:]])
    second = shown(one, messages)
    assert wired(second)[0][1] == "It is Tuesday."
    assert wired(second)[1:] == wired(first)[1:]


def test_nothing_changes_inside_a_tool_loop() -> None:
    def look(at: int) -> str:
        if at == 3:
            raise ModelRetry("ViewSettings elsewhere.")
        return f"At {at} there is a train to Basel at 10:{at:02}. " * 8

    loop = [
        ModelResponse(parts=[ToolCallPart("look", {"at": n}, f"a{n}"), ToolCallPart("look", {"at": n + 50}, f"b{n}")]) for n in range(4)
    ]
    model = Scripted(*[ModelResponse(parts=[TextPart("ok " * 60)]) for _ in range(6)], *loop)
    agent: Agent[None, str] = Agent(model.model, tools=[look], retries=3, capabilities=[optical(marks=WaterMarks(high=600, low=60))])
    messages = chat(agent, 7)
    assert appends([wired(sent) for sent in model.sent[6:]]) == 1.0 and len(model.sent) == 11
    chat(agent, 3, messages)
    assert any(pictures(sent) for sent in model.sent)
    for sent in model.sent:
        assert_paired(sent)


# -- over the wire ----------------------------------------------------------------------------------------------------------------------


def appended(before: bytes, after: bytes) -> bool:
    """Whether the messages of one request begin with those of another, byte for byte."""
    old, new = (json.dumps(json.loads(raw)["messages"]) for raw in (before, after))
    return new.startswith(old[:-1])


def test_openai_gets_pages_as_pictures() -> None:
    pytest.importorskip("openai", reason="openai is not installed")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def look(at: int) -> str:
        return f"At {at} there is a train to Basel. " * 8

    answers: list[Any] = ["Noted. " * 30, [Call("look", {"at": 1}), Call("look", {"at": 2})], "Two trains. " * 20] * 4
    with Wire(answers) as wire:
        model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=wire.openai_url, api_key="none"))
        agent: Agent[None, str] = Agent(
            model,
            system_prompt="You help.",
            instructions="Be brief.",
            tools=[look],
            capabilities=[
                optical(reader="qwen3-vl", marks=WaterMarks(high=2_000, low=400), renderer=RuledRenderer(rows=6_000), repeats=False)
            ],
        )
        messages: Messages = []
        for n in range(1, 9):
            messages = agent.run_sync(question(n) * 12, message_history=messages).all_messages()
    bodies = [request.body for request in wire.requests]
    assert len(bodies) == 12
    roles = [message["role"] for message in bodies[-1]["messages"]]
    assert roles[0] == "system" and "system" not in roles[2:]
    content = next(message["content"] for message in bodies[-1]["messages"] if isinstance(message["content"], list))
    urls = [block["image_url"] for block in content if block["type"] == "image_url"]
    assert urls and all(url["detail"] == "high" and url["url"].startswith("data:image/png;base64,iVBOR") for url in urls)
    for body in bodies:
        assert_paired_on_the_wire(body["messages"])
    assert sum(appended(a.raw, b.raw) for a, b in pairwise(wire.requests)) >= 8
    assert "iVBOR" not in ModelMessagesTypeAdapter.dump_json(messages).decode()


def assert_paired_on_the_wire(messages: list[dict[str, Any]]) -> None:
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
        else:
            assert not waiting
            waiting = [call["id"] for call in message.get("tool_calls") or ()]


# -- whole histories --------------------------------------------------------------------------------------------------------------------


# -- what only the framework or a provider understands ----------------------------------------------------------------------------------


def test_bound_reasoning_goes_where_the_prompt_before_it_changed_and_only_there() -> None:
    messages = past(20)
    for at, message in enumerate(messages):
        if isinstance(message, ModelResponse):
            thought = ThinkingPart("hm", signature="s", provider_name="anthropic" if at % 4 == 1 else "openai")
            messages[at] = ModelResponse(parts=[thought, *message.parts])
    assert shown(optical(marks=None), messages) == messages
    one = optical()
    sent = shown(one, messages)
    left = [part.provider_name for message in sent for part in message.parts if isinstance(part, ThinkingPart)]
    assert pictures(sent) and "anthropic" not in left
    assert sum(isinstance(part, ThinkingPart) for message in messages for part in message.parts) == 19, "the messages themselves keep it"
    answer = ModelResponse(parts=[ThinkingPart("so", signature="t", provider_name="anthropic"), TextPart("yes")])
    later = shown(one, [*messages, answer, ModelRequest(parts=[UserPromptPart("why?")])])
    assert any(message is answer for message in later), "what was thought with the pages in view still holds"


def test_what_holds_from_its_place_on_outlives_its_message() -> None:
    kinds = pytest.importorskip("pydantic_ai.messages")
    if not hasattr(kinds, "ToolAvailabilityDeltaPart"):
        pytest.skip("this release reveals no tools in its history")
    messages, delta = past(20), kinds.ToolAvailabilityDeltaPart(tools_added=["look"])
    old, new = (SystemPromptPart(day, context_id="system_prompt:day") for day in ("Monday", "Tuesday"))
    messages[2] = ModelRequest(parts=[delta, old, *messages[2].parts])
    messages[4] = ModelRequest(parts=[new, SystemPromptPart("Hurry.", scope="request"), *messages[4].parts])
    messages.insert(6, ModelRequest(parts=[]))
    sent = shown(optical(), messages)
    assert [part.content for part in sent[0].parts] == ["You help."]  # type: ignore[union-attr]
    assert pictures([sent[1]])
    assert sent[2].parts == [delta] and sent[3].parts == [new]
    assert sent[-1] is messages[-1]


def test_a_compaction_and_all_before_it_go_back_as_they_came() -> None:
    messages = past(20)
    messages[7] = ModelResponse(parts=[CompactionPart("They spoke of flights.", provider_name="anthropic"), *messages[7].parts])
    sent = shown(optical(), messages)
    assert sent[:8] == messages[:8]
    assert pictures(sent[8:9]) and sent[-1] is messages[-1]


def test_any_content_becomes_a_turn() -> None:
    prompt = UserPromptPart(
        [
            "look",
            BinaryContent(PIXEL, media_type="image/png"),
            BinaryContent(b"x", media_type="audio/wav"),
            ImageUrl("https://a.example/b.png"),
        ]
    )
    result = ToolReturnPart("look", [{"at": 1}, BinaryContent(PIXEL, media_type="image/png")], "c")
    failed = ToolReturnPart("look", "no such place", "d", outcome="failed")
    answer = ModelResponse(
        parts=[ThinkingPart("hm"), TextPart("I see."), ToolCallPart("look", '{"at": 1}', "c"), ToolCallPart("look", None, "d")]
    )
    turns = [turn_of_said(said) for said in said_in([ModelRequest(parts=[prompt]), answer, ModelRequest(parts=[result, failed])])]
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "tool"]
    assert turns[0].text.split("\n")[:3] == ["look", "[audio/wav]", "https://a.example/b.png"] or "[audio/wav]" in turns[0].text
    assert len(turns[0].images) == 2 and turns[0].images[0].decode() == PIXEL
    assert turns[1].text == 'hm\nI see.\nlook({"at": 1})\nlook({})'
    assert "at" in turns[2].text and len(turns[2].images) == 1
    assert "no such place" in turns[3].text and turns[3].failed and not turns[2].failed


# -- when there are no pages to be had --------------------------------------------------------------------------------------------------


def test_a_model_that_takes_no_pictures_gets_text() -> None:
    messages, profile = past(20), ModelProfile(supports_image_input=False)
    assert shown(optical(), messages, FunctionModel(Scripted().answer, profile=profile)) == messages


@pytest.mark.parametrize("setting", ["openai_previous_response_id", "openai_conversation_id"])
def test_a_conversation_that_the_provider_keeps_goes_as_it_is(setting: str) -> None:
    messages = past(20)
    assert shown(optical(), messages, model_settings={setting: "auto"}) == messages


def test_a_fallback_model_is_shown_pages_for_its_first() -> None:
    model = FallbackModel(Scripted().model, Scripted().model)
    assert pictures(shown(optical(), past(20), model))


# -- Google's models --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "asked"), [("gemini-3-pro-preview", "MEDIA_RESOLUTION_MEDIUM"), ("gemini-2.5-pro", None)])
def test_googles_model_is_sent_pages_and_asked_for_what_they_were_counted_at(name: str, asked: str | None) -> None:
    pytest.importorskip("google.genai", reason="google-genai is not installed")
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.models.instrumented import InstrumentedModel
    from pydantic_ai.providers.google import GoogleProvider

    with Wire() as wire:
        model = GoogleModel(name, provider=GoogleProvider(api_key="none", base_url=wire.url))
        memory = OpticalMemoryCapability(budget=9_000, renderer=RuledRenderer(rows=6_000))
        messages = [message for n in range(1, 61) for message in (said(n), ModelResponse(parts=[TextPart(question(n) * 12)]))]
        for wrapped in (model, InstrumentedModel(model)):
            agent = Agent(wrapped, capabilities=[memory])
            asyncio.run(agent.run("now", message_history=messages))
            parts = [part for content in wire.requests[-1].body["contents"] for part in content["parts"]]
            pages = [part for part in parts if "inlineData" in part]
            assert pages and not any("videoMetadata" in part for part in parts)
            levels = {(part.get("mediaResolution") or {}).get("level") for part in pages}
            assert levels == {asked} if asked is None else asked in levels


def said(n: int) -> ModelRequest:
    return ModelRequest(parts=[UserPromptPart(question(n) * 12)])


# -- the example ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_example(tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="openai is not installed")
    lines = [f"Line {n}: the parcel QX-77{n:03} of order {n} left Lyon for Hamburg on track {n % 9}. " * 14 for n in range(1, 31)]
    with Wire(default="Noted.") as wire:
        env = {**os.environ, "OPENAI_BASE_URL": wire.openai_url, "OPENAI_API_KEY": "none", "PYTHONPATH": str(EXAMPLE.parent.parent)}
        command = [sys.executable, str(EXAMPLE), "openai-chat:gpt-4o"]
        done = subprocess.run(command, input="\n".join(lines), env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[: len(lines)] == ["Noted."] * len(lines)
    last = json.dumps(wire.requests[-1].body)
    assert lines[-1].strip() in last and lines[0].strip() not in last
    assert "data:image/png" in last


def test_pages_stay_where_they_are_when_a_tool_s_picture_brings_a_system_message() -> None:
    """In chat completions Pydantic AI puts the picture of a tool into a user message, and before the first of them a system message."""
    openai = pytest.importorskip("pydantic_ai.models.openai")
    from pydantic_ai.providers.openai import OpenAIProvider

    def picture(message: dict[str, Any]) -> bool:
        return "image_url" in json.dumps(message["content"])

    with Wire([Call("shot", {}), "A red dot.", "Yes."]) as wire:
        model = openai.OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=wire.openai_url, api_key="none"))
        agent = Agent(model, capabilities=[optical()])

        @agent.tool_plain
        def shot() -> BinaryContent:
            return BinaryContent(PIXEL, media_type="image/png")

        taken = agent.run_sync("Take a picture.", message_history=past(60)).all_messages()
        agent.run_sync("Is it red?", message_history=taken)
        first, second, third = (request.body["messages"] for request in wire.requests)
    assert any(picture(message) for message in first), "pages"
    assert second[: len(first)] == first
    assert third[: len(second)] == second
    added = second[len(first) :]
    assert sum(picture(message) for message in added) == 1, "the tool's picture itself"
    assert any(message["role"] == "tool" for message in added)
