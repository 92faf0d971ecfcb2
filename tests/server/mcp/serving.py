"""A store with one long session, its MCP server over real HTTP, and the SDK's own client."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, TextContent

from optical_memory import OpticalMemory
from optical_memory.server.local_upstream.serving import Serving
from optical_memory.server.mcp.memories import Memories
from optical_memory.server.mcp.mounted import MountedMcp
from optical_memory.server.mcp.server import memory_server
from optical_memory.stores.base import open_store
from tests.remembered import REMEMBERED

T = TypeVar("T")
ROOT = Path(__file__).parents[3]
SESSION = 'work/"a"\u202e'  # a name that must come back as a handle: a slash, quotes, an override of direction


def stored(folder: Path, turns: int = 40) -> str:
    """Store a conversation; return the store's URL."""
    url = f"sqlite:///{folder.as_posix()}/store.sqlite3"
    with OpticalMemory(SESSION, store=url) as memory:
        for at in range(turns):
            words = f"Fact {at}: order ORD-{at * 7919} ships to Lyon. " + "more words about that order " * 40
            memory.append({"role": "user" if at % 2 == 0 else "assistant", "content": words, "id": f"t{at}"})
    return url


@contextmanager
def served(url: str, *, may_erase: bool = False, others: Any = None, **limits: int) -> Iterator[str]:
    """Serve a store over HTTP; return the address."""
    with closing(open_store(url)) as store:
        memories = Memories(store, default=SESSION, reader="claude", renderer=REMEMBERED)
        app = MountedMcp(memory_server(memories, may_erase=may_erase, **limits), others)
        with Serving(app, close=app.close) as server:
            yield server.address


def command(url: str, *options: str) -> StdioServerParameters:
    """Return how a client starts `optical-memory mcp`."""
    arguments = [
        "-m",
        "optical_memory",
        "mcp",
        "--store",
        url,
        "--session",
        SESSION,
        "--reader",
        "claude",
        "--renderer",
        "pillow",
        *options,
    ]
    return StdioServerParameters(command=sys.executable, args=arguments, env={"PYTHONPATH": str(ROOT)})


def with_client(server: str | StdioServerParameters, what: Callable[[Client], Awaitable[T]], **options: Any) -> T:
    """Do something with a connected client."""

    async def run() -> T:
        async with Client(server, **options) as client:
            return await what(client)

    return asyncio.run(run())


def call(server: str | StdioServerParameters, tool: str, **arguments: Any) -> CallToolResult:
    """Call one tool."""
    return with_client(server, lambda client: client.call_tool(tool, arguments))


def texts(result: CallToolResult) -> str:
    """Return the words of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def failure(result: CallToolResult) -> str:
    """Return the text of an error."""
    assert result.is_error
    return texts(result)
