"""A LangChain agent with a tool, a checkpointer and optical memory, in the terminal.

`OPENAI_BASE_URL` and `OPENAI_API_KEY` say where; `python examples/langchain_agent.py MODEL`, and a number after it begins with so many
turns of a real conversation between customers and an airline's agent.
"""

import sys

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.messages import convert_to_messages
from langgraph.checkpoint.memory import InMemorySaver

from optical_memory.adapters.langchain import OpticalMemoryMiddleware
from optical_memory.demo import conversation


def get_baggage_allowance(cabin: str) -> str:
    """Free checked bags for a cabin: basic_economy, economy or business."""
    return {"basic_economy": "none", "economy": "one", "business": "two"}.get(cabin, "no such cabin")


def main(model: str, replayed: str = "0") -> None:
    chat = init_chat_model(model, model_provider="openai")
    memory = OpticalMemoryMiddleware(budget=8_000)
    agent = create_agent(chat, [get_baggage_allowance], middleware=[memory], checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "one"}}
    agent.update_state(thread, {"messages": convert_to_messages(conversation().messages[: int(replayed)])})
    for line in map(str.strip, sys.stdin):
        result = agent.invoke({"messages": [("user", line)]}, thread)
        print(result["messages"][-1].text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
