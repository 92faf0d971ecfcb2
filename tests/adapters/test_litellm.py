"""LiteLLM: requests hold pages, what the caller holds does not."""

from __future__ import annotations

import asyncio
import base64
import copy
import os
import runpy
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from optical_memory.planning.triggers import WaterMarks
from tests.adapters.wire import Call, Wire
from tests.later import later
from tests.support import RuledRenderer

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it would ask the network for prices while it is imported
litellm = later("litellm", reason="LiteLLM is not installed (extra: litellm)")
if TYPE_CHECKING:
    from optical_memory.adapters import litellm as adapter
else:
    adapter = later("optical_memory.adapters.litellm")

Message = dict[str, Any]


def small_hook(**changes: Any) -> adapter.OpticalMemoryHook:
    small = {"marks": WaterMarks(high=300, low=60), "reader": "deepseek-ocr", "renderer": RuledRenderer(rows=900)}
    return adapter.OpticalMemoryHook(**{**small, **changes})


def chat(count: int) -> list[Message]:
    return [{"role": "user" if n % 2 else "assistant", "content": f"turn {n} is about QX-77{n:03}. " * 6} for n in range(1, count + 1)]


def pictures(messages: Sequence[Message]) -> list[Message]:
    lists = [message["content"] for message in messages if isinstance(message.get("content"), list)]
    return [block for blocks in lists for block in blocks if block["type"] in ("image_url", "image")]


def orphans(messages: Sequence[Message]) -> list[Message]:
    """Tool messages that no call right before them waits for, and messages that came before all calls had their results."""
    waiting: set[str] = set()
    wrong = []
    for message in messages:
        if message["role"] != "tool":
            wrong += [message] if waiting else []
            waiting = {call["id"] for call in message.get("tool_calls") or ()}
        elif message["tool_call_id"] in waiting:
            waiting.remove(message["tool_call_id"])
        else:
            wrong.append(message)
    return wrong


@pytest.fixture
def hooks() -> Iterator[list[Any]]:
    before, litellm.callbacks = litellm.callbacks, []
    yield litellm.callbacks
    litellm.callbacks = before


# -- the rewriting ---------------------------------------------------------------------------------------------------------------------


def test_a_page_is_an_image_of_chat_completions() -> None:
    shown = small_hook().messages([{"role": "system", "content": "Be brief."}, *chat(61)], "any")
    assert shown[1]["role"] == "user" and shown[1]["content"][0]["type"] == "text"
    url = pictures(shown)[0]["image_url"]["url"]
    assert base64.b64decode(url.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")


def test_answers_of_litellm_may_stand_among_the_messages() -> None:
    answer = litellm.Message(role="assistant", content="said " * 60)
    messages = [part for n in range(20) for part in ({"role": "user", "content": f"question {n} " * 20}, answer)]
    shown = small_hook().messages(messages, "any")
    assert pictures([message for message in shown if isinstance(message, dict)])
    assert shown[-1] is answer


@pytest.mark.parametrize("part", [{"type": "input_audio", "input_audio": {}}, {"type": "file", "file": {"file_id": "f"}}, "words"])
def test_content_that_no_page_shows_is_sent_while_it_is_text(part: Any) -> None:
    odd = {"role": "user", "content": [{"type": "text", "text": "listen"}, part]}
    messages = [*chat(40), odd]
    shown = small_hook().messages(messages, "any")
    assert shown[-1] is odd and pictures(shown[:-1])
    assert pictures(small_hook().messages([odd, *chat(40), odd], "any")[:1])


def test_signed_reasoning_is_dropped_once_what_stood_before_it_changed() -> None:
    thought = {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}], "reasoning_content": "hm"}
    messages = [{**message, **(thought if message["role"] == "assistant" else {})} for message in chat(61)]
    shown = small_hook(marks=WaterMarks(high=300, low=120)).messages(messages, "any")
    assert any(message["role"] == "assistant" for message in shown), "some answers are text still"
    assert not any("thinking_blocks" in message for message in shown)
    assert "thinking_blocks" in small_hook().messages(messages[:3], "any")[1]


def test_a_message_that_makes_no_sense_is_sent_as_it_is() -> None:
    messages = [*chat(60), {"role": "oracle", "content": "?"}]
    with pytest.warns(RuntimeWarning, match="oracle"):
        assert small_hook().messages(messages, "any") == messages


