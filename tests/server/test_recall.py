"""Recall through the proxy: the model asks for turns, the proxy answers, and the client sees one well-formed answer."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.server.local_upstream.script import scripted
from optical_memory.server.local_upstream.serving import Serving
from optical_memory.server.local_upstream.wires import WIRES as FORMATS
from optical_memory.server.local_upstream.wires import newest_text, tool_names
from optical_memory.server.proxy.recall.events import EventReader
from optical_memory.server.proxy.recall.rounds import MOST_ROUNDS
from optical_memory.server.proxy.serve import Proxy
from optical_memory.server.proxy.settings import ProxySettings
from tests.remembered import REMEMBERED
from tests.sampling import mostly_slow
from tests.server.histories import PATHS, entries, history
from tests.server.rig import Rig, claude, rig
from tests.server.test_sdks import CLIENTS

WIRES = tuple(PATHS)
WAYS = [(wire, stream) for wire in WIRES for stream in (False, True)]
ASKED = "Now PLEASE RECALL #4"


@pytest.fixture
def here() -> Iterator[Rig]:
    with rig(recall=True) as made:
        yield made


def _asked(wire: str, last: str = ASKED, *, stream: bool = False, rounds: int = 16, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Return the path and the body of a request."""
    body = history(wire, rounds, last=last, **fields)
    if wire == "gemini":
        return PATHS[wire].replace("generateContent", "streamGenerateContent") + "?alt=sse" if stream else PATHS[wire], body
    return PATHS[wire], {**body, "stream": stream}


def _expected(here: Rig, wire: str) -> str:
    """Return the text of the provider's last answer."""
    body = here.last.json
    return scripted(newest_text(body, FORMATS[wire]), tool_names(body)).text


def _said(response: httpx.Response, stream: bool) -> str:
    """Return all strings of an answer that are shown, in order, without white space between pieces."""
    if not stream:
        values = [response.json()]
    else:
        lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
        values = [json.loads(line) for line in lines if line != "[DONE]"]
    return "".join(text for value in values for text in _texts(value, stream))


def _texts(value: Any, stream: bool) -> Iterator[str]:
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner, stream)
    elif (
        isinstance(value, dict)
        and str(value.get("type")).startswith(("response.output_text.done", "response.content_part", "response.output_item"))
    ) or (isinstance(value, dict) and value.get("type") in ("response.completed", "response.created")):
        return
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in ("text", "content", "delta") and isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner, stream)


@pytest.mark.parametrize("client", mostly_slow(CLIENTS, quick=["anthropic-stream", "chat-stream", "responses", "gemini-stream"]))
def test_sdks_see_one_answer(here: Rig, client: str) -> None:
    wire, ask = CLIENTS[client]
    answer = ask(here.address, copy.deepcopy(history(wire, 16, last=ASKED)))
    seen = json.dumps(asyncio.run(answer) if asyncio.iscoroutine(answer) else answer)
    first, second = here.upstream.seen
    assert "recall_memory" in first.body.decode() and "line1x3 holds value 3" in second.body.decode()
    assert "recall_memory" not in seen and "call_r" not in seen
    call = here.settled(1)[0]
    assert (call["recalls"], call["status"], call["rewritten"]) == (1, 200, True)


@pytest.mark.parametrize(("wire", "stream"), WAYS)
def test_one_answer_of_two_rounds_is_whole_and_billed_together(here: Rig, wire: str, stream: bool) -> None:
    path, body = _asked(wire, stream=stream, **({"stream_options": {"include_usage": True}} if wire == "chat" else {}))
    response = here.post(path, body)
    said = _said(response, stream)
    assert "".join(said.split()) == "".join(("I look it up." + _expected(here, wire)).split())
    assert "recall_memory" not in response.text
    bills = [seen.bill for seen in here.upstream.seen if seen.bill]
    (call,) = here.settled(1)
    assert len(bills) == 2 and sum(call["usage"][name] for name in ("input", "write", "read")) == sum(bill.total for bill in bills)
    assert here.get("/api/conversations")[0]["recalls"] == 1


