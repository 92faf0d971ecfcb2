"""LangChain's `create_agent` with optical memory: what goes over the wire, what stays in the state, and what happens when it is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain.agents.middleware", reason="langchain is not installed")

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelFallbackMiddleware, ModelRequest, ModelRetryMiddleware, PIIMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import Field

from optical_memory.adapters.langchain import OpticalMemoryMiddleware
from optical_memory.adapters.langchain.messages import key_of, turn_of_message, without_reasoning
from optical_memory.errors import StoreUnavailable
from optical_memory.planning.triggers import WaterMarks
from optical_memory.stores.in_memory import MemoryStore
from tests.adapters.wire import Call, Wire
from tests.sampling import mostly_slow
from tests.support import RuledRenderer

STATE = "_optical_memory"
Sent = list[BaseMessage]


class Scripted(BaseChatModel):
    """A chat model that answers from a script, or with how many messages it saw, and keeps what it was sent."""

    script: list[AIMessage] = Field(default_factory=list)
    sent: list[Any] = Field(default_factory=list)
    provider: str = "scripted"
    broken: bool = False

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {"ls_provider": self.provider, "ls_model_name": "gpt-4o", "ls_model_type": "chat"}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        self.sent.append(list(messages))
        if self.broken:
            raise ConnectionError("the test broke this model")
        count = len(self.sent)
        answer = self.script.pop(0) if self.script else AIMessage(f"answer {count}: " + "Your booking QX-77419 is confirmed. " * 5)
        return ChatResult(generations=[ChatGeneration(message=answer.model_copy(update={"id": f"ai-{count}-{id(self)}"}))])


@tool
def look(at: int) -> str:
    """Look at a place."""
    return f"At {at} there is a train to Basel at 10:{at:02}. " * 8


def optical(**options: Any) -> OpticalMemoryMiddleware:
    given = {"reader": "deepseek-ocr", "renderer": RuledRenderer(rows=900), "marks": WaterMarks(high=300, low=60)}
    return OpticalMemoryMiddleware(**{**given, **options})


def agent(model: BaseChatModel, *middleware: Any, saver: Any = None) -> Any:
    return create_agent(
        model, [look], system_prompt="You help.", middleware=list(middleware or [optical()]), checkpointer=saver or InMemorySaver()
    )


def thread(name: str = "t") -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def human(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def calling(*calls: tuple[str, dict[str, Any], str], **more: Any) -> AIMessage:
    return AIMessage(content="", tool_calls=[{"name": name, "args": args, "id": call_id} for name, args, call_id in calls], **more)


def chat(one: Any, turns: int, *, first: int = 1, config: dict[str, Any] | None = None) -> Any:
    for n in range(first, first + turns):
        result = one.invoke(human(f"question {n} about flight QX-77{n:03}. " * 4), config or thread())
    return result


def questions(count: int) -> list[AnyMessage]:
    pairs = ((HumanMessage(f"question {n} about flights " * 20), AIMessage(f"answer {n} about trains " * 20)) for n in range(count))
    return [message for pair in pairs for message in pair]


def blocks(messages: Sequence[BaseMessage]) -> Iterator[dict[str, Any]]:
    for message in messages:
        if isinstance(message.content, list):
            yield from (block for block in message.content if isinstance(block, dict))


def pictures(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    return [block for block in blocks(messages) if block["type"] in ("image", "image_url")]


def wired(messages: Sequence[BaseMessage]) -> list[Any]:
    """What a provider's package makes of messages, near enough to compare calls."""
    return [
        (
            message.type,
            json.dumps(message.content, sort_keys=True),
            getattr(message, "tool_calls", None),
            getattr(message, "tool_call_id", None),
        )
        for message in messages
    ]


def assert_paired(messages: Sequence[BaseMessage]) -> None:
    """Every result follows its call, and every call has its result before anybody else speaks, but for calls at the very end."""
    waiting: list[str] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            assert message.tool_call_id in waiting, "an orphaned tool message"
            waiting.remove(message.tool_call_id)
            continue
        assert not waiting, f"calls without results: {waiting}"
        waiting = [call["id"] for call in message.tool_calls] if isinstance(message, AIMessage) else []


