"""Everything that is not rewritten passes byte for byte, both ways."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from optical_memory.server.local_upstream.serving import Serving
from optical_memory.server.proxy.serve import bound
from tests.server.rig import CLAUDE, Rig, claude, rig


@pytest.fixture(scope="module")
def here() -> Iterator[Rig]:
    with rig() as made:
        yield made


SHORT = {"model": CLAUDE, "max_tokens": 10, "messages": [{"role": "user", "content": "hello"}]}


def _connection(address: str) -> http.client.HTTPConnection:
    parts = urlsplit(address)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_any_path_and_method_arrive_as_they_were_sent(here: Rig, method: str) -> None:
    target = "/v1/files/a%2Fb%20c/%E2%82%AC?x=1&x=2&empty=&q=a%26b|c"
    connection = _connection(here.address)
    body = b"\x00\xff not json" if method not in ("GET", "OPTIONS") else None
    connection.request(method, target, body, {"X-Odd": "caf\xe9", "Authorization": "Bearer k", "Accept-Encoding": "identity"})
    answer = connection.getresponse()
    content = answer.read()
    seen = here.last
    assert (seen.method, f"{seen.path}?{seen.query}") == (method, target)
    assert seen.body == (body or b"")
    assert ("x-odd", "caf\xe9") in seen.headers and ("authorization", "Bearer k") in seen.headers
    assert content == bytes(seen.answer) and answer.getheader("x-local") == "yes"


def test_only_headers_of_the_connection_change(here: Rig) -> None:
    given = {
        "X-Api-Key": "k",
        "Anthropic-Beta": "a,b",
        "TE": "trailers",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "Cookie": "c=1; d=2",
    }
    connection = _connection(here.address)
    connection.request("POST", "/v1/messages/count_tokens", json.dumps(SHORT), given)
    connection.getresponse().read()
    names = dict(here.last.headers)
    assert not {"te", "x-hop", "proxy-connection"} & set(names)
    assert names["cookie"] == "c=1; d=2" and names["anthropic-beta"] == "a,b"
    assert names["host"] == urlsplit(here.direct).netloc
    assert {"user-agent", "accept", "accept-encoding"} & set(names) == {"accept-encoding"}  # http.client sends it; the proxy adds none
    assert json.loads(here.last.body) == SHORT


def test_count_tokens_counts_the_original(here: Rig) -> None:
    body = json.dumps(claude(20, last="now")).encode()
    here.post("/v1/messages", body)
    assert here.last.pages
    here.post("/v1/messages/count_tokens?beta=true", body)
    assert here.last.body == body


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_answers_are_the_providers_bytes(here: Rig, stream: bool, compressed: bool) -> None:
    here.upstream.compress = compressed
    began = time.time()
    try:
        body = json.dumps({**claude(20, last="and now"), "stream": stream})
        connection = _connection(here.address)
        connection.request("POST", "/v1/messages", body, {"x-api-key": "k", "Accept-Encoding": "gzip, br"})
        answer = connection.getresponse()
        content = answer.read()
    finally:
        here.upstream.compress = False
    assert here.last.pages and content == bytes(here.last.answer)
    assert (answer.getheader("content-encoding") == "gzip") is compressed
    plain = gzip.decompress(content) if compressed else content
    assert (b"message_stop" in plain) is stream
    assert here.settled(1, since=began)[0]["usage"] is not None


def test_answers_arrive_as_they_are_written(here: Rig) -> None:
    here.upstream.delay = 0.1
    try:
        with httpx.stream("POST", here.address + "/v1/messages", json={**SHORT, "stream": True}, headers={"x-api-key": "k"}) as answer:
            times = [time.monotonic() for _ in answer.iter_raw()]
    finally:
        here.upstream.delay = 0.0
    assert len(times) >= 8 and times[-1] - times[0] > 0.5


@pytest.mark.parametrize("fault", ["cut", "no answer"])
def test_an_upstream_that_breaks_off_looks_so_to_the_client(here: Rig, fault: str) -> None:
    for address in (here.direct, here.address):
        here.upstream.faults.append(fault)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(address + "/v1/messages", json={**SHORT, "stream": True}, headers={"x-api-key": "k"})


@pytest.mark.parametrize("fault", ["529", "429", "500", "400", "413", "garbage", "error event"])
def test_errors_of_the_provider_reach_the_client(here: Rig, fault: str) -> None:
    answers = []
    for address in (here.direct, here.address):
        here.upstream.faults.append(fault)
        answers.append(here.post("/v1/messages", {**SHORT, "stream": True}, address=address))
    assert answers[0].status_code == answers[1].status_code and answers[0].content == answers[1].content
    assert answers[0].headers.get("content-type") == answers[1].headers.get("content-type")


def test_a_client_that_hangs_up_ends_the_upstreams_request(here: Rig) -> None:
    here.upstream.delay = 0.2
    try:
        with httpx.stream("POST", here.address + "/v1/messages", json={**SHORT, "stream": True}, headers={"x-api-key": "k"}) as answer:
            next(answer.iter_raw())
        time.sleep(1.0)
        so_far = bytes(here.last.answer)
        time.sleep(0.6)
    finally:
        here.upstream.delay = 0.0
    assert not here.last.finished and bytes(here.last.answer) == so_far


def test_a_websocket_is_refused_with_426_and_other_upgrades_are_ignored(here: Rig) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}
    before = len(here.upstream.seen)
    assert httpx.get(here.address + "/v1/responses", headers=upgrade).status_code == 426
    assert len(here.upstream.seen) == before
    assert httpx.get(here.address + "/v1/models", headers={"Connection": "Upgrade", "Upgrade": "h2c"}).status_code == 200


def test_head_of_the_root_is_answered(here: Rig) -> None:
    assert httpx.head(here.address + "/").status_code == 200


def test_continue_is_answered_before_the_body_is_sent(here: Rig) -> None:
    body = json.dumps(SHORT).encode()
    with socket.create_connection((urlsplit(here.address).hostname or "", urlsplit(here.address).port or 0), timeout=10) as line:
        head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\ncontent-length: {len(body)}\r\nexpect: 100-continue\r\n\r\n"
        line.sendall(head.encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 100")
        line.sendall(body)
        assert line.recv(1000).startswith(b"HTTP/1.1 200")
    assert here.last.body == body


def test_a_chunked_body_arrives_whole(here: Rig) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(200):
            yield b"x" * 50_000

    assert httpx.post(here.address + "/v1/files", content=chunks(), timeout=60).status_code == 200
    assert here.last.body == b"x" * 10_000_000


def test_a_body_beyond_the_buffer_passes_as_it_arrives(here: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optical_memory.server.proxy.app.MOST_BUFFERED", 10_000)
    body = json.dumps(claude(20, last="large")).encode()
    assert here.post("/v1/messages", body).status_code == 200
    assert here.last.body == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[1]",
        b'{"model": "claude-opus-4-8"}',
        b'{"model": 3, "messages": []}',
        b'{"model": "claude-opus-4-8", "messages": [3]}',
        b'{"model": "claude-opus-4-8", "messages": [{"role": "user"}]}',
        b'{"model": "m", "messages": [], "messages": []}',
        b'\xef\xbb\xbf{"model": "m", "messages": []}',
        b'{"a": ' + b"[" * 100_000,
        b'{"model": "m\xff"}',
        json.dumps(claude(20)).encode() + b" x",
    ],
    ids=range(12),
)
def test_what_is_not_understood_passes_as_it_came(here: Rig, body: bytes) -> None:
    before = len(here.upstream.seen)
    here.post("/v1/messages", body)
    assert len(here.upstream.seen) == before + 1 and here.last.body == body


def test_other_upstreams_by_prefix_and_by_header(here: Rig) -> None:
    httpx.post(here.address + "/u/other/some/v9/chat/completions?a=b", json={"model": "x", "messages": []})
    assert (here.last.path, here.last.query) == ("/some/v9/chat/completions", "a=b")
    httpx.get(here.address + "/api/conversations", headers={"x-optical-memory-upstream": "other"})
    assert here.last.path == "/api/conversations" and "x-optical-memory-upstream" not in dict(here.last.headers)
    assert httpx.get(here.address + "/u/nobody/x").status_code == 404


def test_an_upstream_that_is_not_there_is_no_reason_to_compact() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with rig() as made:
        made.proxy.app._router._upstreams["anthropic"] = f"http://127.0.0.1:{free}"
        answer = made.post("/v1/messages", SHORT)
    assert answer.status_code == 529 and answer.json()["error"]["type"] == "overloaded_error"


def test_header_lines_that_repeat_stay_apart() -> None:
    async def provider(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-request-id", b"r"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 299, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    with Serving(provider) as there, rig() as made:
        made.proxy.app._router._upstreams["openai"] = there.address
        answer = httpx.get(made.address + "/v1/models")
    assert answer.status_code == 299 and answer.headers.get_list("set-cookie") == ["a=1", "b=2"] and "date" not in answer.headers


def test_many_streams_at_once_stay_apart(here: Rig) -> None:
    async def one(client: httpx.AsyncClient, number: int) -> tuple[bytes, bytes]:
        body = {**SHORT, "stream": True, "messages": [{"role": "user", "content": f"question {number}"}]}
        answers = [
            await client.post(address + "/v1/messages", json=body, headers={"x-api-key": "k"}) for address in (here.direct, here.address)
        ]
        return answers[0].content, answers[1].content

    async def all_of_them() -> list[tuple[bytes, bytes]]:
        async with httpx.AsyncClient(timeout=60) as client:
            return await asyncio.gather(*(one(client, number) for number in range(16)))

    assert all(direct == through for direct, through in asyncio.run(all_of_them()))


def test_small_writes_of_an_answer_do_not_wait_for_the_client() -> None:
    with bound("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    "headers", [{"host": "evil.test"}, {"host": "["}, {"origin": "http://evil.test"}, {"origin": "null"}, {"origin": "http://["}]
)
def test_pages_of_other_sites_switch_nothing(here: Rig, headers: dict[str, str]) -> None:
    assert here.post("/api/switch", {"on": False}, headers).status_code == 403
    assert here.get("/api/switch")["on"] is True
