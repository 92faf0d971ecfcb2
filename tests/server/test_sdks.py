"""What the providers' own clients see through the proxy is what they see without it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.later import later
from tests.sampling import mostly_slow
from tests.server.histories import history
from tests.server.rig import Rig, rig

if TYPE_CHECKING:
    import anthropic
    import openai
    from google import genai
else:
    anthropic, openai, genai = later("anthropic"), later("openai"), later("google.genai")

Ask = Callable[[str, dict[str, Any]], Any]
BILLED = ("usage", "usage_metadata")  # pages are billed otherwise than text; the bytes are compared in test_passthrough


@pytest.fixture(scope="module")
def here() -> Iterator[Rig]:
    with rig() as made:
        yield made


def _plain(value: Any) -> Any:
    """Return what a client shows, without what was billed."""
    dumped = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    return _without_bill(dumped)


def _without_bill(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_bill(inner) for name, inner in value.items() if name not in BILLED and name != "sdk_http_response"}
    return [_without_bill(inner) for inner in value] if isinstance(value, list) else value


def _anthropic(address: str, body: dict[str, Any]) -> Any:
    return _plain(anthropic.Anthropic(api_key="k", base_url=address).messages.create(**_given(body)))


def _given(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("unknown_field", "unknown")}


def _anthropic_stream(address: str, body: dict[str, Any]) -> Any:
    with anthropic.Anthropic(api_key="k", base_url=address).messages.stream(**_given(body)) as stream:
        return [_plain(event) for event in stream]


async def _anthropic_async(address: str, body: dict[str, Any]) -> Any:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=address) as client, client.messages.stream(**_given(body)) as stream:
        return [_plain(event) async for event in stream]


def _chat(address: str, body: dict[str, Any]) -> Any:
    return _plain(openai.OpenAI(api_key="k", base_url=address + "/v1").chat.completions.create(**_given(body)))


def _chat_stream(address: str, body: dict[str, Any]) -> Any:
    return [
        _plain(chunk) for chunk in openai.OpenAI(api_key="k", base_url=address + "/v1").chat.completions.create(**_given(body), stream=True)
    ]


async def _chat_async(address: str, body: dict[str, Any]) -> Any:
    async with openai.AsyncOpenAI(api_key="k", base_url=address + "/v1") as client:
        stream = await client.chat.completions.create(**_given(body), stream=True, stream_options={"include_usage": True})
        return [_plain(chunk) async for chunk in stream]


def _responses(address: str, body: dict[str, Any]) -> Any:
    return _plain(openai.OpenAI(api_key="k", base_url=address + "/v1").responses.create(**_given(body)))


def _responses_stream(address: str, body: dict[str, Any]) -> Any:
    with openai.OpenAI(api_key="k", base_url=address + "/v1").responses.create(**_given(body), stream=True) as stream:
        return [_plain(event) for event in stream]


async def _responses_async(address: str, body: dict[str, Any]) -> Any:
    async with openai.AsyncOpenAI(api_key="k", base_url=address + "/v1") as client:
        return [_plain(event) async for event in await client.responses.create(**_given(body), stream=True)]


def _google(address: str) -> genai.Client:
    return genai.Client(api_key="k", http_options=genai.types.HttpOptions(base_url=address))


def _asked(body: dict[str, Any]) -> dict[str, Any]:
    return {"model": "gemini-3.5-pro", "contents": body["contents"], "config": {"system_instruction": "You are an agent."}}


def _gemini(address: str, body: dict[str, Any]) -> Any:
    client = _google(address)  # it is closed once nothing holds it
    return _plain(client.models.generate_content(**_asked(body)))


def _gemini_stream(address: str, body: dict[str, Any]) -> Any:
    client = _google(address)
    return [_plain(chunk) for chunk in client.models.generate_content_stream(**_asked(body))]


async def _gemini_async(address: str, body: dict[str, Any]) -> Any:
    client = _google(address)
    return [_plain(chunk) async for chunk in await client.aio.models.generate_content_stream(**_asked(body))]


CLIENTS: dict[str, tuple[str, Any]] = {
    "anthropic": ("anthropic", _anthropic),
    "anthropic-stream": ("anthropic", _anthropic_stream),
    "anthropic-async": ("anthropic", _anthropic_async),
    "chat": ("chat", _chat),
    "chat-stream": ("chat", _chat_stream),
    "chat-async": ("chat", _chat_async),
    "responses": ("responses", _responses),
    "responses-stream": ("responses", _responses_stream),
    "responses-async": ("responses", _responses_async),
    "gemini": ("gemini", _gemini),
    "gemini-stream": ("gemini", _gemini_stream),
    "gemini-async": ("gemini", _gemini_async),
}


TEXT, CALL = "What was the first value?", "ROUND 0 OF 3"
CASES = [(client, prompt) for client in CLIENTS for prompt in (TEXT, CALL)]
QUICK = [(client, CALL if "stream" in client else TEXT) for client in CLIENTS if "async" not in client]


@pytest.mark.parametrize("case", mostly_slow(CASES, quick=QUICK), ids=", ".join)
def test_clients_see_the_same_with_and_without(here: Rig, case: tuple[str, str]) -> None:
    client, prompt = case
    wire, ask = CLIENTS[client]
    seen = []
    for address in (here.direct, here.address):
        answer = ask(address, copy.deepcopy(history(wire, 16, last=prompt)))
        seen.append(asyncio.run(answer) if asyncio.iscoroutine(answer) else answer)
    assert here.last.pages and here.last.status == 200
    assert seen[0] == seen[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "client", mostly_slow(["anthropic", "anthropic-stream", "chat", "responses-stream"], quick=["anthropic", "responses-stream"], daily=[])
)
@pytest.mark.parametrize("fault", ["529", "429", "400", "413", "error event", "garbage", "cut"])
def test_clients_see_the_same_faults(here: Rig, client: str, fault: str) -> None:
    wire, ask = CLIENTS[client]
    seen = []
    for address in (here.direct, here.address):
        here.upstream.faults.clear()
        here.upstream.faults.extend([fault] * 8)  # more than any client tries
        try:
            seen.append(ask(address, history(wire, 1, last="hello")))
        except Exception as exc:
            seen.append((type(exc).__name__, getattr(exc, "status_code", None), getattr(exc, "body", None)))
    here.upstream.faults.clear()
    assert seen[0] == seen[1]
