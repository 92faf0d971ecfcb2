"""An agent of OpenAI's Agents SDK in the terminal. Its session is kept word for word, its past goes as pages.

`OPENAI_API_KEY` and, for another server, `OPENAI_BASE_URL` say where; `python examples/openai_agents_session.py MODEL`.
"""

import asyncio
import sys

from agents import Agent, RunConfig, Runner, function_tool

from optical_memory.adapters.openai_agents import OpticalSession, optical_filter

session = OpticalSession("agents-session")


@function_tool
async def recall(words: str) -> str:
    """Find what was said before, word for word."""
    return "\n".join(f"#{turn.number} {turn.role}: {turn.text}" for turn in await session.memory.arecall(words))


async def main(model: str) -> None:
    agent = Agent("Assistant", instructions="Be brief.", model=model, tools=[recall])
    config = RunConfig(call_model_input_filter=optical_filter(budget=8_000), tracing_disabled=True)
    for line in map(str.strip, sys.stdin):
        result = await Runner.run(agent, line, session=session, run_config=config)
        print(result.final_output, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