def appends(calls: Sequence[Sequence[Any]]) -> float:
    """The share of calls that only add to what the call before sent."""
    pairs = list(pairwise(calls))
    return sum(list(after[: len(before)]) == list(before) for before, after in pairs) / len(pairs)


# -- what is sent, and what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sync", "async"])
def test_the_past_becomes_pages_and_the_messages_stay(way: str) -> None:
    model = Scripted()
    one = agent(model)

    async def achat() -> Any:
        for n in range(1, 13):
            result = await one.ainvoke(human(f"question {n} about flight QX-77{n:03}. " * 4), thread())
        return result

    result = chat(one, 12) if way == "sync" else asyncio.run(achat())
    last = model.sent[-1]
    assert isinstance(last[0], SystemMessage)
    assert len(pictures(last)) >= 2
    assert last[-1].content.startswith("question 12")
    assert len(last) < 12
    assert STATE not in result
    kept = one.get_state(thread()).values
    assert [message.type for message in kept["messages"]] == ["human", "ai"] * 12
    assert all(isinstance(message.content, str) for message in kept["messages"])
    assert json.loads(json.dumps(kept[STATE])) == kept[STATE]
    assert "iVBOR" not in json.dumps(kept[STATE]) and len(json.dumps(kept[STATE])) < 10_000
    assert appends([wired(sent) for sent in model.sent]) > 0.5


def test_kept_messages_are_the_same_objects_with_all_they_hold() -> None:
    seen: list[Any] = []
    middleware = optical()
    middleware.wrap_model_call(
        request_of([HumanMessage("hi", id="h", additional_kwargs={"mine": 1})]), lambda request: seen.append(request)
    )
    messages = [HumanMessage("hi", id="h", additional_kwargs={"mine": 1})]
    request = request_of(messages)
    middleware.wrap_model_call(request, lambda inner: seen.append(inner))  # type: ignore[arg-type,return-value]
    assert seen[-1].messages[0] is messages[0]
    assert request.messages is messages


def request_of(messages: list[Any], model: BaseChatModel | None = None, **more: Any) -> Any:
    return ModelRequest(model=model or Scripted(), messages=messages, state={"messages": messages}, **more)


THINKING = [{"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "text", "text": "I thought about it. " * 12}]


def test_bound_reasoning_goes_where_the_prompt_before_it_changed_and_only_there() -> None:
    model = Scripted(script=[AIMessage(list(THINKING)) for _ in range(20)])
    one = agent(model)
    chat(one, 12)
    seen = [(sum(block["type"] == "thinking" for block in blocks(sent)), pictures(sent)) for sent in model.sent]
    assert seen[-1][1]
    for (before, pages_before), (after, pages_after) in pairwise(seen):
        assert after == (before + 1 if pages_before == pages_after else 0)
    kept = one.get_state(thread()).values["messages"]
    assert all(message.content == THINKING for message in kept if message.type == "ai")


def test_an_answer_of_openai_loses_what_ties_it_to_its_reasoning() -> None:
    content = [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "text", "text": "yes", "id": "msg_1", "annotations": []},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}"},
    ]
    message = AIMessage(content=content, tool_calls=[{"name": "look", "args": {}, "id": "c"}])
    bare = without_reasoning(message)
    assert [block["type"] for block in bare.content] == ["text", "function_call"]
    assert not any("id" in block for block in bare.content)
    assert message.content == content
    assert without_reasoning(AIMessage([THINKING[0]])).content == "(empty)"


# -- checkpoints --------------------------------------------------------------------------------------------------------------------------


def test_a_sqlite_checkpoint_brings_the_same_request_back(tmp_path: Any) -> None:
    sqlite = pytest.importorskip("langgraph.checkpoint.sqlite", reason="langgraph-checkpoint-sqlite is not installed")
    model, again = Scripted(), Scripted()
    path = str(tmp_path / "threads.db")
    with sqlite.SqliteSaver.from_conn_string(path) as saver:
        chat(agent(model, saver=saver), 12)
    with sqlite.SqliteSaver.from_conn_string(path) as saver:
        chat(agent(again, saver=saver), 1, first=13)
    before, after = wired(model.sent[-1]), wired(again.sent[-1])
    assert after[: len(before)] == before, "another process, with no page at hand, goes on where the first stopped"


