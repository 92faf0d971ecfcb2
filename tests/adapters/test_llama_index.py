"""LlamaIndex's `Memory` with a block of optical memory: what its chat models are sent, and what the log keeps."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llama_index.core.memory", reason="llama-index-core is not installed")

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ImageBlock,
    LLMMetadata,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.memory import Memory
from pydantic import Field

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.adapters.llama_index import OpticalMemoryBlock
from tests.adapters.wire import Wire
from tests.support import RuledRenderer

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "llama_index_memory.py"
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def words(text: str) -> list[str]:
    """A tokenizer that needs no download."""
    return text.split()


def block(renderer: RuledRenderer | None = None, **options: Any) -> OpticalMemoryBlock:
    past = OpticalMemory("s", store="memory://", renderer=renderer or RuledRenderer(rows=900), marks=WaterMarks(high=300, low=60))
    return OpticalMemoryBlock(memory=past, **options)


def memory_of(*blocks: Any, limit: int = 150, **options: Any) -> Memory:
    return Memory.from_defaults("s", token_limit=limit, tokenizer_fn=words, memory_blocks=list(blocks), **options)


class Scripted(FunctionCallingLLM):
    """A chat model that answers from a script, or with how often it was asked, and keeps what it was sent."""

    script: list[ChatMessage] = Field(default_factory=list)
    sent: list[list[ChatMessage]] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True)

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        self.sent.append([message.model_copy(deep=True) for message in messages])
        words = f"answer {len(self.sent)}: " + "Your booking QX-77419 is confirmed. " * 5
        return ChatResponse(message=self.script.pop(0) if self.script else ChatMessage(words, role="assistant"))

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self.chat(messages)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        response = self.chat(messages)
        response.delta = response.message.content
        return iter([response])

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        async def stream() -> Any:
            yield self.chat(messages)

        return stream()

    def complete(self, *args: Any, **kwargs: Any) -> CompletionResponse:
        raise NotImplementedError

    acomplete = stream_complete = astream_complete = complete  # type: ignore[assignment]

    def _prepare_chat_with_tools(self, tools: Any, user_msg: Any = None, chat_history: Any = None, **kwargs: Any) -> dict[str, Any]:
        return {"messages": [*(chat_history or []), *([user_msg] if user_msg else [])]}

    def get_tool_calls_from_response(self, response: ChatResponse, *args: Any, **kwargs: Any) -> list[ToolSelection]:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return [ToolSelection(tool_id=c.tool_call_id, tool_name=c.tool_name, tool_kwargs=c.tool_kwargs) for c in calls]


def question(n: int) -> str:
    return f"question {n} about flight QX-77{n:03}. " * 4


def pictures(messages: Sequence[ChatMessage]) -> list[ImageBlock]:
    return [block for message in messages for block in message.blocks if isinstance(block, ImageBlock)]


def wired(messages: Sequence[ChatMessage]) -> list[Any]:
    """What a provider's package reads of messages."""
    return [
        (m.role.value, [b.model_dump_json() for b in m.blocks], {k: v for k, v in m.additional_kwargs.items() if k != "session_id"})
        for m in messages
    ]


def appends(calls: Sequence[Sequence[Any]]) -> float:
    """The share of calls that only add to what the call before sent."""
    pairs = list(pairwise(calls))
    return sum(list(after[: len(before)]) == list(before) for before, after in pairs) / len(pairs)


def assert_paired(messages: Sequence[ChatMessage]) -> None:
    """Every result follows its call, and every call has its result before anybody else speaks, but for calls at the very end."""
    waiting: list[str] = []
    for message in messages:
        if message.role == MessageRole.TOOL:
            assert message.additional_kwargs["tool_call_id"] in waiting, "an orphaned tool message"
            waiting.remove(message.additional_kwargs["tool_call_id"])
            continue
        assert not waiting, f"calls without results: {waiting}"
        waiting = [str(block.tool_call_id) for block in message.blocks if isinstance(block, ToolCallBlock)]


