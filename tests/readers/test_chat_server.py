"""Readers behind a server, against a real one on this machine: what is on the wire, and what goes wrong."""

from __future__ import annotations

import base64
import io
import json
import logging
from typing import Any

import pytest

pytest.importorskip("httpx", reason="the serving extra is not installed")

from optical_memory import OpticalMemory
from optical_memory.errors import ReaderError, ReaderUnavailable, UnknownName
from optical_memory.pages.page import Page
from optical_memory.pages.tiers import Tier
from optical_memory.planning.triggers import WaterMarks
from optical_memory.readers import open_reader, profile_of
from optical_memory.readers.chat_server import ChatModelReader, VllmReader
from optical_memory.readers.engines import ENGINES
from tests.remembered import REMEMBERED

from .chat_server import ChatServer
from .conftest import talk

KEY = "sk-very-secret-77419"


def pictures(request: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = [block for message in request["messages"] if isinstance(message["content"], list) for block in message["content"]]
    return [block for block in blocks if block["type"] == "image_url"]


@pytest.fixture
def qwen() -> OpticalMemory:
    memory = OpticalMemory("q", store="memory://", renderer=REMEMBERED, reader="qwen3-vl", marks=WaterMarks(high=900, low=150))
    talk(memory, 1, 24)
    return memory


def test_an_answer_streams(qwen: OpticalMemory) -> None:
    with ChatServer(["On ", "track ", "7."]) as server:
        answer = open_reader("openai", url=server.url, model="Qwen3-VL-8B", api_key=KEY, headers={"x-session-id": "q"}).answer(
            qwen.context(), "Where is parcel 7?"
        )
        assert answer.stopped is None
        assert list(answer) == ["On ", "track ", "7."]
    assert (str(answer), answer.stopped) == ("On track 7.", "end")
    assert (answer.usage.prompt_tokens, answer.usage.cached) == (321, 300)  # type: ignore[attr-defined]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert server.headers[0]["x-session-id"] == "q"
    request = server.requests[0]
    assert request["path"] == "/v1/chat/completions"
    assert request["messages"][-1] == {"role": "user", "content": "Where is parcel 7?"}
    assert len(pictures(request)) == len(qwen.context().pages) > 0


def test_the_same_context_is_the_same_bytes(qwen: OpticalMemory) -> None:
    with ChatServer() as server:
        reader = VllmReader(server.url, "Qwen3-VL-8B")
        first = qwen.context()
        str(reader.answer(first, "one?"))
        str(reader.answer(first, "one?"))
        qwen.append(("user", "One more."))
        assert qwen.context().plan.epoch == first.plan.epoch
        str(reader.answer(qwen.context(), "two?"))
    assert server.raw[0] == server.raw[1]
    before, after = (json.dumps(request["messages"][:-1])[:-1] for request in (server.requests[0], server.requests[2]))
    assert after.startswith(before), "a turn more leaves all before it as it was"


def test_ids_are_those_of_the_pictures(qwen: OpticalMemory) -> None:
    with ChatServer() as server:
        str(VllmReader(server.url, "Qwen3-VL-8B").answer(qwen.context(), "?"))
        str(ChatModelReader(server.url, "Qwen3-VL-8B").answer(qwen.context(), "?"))
        talk(qwen, 25, 34)
        str(VllmReader(server.url, "Qwen3-VL-8B").answer(qwen.context(), "?"))
    seen: dict[str, str] = {}
    for request in (server.requests[0], server.requests[2]):
        for block in pictures(request):
            assert seen.setdefault(block["uuid"], block["image_url"]["url"]) == block["image_url"]["url"]
    assert len(set(seen.values())) == len(seen) > 1, "one id for each picture"
    assert not any("uuid" in block for block in pictures(server.requests[1])), "other servers do not know the field"


# -- DeepSeek-OCR behind a server --------------------------------------------------------------------------------------------------------


@pytest.fixture
def served() -> OpticalMemory:
    """A memory for DeepSeek-OCR as vLLM serves it."""
    memory = OpticalMemory("d", store="memory://", renderer=REMEMBERED, reader="deepseek-ocr-on-vllm", marks=WaterMarks(high=900, low=150))
    talk(memory, 1, 40)
    return memory


def test_deepseek_ocr_on_vllm(served: OpticalMemory) -> None:
    from PIL import Image

    context = served.context(budget=2_500)
    with ChatServer() as server:
        reader = VllmReader(server.url, "deepseek-ai/DeepSeek-OCR")
        assert reader.profile.name == "deepseek-ocr-on-vllm"
        str(reader.answer(context, "Where?"))
    request = server.requests[0]
    assert [message["role"] for message in request["messages"]] == ["user"], "its template has no roles"
    assert (request["temperature"], request["skip_special_tokens"]) == (0.0, False)
    assert request["vllm_xargs"] == {"ngram_size": 30, "window_size": 90, "whitelist_token_ids": [128821, 128822]}
    assert len(context.pages) == len(pictures(request)) > 1
    for part, block in zip(context.pages, pictures(request), strict=True):
        data = base64.b64decode(block["image_url"]["url"].partition(",")[2])
        assert data == part.image()
        small = max(Image.open(io.BytesIO(data)).size) <= 640
        assert part.vision_tokens == (273 if small else 693), "what the server makes of a picture of this size"


def test_rungs_that_do_not_pay_there_are_skipped(served: OpticalMemory) -> None:
    assert profile_of("deepseek-ocr-on-vllm").ladder == (Tier.SMALL, Tier.GUNDAM)
    assert {part.tier for part in served.context(budget=2_500).pages} <= {Tier.SMALL, Tier.GUNDAM}


def test_sglang_is_refused_more_pictures_than_it_counts_alike(served: OpticalMemory) -> None:
    with ChatServer() as server:
        reader = ChatModelReader(server.url, "deepseek-ai/DeepSeek-OCR", engine="sglang")
        with pytest.raises(ReaderError, match="at most 2 pictures"):
            reader.answer(served.context(budget=2_500), "?")
    assert server.requests == []


def test_transcribing_a_page(served: OpticalMemory, page: Page) -> None:
    from PIL import Image

    with ChatServer(["The words"]) as server:
        assert VllmReader(server.url, "deepseek-ai/DeepSeek-OCR").transcribe(page, tier="tiny") == "The words"
        assert ChatModelReader(server.url, "qwen3-vl").transcribe(page, tier="base") == "The words"
    first, second = (request["messages"][0]["content"] for request in server.requests)
    assert first[1]["text"] == "\nFree OCR."
    assert Image.open(io.BytesIO(base64.b64decode(first[0]["image_url"]["url"].partition(",")[2]))).width == 640, "Tiny is no cheaper there"
    assert "reading order" in second[1]["text"]


def test_embeddings_go_alone() -> None:
    torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")
    rows = torch.randn(9, 4, dtype=torch.bfloat16)
    with ChatServer(["ok"]) as server:
        reader = VllmReader(server.url, "deepseek-ai/DeepSeek-OCR")
        with pytest.raises(ReaderError, match="56655"):
            reader.complete(rows, prompt="and some text")
        assert str(reader.complete(rows)) == "ok"
    (request,) = server.requests
    assert request["path"] == "/v1/completions"
    assert torch.equal(torch.load(io.BytesIO(base64.b64decode(request["prompt_embeds"])), weights_only=True), rows)


# -- what goes wrong -----------------------------------------------------------------------------------------------------------------------


def reader_of(server: ChatServer, **options: Any) -> ChatModelReader:
    return ChatModelReader(server.url, "qwen3-vl", api_key=KEY, **options)


def test_a_busy_server_is_asked_again(qwen: OpticalMemory, caplog: pytest.LogCaptureFixture) -> None:
    with ChatServer(429, 503, ["Done."]) as server, caplog.at_level(logging.DEBUG):
        assert str(reader_of(server).answer(qwen.context(), "?")) == "Done."
    assert len(server.requests) == 3
    assert KEY not in caplog.text


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (400, 1), (401, 1)])
def test_a_server_that_refuses(qwen: OpticalMemory, status: int, tries: int) -> None:
    with ChatServer(status) as server:
        reader = reader_of(server, retries=2)
        with pytest.raises(ReaderUnavailable, match=f"status {status}.*no: {status}") as caught:
            str(reader.answer(qwen.context(), "?"))
    assert len(server.requests) == tries
    assert KEY not in str(caught.value) + repr(reader)


