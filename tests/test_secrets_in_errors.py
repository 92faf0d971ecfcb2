"""No error, warning or log line quotes a secret, however bad the input that holds it: tracebacks as a whole, causes included."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import sqlite3
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory
from optical_memory.archive.codec import decode_pages
from optical_memory.archive.page_runs import PageRun
from optical_memory.errors import ReaderUnavailable, UnknownName
from optical_memory.readers import open_reader
from optical_memory.stores import SessionId, Store, open_store
from optical_memory.stores.codec import decode, encode
from optical_memory.stores.transfer import export_session, import_session
from optical_memory.text.excerpts import excerpt, said, shape
from optical_memory.turns.chat_files import identified, read_chat
from optical_memory.turns.from_messages import turn_of
from optical_memory.turns.redaction import Secrets
from optical_memory.turns.turn import ImageContent, ToolCall, Turn
from tests.commands import run_command
from tests.planted import TOKENS

OWN = "ACME-7391-8264-5502"  # of no known format: the memory's own pattern alone knows it
A = SessionId("a")


def message(**fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": "fine"} | fields


# Ways to misuse the library with a message in which `secret` stands where it should not, or beside what is wrong.
MESSAGES: dict[str, Callable[[str], Any]] = {
    "a text": lambda secret: secret,
    "a list": lambda secret: [secret],
    "bytes": lambda secret: secret.encode(),
    "three parts": lambda secret: ("user", secret, secret),
    "an unknown role": lambda secret: message(role=secret),
    "no role": lambda secret: {"content": secret},
    "an unknown role beside it": lambda secret: message(role="robot", content=secret),
    "content that is a mapping": lambda secret: message(content={"text": secret, secret: 1}),
    "content that is bytes": lambda secret: message(content=secret.encode()),
    "a part of no type": lambda secret: message(content=[{"text": secret}]),
    "a part of an unknown type": lambda secret: message(content=[{"type": "input_audio", "data": secret}]),
    "a part whose type it is": lambda secret: message(content=[{"type": secret}]),
    "a part whose text is a list": lambda secret: message(content=[{"type": "text", "text": [secret]}]),
    "a part that is a number": lambda secret: message(content=[5, secret]),
    "a picture of an unknown source": lambda secret: message(content=[{"type": "image", "source": {"type": "file", "id": secret}}]),
    "a picture without a URL": lambda secret: message(content=[{"type": "image_url", "image_url": {"key": secret}}]),
    "a picture whose URL is a list": lambda secret: message(content=[{"type": "image_url", "image_url": {"url": [secret]}}]),
    "a data URL": lambda secret: message(content=[{"type": "image_url", "image_url": {"url": f"data:{secret},x"}}]),
    "a data URL of text": lambda secret: message(content=[{"type": "image_url", "image_url": {"url": f"data:text/html,{secret}"}}]),
    "picture data": lambda secret: message(content=[{"type": "image", "source": {"type": "base64", "data": secret + "!"}}]),
    "a tool's result": lambda secret: {"role": "tool", "content": secret},
    "a tool's result for an unknown call": lambda secret: {"role": "tool", "content": secret, "tool_call_id": "c"},
    "the id of an unknown call": lambda secret: {"role": "tool", "content": "x", "tool_call_id": secret},
    "a result whose id is a list": lambda secret: {"role": "tool", "content": "x", "tool_call_id": [secret]},
    "a call by a user": lambda secret: message(content=secret, tool_calls=[{"id": "c", "name": "f"}]),
    "a call that is a text": lambda secret: message(role="assistant", tool_calls=[secret]),
    "a call without an id": lambda secret: message(role="assistant", tool_calls=[{"name": "f", "arguments": {"password": secret}}]),
    "a call without a name": lambda secret: message(role="assistant", tool_calls=[{"id": "c", "function": {"arguments": secret}}]),
    "arguments that JSON lacks": lambda secret: message(role="assistant", tool_calls=[{"id": "c", "name": "f", "args": {secret: {1, 2}}}]),
    "an id": lambda secret: message(id=[secret]),
    "a name": lambda secret: message(name=[secret]),
    "a time": lambda secret: message(created_at=secret),
    "importance": lambda secret: message(importance=secret),
    "pinned": lambda secret: message(pinned=secret),
    "metadata": lambda secret: message(metadata=secret),
    "metadata of objects": lambda secret: message(metadata={secret: object()}),
    "extra that JSON lacks": lambda secret: message(**{"note": {secret: {secret}}}),
    "an object beside an id": lambda secret: message(id=secret, note=object()),
    "a lone object": lambda secret: type(re.sub(r"\W", "_", "T"), (), {"secret": secret})(),
    "a result in a list": lambda secret: message(content=[{"type": "tool_result", "tool_use_id": "x", "content": [{"type": secret}]}]),
    "thinking": lambda secret: message(role="assistant", content=[{"type": "thinking", "block": secret}]),
}

# Shapes in which it stands: at a cut, among other words, beside quotes.
AROUND: dict[str, Callable[[str], str]] = {
    "alone": lambda secret: secret,
    "at the cut": lambda secret: "x" * 40 + " " + secret + " and more",
    "at a later cut": lambda secret: "words " * 18 + secret,
    "among words": lambda secret: f"my key is '{secret}'\nkeep it",
    "in a long text": lambda secret: f"{secret} " + "more words " * 4_000,
}


@pytest.fixture(params=["github", "openai", "anthropic", "pypi", "jwt", "own"])
def secret(request: pytest.FixtureRequest) -> str:
    return OWN if request.param == "own" else TOKENS[request.param](random.Random(5))


@pytest.fixture
def watched(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[str, BaseException | str], None]]:
    """Looks for a secret, or a part of it that would help, in an exception's traceback, in what was logged and in warnings."""
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")

        def look(secret: str, error: BaseException | str) -> None:
            told = error if isinstance(error, str) else "".join(traceback.format_exception(error)) + repr(error) + causes(error)
            seen = "\n".join([told, caplog.text, *(str(each.message) for each in warned)])
            for start in range(0, len(secret) - 12):  # the first characters name the format
                part = secret[start + 4 : start + 12]
                assert part not in seen, f"{part} is in: {told[-600:]}"
            assert len(str(error)) < 1_000 or isinstance(error, str)

        yield look


