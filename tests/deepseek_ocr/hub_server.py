"""A model hub on this machine: as much of its HTTP interface as fetching a model takes."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves the files of a folder as one repository.

    Attributes:
        ranges: the first byte of each transfer of a weight file.
        cut: end the next transfer of a weight file after so many bytes.
        damaged: the name of a file that is sent with its first byte turned round.
    """

    def __init__(self, repository: str, folder: Path) -> None:
        self.repository, self.folder = repository, folder
        self.ranges: list[int] = []
        self.cut: int | None = None
        self.damaged: str | None = None
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = request.path.partition("?")[0]
        if path.startswith(f"/api/models/{self.repository}/tree/"):
            return self._send(request, json.dumps(self._tree()).encode(), {"Content-Type": "application/json"}, body)
        if path.startswith(f"/api/models/{self.repository}"):
            return self._send(request, json.dumps(self._info()).encode(), {"Content-Type": "application/json"}, body)
        name = path.rpartition("/")[2]
        file = self.folder / name
        if not path.startswith(f"/{self.repository}/resolve/") or not file.is_file():
            return self._send(request, b"", {}, body, status=404)
        data = file.read_bytes()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{self._git_hash(file)}"', "Accept-Ranges": "bytes"}
        if file.suffix == ".safetensors":
            headers |= {"X-Linked-ETag": f'"{self._sha(file)}"', "X-Linked-Size": str(len(data))}
        if name == self.damaged:
            data = bytes([data[0] ^ 0xFF]) + data[1:]
        self._send(request, data, headers, body, weights=file.suffix == ".safetensors")

    def _send(self, request: Any, data: bytes, headers: dict[str, str], body: bool, *, status: int = 200, weights: bool = False) -> None:
        begin = 0
        if body and (asked := request.headers.get("Range", "")).startswith("bytes="):
            begin, status = int(asked.removeprefix("bytes=").partition("-")[0]), 206
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data) - begin)}.items():
            request.send_header(name, value)
        request.end_headers()
        if not body:
            return
        if weights:
            self.ranges.append(begin)
            if self.cut is not None:
                request.wfile.write(data[begin : begin + self.cut])
                request.wfile.flush()
                self.cut, request.close_connection = None, True
                return
        request.wfile.write(data[begin:])

    def _sha(self, file: Path) -> str:
        return hashlib.sha256(file.read_bytes()).hexdigest()

    def _git_hash(self, file: Path) -> str:
        data = file.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    def _tree(self) -> list[dict[str, Any]]:
        files = [
            {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": self._git_hash(file)}
            for file in sorted(self.folder.iterdir())
        ]
        for entry in files:
            if str(entry["path"]).endswith(".safetensors"):
                entry["lfs"] = {"oid": self._sha(self.folder / str(entry["path"])), "size": entry["size"], "pointerSize": 130}
        return files

    def _info(self) -> dict[str, Any]:
        siblings = []
        for file in sorted(self.folder.iterdir()):
            entry: dict[str, Any] = {"rfilename": file.name, "size": file.stat().st_size, "blobId": self._git_hash(file)}
            if file.suffix == ".safetensors":
                entry["lfs"] = {"sha256": self._sha(file), "size": file.stat().st_size, "pointerSize": 130}
            siblings.append(entry)
        return {
            "_id": "1",
            "id": self.repository,
            "modelId": self.repository,
            "sha": COMMIT,
            "private": False,
            "tags": [],
            "siblings": siblings,
        }
