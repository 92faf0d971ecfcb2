"""An agent of Pydantic AI in the terminal whose past goes as pages. Its messages stay as they were said.

`python examples/pydantic_ai_agent.py openai:gpt-4o`; `OPENAI_BASE_URL` and `OPENAI_API_KEY` say where.
"""

import sys
from datetime import UTC, datetime

from pydantic_ai import Agent

from optical_memory.adapters.pydantic_ai import OpticalMemoryCapability


def now() -> str:
    """The time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="minutes")


def main(model: str) -> None:
    agent = Agent(model, instructions="You help.", tools=[now], capabilities=[OpticalMemoryCapability(budget=20_000)])
    messages = []
    for line in map(str.strip, sys.stdin):
        result = agent.run_sync(line, message_history=messages)
        messages = result.all_messages()
        print(result.output, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