def causes(error: BaseException | None) -> str:
    """Everything that hangs on an exception, shown by `traceback` or not."""
    told = ""
    while error is not None:
        told += f"{error!s} {error.args!r} {getattr(error, '__notes__', '')}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told


def memory_with(path: Path, redact: Any = True) -> OpticalMemory:
    return OpticalMemory("a", store=f"sqlite:///{path / 'a.db'}", renderer="pillow", redact=redact)


def raised(call: Callable[[], Any]) -> BaseException | None:
    try:
        call()
    except Exception as exc:
        return exc
    return None


@pytest.mark.parametrize("around", AROUND)
def test_messages_that_are_refused(tmp_path: Path, secret: str, around: str, watched: Callable[..., None]) -> None:
    memory = memory_with(tmp_path, Secrets(patterns=[r"ACME-[\d-]{14}"]))
    refused = []
    for kind, make in MESSAGES.items():
        given = make(AROUND[around](secret))
        for batch in ([given], [message(), given]):
            error = raised(lambda batch=batch: memory.extend(batch))  # type: ignore[misc]
            if error is not None:
                refused.append(kind)
                watched(secret, error)
    assert set(MESSAGES) - set(refused) <= {"pinned", "a lone object", "arguments that JSON lacks", "an id", "thinking"}, "they are misuse"
    assert len(memory) == sum(kind not in refused for kind in MESSAGES) * 3


def test_messages_without_redaction_show_no_known_format_either(secret: str, watched: Callable[..., None]) -> None:
    if secret == OWN:
        pytest.skip("nobody knows its format here")
    for around in AROUND.values():
        for make in MESSAGES.values():
            if error := raised(lambda make=make, around=around: turn_of(make(around(secret)))):  # type: ignore[misc]
                watched(secret, error)


# Everything else that is given content and can raise: never a message, so only the known formats are masked.
def damaged_record(secret: str, tmp_path: Path) -> Any:
    record = encode(Turn(id="x", role="user", content=secret))
    return decode(record[:-1] + b',"created_at":"' + secret[:9].encode() + b'"', 1)


def wrong_fields(secret: str, tmp_path: Path) -> Any:
    return decode(json.dumps({"v": 1, "id": [secret], "role": "user", "content": {"a": secret}, "created_at": secret}).encode(), 1)