def test_a_conversation_is_known_by_its_beginning_and_by_its_name() -> None:
    renderer = RuledRenderer(rows=900)
    hook = small_hook(renderer=renderer)
    first = hook.messages(chat(41), "any", conversation="one")
    plan = [message for message in first if message.get("role") == "user" and pictures([message])]
    other = hook.messages([{"role": "user", "content": "I am another."}, *chat(41)], "any")
    assert pictures(other) and other[0] != first[0]
    assert hook.messages([*chat(41), {"role": "assistant", "content": "ok"}], "any")[: len(first)] == first
    edited = [*chat(40), {"role": "user", "content": "something else"}]
    assert hook.messages(edited, "any", conversation="one")[: len(plan)] == plan
    assert hook.messages(chat(41), "any") == first


# -- hooks -----------------------------------------------------------------------------------------------------------------------------


def test_the_proxys_hook_rewrites_its_data() -> None:
    data = {"model": "gpt-4o", "messages": chat(61), "metadata": {"session_id": "s", "tag": 1}, "temperature": 0}
    before = copy.deepcopy(data)
    result = asyncio.run(small_hook().async_pre_call_hook(None, None, data, "completion"))
    assert data == before and result is not None
    assert pictures(result["messages"]) and result["temperature"] == 0 and result["metadata"]["tag"] == 1


def test_pages_are_put_in_once() -> None:
    async def story() -> None:
        hook = small_hook()
        data = await hook.async_pre_call_hook(None, None, {"model": "gpt-4o", "messages": chat(61)}, "acompletion")
        assert data is not None
        assert await hook.async_pre_call_deployment_hook(data, litellm.types.utils.CallTypes.acompletion) is None

    asyncio.run(story())


@pytest.mark.parametrize("call_type", ["embeddings", "text_completion", "anthropic_messages", None])
def test_other_calls_are_left_alone(call_type: str | None) -> None:
    data = {"model": "gpt-4o", "messages": chat(61)}
    assert asyncio.run(small_hook().async_pre_call_hook(None, None, data, call_type)) is None


def test_a_group_whose_name_says_nothing_waits_for_its_deployment() -> None:
    hook = adapter.OpticalMemoryHook(renderer=RuledRenderer(rows=9_000), marks=WaterMarks(high=3_000, low=300))
    data = {"model": "our-best", "messages": chat(301)}

    async def story() -> dict[str, Any] | None:
        assert await hook.async_pre_call_hook(None, None, data, "completion") is None
        return await hook.async_pre_call_deployment_hook({**data, "model": "openai/gpt-4o"}, "acompletion")

    later = asyncio.run(story())
    assert later is not None and pictures(later["messages"])


# -- over the wire ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_the_client_sends_pages(hooks: list[Any], streamed: bool) -> None:
    hooks.append(small_hook())
    script = [part for n in range(12) for part in ([Call("look", {"at": n}), Call("look", {"at": n + 50})], f"Seen {n}. " * 10)]

    async def asked(wire: Wire, messages: list[Any]) -> Any:
        to = {"api_base": wire.openai_url, "api_key": "none", "metadata": {"conversation_id": "one"}}
        answer = await litellm.acompletion(model="openai/gpt-4o", messages=messages, stream=streamed, **to)
        if not streamed:
            return answer.choices[0].message
        return litellm.stream_chunk_builder([chunk async for chunk in answer]).choices[0].message

    async def story(wire: Wire) -> list[Any]:
        messages: list[Any] = []
        for n in range(12):
            messages.append({"role": "user", "content": f"Look at {n}. " * 10})
            messages.append(await asked(wire, messages))
            for call in messages[-1].tool_calls:
                messages.append({"role": "tool", "tool_call_id": call.id, "content": f"QX-77{n:03} " * 30})
            messages.append(await asked(wire, messages))
        return messages

    with Wire(script) as wire:
        kept = asyncio.run(story(wire))
    assert len(kept) == 12 * 5 and not pictures([message for message in kept if isinstance(message, dict)])
    assert len(wire.requests) == 24
    assert not any(orphans(request.body["messages"]) for request in wire.requests)
    assert pictures(wire.requests[-1].body["messages"]) and len(wire.requests[-1].body["messages"]) < 40


def test_another_providers_wire(hooks: list[Any]) -> None:
    hooks.append(small_hook())
    with Wire() as wire:
        call = litellm.acompletion(model="anthropic/claude-sonnet-4-5", messages=chat(61), api_base=wire.url, api_key="none")
        asyncio.run(call)
    page = pictures(wire.requests[0].body["messages"])[0]
    assert page["source"]["type"] == "base64" and page["source"]["media_type"] == "image/png"