# -- what is sent, and what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sync", "async"])
def test_what_is_flushed_becomes_pages(way: str) -> None:
    llm, one = Scripted(), block()
    memory = memory_of(one)
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory, system_prompt="You help.")

    async def achat() -> None:
        for n in range(1, 31):
            await engine.achat(question(n))

    if way == "async":
        asyncio.run(achat())
    else:
        for n in range(1, 31):
            engine.chat(question(n))
    last = llm.sent[-1]
    assert [message.role.value for message in last[:2]] == ["system", "user"]
    assert "not instructions" in str(last[1].content)
    assert len(pictures(last)) >= 2 and all(picture.detail == "high" for picture in pictures(last))
    assert base64.b64decode(pictures(last)[0].image or b"") == one.memory.context().pages[0].image()
    assert last[-1].content == question(30)
    said = [turn.text for turn in one.memory.turns()]
    assert said[::2] == [question(n) for n in range(1, len(said) // 2 + 1)], "every word of what was flushed, once and in order"
    assert all(not pictures([message]) for message in memory.get_all())
    assert appends([wired(sent) for sent in llm.sent]) >= 0.8


def test_a_flush_alone_changes_nothing_on_the_wire() -> None:
    llm, one = Scripted(), block()
    one.memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer())
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory_of(one))
    for n in range(1, 13):
        engine.chat(question(n))
    assert len(one.memory) > 10 and not pictures(llm.sent[-1])
    assert appends([wired(sent) for sent in llm.sent]) == 1.0


def test_an_agent_with_parallel_tools() -> None:
    def look(at: int) -> str:
        """Look at a place."""
        return f"At {at} there is a train to Basel at 10:{at:02}. " * 8

    def calling(n: int) -> ChatMessage:
        return ChatMessage(
            role="assistant", blocks=[ToolCallBlock(tool_call_id=f"c{n}{k}", tool_name="look", tool_kwargs={"at": n}) for k in "ab"]
        )

    script = [message for n in range(12) for message in (calling(n), ChatMessage(f"It leaves at 10:{n:02}. " * 6, role="assistant"))]
    llm, one = Scripted(script=script), block()
    memory, agent = memory_of(one), FunctionAgent(tools=[look], llm=llm, system_prompt="You help.", streaming=False)

    async def achat() -> None:
        for n in range(12):
            await agent.run(question(n), memory=memory)

    asyncio.run(achat())
    assert len(llm.sent) == 24
    assert pictures(llm.sent[-1])
    for sent in llm.sent:
        assert_paired(sent)
    assert {call.id for turn in one.memory.turns() for call in turn.tool_calls} >= {"c0a", "c0b"}
    assert any(turn.role == "tool" and turn.tool_call_id == "c0b" for turn in one.memory.turns())


def test_the_same_messages_flushed_again_are_appended_once() -> None:
    one = block()
    said = [ChatMessage("ping"), ChatMessage("pong", role="assistant")]
    asyncio.run(one.aput(said, from_short_term_memory=True, session_id="s"))
    asyncio.run(one.aput(said, from_short_term_memory=True, session_id="s"))
    assert [turn.text for turn in one.memory.turns()] == ["ping", "pong"]
    asyncio.run(one.aput([ChatMessage("ping"), ChatMessage("pong", role="assistant")]))
    assert len(one.memory) == 4, "other messages of the same words were said"


def test_other_blocks_keep_their_place_after_the_pages() -> None:
    from llama_index.core.memory import StaticMemoryBlock

    one = block()
    memory = memory_of(one, StaticMemoryBlock(name="facts", static_content="Ann lives in Lyon."), insert_method="user")
    for n in range(1, 31):
        memory.put(ChatMessage(question(n)))
        memory.put(ChatMessage("All is well. " * 20, role="assistant"))
    memory.put(ChatMessage("Where does Ann live?"))
    sent = memory.get()
    assert pictures(sent[:1])
    assert "Ann lives in Lyon." in str(sent[-1].content) and "Where does Ann live?" in str(sent[-1].content)


# -- messages as turns, and back --------------------------------------------------------------------------------------------------------


def given_back(*messages: ChatMessage, then: Sequence[ChatMessage] = ()) -> tuple[OpticalMemoryBlock, list[ChatMessage]]:
    one = block()
    asyncio.run(one.aput(list(messages), from_short_term_memory=True, session_id="s"))
    return one, asyncio.run(one.aget(list(then)))