def test_a_stream_of_anthropics_has_one_start_one_end_and_blocks_in_order(here: Rig) -> None:
    path, body = _asked("anthropic", stream=True)
    lines = [json.loads(line[6:]) for line in here.post(path, body).text.splitlines() if line.startswith("data: ")]
    kinds = [line["type"] for line in lines]
    assert kinds[0] == "message_start" and kinds.count("message_start") == 1
    assert kinds[-2:] == ["message_delta", "message_stop"] and kinds.count("message_delta") == kinds.count("message_stop") == 1
    assert [line["index"] for line in lines if line["type"] == "content_block_start"] == [0, 1]
    assert [line["index"] for line in lines if line["type"] == "content_block_stop"] == [0, 1]
    assert lines[-2]["delta"]["stop_reason"] == "end_turn"


def test_a_stream_of_responses_is_numbered_without_gaps(here: Rig) -> None:
    path, body = _asked("responses", stream=True)
    lines = [json.loads(line[6:]) for line in here.post(path, body).text.splitlines() if line.startswith("data: ")]
    assert [line["sequence_number"] for line in lines] == list(range(len(lines)))
    assert [line["type"] for line in lines].count("response.created") == 1
    assert [item["type"] for item in lines[-1]["response"]["output"]] == ["message", "message"]
    assert lines[-1]["response"]["id"] == lines[0]["response"]["id"]


@pytest.mark.parametrize(("wire", "stream"), WAYS)
def test_an_answer_without_recall_passes_byte_for_byte(here: Rig, wire: str, stream: bool) -> None:
    path, body = _asked(wire, "hello", stream=stream)
    response = here.post(path, body)
    assert "recall_memory" in here.last.body.decode() and response.content == bytes(here.last.answer)


# -- beside the client's own calls -------------------------------------------------------------------------------------------------------


def _continued(wire: str, body: dict[str, Any], answer: dict[str, Any], result: str) -> dict[str, Any]:
    """Return the request that a client sends after an answer with one call."""
    added: list[Any]
    match wire:
        case "anthropic":
            (call,) = [block for block in answer["content"] if block["type"] == "tool_use"]
            done = {"type": "tool_result", "tool_use_id": call["id"], "content": result}
            added = [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [done]}]
        case "chat":
            message = answer["choices"][0]["message"]
            (call,) = message["tool_calls"]
            added = [message, {"role": "tool", "tool_call_id": call["id"], "content": result}]
        case "responses":
            (call,) = [item for item in answer["output"] if item["type"] == "function_call"]
            added = [*answer["output"], {"type": "function_call_output", "call_id": call["call_id"], "output": result}]
        case _:
            content = answer["candidates"][0]["content"]
            (call,) = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
            added = [content, {"role": "user", "parts": [{"functionResponse": {"name": call["name"], "response": {"output": result}}}]}]
    name = {"anthropic": "messages", "chat": "messages", "responses": "input", "gemini": "contents"}[wire]
    return {**body, name: [*body[name], *added]}


@pytest.mark.parametrize("wire", WIRES)
def test_recall_beside_a_call_of_the_client_is_answered_with_the_next_request(here: Rig, wire: str) -> None:
    path, body = _asked(wire, f"{ASKED} in ROUND 0 OF 2")
    first = here.post(path, body)
    assert "recall_memory" not in first.text and len(here.upstream.seen) == 1
    following = _continued(wire, body, first.json(), "done: ROUND 2 OF 2")
    second = here.post(path, following)
    assert second.status_code == 200 and here.last.pages
    held = here.last.json
    name = {"anthropic": "messages", "chat": "messages", "responses": "input", "gemini": "contents"}[wire]
    sent = json.dumps(held[name])
    assert sent.count('"recall_memory"') in (1, 2) and "line1x3 holds value 3" in sent  # Gemini names it in the result too
    before = json.loads(here.upstream.seen[0].body)[name]
    assert len(held[name]) > len(before)
    if wire != "anthropic":  # there the client's marker has moved
        assert held[name][: len(before)] == before
    assert [call["refused"] for call in here.settled(2)] == [0, 0]


