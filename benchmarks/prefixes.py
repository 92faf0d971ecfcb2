"""How often a request begins with the whole of the one before, so that a prompt cache hits: `python -m benchmarks.prefixes`.

Four sessions replayed call by call, a context before every turn of the assistant. Pages are drawn by the tests' ruled renderer, some 6,000
characters each: nobody looks at them. Nothing is timed.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.table import Table

from optical_memory import BestUse, ByAge, OpticalMemory
from optical_memory.context.messages.openai_anthropic import to_openai
from optical_memory.demo import conversation
from optical_memory.errors import BudgetTooSmall
from optical_memory.planning.forgetting import Forgetting
from tests.support import RuledRenderer

from ._console import open_console

DATA = Path(__file__).parents[1] / "tests" / "data"
NAMES = ("coding-agent", "office-agent", "assistant-chats")
READERS = ("deepseek-ocr", "claude")
POLICIES: dict[str, Forgetting] = {"by age": ByAge(), "best use": BestUse()}
BUDGETS = (2_000, 4_000, 8_000)
MESSAGES = 400  # of each session
ROWS = 6_000


def sessions() -> list[list[dict[str, Any]]]:
    """The first messages of an airline's agent, a coding agent, an office agent, and chats."""
    found = [list(conversation().messages)]
    for name in NAMES:
        held = json.loads((DATA / f"{name}.json").read_text("utf-8"))
        found.append(held["messages"] if isinstance(held, dict) else held)
    return [messages[:MESSAGES] for messages in found]


def replayed(messages: list[dict[str, Any]], reader: str, policy: Forgetting, budget: int) -> tuple[int, int]:
    """Return how many requests begin with the whole of the one before, of how many. A call that its budget cannot hold is none."""
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=ROWS), reader=reader, forgetting=policy)
    sent: list[list[str]] = []
    for message in messages:
        if message["role"] == "assistant":
            try:
                sent.append([json.dumps(each, sort_keys=True) for each in to_openai(memory.context(budget))])
            except BudgetTooSmall:
                sent.append([])
        memory.append(message)
    pairs = [(before, after) for before, after in pairwise(sent) if before and after]
    return sum(after[: len(before)] == before for before, after in pairs), len(pairs)


def main() -> None:
    """Print the shares."""
    table = Table("reader", "policy", *(f"{budget:,}" for budget in BUDGETS), title=f"Requests that only append, {MESSAGES} messages each")
    given = sessions()
    for reader in READERS:
        for name, policy in POLICIES.items():
            shares = []
            for budget in BUDGETS:
                counts = [replayed(messages, reader, policy, budget) for messages in given]
                kept, calls = (sum(each) for each in zip(*counts, strict=True))
                shares.append(f"{kept / calls:.0%} of {calls}")
            table.add_row(reader, name, *shares)
    open_console().print(table)


if __name__ == "__main__":
    main()
