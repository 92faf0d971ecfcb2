"""What an adapter adds to a request whose plan is warm: a long conversation, one new message, nothing to draw.

The turns are those of the demo's conversation, over and over. Pages are drawn by the tests' ruled renderer, before the clock starts.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Callable
from importlib.resources import files
from itertools import cycle, islice
from typing import Any

from agents import Agent as OpenAIAgent
from agents.run_config import CallModelData, ModelInputData
from langchain.agents.middleware import ModelRequest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, convert_to_messages
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.messages import ModelRequest as PydanticRequest
from pydantic_ai.models import ModelRequestContext, ModelRequestParameters
from pydantic_ai.models.test import TestModel
from pydantic_ai.tools import RunContext
from pydantic_ai.usage import RunUsage
from rich.table import Table

from optical_memory.adapters.langchain.middleware import STATE, OpticalMemoryMiddleware
from optical_memory.adapters.litellm import OpticalMemoryHook
from optical_memory.adapters.openai_agents import optical_filter
from optical_memory.adapters.pydantic_ai import OpticalMemoryCapability
from tests.support import RuledRenderer

from ._console import open_console
from ._timing import timed

SIZES = (1_000, 4_000)
CALLS = 30
ALLOWED = 10.0  # milliseconds for a request of 1,000 messages
MODEL = FakeListChatModel(responses=["-"])


def conversation(length: int) -> list[AnyMessage]:
    """So many messages of an agent, the last of them a user's."""
    loaded = json.loads(files("optical_memory.demo").joinpath("airline-agent.json").read_text("utf-8"))["messages"]
    messages: list[Any] = convert_to_messages(islice(cycle(loaded), length - 1))
    return [*messages, HumanMessage("And what about my bags?")]


class Agent:
    """What stands around the middleware in a thread: messages, and the state that goes with them."""

    def __init__(self, messages: list[AnyMessage]) -> None:
        self.middleware = OpticalMemoryMiddleware(reader="gpt-4o", renderer=RuledRenderer(rows=6_000))
        self.messages, self.state = messages, dict[str, Any]()
        self.sent = 0

    def call(self) -> None:
        """One call of the model."""
        state: Any = {"messages": self.messages, **self.state}
        answer: Any = self.middleware.wrap_model_call(ModelRequest(model=MODEL, messages=self.messages, state=state), self._send)
        command = getattr(answer, "command", None)
        self.state = command.update if command else self.state

    def _send(self, request: ModelRequest[Any]) -> Any:
        self.sent = len(request.messages)
        return None

    def grow(self) -> None:
        """The assistant answers and the user goes on; the plan still holds."""
        self.messages = [*self.messages, AIMessage("Yes."), HumanMessage("And then?")]

    def reload(self) -> None:
        """The messages come from a checkpoint: equal ones, but not the same."""
        self.messages = [message.model_copy(update={"content": _copied(message.content)}) for message in self.messages]


def _copied(content: Any) -> Any:
    return "".join(list(content)) if isinstance(content, str) else json.loads(json.dumps(content))


def measure(length: int) -> dict[str, float]:
    """Milliseconds per call, by what happened before it."""
    agent = Agent(conversation(length))
    first = timed(agent.call)
    again = [timed(agent.call) for _ in range(CALLS)]
    grown, reloaded = [], []
    for _ in range(CALLS):
        agent.grow()
        grown.append(timed(agent.call))
    for _ in range(CALLS):
        agent.reload()
        reloaded.append(timed(agent.call))
    pages = sum(item["kind"] == "page" for item in next(iter(agent.state[STATE]["plans"].values()))["plan"]["items"])
    return {
        "the first call (all pages drawn)": first,
        "the same again, median": statistics.median(again),
        "after two messages more, median": statistics.median(grown),
        "after two messages more, slowest": max(grown),
        "from a checkpoint, median": statistics.median(reloaded),
        "pages in the request": pages,
        "messages in the request": agent.sent,
    }


def others(length: int) -> dict[str, float]:
    """Milliseconds per call of the other adapters, median, each call after two messages more. Only words: no tool is called here."""
    said = [(message.type == "ai", str(message.text) or "Let me see.") for message in conversation(length)]
    return {
        name: _grown(list(said), ways) for name, ways in (("LiteLLM", _litellm), ("OpenAI Agents", _agents), ("Pydantic AI", _pydantic))
    }


Said = list[tuple[bool, str]]  # whether the assistant says it, and what


def _grown(said: Said, way: Callable[[], Callable[[Said], Any]]) -> float:
    ask, times = way(), list[float]()
    for _ in range(CALLS + 1):  # the first draws the pages
        request = ask(said)
        times.append(timed(request))
        said += [(True, "Yes."), (False, "And then?")]
    return statistics.median(times[1:])


def _chat(said: Said) -> list[Any]:
    return [{"role": "assistant" if answered else "user", "content": text} for answered, text in said]


def _litellm() -> Callable[[Said], Any]:
    hook = OpticalMemoryHook(reader="gpt-4o", renderer=RuledRenderer(rows=6_000))

    def ask(said: Said) -> Callable[[], Any]:
        data = {"model": "gpt-4o", "messages": _chat(said)}
        return lambda: asyncio.run(hook.async_pre_call_deployment_hook(data, "acompletion"))

    return ask


def _agents() -> Callable[[Said], Any]:
    show: Any = optical_filter(reader="gpt-4o", renderer=RuledRenderer(rows=6_000))
    agent = OpenAIAgent("A", model="gpt-4o")

    def ask(said: Said) -> Callable[[], Any]:
        data = CallModelData(model_data=ModelInputData(input=_chat(said), instructions=None), agent=agent, context=None)
        return lambda: asyncio.run(show(data))

    return ask


def _pydantic() -> Callable[[Said], Any]:
    capability = OpticalMemoryCapability[None](reader="gpt-4o", renderer=RuledRenderer(rows=6_000))
    model = TestModel()
    run: RunContext[None] = RunContext(deps=None, model=model, usage=RunUsage())

    def ask(said: Said) -> Callable[[], Any]:
        messages: list[ModelMessage] = [
            ModelResponse(parts=[TextPart(text)]) if answered else PydanticRequest(parts=[UserPromptPart(text)]) for answered, text in said
        ]
        request = ModelRequestContext(
            model=model, messages=messages, model_settings=None, model_request_parameters=ModelRequestParameters()
        )
        return lambda: asyncio.run(capability.prepare_model_request(run, request))

    return ask


def main() -> None:
    """Print the tables."""
    results = [measure(size) for size in SIZES]
    heads = [f"{size:,} messages" for size in SIZES]
    table = Table("ms", *heads, f"{SIZES[-1]:,} / {SIZES[0]:,}", title="A request through LangChain's middleware, plan warm")
    for row in results[0]:
        values = [result[row] for result in results]
        table.add_row(row, *(f"{value:,.2f}" for value in values), f"{values[-1] / values[0]:.1f}x")
    console = open_console()
    console.print(table)
    share = results[0]["after two messages more, median"] / ALLOWED
    console.print(f"1,000 messages, two of them new: {share:.0%} of the {ALLOWED:.0f} ms allowed")
    table = Table("adapter", f"ms, of {ALLOWED:.0f} allowed", title="1,000 messages, two of them new, event loop and thread included")
    for name, value in others(SIZES[0]).items():
        table.add_row(name, f"{value:,.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