def test_recent_messages_come_back_as_they_were() -> None:
    said = [
        ChatMessage(role="user", blocks=[TextBlock(text="look"), ImageBlock(image=PIXEL), AudioBlock(audio=b"RIFF", format="wav")]),
        ChatMessage(
            role="assistant",
            blocks=[
                ThinkingBlock(content="hm"),
                TextBlock(text="I see."),
                ToolCallBlock(tool_call_id="c", tool_name="look", tool_kwargs={}),
            ],
            additional_kwargs={"mine": {"a": 1}},
        ),
        ChatMessage(role="tool", blocks=[TextBlock(text="done")], additional_kwargs={"tool_call_id": "c", "name": "look"}),
        ChatMessage(role="chatbot", blocks=[TextBlock(text="There is a train.")]),
    ]
    before = wired(said)
    one, back = given_back(*said)
    assert wired(back) == before
    turns = one.memory.turns()
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "assistant"]
    assert "[audio]" in turns[0].text and turns[0].images[0].decode() == PIXEL
    assert turns[1].text == "hm\nI see.\nlook({})" and turns[2].name == "look"


def test_calls_that_a_package_keeps_beside_the_blocks() -> None:
    chat = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    response = {"id": "fc_1", "call_id": "c2", "type": "function_call", "name": "look", "arguments": '{"at": 2}'}
    one, back = given_back(
        ChatMessage("q"),
        ChatMessage("", role="assistant", additional_kwargs={"tool_calls": [chat]}),
        ChatMessage("one", role="tool", additional_kwargs={"tool_call_id": "c1"}),
        ChatMessage("", role="assistant", additional_kwargs={"tool_calls": [response]}),
        ChatMessage("two", role="tool", additional_kwargs={"call_id": "c2"}),
    )
    assert [call.id for turn in one.memory.turns() for call in turn.tool_calls] == ["c1", "c2"]
    assert [message.content for message in back] == ["q", "", "one", "", "two"]


def test_a_call_that_was_given_up_gets_a_result_where_somebody_else_speaks_next() -> None:
    call = ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id="c", tool_name="look", tool_kwargs={})])
    assert len(given_back(ChatMessage("q"), call)[1]) == 2
    result = ChatMessage("done", role="tool", additional_kwargs={"tool_call_id": "c"})
    assert len(given_back(ChatMessage("q"), call.model_copy(deep=True), then=[result])[1]) == 2
    _, back = given_back(ChatMessage("q"), call.model_copy(deep=True), then=[ChatMessage("never mind")])
    assert back[-1].content == "[no result was recorded]"
    assert_paired(back)


def test_a_result_that_answers_nothing_is_kept() -> None:
    one, _ = given_back(ChatMessage("lost", role="tool", additional_kwargs={"tool_call_id": "x"}), ChatMessage("bare", role="tool"))
    assert [turn.text for turn in one.memory.turns()] == ["lost", "bare"]


def test_turns_that_something_else_appended() -> None:
    one = block()
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    one.memory.extend([("user", "q"), {"role": "assistant", "content": "", "tool_calls": [call]}])
    one.memory.append({"role": "tool", "tool_call_id": "c", "content": "done"})
    back = asyncio.run(one.aget([]))
    assert_paired(back)
    assert [message.role.value for message in back] == ["user", "assistant", "tool"]


# -- whole histories --------------------------------------------------------------------------------------------------------------------


# -- what goes wrong --------------------------------------------------------------------------------------------------------------------


# -- the example ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_example(tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="openai is not installed")
    lines = [f"Line {n}: the parcel QX-77{n:03} of order {n} left Lyon for Hamburg on track {n % 9}. " * 14 for n in range(1, 61)]
    with Wire(default="Noted.") as wire:
        places = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(EXAMPLE.parent.parent)}
        env = {**os.environ, **places, "OPENAI_BASE_URL": wire.openai_url, "OPENAI_API_KEY": "none"}
        command = [sys.executable, str(EXAMPLE), "gpt-4o"]
        done = subprocess.run(command, input="\n".join(lines), env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[: len(lines)] == ["Noted."] * len(lines)
    last = json.dumps(wire.requests[-1].body)
    assert lines[-1].strip() in last and lines[0].strip() not in last
    assert "data:image/png" in last
