"""ChatGoogleGenerativeAI with pages and `zoom`: pictures go over the wire as pictures, and LangChain's own cache of answers hits."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage, convert_to_messages
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI

from optical_memory.adapters.langchain import OpticalMemoryMiddleware, show
from tests.adapters.wire import Call, Request, Wire
from tests.remembered import REMEMBERED

PAST = [
    {"role": ("user", "assistant")[place % 2], "content": f"Line {place}: order QX-77{place:03} left Lyon on track {place % 9}. " * 40}
    for place in range(120)
]
RED = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/q842iQAAAABJRU5ErkJggg=="
SHOT = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{RED}"}}


def gemini(wire: Wire, **options: Any) -> ChatGoogleGenerativeAI:
    return ChatGoogleGenerativeAI(model="gemini-2.5-flash", google_api_key="none", base_url=wire.url, **options)


def pictures(request: Request) -> int:
    return json.dumps(request.body).count('"inlineData"')


def base64_as_text(request: Request) -> bool:
    parts = [part for content in request.body["contents"] for part in content["parts"]]
    return any(
        "iVBOR" in json.dumps({key: value for key, value in part.items() if "inlineData" not in json.dumps(value)})
        for part in parts
        if "inlineData" not in part
    )


def test_a_zoomed_page_is_a_picture() -> None:
    numbers: list[int] = []

    def look_closer(request: Request) -> Call:
        text = json.dumps(request.body)
        numbers.append(int(re.findall(r"\[p(\d+) #", text)[0]))
        return Call("zoom", {"page": numbers[0]})

    with Wire([look_closer, "I see it."]) as wire:
        agent = create_agent(gemini(wire), middleware=[OpticalMemoryMiddleware(budget=20_000, renderer=REMEMBERED)])
        agent.invoke({"messages": [*convert_to_messages(PAST), HumanMessage("Look.")]})
        first, second = wire.requests
    assert pictures(first) >= 3
    assert pictures(second) == pictures(first) + 1
    assert not base64_as_text(first)
    assert not base64_as_text(second)


def conversation(*, marked: dict[str, Any]) -> list[BaseMessage]:
    asked = AIMessage("", tool_calls=[{"id": "c1", "name": "shot", "args": {}}])
    result = ToolMessage([{"type": "text", "text": "A red screen."}, {**SHOT, **marked}], tool_call_id="c1")
    return [*convert_to_messages(PAST), HumanMessage("Take a picture."), asked, result]


@pytest.mark.parametrize("marked", [{}, {"id": "lc_1"}, {"cache_control": {"type": "ephemeral"}}], ids=["plain", "id", "cache marker"])
def test_pages_stand_beside_a_tool_s_picture_whatever_it_is_marked_with(marked: dict[str, Any]) -> None:
    messages = conversation(marked=marked)
    with Wire() as wire:
        model = gemini(wire)
        model.invoke(show(messages, model=model, budget=20_000, renderer=REMEMBERED))
        (request,) = wire.requests
    assert pictures(request) >= 4, "the pages, and the tool's picture"
    assert not base64_as_text(request)


@pytest.mark.parametrize("make", ["google", "openai"])
def test_langchain_s_cache_of_answers_hits(make: str) -> None:
    with Wire(default="Noted.") as wire:
        cache = InMemoryCache()
        model: BaseChatModel = (
            gemini(wire, cache=cache)
            if make == "google"
            else ChatOpenAI(model="gpt-4o", base_url=wire.openai_url, api_key="none", cache=cache)
        )
        for _ in range(3):
            sent = show(convert_to_messages([*PAST, {"role": "user", "content": "Hi."}]), model=model, budget=20_000, renderer=REMEMBERED)
            assert model.invoke(sent).text == "Noted."
        assert len(wire.requests) == 1
        assert "iVBOR" in wire.requests[0].raw.decode(), "with pages"
