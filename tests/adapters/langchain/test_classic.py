"""The memory class in LangChain's chains of old, over the wire."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_classic.chains", reason="langchain-classic is not installed")

from langchain_classic.chains import ConversationChain, LLMChain
from langchain_core._api import LangChainDeprecationWarning
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

from optical_memory import OpticalMemory
from optical_memory.adapters.langchain.classic import OpticalConversationMemory
from optical_memory.errors import BudgetTooSmall
from optical_memory.planning.triggers import WaterMarks
from optical_memory.stores import Store
from tests.adapters.wire import Wire
from tests.support import RuledRenderer

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")

PROMPT = ChatPromptTemplate([("system", "You help."), MessagesPlaceholder("history"), ("human", "{input}")])
EXAMPLE = Path(__file__).parents[3] / "examples" / "langchain_chain.py"


def memory_of(store: Store | str = "memory://", **options: Any) -> OpticalConversationMemory:
    given = {"renderer": RuledRenderer(), "reader": "gpt-5", "marks": WaterMarks(high=300, low=60), **options}
    return OpticalConversationMemory("s", store=store, **given)


@pytest.fixture
def model() -> Iterator[tuple[Wire, Any]]:
    openai = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    with Wire(default="Noted. " + "Your booking is confirmed. " * 10) as wire:
        yield wire, openai.ChatOpenAI(model="gpt-5", base_url=wire.openai_url, api_key="none", max_retries=0)


def images(body: dict[str, Any]) -> int:
    return json.dumps(body).count("data:image/png")


def test_a_conversation_chain(model: tuple[Wire, Any], store: Store) -> None:
    wire, chat = model
    memory = memory_of(store)
    chain = ConversationChain(llm=chat, prompt=PROMPT, memory=memory)

    async def talk() -> None:
        for n in range(15):
            assert chain.predict(input=f"question {n} about flights " * 9).startswith("Noted.")
            assert (await chain.ainvoke({"input": f"and {n} about trains " * 9}))["response"].startswith("Noted.")

    asyncio.run(talk())
    said = memory_of(store).chat_memory.messages
    assert [type(message) for message in said] == [HumanMessage, AIMessage] * 30
    assert said[0].content == "question 0 about flights " * 9
    assert images(wire.requests[0].body) == 0 and images(wire.requests[-1].body) >= 1
    last = wire.requests[-1].body["messages"]
    assert last[0] == {"role": "system", "content": "You help."}
    assert last[-1] == {"role": "user", "content": "and 14 about trains " * 9}
    assert last[-2]["content"].startswith("Noted.")
    page = next(block for block in last[1]["content"] if block["type"] == "image_url")
    assert page["image_url"]["detail"] == "high"
    chain.memory.clear()
    assert memory.chat_memory.messages == []
    chain.predict(input="new")
    asyncio.run(memory.aclear())
    assert len(memory.memory) == 0


def test_an_llm_chain_with_several_inputs(model: tuple[Wire, Any]) -> None:
    wire, chat = model
    prompt = ChatPromptTemplate([MessagesPlaceholder("past"), ("human", "{question} {style}")])
    memory = memory_of(memory_key="past", input_key="question")
    chain = LLMChain(llm=chat, prompt=prompt, memory=memory)
    chain.invoke({"question": "why?", "style": "briefly"})
    chain.invoke({"question": "how?", "style": "briefly"})
    assert [message["content"][:5] for message in wire.requests[-1].body["messages"]] == ["why?", "Noted", "how? "]
    forgetful = LLMChain(llm=chat, prompt=prompt, memory=memory_of(memory_key="past"))
    with pytest.raises(ValueError, match="One input key expected"):
        forgetful.invoke({"question": "why?", "style": "briefly"})


def test_the_memory_by_hand() -> None:
    memory = memory_of(memory_key="past")
    assert memory.memory_variables == ["past"]
    assert memory.load_memory_variables({}) == {"past": []}
    memory.save_context({"question": "hi", "past": []}, {"output": "hello"})
    asyncio.run(memory.asave_context({"question": "how are you?"}, {"output": "fine"}))
    said = [HumanMessage("hi"), AIMessage("hello"), HumanMessage("how are you?"), AIMessage("fine")]
    assert memory.load_memory_variables({"question": "and now?"}) == {"past": said}
    assert asyncio.run(memory.aload_memory_variables({})) == {"past": said}
    assert memory.memory.recall("how are you?", limit=1)[0].content == "how are you?"


def test_a_memory_that_is_open_already() -> None:
    opened = OpticalMemory("mine", store="memory://")
    opened.extend([("system", "Be brief."), ("user", "look"), {"role": "assistant", "tool_calls": [{"id": "c1", "name": "f", "args": {}}]}])
    memory = OpticalConversationMemory(opened)
    assert memory.memory is opened
    loaded = memory.load_memory_variables({"input": "never mind"})["history"]
    assert [message.type for message in loaded] == ["system", "human", "ai", "tool"], "a call that nobody answered"
    assert loaded[0].content == SystemMessage("Be brief.").content
    with pytest.raises(TypeError, match="store"):
        OpticalConversationMemory(opened, store="memory://")


def test_pictures_are_never_dropped_without_a_word(model: tuple[Wire, Any]) -> None:
    _, chat = model
    with pytest.raises(ValueError, match=r"pages are pictures.*MessagesPlaceholder\('past'\)"):
        OpticalConversationMemory("s", store="memory://", memory_key="past", return_messages=False)
    of_text = ConversationChain(llm=chat, memory=memory_of())  # its own prompt is plain text
    with pytest.raises(TypeError, match="a prompt of plain text"):
        of_text.predict(input="hi")


def test_the_budget_counts_the_input_too() -> None:
    memory = memory_of(budget=200)
    for n in range(10):
        memory.save_context({"input": f"question {n} about flights"}, {"output": f"answer {n}"})
    memory.load_memory_variables({"input": "short"})
    with pytest.raises(BudgetTooSmall) as raised:
        memory.load_memory_variables({"input": "word " * 300})
    assert raised.value.needed > 300


def test_no_warnings_but_the_chains_own() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", LangChainDeprecationWarning)
        memory = memory_of()
        memory.save_context({"input": "hi"}, {"output": "hello"})
        memory.load_memory_variables({"input": "now"})
        memory.clear()


@pytest.mark.slow
def test_the_example(tmp_path: Path) -> None:
    pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    lines = [f"Line {n}: the parcel QX-77{n:03} of order {n} left Lyon for Hamburg on track {n % 9}. " * 14 for n in range(1, 31)]
    with Wire(default="Noted.") as wire:
        places = {"OPENAI_BASE_URL": wire.openai_url, "OPENAI_API_KEY": "none", "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
        env = {**os.environ, **places, "PYTHONPATH": str(EXAMPLE.parent.parent)}
        command = [sys.executable, str(EXAMPLE), "a-model"]
        done = subprocess.run(command, input="\n".join(lines), env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Noted."] * len(lines)
    last = wire.requests[-1].body
    assert lines[-1].strip() in json.dumps(last) and lines[0].strip() not in json.dumps(last)
    assert images(last), "old turns are pages"


def test_without_any_langchain_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['langchain_core'] = sys.modules['langchain_classic'] = None\n"
    code += "import optical_memory.adapters.langchain.classic"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=EXAMPLE.parents[1])
    assert "MissingExtra" in done.stderr and "optical-memory[langchain-classic]" in done.stderr.splitlines()[-1]
