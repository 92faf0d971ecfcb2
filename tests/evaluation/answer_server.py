"""A chat model on this machine that knows nothing but what it is sent: it reads the pictures with Tesseract, and answers out of the
sentence that has most words of the question."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from optical_memory.readers.tesseract import OcrReader
from tests.readers.chat_server import ChatServer


class AnswerServer(ChatServer):
    """Answers with what stands behind "is" in the sentence that is nearest to the question; `unknown` if none is near.

    Args:
        fail_after: requests that are answered; the next ones get status 400.
    """

    def __init__(self, fail_after: int | None = None) -> None:
        super().__init__()
        self.reader, self.fail_after = OcrReader(), fail_after
        self._read: dict[str, str] = {}

    def answer(self, request: Any) -> None:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self.headers.append(dict(request.headers))
        self.requests.append(body)
        request.close_connection = True
        if self.fail_after is not None and len(self.requests) > self.fail_after:
            request.send_error(400, "no more")
            return
        words = " ".join(self._words(block) for message in body["messages"] for block in _blocks(message))
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.end_headers()
        self._stream(request, [found(words)])

    def _words(self, block: dict[str, Any]) -> str:
        if block["type"] == "text":
            return str(block["text"])
        url = block["image_url"]["url"]
        if url not in self._read:
            self._read[url] = self.reader.read_picture(base64.b64decode(url.partition(",")[2]))
        return self._read[url]


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def found(words: str) -> str:
    """The answer to the question that `words` end with, out of the sentences before it."""
    material, _, question = words.rpartition("Question: ")
    wanted = set(re.findall(r"\w+", question.splitlines()[0].lower()))
    sentences = [sentence for sentence in re.split(r"[.!?]\s", re.sub(r"\s+", " ", material)) if " is " in sentence]
    near = [(len(wanted & set(re.findall(r"\w+", sentence.lower()))), sentence) for sentence in sentences]
    score, best = max(near, default=(0, ""))
    return best.rpartition(" is ")[2] if score >= 0.6 * len(wanted) else "unknown"
