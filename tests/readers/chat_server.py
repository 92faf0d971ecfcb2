"""A server on this machine that speaks OpenAI's chat completions, streamed; it says what it is told to and keeps what it was sent."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class ChatServer:
    """Answers each request with the next of `script`, the last one again and again.

    A step is a list of pieces to say, a string to say for ever, a status, or one of `"hang"`, `"cut"`, `"error"`, `"junk"`.
    """

    def __init__(self, *script: Any) -> None:
        self.script, self.requests = list(script or [["Noted."]]), list[dict[str, Any]]()
        self.raw, self.headers = list[bytes](), list[dict[str, str]]()
        self.closed = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Any) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.raw.append(body)
        self.requests.append(json.loads(body) | {"path": request.path})
        self.headers.append(dict(request.headers))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        request.close_connection = True
        if step == "hang":
            time.sleep(3)
            return
        if isinstance(step, int):
            data = json.dumps({"error": {"message": f"no: {step}"}}).encode()
            request.send_response(step)
            request.send_header("Content-Length", str(len(data)))
            request.send_header("Retry-After", "0.01")
            request.end_headers()
            request.wfile.write(data)
            return
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.end_headers()
        self._stream(request, step)

    def _stream(self, request: Any, step: Any) -> None:
        pieces = ["half of"] if step == "cut" else [] if step in ("error", "junk") else step
        try:
            if step == "junk":
                request.wfile.write(b"data: <html>\n\n")
            for piece in pieces if isinstance(pieces, list) else iter(lambda: str(pieces), None):
                self._send(request, {"choices": [{"delta": {"content": piece}}]})
                if not isinstance(pieces, list):
                    time.sleep(0.02)
            if step == "error":
                self._send(request, {"error": {"message": "out of memory"}})
            if isinstance(pieces, list) and step not in ("cut", "error", "junk"):
                self._send(request, {"choices": [{"delta": {}, "finish_reason": "stop"}]})
                usage = {"prompt_tokens": 321, "completion_tokens": len(pieces), "prompt_tokens_details": {"cached_tokens": 300}}
                self._send(request, {"choices": [], "usage": usage})
                request.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.closed.set()

    def _send(self, request: Any, event: dict[str, Any]) -> None:
        request.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        request.wfile.flush()