def test_time_travel_and_a_fork_are_answered_from_their_own_past() -> None:
    model = Scripted()
    one = agent(model)
    chat(one, 12)
    past = next(state for state in one.get_state_history(thread()) if len(state.values.get("messages", ())) == 10)
    one.invoke(human("a fork about QX-00000"), past.config)
    fork = model.sent[-1]
    assert fork[-1].content == "a fork about QX-00000"
    assert "question 6" not in json.dumps([message.content for message in fork])
    assert pages_and_texts_cover(fork, 11)


def pages_and_texts_cover(sent: Sent, length: int) -> bool:
    """Whether the labels of the pages and the messages beside them make up a conversation of `length`."""
    labels = [block["text"] for block in blocks(sent) if block["type"] == "text" and block["text"].startswith("[p")]
    on_pages = max((int(label.split("]")[0].split("-")[1].split(" ")[0]) for label in labels), default=0)
    texts = [message for message in sent if message.type != "system" and not pictures([message])]
    return on_pages + len(texts) == length


def page_keys(one: Any) -> set[str]:
    [entry] = one.get_state(thread()).values[STATE]["plans"].values()
    return {item["key"] for item in entry["plan"]["items"] if item["kind"] == "page"}


def test_edits_and_removals_are_seen() -> None:
    model = Scripted()
    one = agent(model)
    chat(one, 12)
    messages = one.get_state(thread()).values["messages"]
    keys = page_keys(one)
    one.update_state(thread(), {"messages": [HumanMessage("EDITED " * 20, id=messages[0].id), RemoveMessage(id=messages[2].id)]})
    chat(one, 1, first=13)
    assert pages_and_texts_cover(model.sent[-1], 24)
    assert page_keys(one).isdisjoint(keys)
    one.update_state(thread(), {"messages": [RemoveMessage(id="__remove_all__")]})
    chat(one, 1, first=14)
    assert [message.type for message in model.sent[-1]] == ["system", "human"]


# -- beside other middleware ------------------------------------------------------------------------------------------------------------


def test_fallback_retry_and_pii_stand_before() -> None:
    broken, blind = Scripted(broken=True), Scripted(profile={"image_inputs": False})
    chain = [
        ModelFallbackMiddleware(blind),
        ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False),
        PIIMiddleware("email", strategy="redact"),
        optical(),
    ]
    one = agent(Scripted(), optical())
    chat(one, 12)
    past = one.get_state(thread()).values
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        two = agent(broken, *chain[:1], *chain[2:])
        two.invoke({"messages": [*past["messages"], HumanMessage("I am ada@example.com, what now?")]}, thread())
        three = agent(Scripted(), *chain[1:])
        three.invoke({"messages": past["messages"]}, thread("retry"))
    assert pictures(broken.sent[-1]) and not pictures(blind.sent[-1]), "a model without eyes gets text"
    assert len(blind.sent[-1]) == 26
    assert "ada@example.com" not in json.dumps([message.content for message in [*broken.sent[-1], *blind.sent[-1]]])


def test_a_fallback_in_the_wrong_place_is_warned_of() -> None:
    broken, spare = Scripted(broken=True), Scripted()
    with pytest.warns(RuntimeWarning, match="Put fallback and routing before"):
        chat(agent(broken, optical(), ModelFallbackMiddleware(spare)), 1)


