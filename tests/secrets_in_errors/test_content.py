"""No error quotes a secret of whatever else is given content: records, exports, chat files, settings."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory
from optical_memory.archive.codec import decode_pages
from optical_memory.archive.page_runs import PageRun
from optical_memory.readers import open_reader
from optical_memory.stores import SessionId, Store, open_store
from optical_memory.stores.codec import decode, encode
from optical_memory.stores.transfer import export_session, import_session
from optical_memory.turns.chat_files import identified, read_chat
from optical_memory.turns.redaction import Secrets
from optical_memory.turns.turn import ImageContent, ToolCall, Turn
from tests.planted import TOKENS
from tests.secrets_in_errors.misuse import memory_with, message, raised

A = SessionId("a")


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


def changed_entry(secret: str, tmp_path: Path) -> Any:
    """A framework may name what it keeps by what was asked."""
    store = open_store(f"sqlite:///{tmp_path / 'c.db'}")
    store.put(A, {f"answers/{secret}": secret.encode()})
    with closing(sqlite3.connect(tmp_path / "c.db")) as db:
        db.execute("UPDATE cache SET data = data || 'x'")
        db.execute("INSERT INTO cache_sum SELECT key, zeroblob(16) FROM cache")
        db.commit()
    return store.get(A, [f"answers/{secret}"])


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
    "a cached entry that changed": changed_entry,
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
