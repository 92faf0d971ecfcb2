"""Clients of real processes: the SDK's, pydantic-ai's and OpenAI Agents', over standard input and output.

LangChain's adapters need an older SDK than this package: `scripts/try_mcp_clients.sh` tries them in an environment of their own.
"""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import httpx
import pytest
from mcp import Client

from tests.server.mcp.serving import SESSION, call, command, stored, texts, with_client


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return stored(tmp_path_factory.mktemp("mcp"), 24)


def test_a_session_over_standard_input_and_output(store: str) -> None:
    async def work(client: Client) -> None:
        assert "erase" in [tool.name for tool in (await client.list_tools()).tools]
        stored = await client.call_tool("remember", {"content": "half a pair: \ufffd\u2028 and a line\nmore", "session": "new"})
        assert not stored.is_error
        found = texts(await client.call_tool("recall", {"words": "pair", "session": "new"}))
        assert "half a pair: \ufffd\u2028 and a line\nmore" in found
        kinds = [block.type for block in (await client.call_tool("context", {"budget": 5_000})).content]
        assert "image" in kinds
        assert (await client.call_tool("recall", {"numbers": [99]})).is_error
        assert "ORD-0 " in texts(await client.call_tool("recall", {"numbers": [1]}))

    with_client(command(store, "--allow-erase"), work)


def test_nothing_but_the_protocol_is_written_to_standard_output(store: str) -> None:
    given = command(store)
    request = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"recall","arguments":{"numbers":[99]}}}\n'
    ran = subprocess.run(
        [given.command, *given.args], input=f"no JSON\n{request}", capture_output=True, text=True, env=given.env, timeout=60, check=False
    )
    assert ran.returncode == 0
    assert all(line.startswith('{"jsonrpc":"2.0"') for line in ran.stdout.splitlines())
    assert "ORD-" not in ran.stderr


def test_a_wrong_option_is_one_line_and_no_server(tmp_path: Path) -> None:
    given = command("sqlite:///" + str(tmp_path / "s.sqlite3"), "--reader", "nobody")
    ran = subprocess.run([given.command, *given.args], input="", capture_output=True, text=True, env=given.env, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("optical-memory: ") and "'nobody'" in ran.stderr and ran.stderr.count("\n") == 1


def test_http_is_served_by_the_same_command(store: str) -> None:
    given = command(store, "--port", "0")
    with subprocess.Popen([given.command, *given.args], stdout=subprocess.PIPE, text=True, env=given.env) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            assert "ORD-0 " in texts(call(address, "recall", numbers=[1]))
            assert httpx.post(address, headers={"host": "evil.example"}).status_code == 403
        finally:
            process.terminate()
    assert process.returncode in (0, -15)


def test_pydantic_ai(store: str) -> None:
    from pydantic_ai.exceptions import ModelRetry
    from pydantic_ai.mcp import MCPToolset, StdioTransport
    from pydantic_ai.messages import BinaryContent

    given = command(store)

    async def work() -> None:
        async with MCPToolset(StdioTransport(given.command, given.args, env=given.env), init_timeout=60) as tools:
            assert "ORD-7919 " in str(await tools.direct_call_tool("recall", {"words": "ORD-7919"}))
            parts = await tools.direct_call_tool("context", {"budget": 5_000})
            assert any(isinstance(part, BinaryContent) and part.media_type == "image/png" for part in parts)
            with pytest.raises(ModelRetry, match="no turn #99"):
                await tools.direct_call_tool("recall", {"numbers": [99]})
            assert await tools.list_resources()

    asyncio.run(work())


def test_openai_agents(store: str) -> None:
    from agents.mcp import MCPServerStdio

    given = command(store)

    async def work() -> None:
        params = {"command": given.command, "args": given.args, "env": given.env or {}}
        async with MCPServerStdio(params=params, client_session_timeout_seconds=60) as server:  # type: ignore[arg-type]
            assert {"recall", "context"} <= {tool.name for tool in await server.list_tools()}
            found = await server.call_tool("recall", {"numbers": [2], "session": SESSION})
            assert "ORD-7919 " in str(found.content)

    asyncio.run(work())