def test_prompt_caching_stands_after() -> None:
    anthropic = pytest.importorskip("langchain_anthropic", reason="langchain-anthropic is not installed")
    from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware

    past = questions(60)
    with Wire() as wire:
        model = anthropic.ChatAnthropic(model="claude-sonnet-4-5", base_url=wire.url, api_key="none", max_retries=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            one = agent(model, optical(reader=None, renderer=RuledRenderer(rows=6_000)), AnthropicPromptCachingMiddleware())
            one.invoke({"messages": [*past, HumanMessage("and now?")]}, thread())
        with pytest.warns(RuntimeWarning, match="belongs after"):
            wrong = agent(model, AnthropicPromptCachingMiddleware(), optical(reader=None))
            wrong.invoke(human("hi"), thread())
    sent = wire.requests[0].body
    parts = [part for message in sent["messages"] if isinstance(message["content"], list) for part in message["content"]]
    images = [part for part in parts if part["type"] == "image"]
    assert len(images) >= 2 and images[0]["source"]["media_type"] == "image/png"
    assert [("cache_control" in image) for image in images] == [False] * (len(images) - 1) + [True]
    assert wire.requests[0].raw.count(b'"cache_control"') <= 4, "the provider allows four"


# -- dialects on the wire ------------------------------------------------------------------------------------------------------------------


WAYS = ["chat, sync", "chat, async", "responses, sync", "responses, async"]


@pytest.mark.parametrize("way", mostly_slow(WAYS, quick=["chat, sync", "responses, async"]))
def test_openai_is_sent_pictures_with_their_detail_and_a_prefix_that_stays(way: str) -> None:
    responses, asynchronous = way.startswith("responses"), way.endswith(" async")
    openai = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    with Wire([*["a long answer about flights " * 12] * 9, [Call("look", {"at": 1}), Call("look", {"at": 2})]]) as wire:
        model = openai.ChatOpenAI(model="gpt-4o", base_url=wire.openai_url, api_key="none", use_responses_api=responses, max_retries=0)
        one = agent(model, optical(reader=None, detail="low", marks=WaterMarks(high=900, low=200), renderer=RuledRenderer(rows=5_000)))

        async def achat() -> None:
            for n in range(1, 31):
                await one.ainvoke(human(f"question {n} about QX-77{n:03} " * 20), thread())
            await model.root_async_client.close()

        asyncio.run(achat()) if asynchronous else [
            one.invoke(human(f"question {n} about QX-77{n:03} " * 20), thread()) for n in range(1, 31)
        ]
    bodies = [request.body["input" if responses else "messages"] for request in wire.requests]
    parts = [part for item in bodies[-1] if isinstance(item.get("content"), list) for part in item["content"]]
    if responses:
        images = [part for part in parts if part["type"] == "input_image"]
        assert images and all(image["detail"] == "low" and image["image_url"].startswith("data:image/png;base64,") for image in images)
    else:
        images = [part for part in parts if part["type"] == "image_url"]
        assert images and all(set(image["image_url"]) == {"url", "detail"} and image["image_url"]["detail"] == "low" for image in images)
    assert not any("id" in part for part in parts if part["type"] in ("text", "input_text"))
    assert appends(bodies) >= 0.7


def test_others_get_the_standard_block_and_the_dialect_can_be_forced() -> None:
    for provider, forced, expected in [
        ("google_genai", None, {"type", "base64", "mime_type"}),
        ("azure", None, {"type", "image_url"}),
        ("scripted", "anthropic", {"type", "source"}),
    ]:
        model = Scripted(provider=provider)
        agent(model, optical(dialect=forced)).invoke({"messages": [*questions(8), HumanMessage("now?")]}, thread())
        assert set(pictures(model.sent[-1])[0]) == expected


# -- the agent's tools ---------------------------------------------------------------------------------------------------------------------


def test_recall_gives_words_back_by_number_and_by_search() -> None:
    model = Scripted()
    one = agent(model)
    chat(one, 12)
    model.script = [
        calling(("recall_memory", {"numbers": [3, 99]}, "r0"), ("recall_memory", {"numbers": [3]}, "r1")),
        calling(("recall_memory", {"query": "QX-77005"}, "r2"), ("recall_memory", {}, "r3"), ("recall_memory", {"query": "zzz"}, "r4")),
        AIMessage("done"),
    ]
    result = chat(one, 1, first=13)
    said = {message.tool_call_id: message.content for message in result["messages"] if message.type == "tool"}
    assert said["r0"].startswith("no turn #99")
    assert said["r1"].startswith("#3 user:\nquestion 2 about flight QX-77002")
    assert said["r2"].startswith("#9 user:\nquestion 5")
    assert "numbers" in said["r3"] and "No earlier turn" in said["r4"]
    for sent in model.sent:
        assert_paired(sent)


@pytest.mark.parametrize(
    ("provider", "profile", "place"),
    [
        ("anthropic", None, "inside"),
        ("openai", None, "after"),
        ("google_genai", {"image_tool_message": False}, "after"),
        ("mistral", None, "after"),
        ("groq", None, "after"),
        ("anthropic", {"image_inputs": False}, "words"),
    ],
)
def test_zoom_shows_the_sealed_picture_and_keeps_it_out_of_the_state(provider: str, profile: Any, place: str) -> None:
    model = Scripted(provider=provider)
    renderer = RuledRenderer(rows=900)
    saver = InMemorySaver()
    chat(agent(model, optical(renderer=renderer), saver=saver), 12)
    looking = Scripted(provider=provider, profile=profile)
    looking.script = [calling(("zoom", {"page": 1}, "z1"), ("zoom", {"page": 70}, "z2")), AIMessage("I see " * 4)]
    one = agent(looking, optical(renderer=renderer), saver=saver)
    result = chat(one, 1, first=13)
    sent = looking.sent[-1]
    answer = next(message for message in sent if getattr(message, "tool_call_id", None) == "z1")
    missing = next(message for message in sent if getattr(message, "tool_call_id", None) == "z2")
    assert missing.content.startswith("There is no page 70. The pages are ")
    if place == "inside":
        assert [block["type"] for block in answer.content] == ["text", "image"]
    elif place == "after":
        assert isinstance(answer.content, str)
        assert sent[-1].type == "human" and len(pictures(sent[-1:])) == 1
    else:
        assert "#1 user:\nquestion 1" in answer.content and not pictures(sent)
    for message in result["messages"]:
        assert isinstance(message.content, str), "no picture is kept"
    assert_paired(sent)
    looking.script = []
    chat(one, 1, first=14)
    assert wired(looking.sent[-1])[: len(sent)] == wired(sent), "the picture stays where it was"


def test_tools_can_be_left_out() -> None:
    assert not optical(offer_tools=False).tools
    assert [offered.name for offered in optical().tools] == ["recall_memory", "zoom"]
    for offered in optical().tools:
        assert "runtime" not in offered.tool_call_schema.model_json_schema()["properties"]


# -- when it goes wrong --------------------------------------------------------------------------------------------------------------------


def test_without_pages_the_conversation_goes_on_as_text() -> None:
    class Lost(MemoryStore):
        def get(self, *args: Any, **kwargs: Any) -> Any:
            raise StoreUnavailable("the test lost the store")

    model = Scripted()
    with pytest.warns(RuntimeWarning, match="sent as text: the test lost the store"):
        chat(agent(model, optical(cache=Lost())), 12)
    assert len(model.sent[-1]) == 24 and not pictures(model.sent[-1])


def test_a_budget_is_held() -> None:
    model = Scripted()
    one = agent(model, optical(budget=900))
    chat(one, 20)
    [entry] = one.get_state(thread()).values[STATE]["plans"].values()
    assert entry["plan"]["budget"] == 900 and 0 < entry["plan"]["prefix_tokens"] < 900
    assert pictures(model.sent[-1]) and len(model.sent[-1]) < 12


def test_a_conversation_that_the_provider_keeps_is_left_alone() -> None:
    class Keeping(Scripted):
        use_previous_response_id: bool = True

    model = Keeping()
    with pytest.warns(RuntimeWarning, match="use_previous_response_id"):
        chat(agent(model), 8)
    assert len(model.sent[-1]) == 16


# -- messages as turns --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "role", "text", "images"),
    [
        (HumanMessage([{"type": "image", "base64": "aGk=", "mime_type": "image/png"}, {"type": "text", "text": "a"}]), "user", "a", 1),
        (HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]), "user", "", 1),
        (HumanMessage([{"type": "image", "source_type": "base64", "data": "aGk=", "mime_type": "image/png"}]), "user", "", 1),
        (HumanMessage([{"type": "image", "url": "https://example.com/a.png"}]), "user", "", 1),
        (HumanMessage([{"type": "image", "file_id": "file-1"}, {"type": "audio", "base64": "aGk="}]), "user", "[image]\n[audio]", 0),
        (HumanMessage([{"type": "image", "base64": "not base64!"}]), "user", "[image]", 0),
        (AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "refusal", "refusal": "no"}]), "assistant", "hm\nno", 0),
        (AIMessage([{"type": "tool_use", "id": "c", "name": "look", "input": {}}]), "assistant", "", 0),
        (calling(("look", {"at": 1}, "c")), "assistant", 'look({"at": 1})', 0),
        (AIMessage("", invalid_tool_calls=[{"name": "look", "args": "{at", "id": "c", "error": "no"}]), "assistant", "look({at)", 0),
        (ToolMessage([{"type": "text", "text": "x"}], tool_call_id="c", name="look"), "tool", "x", 0),
        (ToolMessage("x", tool_call_id=""), "tool", "x", 0),
        (SystemMessage("be brief"), "system", "be brief", 0),
    ],
)
def test_every_message_is_a_turn(message: BaseMessage, role: str, text: str, images: int) -> None:
    turn = turn_of_message(message)
    assert (turn.role, turn.text, len(turn.images)) == (role, text, images)
    hash(key_of(message))


