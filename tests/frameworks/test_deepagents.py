"""Deep Agents with optical memory in the place of its summariser: what goes over the wire, and what stays in the state."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deepagents import create_deep_agent
from langchain_core.messages import BaseMessage, HumanMessage, convert_to_messages
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from PIL import Image

from optical_memory.adapters.langchain import OpticalMemoryMiddleware
from optical_memory.adapters.langchain.messages import turn_of_message
from tests.adapters.wire import Call, Request, Wire
from tests.remembered import REMEMBERED

ROOT = Path(__file__).parents[2]
THREAD: Any = {"configurable": {"thread_id": "one"}}
PAST = [
    {"role": ("user", "assistant")[place % 2], "content": f"Line {place}: order QX-77{place:03} left Lyon on track {place % 9}. " * 40}
    for place in range(120)
]


def model(wire: Wire, **profile: Any) -> ChatOpenAI:
    """A model whose window the past does not fit as text."""
    return ChatOpenAI(model="gpt-4o", base_url=wire.openai_url, api_key="none", profile={"max_input_tokens": 30_000, **profile})


def agent(wire: Wire, memory: OpticalMemoryMiddleware, **profile: Any) -> Any:
    made = create_deep_agent(model(wire, **profile), middleware=[memory], checkpointer=InMemorySaver())
    made.update_state(THREAD, {"messages": convert_to_messages(PAST)})
    return made


def pictures(request: Request) -> int:
    return json.dumps(request.body["messages"]).count('"type": "image_url"')


def optical(**options: Any) -> OpticalMemoryMiddleware:
    return OpticalMemoryMiddleware(budget=20_000, renderer=REMEMBERED, **options)


def said(messages: list[BaseMessage]) -> list[tuple[str, Any]]:
    return [(message.type, message.content) for message in messages]


def test_in_the_summarisers_place_pages_are_sent_and_nothing_is_summarised() -> None:
    with Wire(["Hello."]) as wire:
        made = agent(wire, optical(name="SummarizationMiddleware"), image_inputs=True)
        made.invoke({"messages": [("user", "Hi.")]}, THREAD)
        assert len(wire.requests) == 1, "no request for a summary"
        assert pictures(wire.requests[0]) >= 1
        assert {"recall_memory", "zoom", "task"} <= {tool["function"]["name"] for tool in wire.requests[0].body["tools"]}
    state = made.get_state(THREAD).values
    assert said(state["messages"])[:-2] == said(convert_to_messages(PAST))
    assert "_summarization_event" not in state


def test_beside_the_summariser_it_says_what_to_do() -> None:
    with Wire(default="A summary.") as wire:
        made = agent(wire, optical(), image_inputs=True)
        made.invoke({"messages": [("user", "Hi.")]}, THREAD)
        with pytest.warns(RuntimeWarning, match=r"OpticalMemoryMiddleware\(name='SummarizationMiddleware'\)"):
            made.invoke({"messages": [("user", "And now?")]}, THREAD)
        assert "Context Extraction" in json.dumps(wire.requests[0].body), "its summariser came first"


def test_a_subagent_has_its_own_past_alone() -> None:
    work = Call("task", {"description": "Count the bags.", "subagent_type": "general-purpose"})
    with Wire([work, "Two bags.", "Done."]) as wire:
        agent(wire, optical(name="SummarizationMiddleware"), image_inputs=True).invoke({"messages": [("user", "Go.")]}, THREAD)
        own = wire.requests[1].body
    assert pictures(wire.requests[1]) == 0
    assert "QX-77" not in json.dumps(own)
    assert own["messages"][-1]["content"] == "Count the bags."


@pytest.mark.parametrize("inside", [False, True], ids=["results without pictures", "results with pictures"])
def test_a_zoomed_page_is_a_picture_to_the_model(inside: bool) -> None:
    with Wire([Call("zoom", {"page": 60}), "I see it."]) as wire:
        agent(wire, optical(name="SummarizationMiddleware"), image_inputs=True, image_tool_message=inside).invoke(
            {"messages": [HumanMessage("Show me page 60.")]}, THREAD
        )
        first, second = wire.requests
    assert pictures(second) == pictures(first) + 1
    assert "was not attached" not in json.dumps(second.body)
    (result,) = (message for message in second.body["messages"] if message["role"] == "tool" and "page 60" in json.dumps(message).lower())
    assert "base64" not in json.dumps(result), "no picture became text"


def noise() -> str:
    """A picture whose file is larger than any text that Deep Agents leaves in a message, as base64."""
    file = io.BytesIO()
    Image.frombytes("RGB", (400, 400), random.Random(7).randbytes(480_000)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


NOISE = noise()
PICTURES = {
    "standard": {"type": "image", "base64": NOISE, "mime_type": "image/png"},
    "openai": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{NOISE}"}},
    "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": NOISE}},
}


@pytest.mark.parametrize("shape", PICTURES)
def test_a_large_picture_of_a_tool_is_neither_filed_nor_text(shape: str) -> None:
    @tool
    def look() -> list[dict[str, Any]]:
        """Look out of the window."""
        return [{"type": "text", "text": "Seen."}, PICTURES[shape]]

    with Wire([Call("look", {}), "A noise."]) as wire:
        memory = optical(name="SummarizationMiddleware")
        made = create_deep_agent(model(wire, image_inputs=True, image_tool_message=True), tools=[look], middleware=[memory])
        state = made.invoke({"messages": [("user", "Look.")]})
        (result,) = (message for message in wire.requests[-1].body["messages"] if message["role"] == "tool")
    assert [block["type"] for block in result["content"]] == ["text", "image_url"]
    assert not state.get("files")
    (seen,) = (message for message in state["messages"] if message.type == "tool")
    assert len(turn_of_message(seen).images) == 1


def test_of_a_message_that_is_filed_the_picture_stays() -> None:
    said = HumanMessage([{"type": "text", "text": "word " * 90_000}, PICTURES["standard"]])
    with Wire(["A noise."]) as wire:
        create_deep_agent(model(wire, image_inputs=True), middleware=[optical(name="SummarizationMiddleware")]).invoke({"messages": [said]})
        sent = wire.requests[0].body["messages"][-1]["content"]
    assert [block["type"] for block in sent] == ["text", "image_url"]
    assert "saved to the filesystem" in sent[0]["text"] and len(sent[0]["text"]) < 20_000


@pytest.mark.filterwarnings("error:no reader profile")
def test_a_model_without_pictures_gets_text() -> None:
    with Wire([Call("recall_memory", {"query": "QX-77003"}), "On track 3."]) as wire:
        agent(wire, optical(name="SummarizationMiddleware"), image_inputs=False, max_input_tokens=900_000).invoke(
            {"messages": [("user", "Which track had QX-77003?")]}, THREAD
        )
        last = wire.requests[-1]
    assert pictures(last) == 0
    assert "track 3" in json.dumps(last.body["messages"][-1])


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path) -> None:
    with Wire([Call("get_baggage_allowance", {"cabin": "economy"}), "One bag.", "You are welcome."]) as wire:
        env = {**os.environ, "OPENAI_BASE_URL": wire.openai_url, "OPENAI_API_KEY": "none", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(ROOT / "examples" / "deepagents_agent.py"), "gpt-4o", "200"]
        lines = "What bags may I take?\nThank you."
        done = subprocess.run(command, input=lines, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["One bag.", "You are welcome."]
    assert len(wire.requests) == 3
    assert all(pictures(request) >= 3 for request in wire.requests)
