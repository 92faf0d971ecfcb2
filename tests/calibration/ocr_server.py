"""A chat model on this machine that looks with Tesseract: a real server, real pictures, real reading errors, OpenAI's chat completions."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from optical_memory.calibration.asking import found_in_transcription
from optical_memory.readers.tesseract import OcrReader
from tests.readers.chat_server import ChatServer


class OcrServer(ChatServer):
    """Answers the eye test's question with what it reads in the picture, null for turns that it does not find.

    Args:
        fail_after: requests that are answered; the next ones get status 400.
    """

    def __init__(self, fail_after: int | None = None) -> None:
        super().__init__()
        self.reader, self.fail_after = OcrReader(), fail_after

    def answer(self, request: Any) -> None:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self.requests.append(body)
        request.close_connection = True
        if self.fail_after is not None and len(self.requests) > self.fail_after:
            request.send_error(400, "no more")
            return
        picture, question = body["messages"][0]["content"]
        read = found_in_transcription(self.reader.read_picture(base64.b64decode(picture["image_url"]["url"].split(",", 1)[1])))
        asked = [int(number) for number in re.findall(r"#(\d+)", question["text"])]
        said = "Here it is:\n```json\n" + json.dumps({f"#{number}": read.get(number) for number in asked}, ensure_ascii=False) + "\n```"
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.end_headers()
        usage = {"prompt_tokens": 700, "completion_tokens": 77}
        for event in ({"choices": [{"delta": {"content": said}, "finish_reason": "stop"}]}, {"choices": [], "usage": usage}):
            request.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        request.wfile.write(b"data: [DONE]\n\n")
