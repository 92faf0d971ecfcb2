#!/bin/sh
# One would guess that a server that is handed a listening socket (uvicorn's `sockets=`, asyncio's `create_server(sock=)`) treats its connections
# as it treats those of a socket that it opens itself.
# asyncio turns Nagle's algorithm off only where the socket names its protocol. socket.socket() and socket.create_server() do not, so on such
# connections the last small write of an answer waits for the client's acknowledgement, some 40 ms.
#
# Seen with uvicorn 0.54.0, Python 3.11:
#   own: TCP_NODELAY 1, given: TCP_NODELAY 0
# Why it matters here: the proxy binds its socket itself, to print the port; each answer came 40 ms late until it set TCP_NODELAY.
# Exits non-zero once this has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import socket
import urllib.request

import uvicorn

found = {}


async def app(scope, receive, send):
    transport = send.__self__.transport
    found[scope["path"]] = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


async def ask(path, sockets):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = [socket.create_server(("127.0.0.1", port))] if sockets else None
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, lifespan="off", log_level="critical"))
    serving = asyncio.ensure_future(server.serve(given))
    while not server.started:
        await asyncio.sleep(0.05)
    await asyncio.to_thread(lambda: urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}{path}").read())
    server.should_exit = True
    await serving


asyncio.run(ask("/own", False))
asyncio.run(ask("/given", True))
print(f"own: TCP_NODELAY {bool(found['/own']):d}, given: TCP_NODELAY {bool(found['/given']):d}")
assert found["/own"] and not found["/given"]
PYTHON
