"""MCP over HTTP: who is answered, and what stands behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from tests.server.mcp.serving import served

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
ACCEPT = {"accept": "application/json, text/event-stream"}


async def _behind(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse(f"behind: {scope['path']}")(scope, receive, send)


@pytest.fixture(scope="module")
def here() -> Iterator[str]:
    with served("memory://", others=_behind) as address:
        yield address


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "[::1"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
    ],
)
def test_only_this_machine_and_no_other_site_is_answered(here: str, headers: dict[str, str], status: int) -> None:
    answer = httpx.post(here + "/mcp", json=INITIALIZE, headers=ACCEPT | headers)
    assert answer.status_code == status
    assert ("optical-memory" in answer.text) == (status == 200)


def test_a_page_of_the_same_address_is_answered(here: str) -> None:
    assert httpx.post(here + "/mcp", json=INITIALIZE, headers=ACCEPT | {"origin": here}).status_code == 200


def test_all_other_paths_go_to_the_application_behind(here: str) -> None:
    assert httpx.get(here + "/mcp2").text == "behind: /mcp2"
    assert httpx.post(here + "/v1/messages").text == "behind: /v1/messages"


def test_without_one_they_are_not_found() -> None:
    with served("memory://") as address:
        assert httpx.get(address + "/").status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"jsonrpc":"2.0","id":1,"method":"nothing"}', b"\xff\xfe"])
def test_what_is_no_request_is_refused_and_the_server_lives_on(here: str, body: bytes) -> None:
    wrong = httpx.post(here + "/mcp", content=body, headers=ACCEPT | {"content-type": "application/json"})
    assert wrong.status_code < 500
    assert httpx.post(here + "/mcp", json=INITIALIZE, headers=ACCEPT).status_code == 200