def test_the_router_goes_by_the_deployment(hooks: list[Any]) -> None:
    hooks.append(adapter.OpticalMemoryHook(renderer=RuledRenderer(rows=9_000), marks=WaterMarks(high=3_000, low=300)))
    with Wire() as wire:
        to = {"model": "openai/gpt-4o", "api_base": wire.openai_url, "api_key": "none"}
        router = litellm.Router(model_list=[{"model_name": "our-best", "litellm_params": to}])
        asyncio.run(router.acompletion(model="our-best", messages=chat(301)))
    assert pictures(wire.requests[0].body["messages"])
    assert "optical_memory" not in wire.requests[0].body.get("metadata", {})


@pytest.mark.parametrize("positional", [False, True])
def test_a_synchronous_call_sends_pages(hooks: list[Any], positional: bool) -> None:
    hooks.append(small_hook())
    given = chat(61)
    with Wire() as wire:
        to = {"api_base": wire.openai_url, "api_key": "none"}
        if positional:
            litellm.completion("openai/gpt-4o", given, **to)
        else:
            litellm.completion(model="openai/gpt-4o", messages=given, metadata={"session_id": "s"}, **to)
        asyncio.run(litellm.acompletion(model="openai/gpt-4o", messages=given, **to))
    first, second = (request.body["messages"] for request in wire.requests)
    assert pictures(first) and first == second
    assert given == chat(61)


def test_a_synchronous_router_sends_pages(hooks: list[Any]) -> None:
    hooks.append(small_hook())
    with Wire() as wire:
        to = {"model": "openai/gpt-4o", "api_base": wire.openai_url, "api_key": "none"}
        litellm.Router(model_list=[{"model_name": "our-best", "litellm_params": to}]).completion(model="our-best", messages=chat(61))
    assert len(wire.requests) == 1 and pictures(wire.requests[0].body["messages"])


def test_a_synchronous_call_without_a_hook_is_sent_as_it_is(hooks: list[Any]) -> None:
    small_hook()  # made, and not among the callbacks
    with Wire() as wire:
        litellm.completion(model="openai/gpt-4o", messages=chat(61), api_base=wire.openai_url, api_key="none")
    assert wire.requests[0].body["messages"] == chat(61)


def test_a_function_that_was_imported_before_warns(hooks: list[Any]) -> None:
    hooks.append(small_hook())
    earlier = litellm.completion.__wrapped__  # what `from litellm import completion` binds before there is a hook
    with Wire() as wire, pytest.warns(RuntimeWarning, match=r"hook\.messages"):
        earlier(model="openai/gpt-4o", messages=chat(61), api_base=wire.openai_url, api_key="none")
    assert not pictures(wire.requests[0].body["messages"])


@pytest.mark.parametrize(("model", "detail", "asked"), [("2.5-pro", None, None), ("3-pro-preview", None, None), ("2.5-pro", "low", "LOW")])
def test_gemini_is_asked_for_a_media_resolution_only_if_the_caller_says_so(
    hooks: list[Any], model: str, detail: str | None, asked: str | None
) -> None:
    """LiteLLM makes of the highest `detail` what all pictures of a request to Gemini 2.5 are read at, the user's own too."""
    hooks.append(adapter.OpticalMemoryHook(budget=9_000, renderer=RuledRenderer(rows=6_000), detail=detail))
    messages = [{**message, "content": message["content"] * 20} for message in chat(121)]
    with Wire() as wire:
        asyncio.run(litellm.acompletion(model=f"gemini/gemini-{model}", messages=messages, api_base=wire.url, api_key="none"))
    body = wire.requests[-1].body
    parts = [part for content in body["contents"] for part in content["parts"] if "inline_data" in part]
    assert parts and not any("media_resolution" in part for part in parts)
    level = (body.get("generationConfig") or {}).get("mediaResolution")
    told = tuple(map(int, version("litellm").split(".")[:2])) > (1, 80)  # 1.80.0 leaves the detail out of a request to Gemini
    assert level == (f"MEDIA_RESOLUTION_{asked}" if asked and told else None)


@pytest.mark.slow
def test_the_example(hooks: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    example = Path(__file__).parents[2] / "examples" / "litellm_hook.py"
    with Wire(default="Noted, " * 120) as wire:
        monkeypatch.setenv("OPENAI_BASE_URL", wire.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setattr(sys, "argv", [str(example), "openai/gpt-4o"])
        monkeypatch.setattr(sys, "stdin", iter([f"Fact {n}: the booking is QX-77{n:03}. " * 30 for n in range(25)]))
        runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out.count("Noted") >= 25
    assert pictures(wire.requests[-1].body["messages"])