def changed_row(secret: str, tmp_path: Path) -> Any:
    store = open_store(f"sqlite:///{tmp_path / 'b.db'}")
    store.append(A, [Turn(id="x", role="user", content=secret), Turn(id="y", role="user", content="other")])
    with closing(sqlite3.connect(tmp_path / "b.db")) as db:
        db.execute("UPDATE turn SET record = CAST(record || x'ff' AS TEXT) WHERE key & 4294967295 = 1")
        db.commit()
    return store.read(A)


def spoilt_export(change: Callable[[list[Any]], None]) -> Callable[[str, Path], Any]:
    """An export that carries right sums over wrong things."""

    def run(secret: str, tmp_path: Path) -> Any:
        from optical_memory.stores.transfer import _sealed  # the only way to sums that fit

        source: Store = open_store("memory://")
        source.append(A, [Turn(id="x", role="user", content=secret), Turn(id="y", role="user", content="other")])
        entries = [json.loads(line) for line in export_session(source, A)][:-1]
        for entry in entries:
            del entry["sum"]
            entry.update({key: value for key, value in entry.items() if key != "sum"})
        change_with = [secret, *entries]
        change(change_with)
        return import_session(open_store("memory://"), _sealed(change_with[1:]))

    return run


def _set(at: int, **fields: Callable[[str], Any]) -> Callable[[list[Any]], None]:
    return lambda entries: entries[at].update({key: make(entries[0]) for key, make in fields.items()})


class Broken:
    """A redactor, or a verifier, that quotes what it was given."""

    name, fingerprint = "broken", "1"

    def redact(self, text: str) -> str:
        raise RuntimeError(f"cannot redact {text}")


def broken_redactor(secret: str, tmp_path: Path) -> Any:
    memory = OpticalMemory("r", store="memory://", renderer="pillow", redact=Broken(), keep_secrets_in_log=True)
    memory.extend([("user" if place % 2 == 0 else "assistant", f"{secret} " * 30) for place in range(40)])
    return memory.context(1_000)


def unknown_renderer(secret: str, tmp_path: Path) -> Any:
    return OpticalMemory("x", store="memory://", renderer=secret)


