"""Frameworks through the proxy: their clients' base URL is all that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.sampling import mostly_slow
from tests.server.histories import history
from tests.server.rig import Rig, rig

PROMPT = "What was the first value?"


@pytest.fixture(scope="module")
def here() -> Iterator[Rig]:
    with rig() as made:
        yield made


def _messages() -> list[dict[str, Any]]:
    return list(history("chat", 16, last=PROMPT)["messages"])


def _langchain_anthropic(address: str) -> str:
    from langchain_anthropic import ChatAnthropic
    from langchain_core.messages import convert_to_messages

    model = ChatAnthropic(model="claude-opus-4-8", base_url=address, api_key="k", max_tokens=100)
    messages = [{**message, "role": "system"} if message["role"] == "developer" else message for message in _messages()]
    return str(model.invoke(convert_to_messages(messages)).text)


def _langchain_openai(address: str) -> str:
    from langchain_core.messages import convert_to_messages
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-5.4", base_url=address + "/v1", api_key="k")
    return "".join(str(chunk.text) for chunk in model.stream(convert_to_messages(_messages())))


def _litellm(address: str) -> str:
    import litellm

    answer = litellm.completion(model="openai/gpt-5.4", api_base=address + "/v1", api_key="k", messages=_messages())
    return str(answer.choices[0].message.content)


def _openai_agents(address: str) -> str:
    from agents import Agent, OpenAIResponsesModel, Runner, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)

    async def run() -> str:
        async with AsyncOpenAI(base_url=address + "/v1", api_key="k") as client:
            agent = Agent(name="a", model=OpenAIResponsesModel("gpt-5.4", client))
            return str((await Runner.run(agent, history("responses", 16, last=PROMPT)["input"])).final_output)

    return asyncio.run(run())


def _pydantic_ai(address: str) -> str:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    past: list[Any] = []
    for message in _messages()[1:-1]:
        text = str(message["content"])
        past.append(ModelResponse([TextPart(text)]) if message["role"] == "assistant" else ModelRequest([UserPromptPart(text)]))
    agent = Agent(OpenAIChatModel("gpt-5.4", provider=OpenAIProvider(base_url=address + "/v1", api_key="k")))
    return str(agent.run_sync(PROMPT, message_history=past).output)


FRAMEWORKS: list[Callable[[str], str]] = [_langchain_anthropic, _langchain_openai, _litellm, _openai_agents, _pydantic_ai]


@pytest.mark.parametrize(
    "ask", mostly_slow(FRAMEWORKS, quick=[_langchain_anthropic, _pydantic_ai]), ids=lambda ask: ask.__name__.strip("_")
)
def test_frameworks_see_the_same_with_and_without(here: Rig, ask: Callable[[str], str]) -> None:
    direct = ask(here.direct)
    assert not here.last.pages and direct
    assert ask(here.address) == direct
    assert here.last.pages and here.last.status == 200