def test_a_stream_that_breaks_off_is_no_answer(qwen: OpticalMemory) -> None:
    with ChatServer("cut") as server:
        answer = reader_of(server).answer(qwen.context(), "?")
        with pytest.raises(ReaderUnavailable, match="broke off after 7 characters"):
            str(answer)
    assert answer.text == "half of"
    assert len(server.requests) == 1, "what was said is not asked for again"


def test_an_error_in_the_stream(qwen: OpticalMemory) -> None:
    with ChatServer("error") as server, pytest.raises(ReaderUnavailable, match="out of memory"):
        str(reader_of(server).answer(qwen.context(), "?"))


def test_what_is_no_event(qwen: OpticalMemory) -> None:
    with ChatServer("junk") as server, pytest.raises(ReaderUnavailable, match="no event of a chat completion: '<html>'"):
        str(reader_of(server).answer(qwen.context(), "?"))


def test_a_server_that_hangs_or_is_not_there(qwen: OpticalMemory) -> None:
    with ChatServer("hang") as server, pytest.raises(ReaderUnavailable, match="does not answer: ReadTimeout"):
        str(reader_of(server, timeout=0.2, retries=0).answer(qwen.context(), "?"))
    with pytest.raises(ReaderUnavailable, match="ConnectError"):
        str(reader_of(server, retries=0).answer(qwen.context(), "?"))


def test_cancelling_closes_the_connection(qwen: OpticalMemory) -> None:
    with ChatServer("again and ") as server:
        answer = reader_of(server).answer(qwen.context(), "?")
        next(answer)
        answer.cancel()
        assert list(answer) == []
        assert answer.stopped == "cancelled"
        assert server.closed.wait(20)


def test_a_model_without_a_profile() -> None:
    with pytest.raises(UnknownName, match=r"profile of model 'mystery'.*pass profile="):
        ChatModelReader("http://127.0.0.1:1/v1", "mystery")
    assert ChatModelReader("http://127.0.0.1:1/v1", "mystery", profile="qwen3-vl").profile.name == "qwen3-vl"
    with pytest.raises(UnknownName, match=r"unknown engine 'tgi'; known: llama\.cpp"):
        ChatModelReader("http://127.0.0.1:1/v1", "qwen3-vl", engine="tgi")


def test_no_room_for_an_answer(qwen: OpticalMemory) -> None:
    with pytest.raises(ValueError, match="max_tokens=0 leaves no room"):
        ChatModelReader("http://127.0.0.1:1/v1", "qwen3-vl").answer(qwen.context(), "?", max_tokens=0)


def test_every_engine_s_profile_is_there() -> None:
    for engine in ENGINES.values():
        assert not engine.deepseek_profile or profile_of(engine.deepseek_profile).formula.kind == "deepseek"
