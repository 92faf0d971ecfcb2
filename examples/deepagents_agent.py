"""A deep agent whose past becomes pages instead of a summary, in the terminal: `python examples/deepagents_agent.py MODEL`.

`OPENAI_BASE_URL` and `OPENAI_API_KEY` say where. A number after the model begins with so many turns of a real conversation.
"""

import sys

from deepagents import create_deep_agent
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
    # Under this name it takes the place of the summariser, which counts the past as text, in the agent and in its general subagent.
    memory = OpticalMemoryMiddleware(name="SummarizationMiddleware", budget=8_000)
    agent = create_deep_agent(chat, [get_baggage_allowance], middleware=[memory], checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "one"}}
    agent.update_state(thread, {"messages": convert_to_messages(conversation().messages[: int(replayed)])})
    for line in map(str.strip, sys.stdin):
        result = agent.invoke({"messages": [("user", line)]}, thread)
        print(result["messages"][-1].text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
