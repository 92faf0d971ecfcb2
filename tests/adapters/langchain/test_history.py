"""LangChain's message history on the turn log: what comes back is what went in, and what the model sees has pages in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

pytest.importorskip("langchain_core.chat_history", reason="langchain-core is not installed")

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables.history import RunnableWithMessageHistory

from optical_memory import OpticalMemory, Turn
from optical_memory.adapters.langchain.history import OpticalChatMessageHistory, as_runnable, chat_histories, view
from optical_memory.errors import BudgetTooSmall, InvalidTurn, UnknownToolCall
from optical_memory.planning.triggers import WaterMarks
from optical_memory.stores import Store
from tests.adapters.wire import Call, Wire
from tests.histories import histories
from tests.sampling import examples
from tests.support import RuledRenderer

pytestmark = pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = PIXEL + "A" * 1000  # what follows a PNG's end is ignored
THINKING = {"type": "thinking", "thinking": "Hm. " * 60, "signature": "c2ln"}
LOOK = {"name": "look", "args": {"at": 1, "deep": {"x": [1.5, None, True]}}, "id": "c1", "type": "tool_call"}
USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_token_details": {"cache_read": 4}}

MESSAGES: list[BaseMessage] = [
    SystemMessage("You help.", additional_kwargs={"__openai_role__": "developer"}),
    HumanMessage("hi", name="alice", id="h1", additional_kwargs={"lc_source": "summarization"}),
    HumanMessage("hi"),
    HumanMessage(""),
    AIMessage(
        content=[
            THINKING,
            {"type": "text", "text": "Let me look. " * 30, "citations": [{"n": 1}]},
            {"type": "tool_use", "id": "c1", "name": "look"},
        ],
        tool_calls=[LOOK, {**LOOK, "id": "c2"}],
        invalid_tool_calls=[{"name": "look", "args": "{broken", "id": "c3", "error": "no JSON", "type": "invalid_tool_call"}],
        usage_metadata=USAGE,
        response_metadata={"model_name": "gpt-5", "logprobs": {"content": [{"logprob": -0.5}]}, "model_provider": "openai"},
        additional_kwargs={"reasoning": {"id": "rs_1", "summary": []}},
        id="run-1",
        name="agent",
    ),
    ToolMessage("result", tool_call_id="c2", name="look", artifact={"rows": [1, 2]}, status="error", id="t1"),
    ToolMessage([{"type": "text", "text": "seen"}, {"type": "image", "base64": PICTURE, "mime_type": "image/png"}], tool_call_id="c1"),
    ToolMessage("broken call", tool_call_id="c3", status="error"),
    HumanMessage(["plain", {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}", "detail": "low"}}]),
    HumanMessage(
        [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}, "cache_control": {"type": "x"}}]
    ),
    HumanMessage([{"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}, {"type": "image", "file_id": "file-1"}]),
    HumanMessage(
        [{"$turn": [0, "text", ""]}, {"$turn": {"$turn": {"$turn": 1}}}, {"type": "text", "text": "{$turn}", "$turn": {"$turn": []}}]
    ),
    ChatMessage("as the critic", role="critic"),
    FunctionMessage("old style", name="f"),
    AIMessage("naïve 🚆 \ud800", id=""),
]


def history_on(store: Store | str, name: str = "s", **options: Any) -> OpticalChatMessageHistory:
    given = {"renderer": RuledRenderer(rows=900), "marks": WaterMarks(high=300, low=60), **options}
    return OpticalChatMessageHistory(name, store=store, **given)


@pytest.fixture
def history() -> OpticalChatMessageHistory:
    return history_on("memory://")


def questions(count: int) -> list[BaseMessage]:
    pairs = ((HumanMessage(f"question {n} about flights " * 20), AIMessage(f"answer {n} about trains " * 20)) for n in range(count))
    return [message for pair in pairs for message in pair]


def calling(*ids: str) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": call_id} for call_id in ids])


# -- the log ----------------------------------------------------------------------------------------------------------------------------


def test_messages_come_back_as_they_went_in(store: Store) -> None:
    history = history_on(store)
    assert history.messages == []
    before = [message.model_copy(deep=True) for message in MESSAGES]
    history.add_messages(MESSAGES)
    assert history.messages == before == MESSAGES
    assert [type(message) for message in history.messages] == [type(message) for message in MESSAGES]
    assert asyncio.run(history.aget_messages()) == MESSAGES
    assert history_on(store).messages == MESSAGES, "another process reads the same"
    assert [turn.number for turn in history.memory.turns()] == list(range(1, len(MESSAGES) + 1))
    history.clear()
    assert history.messages == [] and len(history.memory) == 0


def test_async_is_the_same(store: Store) -> None:
    async def talk() -> None:
        history = history_on(store)
        await history.aadd_messages(MESSAGES)
        assert await history.aget_messages() == MESSAGES
        await history.aclear()
        assert await history.aget_messages() == []

    asyncio.run(talk())


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dicts=histories())
def test_any_history_comes_back(dicts: list[dict[str, Any]], store: Store) -> None:
    messages = convert_to_messages([{key: item[key] for key in item if key not in ("created_at", "importance")} for item in dicts])
    history = history_on(store)
    history.clear()
    history.add_messages(messages)
    assert history.messages == messages


def test_a_picture_is_stored_once(tmp_path: Path, history: OpticalChatMessageHistory) -> None:
    history.add_messages(
        [HumanMessage([{"type": "image", "base64": PICTURE, "mime_type": "image/png"}, {"type": "text", "text": "x" * 500}])]
    )
    (turn,) = history.memory.turns()
    assert turn.model_dump_json().count(PICTURE) == 1
    assert turn.model_dump_json().count("x" * 500) == 1


def test_the_turn_says_what_the_message_says(history: OpticalChatMessageHistory) -> None:
    history.add_messages(MESSAGES)
    call, result = history.memory.turns(5, 7)
    assert [(each.id, json.loads(each.arguments)) for each in call.tool_calls[:2]] == [("c1", LOOK["args"]), ("c2", LOOK["args"])]
    assert (result.role, result.tool_call_id, result.name, result.content) == ("tool", "c2", "look", "result")
    assert history.memory.recall("flights trains") == []
    assert [turn.number for turn in history.memory.recall("critic")] == [13]
    assert [turn.extra for turn in history.memory.turns() if turn.extra] == [{"status": "error"}] * 2, "nothing that clients would send"


def test_a_known_id_is_not_stored_again(store: Store) -> None:
    history = history_on(store)
    said = [HumanMessage("a", id="1"), AIMessage("b", id="2", usage_metadata=USAGE)]
    history.add_messages(said)
    history.add_messages(said)
    history.add_messages([AIMessage("b", id="2"), HumanMessage("c", id="3"), HumanMessage("c", id="3")])
    assert [message.content for message in history.messages] == ["a", "b", "c"]
    history.add_messages([HumanMessage("no id"), HumanMessage("no id")])
    assert [message.content for message in history.messages] == ["a", "b", "c", "no id", "no id"]


def test_a_server_that_gives_all_answers_one_id_loses_none(history: OpticalChatMessageHistory) -> None:
    for n in (1, 2, 3, 3):
        history.add_messages([HumanMessage(f"q{n}"), AIMessage(f"a{n}", id="chatcmpl-1")])
    assert [message.content for message in history.messages] == ["q1", "a1", "q2", "a2", "q3", "a3", "q3"]
    assert {message.id for message in history.messages[1::2]} == {"chatcmpl-1"}


def test_what_was_erased_does_not_come_back(history: OpticalChatMessageHistory) -> None:
    secret = HumanMessage("my password is 1234", id="h")
    history.add_messages([secret, AIMessage("noted", id="a")])
    history.memory.erase(1)
    history.add_messages([secret])
    assert [message.content for message in history.messages] == ["noted"]


def test_the_small_verbs(history: OpticalChatMessageHistory) -> None:
    history.add_user_message("hi")
    history.add_ai_message(AIMessage("hello"))
    history.add_message(AIMessageChunk("in pieces", tool_call_chunks=[{"name": "f", "args": "{}", "id": "c", "index": 0}]))
    assert history.messages[:2] == [HumanMessage("hi"), AIMessage("hello")]
    assert type(history.messages[2]) is AIMessage and history.messages[2].tool_calls[0]["id"] == "c"
    assert str(history).startswith("Human: hi\nAI: hello")


def test_a_subclass_and_odd_values(history: OpticalChatMessageHistory) -> None:
    class Mine(HumanMessage):
        mood: str = "fine"

    moment = datetime(2026, 1, 2, tzinfo=UTC)
    history.add_messages(
        [Mine("x", mood="sad"), AIMessage("y", response_metadata={"at": moment, "raw": object(), "p": float("-inf"), 1: (2,)})]
    )
    mine, odd = history.messages
    assert type(mine) is HumanMessage and mine.model_extra == {"mood": "sad"}
    assert odd.response_metadata == {"at": "2026-01-02T00:00:00Z", "raw": "[object]", "p": float("-inf"), "1": [2]}


def test_what_cannot_be_stored_is_refused_as_a_whole(history: OpticalChatMessageHistory) -> None:
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    for wrong, error in (
        (RemoveMessage(id="1"), InvalidTurn),
        (AIMessage("x", additional_kwargs=loop), InvalidTurn),
        (ToolMessage("x", tool_call_id="never called"), UnknownToolCall),
    ):
        with pytest.raises(error):
            history.add_messages([HumanMessage("before"), wrong])
    assert history.messages == []


def test_a_memory_or_its_arguments() -> None:
    memory = OpticalMemory("mine", store="memory://")
    assert OpticalChatMessageHistory(memory).memory is memory
    with pytest.raises(TypeError, match="reader"):
        OpticalChatMessageHistory(memory, reader="claude")


def test_turns_that_came_another_way(history: OpticalChatMessageHistory) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    broken = {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{x"}}
    url = f"data:image/png;base64,{PIXEL}"
    history.memory.extend(
        [
            {"role": "developer", "content": "Be brief.", "id": "1"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}],
                "id": "2",
            },
            {"role": "assistant", "content": None, "tool_calls": [call, broken], "id": "3"},
            {"role": "tool", "tool_call_id": "c1", "content": "done", "id": "4"},
            {
                "role": "user",
                "id": "5",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c2", "content": "no", "is_error": True},
                    {"type": "text", "text": "so?"},
                ],
            },
            {"role": "assistant", "content": [THINKING, {"type": "text", "text": "fine"}], "id": "6"},
            Turn(id="7", role="user", content="damaged", metadata={"langchain": {"v": 1, "type": "future", "data": {}}}),
        ]
    )
    assert history.messages == [
        SystemMessage("Be brief.", id="1", additional_kwargs={"__openai_role__": "developer"}),
        HumanMessage([{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}], id="2"),
        AIMessage(
            "",
            id="3",
            tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c1"}],
            invalid_tool_calls=[{"name": "f", "args": "{x", "id": "c2", "error": None, "type": "invalid_tool_call"}],
        ),
        ToolMessage("done", tool_call_id="c1", id="4"),
        ToolMessage("no", tool_call_id="c2", status="error", id="5/0"),
        HumanMessage([{"type": "text", "text": "so?"}], id="5"),
        AIMessage([THINKING, {"type": "text", "text": "fine"}], id="6"),
        HumanMessage("damaged", id="7"),
    ]
    assert [message.type for message in view(history.memory, [HumanMessage("go on")])] == [
        *("system", "human", "ai", "tool", "tool", "human", "ai", "human", "human")
    ]
    held = history.messages
    history.add_messages([held[1], held[2]])
    assert history.messages == held, "what was read from the log is not stored again"


# -- the view ---------------------------------------------------------------------------------------------------------------------------


def pictures(messages: list[BaseMessage]) -> list[dict[str, Any]]:
    blocks = [block for message in messages if isinstance(message.content, list) for block in message.content]
    return [block for block in blocks if block["type"] in ("image", "image_url")]


def test_the_view_is_pages_then_what_is_said_now(history: OpticalChatMessageHistory) -> None:
    said = questions(20)
    history.add_messages([SystemMessage("You help."), *said])
    new = HumanMessage("and now?")
    for given_in in (new, "and now?", [new], [*history.messages, new]):
        seen = history.as_runnable().invoke(given_in)
        assert seen[0].content == "You help."
        assert len(pictures(seen)) == len(history.memory.context().pages) > 0
        assert seen[-3:] == [*said[-2:], new]
    assert as_runnable(history.memory).invoke([new]) == history.as_runnable().invoke([new])
    assert asyncio.run(history.as_runnable().ainvoke([new])) == history.as_runnable().invoke([new])
    prompted = ChatPromptTemplate([("system", "prompt"), ("human", "example"), MessagesPlaceholder("history"), ("human", "and now?")])
    seen = (prompted | history.as_runnable()).invoke({"history": history.messages})
    assert [message.content for message in (*seen[:3], seen[-1])] == ["prompt", "example", "You help.", "and now?"]
    assert len(pictures(seen)) == len(history.memory.context().pages)
    cut = [SystemMessage("prompt"), *history.messages[-5:], new]
    seen = history.as_runnable().invoke(cut)
    assert [seen[0].content, seen[1].content, seen[-1]] == ["prompt", "You help.", new]
    assert sum(message == said[-1] for message in seen) == 1, "a history that was trimmed is the log all the same"
    assert history.messages[1:] == said


def test_erased_turns_are_not_missed(history: OpticalChatMessageHistory) -> None:
    history.add_messages(questions(4))
    history.memory.erase(1)
    seen = history.as_runnable().invoke([*history.messages, HumanMessage("now")])
    assert [message.content[:9] for message in seen if isinstance(message.content, str)][-1] == "now"
    assert sum(message.content == history.messages[-1].content for message in seen) == 1


@pytest.mark.parametrize(
    ("reader", "dialect", "block"),
    [("gpt-5", None, "image_url"), ("claude", None, "source"), ("deepseek-ocr", None, "base64"), ("claude", "openai", "image_url")],
)
def test_pictures_are_written_for_the_reader(reader: str, dialect: Any, block: str) -> None:
    history = history_on("memory://", reader=reader, renderer=RuledRenderer())
    history.add_messages(questions(60))
    seen = history.as_runnable(dialect=dialect, detail="low").invoke("now")
    assert all(block in picture for picture in pictures(seen))
    assert block != "image_url" or pictures(seen)[0]["image_url"]["detail"] == "low"


def test_calls_and_results_pair_over_the_end_of_the_log(history: OpticalChatMessageHistory) -> None:
    history.add_messages([HumanMessage("look"), calling("c1", "c2")])
    answered = [ToolMessage("1", tool_call_id="c1"), ToolMessage("2", tool_call_id="c2")]
    assert view(history.memory, answered)[1:] == [*history.messages[1:], *answered]
    given_up = view(history.memory, [HumanMessage("never mind")])
    assert [(message.type, message.content) for message in given_up[2:]] == [
        ("tool", "[no result was recorded]"),
        ("tool", "[no result was recorded]"),
        ("human", "never mind"),
    ]
    assert view(history.memory) == history.messages, "the results may still come"
    strange = view(history.memory, [ToolMessage("x", tool_call_id="c9"), HumanMessage("?")])
    assert not any(message.type == "tool" and message.tool_call_id == "c9" for message in strange)


def test_the_budget_is_for_all_that_is_sent(history: OpticalChatMessageHistory) -> None:
    history.add_messages(questions(20))
    whole = history.memory.context().usage.prompt_tokens
    new = HumanMessage("word " * 300)
    assert len(pictures(history.as_runnable(budget=whole).invoke([new]))) <= len(pictures(history.as_runnable().invoke([new])))
    with pytest.raises(BudgetTooSmall) as raised:
        history.as_runnable(budget=50).invoke([new])
    assert raised.value.budget == 50 and raised.value.needed > 300
    assert history.as_runnable(budget=raised.value.needed).invoke([new])[-1] == new


def test_what_is_no_message_is_refused(history: OpticalChatMessageHistory) -> None:
    with pytest.raises(TypeError, match="a dict"):
        history.as_runnable().invoke({"input": "x"})
    with pytest.raises(TypeError, match="Pass the memory"):
        as_runnable().invoke("x")


# -- in a chain, over the wire ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def model() -> Iterator[Any]:
    openai = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    with Wire(default="Noted. " + "Your booking is confirmed. " * 10) as wire:
        chat = openai.ChatOpenAI(model="gpt-5", base_url=wire.openai_url, api_key="none", max_retries=0)
        yield wire, chat


def images(body: dict[str, Any]) -> int:
    return json.dumps(body).count("data:image/png")


def config(session: str) -> Any:
    return {"configurable": {"session_id": session}}


def test_a_chain_with_history(model: Any, store: Store) -> None:
    wire, chat = model
    sessions = chat_histories(store, renderer=RuledRenderer(), reader="gpt-5", marks=WaterMarks(high=300, low=60))
    chain = RunnableWithMessageHistory(as_runnable() | chat, sessions)

    async def talk() -> None:
        for n in range(12):
            chain.invoke([HumanMessage(f"question {n} about flights " * 9)], config("a"))
            await chain.ainvoke([HumanMessage(f"and {n} about trains " * 9)], config("a"))
        assert [chunk async for chunk in chain.astream([HumanMessage("in another session")], config("b"))]

    asyncio.run(talk())
    list(chain.stream([HumanMessage("in another session")], config("b")))
    said = sessions("a").messages
    assert [message.type for message in said] == ["human", "ai"] * 24
    assert said[0].content == "question 0 about flights " * 9
    assert said[1].usage_metadata["total_tokens"] == 15 and said[1].response_metadata["model_name"]
    assert [type(message) for message in sessions("b").messages] == [HumanMessage, AIMessage] * 2
    assert images(wire.requests[0].body) == 0 and images(wire.requests[23].body) >= 1
    last = wire.requests[23].body["messages"]
    assert last[-1]["content"] == "and 11 about trains " * 9
    assert "question 0 about" not in json.dumps([message["content"] for message in last if isinstance(message["content"], str)])
    assert sessions("a") is sessions("a") and sessions("a") is not sessions("b")


def test_a_prompt_with_history_and_tools(model: Any) -> None:
    wire, chat = model
    sessions = chat_histories("memory://", renderer=RuledRenderer(rows=900), marks=WaterMarks(high=300, low=60))
    prompt = ChatPromptTemplate([("system", "You help {who}."), MessagesPlaceholder("history"), MessagesPlaceholder("input")])
    chain = RunnableWithMessageHistory(prompt | as_runnable() | chat, sessions, input_messages_key="input", history_messages_key="history")
    wire._script = iter([[Call("look", {"at": 1}), Call("look", {"at": 2})], "done"] * 20)
    for n in range(20):
        answer = chain.invoke({"who": "Ann", "input": [HumanMessage(f"look {n} " * 40)]}, config("t"))
        results = [ToolMessage("a train " * 20, tool_call_id=call["id"], name="look") for call in answer.tool_calls]
        chain.invoke({"who": "Ann", "input": results}, config("t"))
    said = sessions("t").messages
    assert [message.type for message in said] == ["human", "ai", "tool", "tool", "ai"] * 20
    for request in wire.requests:
        assert request.body["messages"][0] == {"role": "system", "content": "You help Ann."}
        assert_paired(request.body["messages"])
    assert images(wire.requests[-1].body)


def assert_paired(messages: list[dict[str, Any]]) -> None:
    waiting: list[str] = []
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting, f"message {place} comes before results"
        waiting = [call["id"] for call in message.get("tool_calls", ())]
