"""No error quotes a secret: servers that quote what they were sent, adapters, the command."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory
from optical_memory.errors import ReaderUnavailable
from tests.commands import run_command
from tests.planted import TOKENS
from tests.secrets_in_errors.misuse import MESSAGES, memory_with, message, raised

# -- readers, servers, adapters, the command ------------------------------------------------------------------------------------------


def test_a_server_that_quotes_what_it_was_sent(watched: Callable[..., None]) -> None:
    pytest.importorskip("httpx", reason="needs the chat extra")
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    from optical_memory.readers.chat_server import ChatModelReader

    secret = TOKENS["openai"](random.Random(1))
    answers = [(400, f"{secret} " * 30), (500, json.dumps({"error": {"message": "x" * 290 + secret}})), (200, f"data: {secret}\n\n")]
    answers.append((200, "data: " + json.dumps({"error": {"message": f"cannot read {secret}"}}) + "\n\n"))

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = answers[0]
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        reader = ChatModelReader(f"http://127.0.0.1:{server.server_port}/v1", "qwen3-vl-8b", retries=1)
        context = OpticalMemory("x", store="memory://", renderer="pillow", reader=reader.profile).context()
        while answers:
            with pytest.raises(ReaderUnavailable) as told:
                str(reader.answer(context, "?"))
            watched(secret, told.value)
            answers.pop(0)
    finally:
        server.shutdown()
        server.server_close()


def test_adapters(tmp_path: Path, watched: Callable[..., None]) -> None:
    secret = TOKENS["anthropic"](random.Random(1))
    refused = 0
    for name, calls in {"langchain": _langchain, "litellm": _litellm, "llama-index": _llama_index, "openai-agents": _agents}.items():
        for call in calls(secret, tmp_path / name):
            if error := raised(call):
                refused += 1
                watched(secret, error)
    assert refused, "some are misuse"


def _langchain(secret: str, path: Path) -> Iterator[Callable[[], Any]]:
    messages = pytest.importorskip("langchain_core.messages", reason="needs the langchain extra")
    from optical_memory.adapters.langchain.history import OpticalChatMessageHistory
    from optical_memory.adapters.langchain.log import to_log
    from optical_memory.adapters.langchain.messages import turn_of_message

    path.mkdir()
    history = OpticalChatMessageHistory(memory_with(path))
    odd: Any = [
        messages.ToolMessage(secret, tool_call_id="unknown"),
        messages.HumanMessage([{"type": "image_url", "image_url": {"url": f"data:{secret}"}}]),
        messages.HumanMessage([{"type": "file", "file": secret}]),
        messages.ChatMessage(content=secret, role=secret),
        messages.RemoveMessage(id=secret),
        messages.AIMessage(secret, additional_kwargs={secret: float("nan"), "loop": object()}),
    ]
    looped: dict[str, Any] = {secret: secret}
    looped["again"] = looped
    odd.append(messages.HumanMessage(secret, additional_kwargs=looped))
    for each in odd:
        yield partial(to_log, each)
        yield partial(turn_of_message, each)
        yield partial(history.add_messages, [each])


def _litellm(secret: str, path: Path) -> Iterator[Callable[[], Any]]:
    pytest.importorskip("litellm", reason="needs the litellm extra")
    from optical_memory.adapters.litellm import _turn

    for make in MESSAGES.values():
        given = make(secret)
        if isinstance(given, dict):
            yield partial(_turn, given)


def _llama_index(secret: str, path: Path) -> Iterator[Callable[[], Any]]:
    llms = pytest.importorskip("llama_index.core.llms", reason="needs the llama-index extra")
    from optical_memory.adapters.llama_index import _turn

    yield lambda: _turn(llms.ChatMessage(role="tool", content=secret))
    yield lambda: _turn(llms.ChatMessage(role="assistant", content=secret, additional_kwargs={"tool_calls": [{"name": secret}]}))


def _agents(secret: str, path: Path) -> Iterator[Callable[[], Any]]:
    pytest.importorskip("agents", reason="needs the openai-agents extra")
    from optical_memory.adapters.openai_agents import OpticalSession

    path.mkdir()
    session = OpticalSession(memory_with(path))
    items: list[Any] = [
        {"role": secret, "content": secret},
        {"type": "function_call_output", "call_id": secret, "output": {secret: {1}}},
        {"type": "function_call", "call_id": [secret], "name": secret, "arguments": [secret]},
        {"role": "user", "content": [{"type": "input_file", "file_data": secret}]},
        {"role": "user", "content": {secret}},
    ]
    for item in items:
        yield partial(_run, session, item)


def _run(session: Any, item: Any) -> None:
    asyncio.run(session.add_items([item]))


COMMANDS: dict[str, Callable[[Path, str], list[str]]] = {
    "import of texts": lambda path, secret: ["import", written(path, json.dumps([secret])), "--redact"],
    "import of an unknown role": lambda path, secret: ["import", written(path, json.dumps([message(role=secret)])), "--redact"],
    "import of an unknown call": lambda path, secret: [
        "import",
        written(path, json.dumps([{"role": "tool", "content": secret, "tool_call_id": secret}])),
        "--redact",
    ],
    "import of no JSON": lambda path, secret: ["import", written(path, f'{{"a": "{secret}"'), "--redact"],
    "recall": lambda path, secret: ["recall", f"where is {secret}"],
    "show": lambda path, secret: ["show", secret],
    "erase": lambda path, secret: ["erase", "--turns", secret, "--yes"],
}


def written(path: Path, text: str) -> str:
    file = path / "chat.json"
    file.write_text(text)
    return str(file)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_s_error_output(tmp_path: Path, command: str, watched: Callable[..., None]) -> None:
    secret = TOKENS["github"](random.Random(2))
    store = ["--store", f"sqlite:///{tmp_path / 'a.db'}"]
    run_command("append", "something said", *store, cwd=tmp_path)
    done = run_command(*COMMANDS[command](tmp_path, secret), *store, cwd=tmp_path)
    assert done.returncode != 0 and done.stderr
    watched(secret, done.stderr + done.stdout)