@pytest.mark.parametrize("wire", WIRES)
def test_what_was_recalled_stays_with_the_model_in_a_tool_loop(here: Rig, wire: str) -> None:
    """The recalled turn itself asks for a tool: the model recalls, then calls it, and the next request still holds what it has recalled."""
    body = history(wire, 16, last=ASKED)
    texts = json.dumps(body).replace("line1x3 holds value 3;", "ROUND 0 OF 2 line1x3 holds value 3;")
    body, path = json.loads(texts), PATHS[wire]
    first = here.post(path, body)
    assert len(here.upstream.seen) == 2 and "recall_memory" not in first.text
    second = here.post(path, _continued(wire, body, first.json(), "done"))
    assert second.status_code == 200 and here.last.pages
    entries_sent = entries(wire, here.last.json)
    assert "line1x3 holds value 3" in json.dumps(entries_sent[-4:]) and [call["refused"] for call in here.settled(2)] == [0, 0]


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_that_is_bound_to_what_was_recalled_is_accepted(here: Rig, stream: bool) -> None:
    path, body = _asked("anthropic", f"{ASKED} in ROUND 0 OF 2", thinking={"type": "adaptive"})
    for _ in range(3):
        answer = here.post(path, body)
        assert answer.status_code == 200
        calls = [block for block in answer.json()["content"] if block["type"] == "tool_use"]
        if not calls:
            break
        body = _continued("anthropic", body, answer.json(), "done: ROUND 1 OF 2 PLEASE RECALL #2" if stream else "done")
    assert "thinking" in here.last.body.decode() and all(call["refused"] == 0 for call in here.settled(2))
    assert all(seen.status == 200 for seen in here.upstream.seen)


def test_what_was_recalled_outlives_the_process() -> None:
    store = "memory://recalled"
    with rig(recall=True, store=store) as made:
        path, body = _asked("chat", f"{ASKED} in ROUND 0 OF 2")
        first = made.post(path, body)
        made.settled(1)
        base = dict.fromkeys(("anthropic", "openai", "gemini"), made.direct)
        again = Proxy.of(ProxySettings(store=store, renderer=REMEMBERED, draw_wait=60.0, upstreams=base, recall=True, probe=False))
        with Serving(again.app, close=again.close) as server:
            assert made.post(path, _continued("chat", body, first.json(), "done"), address=server.address).status_code == 200
        assert "line1x3 holds value 3" in json.dumps(made.last.json["messages"][-3:])


# -- bounds and faults -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", mostly_slow(WAYS, quick=[("anthropic", True), ("chat", False)]), ids=str)
def test_a_model_that_recalls_for_ever_is_stopped(here: Rig, way: tuple[str, bool]) -> None:
    wire, stream = way
    path, body = _asked(wire, "PLEASE RECALL #3", stream=stream)
    body = json.loads(json.dumps(body).replace("Round 1.", "Round 1. PLEASE RECALL #3"))
    response = here.post(path, body)
    assert response.status_code == 200 and "This answers" in _said(response, stream) and "recall_memory" not in response.text
    assert len(here.upstream.seen) == MOST_ROUNDS + 2 and "recall_memory" not in here.last.body.decode()


@pytest.mark.parametrize("way", mostly_slow(WAYS, quick=[("anthropic", True), ("responses", False)]), ids=str)
@pytest.mark.parametrize("status", ["529", "400", "413"])
def test_a_refusal_after_a_recall_goes_on_without_it(here: Rig, way: tuple[str, bool], status: str) -> None:
    """The client has not sent what is refused; a 413 would make it throw its history away."""
    wire, stream = way
    here.upstream.faults.extend(["", status])
    path, body = _asked(wire, stream=stream)
    response = here.post(path, body)
    assert response.status_code == 200 and "This answers" in _said(response, stream)
    assert len(here.upstream.seen) == 3 and "recall_memory" not in here.last.body.decode()