def test_equal_keys_mean_equal_turns() -> None:
    different = [calling(("look", {"at": value}, "c")) for value in (1, True, 1.0, "1", [1], None)] + [
        AIMessage(""),
        HumanMessage(""),
        AIMessage("", name="a"),
        ToolMessage("", tool_call_id="a"),
        ToolMessage("", tool_call_id="b"),
    ]
    assert len({key_of(message) for message in different}) == len(different)
    assert key_of(calling(("look", {"at": 1}, "c"), id="x")) == key_of(calling(("look", {"at": 1}, "c"), id="y"))


# -- the example ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_example_runs_on_a_real_trajectory(tmp_path: Path) -> None:
    pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    root = Path(__file__).parents[3]
    lines = ["What bags may I take?", "Thank you.", "Which flight was it?"]
    with Wire([Call("get_baggage_allowance", {"cabin": "economy"}), "One bag.", "You are welcome."]) as wire:
        env = {**os.environ, "OPENAI_BASE_URL": wire.openai_url, "OPENAI_API_KEY": "none", "HOME": str(tmp_path), "PYTHONPATH": str(root)}
        command = [sys.executable, str(root / "examples" / "langchain_agent.py"), "gpt-4o", "200"]
        done = subprocess.run(command, input="\n".join(lines), env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["One bag.", "You are welcome.", "Noted."]
    sent = [request.body["messages"] for request in wire.requests]
    assert len(sent) == 4 and appends(sent) == 1.0
    assert {tool["function"]["name"] for tool in wire.requests[0].body["tools"]} == {"get_baggage_allowance", "recall_memory", "zoom"}
    images = [
        part for message in sent[-1] if isinstance(message["content"], list) for part in message["content"] if part["type"] == "image_url"
    ]
    assert len(images) >= 3 and len(sent[-1]) < 100
    assert any(message["role"] == "tool" and message["content"] == "one" for message in sent[1])


@pytest.mark.parametrize("kept", [{"conversation": "conv_1"}, {"previous_response_id": "resp_1"}], ids=["conversation", "response"])
@pytest.mark.parametrize("where", ["model", "call"])
def test_a_conversation_that_openai_keeps_gets_no_pages(kept: dict[str, str], where: str) -> None:
    """Pages would be stored there in the place of what was said."""
    from langchain_openai import ChatOpenAI

    class Keeps(AgentMiddleware[Any, Any, Any]):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            return handler(request.override(model_settings=kept if where == "call" else {}))

    with Wire() as wire:
        options: Any = {"model_kwargs": kept} if where == "model" else {}
        model = ChatOpenAI(model="gpt-4o", base_url=wire.openai_url, api_key="none", use_responses_api=True, **options)
        messages = [{"role": ("user", "assistant")[n % 2], "content": f"turn {n} is about QX-77{n:03}. " * 6} for n in range(61)]
        with pytest.warns(RuntimeWarning, match="the provider keeps this conversation itself"):
            create_agent(model, middleware=[Keeps(), optical()]).invoke({"messages": messages})
        (request,) = wire.requests
    assert {name: request.body[name] for name in kept} == kept
    assert len(request.body["input"]) == 61
    assert "input_image" not in request.raw.decode()
