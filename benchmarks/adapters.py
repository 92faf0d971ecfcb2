"""What an adapter adds to a request whose plan is warm: a long conversation, one new message, nothing to draw.

The turns are those of the demo's conversation, over and over. Pages are drawn by the tests' ruled renderer, before the clock starts.
"""

from __future__ import annotations

import json
import statistics
from importlib.resources import files
from itertools import cycle, islice
from typing import Any

from langchain.agents.middleware import ModelRequest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, convert_to_messages
from rich.table import Table

from optical_memory.adapters.langchain import STATE, OpticalMemoryMiddleware
from tests.support import RuledRenderer

from ._console import open_console
from ._timing import timed

SIZES = (1_000, 4_000)
CALLS = 30
ALLOWED = 10.0  # milliseconds for a request of 1,000 messages
MODEL = FakeListChatModel(responses=["-"])


def conversation(length: int) -> list[AnyMessage]:
    """So many messages of an agent, the last of them a user's."""
    loaded = json.loads(files("optical_memory.data").joinpath("airline-agent.json").read_text("utf-8"))["messages"]
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


def main() -> None:
    """Print the table."""
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


if __name__ == "__main__":
    main()
