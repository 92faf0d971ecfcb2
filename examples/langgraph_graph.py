"""A graph of LangGraph, a checkpointer and a tool that asks first, which `yes` lets run: `python examples/langgraph_graph.py MODEL`."""

import sys

from langchain.chat_models import init_chat_model
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, interrupt

from optical_memory.adapters.langchain import show


@tool
def cancel_booking(number: str) -> str:
    """Cancel a booking by its number."""
    return f"{number} is cancelled." if interrupt(f"Cancel {number}?") == "yes" else f"{number} stays: the customer said no."


def main(model: str) -> None:
    chat = init_chat_model(model, model_provider="openai").bind_tools([cancel_booking])

    def answer(state: MessagesState) -> dict:
        return {"messages": [chat.invoke(show(state["messages"], model=chat, budget=8_000))]}

    graph = StateGraph(MessagesState).add_node(answer).add_node("tools", ToolNode([cancel_booking]))
    graph.add_edge(START, "answer").add_conditional_edges("answer", tools_condition).add_edge("tools", "answer")
    agent = graph.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "one"}}
    for line in map(str.strip, sys.stdin):
        waiting = agent.get_state(thread).next
        result = agent.invoke(Command(resume=line) if waiting else {"messages": [("user", line)]}, thread)
        asked = result.get("__interrupt__")
        print(asked[0].value if asked else result["messages"][-1].text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