@pytest.mark.parametrize("wire", mostly_slow(WIRES, quick=["anthropic"], daily=["responses"]))
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("faults", [("", "no answer"), ("", "cut"), ("", "529", "529"), ("cut",)])
def test_what_breaks_off_looks_so(here: Rig, wire: str, stream: bool, faults: tuple[str, ...]) -> None:
    if not stream and "cut" in faults:
        return  # the provider cuts streams only
    here.upstream.faults.extend(faults)
    path, body = _asked(wire, stream=stream)
    if not stream and faults[-1] == "529":
        assert here.post(path, body).status_code == 529
        return
    with pytest.raises(httpx.RemoteProtocolError):
        here.post(path, body)
    assert here.post(path, body).status_code == 200  # as clients do


def test_an_error_event_after_a_recall_reaches_the_client(here: Rig) -> None:
    here.upstream.faults.extend(["", "error event"])
    path, body = _asked("anthropic", stream=True)
    response = here.post(path, body)
    assert "overloaded_error" in response.text and "message_stop" not in response.text


def test_a_client_that_hangs_up_ends_the_second_round(here: Rig) -> None:
    here.upstream.delay = 0.2
    path, body = _asked("anthropic", stream=True)
    with httpx.stream("POST", here.address + path, json=body, headers={"x-api-key": "k"}, timeout=30) as answer:
        for _ in answer.iter_raw():
            if len(here.upstream.seen) == 2 and here.last.answer:
                break
    until = time.monotonic() + 20
    while not here.settled(1)[0]["end"] and time.monotonic() < until:
        time.sleep(0.05)
    assert here.settled(1)[0]["end"] == "the client hung up" and not here.last.finished


def test_a_provider_that_takes_no_tools_gets_pages_without() -> None:
    with rig(recall=True) as made:
        path, body = _asked("chat")
        made.upstream.faults.append("400")
        assert made.post(path, body).status_code == 200 and not made.last.pages
        assert made.post(path, body).status_code == 200
        assert made.last.pages and "recall_memory" not in made.last.body.decode()


# -- where it is not offered -------------------------------------------------------------------------------------------------------------

OWN = {"name": "recall_memory", "description": "mine", "input_schema": {"type": "object"}}
NOT_OFFERED: list[tuple[str, dict[str, Any]]] = [
    ("anthropic", {"tool_choice": {"type": "tool", "name": "Bash"}}),
    ("anthropic", {"tool_choice": {"type": "any"}}),
    ("anthropic", {"tool_choice": {"type": "none"}}),
    ("anthropic", {"tools": [OWN]}),
    ("chat", {"tool_choice": "required"}),
    ("chat", {"tool_choice": {"type": "function", "function": {"name": "Bash"}}}),
    ("chat", {"n": 2}),
    ("responses", {"tool_choice": "required"}),
    ("responses", {"stream": True, "store": True}),
    ("gemini", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
    ("gemini", {"tools": [{"googleSearch": {}}]}),
]


@pytest.mark.parametrize(("wire", "fields"), NOT_OFFERED, ids=lambda value: value if isinstance(value, str) else json.dumps(value)[:40])
def test_it_is_not_offered(here: Rig, wire: str, fields: dict[str, Any]) -> None:
    path, body = _asked(wire)
    assert here.post(path, {**body, **fields}).status_code == 200
    assert here.last.pages and here.last.body.decode().count("recall_memory") == json.dumps(fields).count("recall_memory")
    assert len(here.upstream.seen) == 1


def test_it_is_off_by_default_and_text_stays_text(here: Rig) -> None:
    short = json.dumps(claude(1, last=ASKED)).encode()
    here.post("/v1/messages", short)
    assert here.last.body == short
    with rig() as made:
        path, body = _asked("anthropic")
        made.post(path, body)
        assert made.last.pages and "recall_memory" not in made.last.body.decode()


@given(st.lists(st.sampled_from([b"data: {}\n\n", b": ping\r\n\r\n", b"event: x\ndata: 1\n\n", b"data: a\r\n\r\n"])), st.data())
def test_events_do_not_depend_on_how_they_arrive(events: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(events)
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    reader = EventReader()
    bounds = [0, *places, len(whole)]
    found = [event for start, end in itertools.pairwise(bounds) for event in reader.add(whole[start:end])]
    assert found == events and not reader.rest()
