"""OpenAI's Agents SDK: items come back as they went in, and the model sees pages that the SDK never keeps."""

from __future__ import annotations

import asyncio
import base64
import copy
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from optical_memory import OpticalMemory
from optical_memory.planning.triggers import WaterMarks
from tests.adapters.wire import Call, Wire
from tests.later import later
from tests.support import RuledRenderer

if TYPE_CHECKING:
    import agents
    import openai
    from agents import run_config

    from optical_memory.adapters import openai_agents as adapter
else:
    agents = later("agents", reason="the OpenAI Agents SDK is not installed (extra: openai-agents)")
    openai, run_config, adapter = later("openai"), later("agents.run_config"), later("optical_memory.adapters.openai_agents")

Item = dict[str, Any]
SMALL = {"marks": WaterMarks(high=300, low=60), "reader": "deepseek-ocr"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


def small_filter(**changes: Any) -> Callable[[run_config.CallModelData[Any]], Any]:
    return adapter.optical_filter(**{**SMALL, "renderer": RuledRenderer(rows=900), **changes})


def chat(count: int) -> list[Item]:
    """User and assistant in turn, in the shapes of a caller and of the API."""
    items: list[Item] = []
    for n in range(1, count + 1):
        text = f"turn {n} is about QX-77{n:03}. " * 6
        if n % 2:
            items.append({"role": "user", "content": text})
        else:
            part = {"type": "output_text", "text": text, "annotations": []}
            items.append({"type": "message", "id": f"msg_{n}", "role": "assistant", "status": "completed", "content": [part]})
    return items


def seen(show: Callable[[run_config.CallModelData[Any]], Any], items: list[Item], agent: agents.Agent[Any] | None = None) -> list[Item]:
    data = run_config.CallModelData(run_config.ModelInputData(list(items), "Be brief."), agent or agents.Agent("A", model="gpt-4o"), None)
    result = asyncio.run(show(data))
    assert result.instructions == "Be brief."
    return result.input


def pictures(items: Sequence[Item]) -> list[Item]:
    lists = [item["content"] for item in items if isinstance(item.get("content"), list)]
    return [block for blocks in lists for block in blocks if block.get("type") in ("input_image", "image_url")]


def orphans(items: Sequence[Item]) -> list[Item]:
    """Results without a call before them, and calls that were not answered when their id came again, or at all."""
    waiting: dict[str, Item] = {}
    wrong: list[Item] = []
    for item in items:
        if item.get("type") == "function_call":
            wrong += [waiting[item["call_id"]]] if item["call_id"] in waiting else []
            waiting[item["call_id"]] = item
        elif item.get("type") == "function_call_output" and waiting.pop(item["call_id"], None) is None:
            wrong.append(item)
    return wrong + list(waiting.values())


# -- the session -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def session() -> adapter.OpticalSession:
    return adapter.OpticalSession("alice", store="memory://")


EVERYTHING: list[Item] = [
    {"role": "user", "content": "Hi"},
    {"role": "user", "content": [{"type": "input_text", "text": "look"}, {"type": "input_image", "file_id": "file_1", "detail": "auto"}]},
    REASONING,
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{not json", "status": "completed"},
    {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
    {"type": "function_call_output", "call_id": "c1", "output": "one"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "computer_call", "id": "cu_1", "call_id": "c3", "action": {"type": "screenshot"}, "pending_safety_checks": []},
    {"type": "computer_call_output", "call_id": "c3", "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,iVBO"}},
    {"type": "shell_call", "call_id": "c4", "action": {"commands": ["ls"]}},
    {"type": "shell_call_output", "call_id": "c4", "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
    {"type": "local_shell_call", "id": "ls_1", "call_id": "ls_1", "action": {"type": "exec", "command": ["ls"], "env": {}}},
    {"type": "local_shell_call_output", "id": "ls_1", "output": "files"},
    {"type": "mcp_approval_request", "id": "ap_1", "name": "pay", "arguments": "{}", "server_label": "s"},
    {"type": "mcp_approval_response", "approval_request_id": "ap_1", "approve": True},
    {"type": "compaction", "id": "cmp_1", "encrypted_content": "gBBB"},
    {"type": "item_reference", "id": "msg_9"},
    {"type": "of_tomorrow", "strange": [1, {"deep": None}]},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "id": "msg_1", "status": "completed", "type": "message"},
    {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]},
    {"type": "function_call_output", "call_id": "of a run before", "output": "late"},
]


def test_it_is_a_session(session: adapter.OpticalSession) -> None:
    assert isinstance(session, agents.memory.Session)
    assert session.session_id == "alice"


def test_items_come_back_as_they_were_added(session: adapter.OpticalSession) -> None:
    async def story() -> None:
        before = copy.deepcopy(EVERYTHING)
        await session.add_items(EVERYTHING[:4])
        await session.add_items(EVERYTHING[4:])
        await session.add_items([])
        assert before == EVERYTHING
        got = await session.get_items()
        assert got == EVERYTHING
        assert [list(item) for item in got] == [list(item) for item in EVERYTHING], "with keys in their order"
        assert await adapter.OpticalSession(session.memory).get_items() == EVERYTHING

    asyncio.run(story())


def test_the_same_item_twice_is_two_items(session: adapter.OpticalSession) -> None:
    async def story() -> None:
        twice = [{"role": "user", "content": "again"}, {**chat(2)[1]}] * 2
        await session.add_items(twice)
        assert await session.get_items() == twice

    asyncio.run(story())


def test_limits(session: adapter.OpticalSession) -> None:
    async def story() -> None:
        items = chat(9)
        await session.add_items(items)
        assert await session.get_items(3) == items[-3:]
        assert await session.get_items(90) == items
        assert await session.get_items(0) == await session.get_items(-1) == []
        session.memory.erase([5, 6, 7, 8])
        assert await session.get_items(3) == [*items[2:4], items[8]]
        few = adapter.OpticalSession(session.memory, session_settings=agents.SessionSettings(limit=2))
        assert await few.get_items() == [items[3], items[8]]
        assert await few.get_items(1) == [items[8]]

    asyncio.run(story())


def test_pop_and_clear(session: adapter.OpticalSession) -> None:
    async def story() -> None:
        assert await session.pop_item() is None
        items = chat(4)
        await session.add_items(items)
        assert await session.pop_item() == items[3]
        assert await session.get_items() == items[:3]
        await session.add_items([items[3]])
        assert await session.get_items() == items, "what was taken away can be added again"
        both = await asyncio.gather(session.pop_item(), session.pop_item())
        assert both == [items[3], items[2]] or both == [items[2], items[3]]
        await session.clear_session()
        assert await session.get_items() == [] == session.memory.turns()
        await session.add_items(items[:1])
        assert await session.get_items() == items[:1]

    asyncio.run(story())


def test_the_log_can_be_searched_and_shared(session: adapter.OpticalSession) -> None:
    async def story() -> None:
        await session.add_items(EVERYTHING)
        assert [turn.role for turn in session.memory.recall("look")]
        assert session.memory.turns()[3].tool_calls[0].name == "look"
        session.memory.append(("user", "said elsewhere"))
        assert (await session.get_items())[-1] == {"role": "user", "content": "said elsewhere"}
        assert session.memory.context(), "and it can be shown"

    asyncio.run(story())


def test_it_outlives_its_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.sqlite3"

    async def story() -> None:
        first = adapter.OpticalSession("s", store=url, tenant="t")
        await first.add_items(EVERYTHING)
        first.memory.close()
        assert await adapter.OpticalSession("s", store=url, tenant="t").get_items() == EVERYTHING
        assert await adapter.OpticalSession("s", store=url).get_items() == []

    asyncio.run(story())


# -- the filter ------------------------------------------------------------------------------------------------------------------------


def test_a_page_is_an_input_image() -> None:
    shown = seen(small_filter(), chat(61))
    page = pictures(shown)[0]
    assert page["type"] == "input_image" and page["detail"] == "high"
    assert base64.b64decode(page["image_url"].removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    assert shown[0]["role"] == "user" and shown[0]["content"][0]["type"] == "input_text"


def test_reasoning_goes_where_its_calls_go() -> None:
    items = chat(40)
    for n in range(40):
        ids = [f"a{n}", f"b{n}"]
        items += [
            {"role": "user", "content": f"step {n} " * 20},
            {**REASONING, "id": f"rs_{n}"},
            *({"type": "function_call", "id": f"fc_{c}", "call_id": c, "name": "look", "arguments": "{}"} for c in ids),
            *({"type": "function_call_output", "call_id": c, "output": "found " * 10} for c in reversed(ids)),
            {"type": "message", "id": f"m{n}", "role": "assistant", "content": [{"type": "output_text", "text": "ok", "annotations": []}]},
        ]
    show = small_filter()
    for end in range(41, len(items) + 1, 3):
        shown = seen(show, items[:end])
        reasoned = {item["id"].removeprefix("rs_") for item in shown if item.get("type") == "reasoning"}
        called = {item["call_id"][1:] for item in shown if item.get("type") == "function_call"}
        assert called <= reasoned <= called | {items[end - 1]["id"].removeprefix("rs_") if "id" in items[end - 1] else ""}


def test_reasoning_signed_for_what_stood_before_it_is_dropped_once_that_changed() -> None:
    signed = {"type": "reasoning", "id": "__fake_id__", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    items: list[Item] = []
    for n in range(30):
        text = {"type": "output_text", "text": f"answer {n} " * 10, "annotations": []}
        message = {"type": "message", "id": "__fake_id__", "role": "assistant", "content": [text]}
        items += [{"role": "user", "content": f"question {n} " * 10}, dict(signed), message]
    items.append({"role": "user", "content": "and now?"})
    shown = seen(small_filter(), items)
    assert pictures(shown) and not any(item.get("type") == "reasoning" for item in shown)
    assert sum(item.get("type") == "reasoning" for item in seen(small_filter(), items[-4:])) == 1


@pytest.mark.parametrize(
    "items",
    [
        [{"role": "user", "content": "only what is new " * 900}],
        [{"type": "function_call_output", "call_id": "on the server", "output": "word " * 3_000}],
        [*chat(60), {"type": "item_reference", "id": "msg_1"}],
    ],
)
def test_where_openai_keeps_the_conversation_nothing_is_changed(items: list[Item]) -> None:
    shown = seen(small_filter(), items)
    assert all(one is other for one, other in zip(shown, items, strict=True))


def test_what_depends_on_a_compaction_stays_behind_it() -> None:
    items = [*chat(40), {"type": "compaction", "id": "cmp_1", "encrypted_content": "gBBB"}, *chat(61)]
    shown = seen(small_filter(), items)
    assert shown[:41] == items[:41]
    assert pictures(shown[41:]) and len(shown) < 60


def test_the_models_name_is_found_wherever_it_is() -> None:
    client = openai.AsyncOpenAI(api_key="none", base_url="http://127.0.0.1:9")
    show = adapter.optical_filter(renderer=RuledRenderer(rows=9_000), marks=WaterMarks(high=3_000, low=300))
    for agent in (agents.Agent("A", model="gpt-4o"), agents.Agent("A", model=agents.OpenAIResponsesModel("gpt-4o", client))):
        assert pictures(seen(show, chat(301), agent))


# -- whole runs over the wire ----------------------------------------------------------------------------------------------------------


def look(at: int) -> str:
    """Look at a place."""
    return f"At {at} there is QX-77{at:03}. " * 20


def model(wire: Wire, kind: str) -> Any:
    client = openai.AsyncOpenAI(api_key="none", base_url=wire.openai_url)
    return agents.OpenAIResponsesModel("gpt-4o", client) if kind == "responses" else agents.OpenAIChatCompletionsModel("gpt-4o", client)


def sent_items(body: Item) -> list[Item]:
    return body.get("input") or body["messages"]


@pytest.fixture(autouse=True)
def no_tracing() -> None:
    agents.set_tracing_disabled(True)


@pytest.mark.parametrize("kind", ["responses", "chat"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_run_with_tools_and_a_session(kind: str, streamed: bool) -> None:
    script = [part for n in range(12) for part in ([Call("look", {"at": n}), Call("look", {"at": n + 50})], f"Seen {n}. " * 10)]

    async def story(wire: Wire) -> list[Item]:
        session = adapter.OpticalSession("run", store="memory://")
        agent = agents.Agent("A", instructions="ViewSettings.", model=model(wire, kind), tools=[agents.function_tool(look)])
        config = agents.RunConfig(call_model_input_filter=small_filter())
        for n in range(12):
            if streamed:
                result = agents.Runner.run_streamed(agent, f"Look at {n}.", session=session, run_config=config)
                _ = [event async for event in result.stream_events()]
            else:
                result = await agents.Runner.run(agent, f"Look at {n}.", session=session, run_config=config)
            assert result.final_output == f"Seen {n}. " * 10
        return await session.get_items()

    with Wire(script) as wire:
        kept = asyncio.run(story(wire))
    assert len(kept) == 12 * 6 and not pictures(kept)
    assert len(wire.requests) == 24
    last = sent_items(wire.requests[-1].body)
    assert pictures(last) and len(last) < 40
    assert not orphans(last)
    for request in wire.requests:
        waiting: set[str] = set()
        for message in request.body.get("messages", ()):
            assert message["role"] != "tool" or message["tool_call_id"] in waiting
            waiting |= {call["id"] for call in message.get("tool_calls", ())}


def test_a_run_without_an_event_loop() -> None:
    with Wire() as wire:
        agent = agents.Agent("A", model=model(wire, "responses"))
        agents.Runner.run_sync(agent, [*chat(61)], run_config=agents.RunConfig(call_model_input_filter=small_filter()))
        assert pictures(wire.requests[0].body["input"])


def test_a_conversation_on_the_server_gets_what_is_new_as_it_is() -> None:
    async def story(wire: Wire) -> None:
        agent = agents.Agent("A", model=model(wire, "responses"), tools=[agents.function_tool(look)])
        config = agents.RunConfig(call_model_input_filter=small_filter())
        await agents.Runner.run(agent, "look " * 2_000, conversation_id="conv_1", run_config=config)
        await agents.Runner.run(agent, "go on " * 2_000, previous_response_id="resp_2", run_config=config)

    with Wire([Call("look", {"at": 3}), "Seen.", "Yes."]) as wire:
        asyncio.run(story(wire))
    bodies = [request.body for request in wire.requests]
    assert [len(body["input"]) for body in bodies] == [1, 1, 1]
    assert bodies[1]["input"][0]["type"] == "function_call_output" and not any(pictures(body["input"]) for body in bodies)


@pytest.mark.parametrize("streamed", [False, True], ids=["run", "streamed"])
@pytest.mark.parametrize(
    "kept", [{"conversation_id": "conv_1"}, {"previous_response_id": "resp_1"}, {"auto_previous_response_id": True}, {}], ids=str
)
def test_what_begins_a_stored_conversation_goes_as_it_is(kept: dict[str, Any], streamed: bool) -> None:
    """The server keeps what it is sent, so it gets no pages: neither in the first request nor in those of the tool loop."""

    async def story(wire: Wire) -> None:
        agent = agents.Agent("A", model=model(wire, "responses"), tools=[agents.function_tool(look)])
        config = agents.RunConfig(call_model_input_filter=small_filter())
        if streamed:
            result = agents.Runner.run_streamed(agent, [*chat(61)], run_config=config, **kept)
            _ = [event async for event in result.stream_events()]
        else:
            await agents.Runner.run(agent, [*chat(61)], run_config=config, **kept)

    with Wire([Call("look", {"at": 3}), "Seen."]) as wire:
        asyncio.run(story(wire))
    first, second = (request.body for request in wire.requests)
    if kept:
        assert first["input"] == chat(61)
        assert [item["type"] for item in second["input"]] == ["function_call_output"]
    else:
        assert pictures(first["input"]) and pictures(second["input"])


@pytest.mark.slow
def test_the_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parents[2] / "examples" / "openai_agents_session.py"
    with Wire(default="Noted, " * 120) as wire:
        monkeypatch.setenv("OPENAI_BASE_URL", wire.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        monkeypatch.setattr(sys, "argv", [str(example), "gpt-4o"])
        lines = iter([f"Fact {n}: the booking is QX-77{n:03}. " * 30 for n in range(25)])
        monkeypatch.setattr(sys, "stdin", lines)
        runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out.count("Noted") >= 25
    assert pictures(sent_items(wire.requests[-1].body))
    assert len(OpticalMemory("agents-session")) == 50
