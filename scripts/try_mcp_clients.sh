#!/usr/bin/env bash
# Try `optical-memory mcp` with clients that need version 1 of the MCP SDK, and so cannot share an environment with this package: LangChain's
# adapters. Installs them into a temporary folder; the server runs from .venv, or from the Python that is the first argument.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-.venv/bin/python}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'langchain-mcp-adapters>=0.3'
store="sqlite:///$folder/store.sqlite3"
printf '%s' '[{"role": "user", "content": "My train to Lyon is the 7:40, booking QX-77419."}]' > "$folder/chat.json"
PYTHONPATH=$PWD "$python" -m optical_memory import "$folder/chat.json" --store "$store" --session trip > /dev/null
"$folder/venv/bin/python" - "$python" "$PWD" "$store" <<'PYTHON'
import asyncio
import sys

from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools

python, root, store = sys.argv[1:]
arguments = ["-m", "optical_memory", "mcp", "--store", store, "--session", "trip", "--renderer", "pillow"]
server = {"transport": "stdio", "command": python, "args": arguments, "env": {"PYTHONPATH": root}}


async def main() -> None:
    async with MultiServerMCPClient({"memory": server}).session("memory") as session:
        tools = {tool.name: tool for tool in await load_mcp_tools(session)}
        found = str(await tools["recall"].ainvoke({"words": "booking"}))
        assert "QX-77419" in found, found
        wrong = str(await tools["recall"].ainvoke({"numbers": [99]}))
        assert "no turn #99" in wrong, wrong
        print("LangChain:", ", ".join(sorted(tools)))


asyncio.run(main())
PYTHON
