"""A chain of LangChain with the history of a chat, in the terminal. Its past costs a tenth, and all of it is kept.

`OPENAI_BASE_URL` and `OPENAI_API_KEY` say where; `python examples/langchain_chain.py MODEL [SESSION]`.
"""

import sys

from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_openai import ChatOpenAI

from optical_memory.adapters.langchain.history import as_runnable, chat_histories

PROMPT = ChatPromptTemplate([("system", "You are brief."), MessagesPlaceholder("history"), ("human", "{input}")])


def main(model: str, session: str = "langchain-chain") -> None:
    chain = RunnableWithMessageHistory(
        PROMPT | as_runnable(budget=8_000) | ChatOpenAI(model=model),
        chat_histories(),  # one store for all sessions, in the user's data folder
        input_messages_key="input",
        history_messages_key="history",
    )
    for line in map(str.strip, sys.stdin):
        answer = chain.invoke({"input": line}, {"configurable": {"session_id": session}})
        print(answer.text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