OTHERS: dict[str, Callable[[str, Path], Any]] = {
    "a turn's field": lambda secret, _: Turn(role="user", content=secret, importance=7, name=[secret]),  # type: ignore[arg-type]
    "a turn's role": lambda secret, _: Turn(role=secret, content=secret),  # type: ignore[arg-type]
    "a call": lambda secret, _: ToolCall(id=[secret], name=secret),  # type: ignore[arg-type]
    "picture data": lambda secret, _: ImageContent(data=secret + "!"),
    "a damaged record": damaged_record,
    "a record of wrong fields": wrong_fields,
    "a row that changed": changed_row,
    "a turn without an id": lambda secret, _: encode(Turn(role="user", content=secret)),
    "what JSON lacks": lambda secret, _: encode(Turn(id=secret, role="user", extra={secret: {secret}})),
    "a page's record": lambda secret, _: decode_pages(json.dumps({"v": 1, "pages": [{"key": secret, "size": [secret, secret]}]}).encode()),
    "a page's record of wrong numbers": lambda secret, _: decode_pages(
        json.dumps({"v": 1, "pages": [{"key": "k", "size": [1, 1], "said": secret, "segments": [], "tokens": secret}]}).encode()
    ),
    "a page's record of another version": lambda secret, _: decode_pages(json.dumps({"v": secret, "pages": []}).encode()),
    "a page's record that is cut": lambda secret, _: decode_pages(b'{"v":1,"pages":"' + secret.encode()),
    "a run's name": lambda secret, _: PageRun.parse(f"run/x/{secret}"),
    "a chat file": lambda secret, _: read_chat(f'{{"{secret}": 1}}'.encode()),
    "a chat file that is no JSON": lambda secret, _: read_chat(f'{{"a": {secret}}}'.encode()),
    "a chat file of texts": lambda secret, _: read_chat(json.dumps([secret]).encode()),
    "a chat file of one text": lambda secret, _: read_chat(json.dumps(secret).encode()),
    "a line of a chat file": lambda secret, _: read_chat(f'{{"role": "user"}}\n{secret}'.encode()),
    "a chat file in Latin-1": lambda secret, _: read_chat(f"\u00e4{secret}".encode("latin-1")),
    "imported metadata": lambda secret, _: identified(read_chat(json.dumps([message(metadata=secret)]).encode()), {}),
    "an export's turn": spoilt_export(_set(2, turn=lambda secret: {"v": 1, "id": 5, "role": secret, "content": {"a": secret}})),
    "an export's turn of a newer version": spoilt_export(_set(2, turn=lambda secret: {"v": 9, "said": secret})),
    "an export's number": spoilt_export(_set(2, number=lambda secret: secret)),
    "an export's cache": spoilt_export(lambda entries: entries.append({"cache": f"run/{entries[0]}", "data": ""})),
    "an export's data": spoilt_export(lambda entries: entries.append({"cache": "plan/x", "data": [entries[0]]})),
    "an export's header": spoilt_export(_set(1, kind=lambda secret: secret)),
    "an export's line": lambda secret, _: import_session(open_store("memory://"), [secret]),
    "an unknown session": lambda secret, _: list(export_session(open_store("memory://"), SessionId(secret))),
    "a session's name": lambda secret, _: OpticalMemory([secret], store="memory://"),  # type: ignore[arg-type]
    "a renderer": unknown_renderer,
    "a reader": lambda secret, _: open_reader(secret),
    "a dialect": lambda secret, _: memory_with(_).messages(dialect=secret),
    "a pattern": lambda secret, _: Secrets(patterns=[f"({secret}"]),
    "a redactor": lambda secret, _: memory_with(_, redact={"key": secret}),
    "a redactor that quotes": broken_redactor,
    "a budget": lambda secret, _: memory_with(_).context(secret),  # type: ignore[arg-type]
    "a period": lambda secret, _: memory_with(_).recall("x", since=secret),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("token", ["github", "anthropic", "pypi"])
def test_everything_else_that_is_given_content(tmp_path: Path, kind: str, token: str, watched: Callable[..., None]) -> None:
    secret = TOKENS[token](random.Random(3))
    error = raised(lambda: OTHERS[kind](secret, tmp_path))
    assert error is not None, "it is misuse, or damage"
    watched(secret, error)


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


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_s_error_output(tmp_path: Path, command: str, watched: Callable[..., None]) -> None:
    secret = TOKENS["github"](random.Random(2))
    store = ["--store", f"sqlite:///{tmp_path / 'a.db'}"]
    run_command("append", "something said", *store, cwd=tmp_path)
    done = run_command(*COMMANDS[command](tmp_path, secret), *store, cwd=tmp_path)
    assert done.returncode != 0 and done.stderr
    watched(secret, done.stderr + done.stdout)


# -- what quotes ---------------------------------------------------------------------------------------------------------------------------


def test_excerpts_are_bounded_and_say_what_a_value_is() -> None:
    assert excerpt("robot") == "'robot'" and excerpt(5) == "5" and excerpt(None) == "None" and excerpt(b"x") == "b'x'"
    assert (
        len(excerpt("x" * 10**7)) < 70 and len(excerpt(10**50_000)) < 40 and len(shape({"k" * 1_000: 1} | dict.fromkeys(range(99)))) < 200
    )
    assert shape({"type": "document", "data": "words"}) == "a mapping of type 'document' with the keys ['type', 'data']"
    assert shape(["words"]) == "a list of 1" and excerpt(object()) == "a object"
    assert "\n" not in excerpt("two\nlines") and len(said(ValueError("x" * 9_999))) == 300


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("before", [0, 30, 50, 55, 59])
def test_a_secret_is_masked_before_an_excerpt_is_cut(kind: str, before: int) -> None:
    secret = TOKENS[kind](random.Random(4))
    shown = excerpt("y" * before + " " + secret) + excerpt(f"{'y' * before} {secret} " + "z" * 30_000)
    assert not any(secret[start + 4 : start + 12] in shown for start in range(len(secret) - 12))


def test_unknown_names_are_still_named() -> None:
    with pytest.raises(UnknownName, match="unknown renderer 'pilow'; known: "):
        OpticalMemory("x", store="memory://", renderer="pilow")


QUOTED = r"\{(?:str\()?(?:message|content|block|call|item|text|record|data|said|body|event|answer|value|line|query)\b[^{}]*!r\}"


def test_no_error_quotes_content_as_it_is() -> None:
    """What holds words of a conversation goes through `excerpt`, `shape` or `said`, in all of the package."""
    package = Path(__file__).parents[1] / "optical_memory"
    found = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in sorted(package.rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if re.search(QUOTED, line) and re.search(r"raise|Error\(|warn|_log|f\"", line)
    ]
    assert [line for line in found if "No earlier turn" not in line] == [], "a tool's answer to the model quotes the model"
