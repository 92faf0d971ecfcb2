"""`show` before a model in LangGraph's graphs, chains and plain loops: what is sent, and what the graph keeps."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
pytest.importorskip("langgraph", reason="langgraph is not installed")

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from optical_memory import OpticalMemory
from optical_memory.adapters.langchain import as_runnable, ashow, show
from optical_memory.errors import BudgetTooSmall
from tests.adapters.wire import Call, Wire
from tests.support import RuledRenderer

RENDERER = RuledRenderer(rows=9_000)
BUDGET = 9_000
EXAMPLE = Path(__file__).parents[3] / "examples" / "langgraph_graph.py"


def past(pairs: int = 60) -> list[BaseMessage]:
    said = ((HumanMessage(f"question {n} about QX-77{n:03} " * 50), AIMessage(f"answer {n} about trains " * 50)) for n in range(pairs))
    return [message for pair in said for message in pair]


def pictures(messages: Any) -> int:
    contents = (message["content"] if isinstance(message, dict) else message.content for message in messages)
    return sum(block["type"] == "image_url" for content in contents if isinstance(content, list) for block in content)


def chat(wire: Wire, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-5.4", base_url=wire.openai_url, api_key="none", max_retries=0, **options)  # type: ignore[arg-type]


def test_a_graph_sends_pages_and_keeps_its_messages() -> None:
    with Wire() as wire:
        model = chat(wire).bind_tools([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}])

        def answer(state: MessagesState) -> dict[str, Any]:
            return {"messages": [model.invoke(show(state["messages"], model=model, budget=BUDGET, renderer=RENDERER))]}

        graph = StateGraph(MessagesState)
        graph.add_node("answer", answer)
        graph.add_edge(START, "answer")
        compiled: Any = graph.compile(checkpointer=InMemorySaver())
        thread: Any = {"configurable": {"thread_id": "t"}}
        compiled.invoke({"messages": past()}, thread)
        for n in range(3):
            state = compiled.invoke({"messages": [HumanMessage(f"and {n}?")]}, thread)
    bodies = [request.body["messages"] for request in wire.requests]
    assert all(pictures(body) for body in bodies)
    assert all(len(body) < 60 for body in bodies)
    assert [message.text for message in state["messages"][:120]] == [message.text for message in past()]
    for before, after in pairwise(bodies):
        assert after[: len(before)] == before, "the prompt only grows between re-plans"


def test_before_a_model_in_a_chain_and_in_an_async_loop() -> None:
    given = [SystemMessage("You help."), *past(), HumanMessage("now")]
    prompt = ChatPromptTemplate.from_messages([("system", "You help."), MessagesPlaceholder("history"), ("user", "now")])
    with Wire() as wire:
        model = chat(wire)
        options: dict[str, Any] = {"model": model, "budget": BUDGET, "renderer": RENDERER}
        direct = show(given, **options)
        (show(**options) | model).invoke(given)
        asyncio.run((prompt | show(**options) | model).ainvoke({"history": past()}))
        assert asyncio.run(ashow(given, **options)) == direct
    first, second = (request.body["messages"] for request in wire.requests)
    assert first == second and pictures(first) == pictures(direct) > 0
    assert first[0]["role"] == "system" and direct[0] is given[0] and direct[-1] is given[-1]


def test_messages_in_any_form_and_models_by_name() -> None:
    plain = [("user" if n % 2 else "assistant", f"turn {n} " * 100) for n in range(1, 62)]
    assert pictures(show(plain, model="openai:gpt-5.4", budget=BUDGET // 2, renderer=RENDERER))
    shown = show(plain, model="anthropic:claude-sonnet-4-5", budget=BUDGET // 2, renderer=RENDERER)
    assert any(block["type"] == "image" and "source" in block for message in shown for block in message.content if isinstance(block, dict))


def test_what_is_no_model_or_does_not_fit_raises() -> None:
    with pytest.raises(TypeError, match="no chat model"):
        show(past(), model=object())
    with pytest.raises(BudgetTooSmall):
        show([HumanMessage("words " * 5_000)], model="openai:gpt-5.4", budget=500)


def test_the_runnable_of_an_empty_log_says_what_to_use_for_a_graphs_messages() -> None:
    memory = OpticalMemory("a", store="memory://", reader="gpt-5.4", renderer=RENDERER)
    with pytest.raises(BudgetTooSmall) as raised:
        as_runnable(memory, budget=BUDGET).invoke(past())
    assert "show(messages" in raised.value.__notes__[0]
    assert as_runnable(memory, budget=BUDGET).invoke("hello")[-1].text == "hello"


def test_a_model_that_sees_nothing_gets_text_within_the_budget() -> None:
    with Wire() as wire:
        blind = chat(wire, profile={"image_inputs": False})
        shown = show(past(), model=blind, budget=BUDGET, renderer=RENDERER)
    assert not pictures(shown) and len(shown) < 120 and shown[-1].text == past()[-1].text


@pytest.mark.slow
def test_the_example() -> None:
    lines = [f"Line {n}: the parcel QX-77{n:03} of order {n} left Lyon for Hamburg on track {n % 9}. " * 14 for n in range(1, 26)]
    script: list[Any] = [
        *["Noted."] * 25,
        Call("cancel_booking", {"number": "QX-77003"}),
        "Done.",
        Call("cancel_booking", {"number": "QX-77004"}),
        "Kept.",
    ]
    with Wire(script) as wire:
        env = {**os.environ, "OPENAI_BASE_URL": wire.openai_url, "OPENAI_API_KEY": "none", "PYTHONPATH": str(EXAMPLE.parent.parent)}
        done = subprocess.run(
            [sys.executable, str(EXAMPLE), "gpt-5.4"],
            input="\n".join([*lines, "Cancel QX-77003", "yes", "Cancel QX-77004", "no"]),
            env=env, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[25:29] == ["Cancel QX-77003?", "Done.", "Cancel QX-77004?", "Kept."]
    sent = json.dumps(wire.requests[-1].body)
    assert "data:image/png" in sent and lines[0].strip() not in sent
    assert "QX-77003 is cancelled." in sent and "QX-77004 stays" in sent
