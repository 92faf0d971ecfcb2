"""LangChain's `create_agent` with optical memory: what goes over the wire, what stays in the state, and what happens when it is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

pytest.importorskip("langchain.agents.middleware", reason="langchain is not installed")

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import Field

from optical_memory.adapters.langchain import OpticalMemoryMiddleware
from optical_memory.adapters.langchain_messages import without_reasoning
from optical_memory.planning import WaterMarks
from tests.histories import histories
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
    from langchain.agents.middleware import ModelRequest

    return ModelRequest(model=model or Scripted(), messages=messages, state={"messages": messages}, **more)


def test_nothing_changes_inside_a_tool_loop() -> None:
    script = [AIMessage("ok " * 60) for _ in range(6)]
    loop = [calling(("look", {"at": n}, f"c{n}a"), ("look", {"at": n + 50}, f"c{n}b")) for n in range(4)]
    model = Scripted(script=[*script, *loop, AIMessage("done")])
    one = agent(model)
    chat(one, 7)
    loop_calls = [wired(sent) for sent in model.sent[6:]]
    assert len(loop_calls) == 5 and appends(loop_calls) == 1.0
    chat(one, 2, first=8)
    assert any(pictures(sent) for sent in model.sent)
    for sent in model.sent:
        assert_paired(sent)


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


def converted(history: list[dict[str, Any]]) -> list[AnyMessage]:
    kinds: dict[str, Callable[[dict[str, Any]], AnyMessage]] = {
        "user": lambda message: HumanMessage(message["content"]),
        "system": lambda message: SystemMessage(message["content"]),
        "tool": lambda message: ToolMessage(message["content"], tool_call_id=message["tool_call_id"]),
        "assistant": lambda message: calling(*(("look", {"at": 1}, call["id"]) for call in message.get("tool_calls", ()))).model_copy(
            update={"content": message["content"]}
        ),
    }
    return [kinds[message["role"]](message) for message in history]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(max_steps=30))
def test_no_request_ever_holds_half_a_tool_call(history: list[dict[str, Any]]) -> None:
    messages, state, middleware, before = converted(history), {}, optical(), None
    for end in range(1, len(messages) + 1, 3):
        sent: list[Any] = []
        request = request_of(messages[:end]).override(state={"messages": messages[:end], **state})
        answer = middleware.wrap_model_call(request, lambda inner, sent=sent: sent.extend(inner.messages) or inner)
        assert_paired([message for message in sent])
        plan = state
        if hasattr(answer, "command"):
            plan = answer.command.update
        if before is not None and plan.get(STATE) == state.get(STATE) and pictures(sent):
            stable = [message for message in before if pictures([message])]
            assert wired(sent)[: len(stable)] == wired(before)[: len(stable)] or before[0].type == "system"
        state, before = plan, sent


def test_a_replay_of_a_real_trajectory_mostly_appends() -> None:
    messages = trajectory()[:200]
    middleware, state, calls = optical(reader="gpt-4o", renderer=RuledRenderer(rows=6_000), marks=None), {}, []
    for end in [place for place, message in enumerate(messages) if message.type == "ai"]:
        request = request_of(messages[:end]).override(state={"messages": messages[:end], **state})
        answer = middleware.wrap_model_call(request, lambda inner: calls.append(inner.messages) or inner)
        state = answer.command.update if hasattr(answer, "command") else state
        assert_paired(calls[-1])
    assert len(calls) > 80 and len(pictures(calls[-1])) >= 2
    assert appends([wired(sent) for sent in calls]) >= 0.8


def trajectory() -> list[AnyMessage]:
    loaded = json.loads(files("optical_memory.data").joinpath("airline-agent.json").read_text("utf-8"))["messages"]
    kinds: dict[str, Callable[[dict[str, Any]], AnyMessage]] = {
        "user": lambda message: HumanMessage(message["content"]),
        "tool": lambda message: ToolMessage(message["content"], tool_call_id=message["tool_call_id"], name=message["name"]),
        "assistant": lambda message: AIMessage(
            message["content"] or "",
            tool_calls=[
                {"name": call["function"]["name"], "args": json.loads(call["function"]["arguments"]), "id": call["id"]}
                for call in message.get("tool_calls") or ()
            ],
        ),
    }
    return [kinds[message["role"]](message) for message in loaded]
