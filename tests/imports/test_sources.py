"""Where exports come from: files, streams, folders, archives; those that lie, and those that are broken."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from optical_memory.errors import InvalidTurn, UnknownToolCall
from optical_memory.imports import (
    Conversation,
    Document,
    UnknownExport,
    formats,
    import_into,
    read_conversations,
    register,
    sources,
    splitting,
)
from optical_memory.imports.registry import _added
from optical_memory.stores import open_store
from tests.imports.reading import imported, outline, written
from tests.imports.writers import PNG, TALK, WRITERS

CHAT: Any = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
SHARED: Any = {"id": "a", "conversations": [{"from": "human", "value": "Hi"}]}


def archive_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_a_folder_of_many_formats_and_archives_is_read_whole(tmp_path: Path) -> None:
    for name in ("claude-code", "codex", "vercel", "sharegpt"):
        (tmp_path / name).mkdir()
        WRITERS[name].write(TALK, tmp_path / name)
    packed = {"conversations.json": WRITERS["claude-ai"].write(TALK, tmp_path).read_bytes()}
    (tmp_path / "conversations.json").unlink()
    archive_of(tmp_path / "claude.zip", packed)
    (tmp_path / "notes.md").write_text("no conversation")
    assert sorted(imported(tmp_path)) == ["claude-ai/c-1", "claude-code/s-1", "codex/s-1", "sharegpt/c-1", "vercel/c-1"]


def test_chats_without_ids_are_named_by_their_files(tmp_path: Path) -> None:
    files: dict[str, Any] = {"a.json": CHAT, "deep/b.json": CHAT, "c.json": [{"messages": CHAT}, {"messages": CHAT}]}
    assert sorted(imported(written(tmp_path, files))) == ["chat/a", "chat/c", "chat/c-2", "chat/deep/b"]


def test_a_stream_is_read_like_a_file() -> None:
    stream = io.BytesIO(json.dumps([SHARED]).encode())
    assert [conversation.id for conversation in read_conversations(stream)] == ["a"]


def test_an_archive_can_be_a_stream(tmp_path: Path) -> None:
    data = archive_of(tmp_path / "x.zip", {"s.json": json.dumps([SHARED]).encode()}).read_bytes()
    assert [done.session for done in import_into("memory://", io.BytesIO(data))] == ["sharegpt/a"]


def test_names_that_lead_out_of_an_archive_are_passed_over(tmp_path: Path) -> None:
    shared = json.dumps([SHARED | {"conversations": [{"from": "human", "value": "<image>"}], "images": ["../../secret.png"]}]).encode()
    (tmp_path / "secret.png").write_bytes(PNG)
    bad = json.dumps([SHARED | {"id": "evil"}]).encode()
    names = ("../evil.json", "/etc/evil.json", "a/../../evil.json", "..\\evil.json", "C:/evil.json", "__MACOSX/._s.json")
    path = archive_of(tmp_path / "in.zip", {"s.json": shared, **dict.fromkeys(names, bad)})
    assert {name: outline(turns) for name, turns in imported(path).items()} == {"sharegpt/a": [("user", "[image: ../../secret.png]")]}


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    outside = written(tmp_path / "outside", {"s.json": [SHARED | {"id": "evil"}]})
    folder = written(tmp_path / "in", {"s.json": [SHARED]})
    (folder / "link.json").symlink_to(outside / "s.json")
    (folder / "deep").symlink_to(outside, target_is_directory=True)
    assert list(imported(folder)) == ["sharegpt/a"]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("conversations.json", "w", force_zip64=True) as file:
        file.write(b"[")
        for _ in range(80):
            file.write(b" " * (1 << 20))
        file.write(b"]")
    with pytest.raises(InvalidTurn, match="unpacks to 83,886,082 bytes"):
        import_into("memory://", path)


def test_pictures_that_are_too_large_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_ATTACHMENT", len(PNG) - 1)
    turns = next(iter(imported(WRITERS["chatgpt"].write(TALK, tmp_path)).values()))
    assert "[image: file-Ticket1]" in "".join(turn.text for turn in turns)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not JSON"),
        (b"hello", "is not JSON"),
        (b"\xff\xfe\x00", "not UTF-8 text: byte 0xff at 0"),
        (b'[{"role": "user", "content": "x"},]', r"item 2 \(line 1\) is not JSON"),
        (b'[{"role": "user", "content": "x"}\n\n{"role": "user"}]', r"after item 1 \(line 3\): '\{' stands where ',' or '\]' should"),
        (b'[{"role": "user", "content": "x"}', "the end of the file stands"),
        (b'[{"role": "user", "content": "x"}] []', r"'\[' stands where nothing should"),
        (b'{"role": "user", "content": "x"}\n{"role": broken}\n', "line 2 is not JSON"),
        (b'{"role": "user", "content": "x"}\n\xff\n', r"not UTF-8 text: byte 0xff at 33 \(line 2\)"),
        (b"[" * 200_000, "is not JSON|nested too deeply"),
        (b'{"a":' * 200_000, "is not JSON|nested too deeply"),
        (b"3", "holds 3"),
        (b'["words"]', "holds an array whose first item is 'words'"),
        (b'{"recipe": 1, "oven": 2}', r"holds an object with the keys \['oven', 'recipe'\]"),
        (b'{"recipe": 1}\n{"recipe": 2}', r"holds lines of which the first is an object with the keys \['recipe'\]"),
    ],
)
def test_what_is_broken_or_unknown_is_said_and_nothing_stored(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "chat.json"
    path.write_bytes(data)
    store = open_store("memory://broken")
    with pytest.raises(InvalidTurn, match=said) as caught:
        import_into(store, path)
    assert "chat.json" in str(caught.value)
    assert store.sessions() == []


def test_errors_do_not_hold_what_a_file_says(tmp_path: Path) -> None:
    """A log that shows causes, or locals of exceptions, must not show the conversation."""
    (tmp_path / "a.json").write_text('[{"role": "user", "content": "the secret is 4711"}, {"role": }]')
    with pytest.raises(InvalidTurn) as caught:
        import_into("memory://", tmp_path)
    error: BaseException | None = caught.value
    while error:
        assert "4711" not in str(error)
        assert "4711" not in str(getattr(error, "doc", ""))
        error = error.__cause__ or error.__context__


def test_an_archive_that_is_damaged_is_said(tmp_path: Path) -> None:
    data = bytearray(archive_of(tmp_path / "x.zip", {"s.json": json.dumps([SHARED] * 500).encode()}).read_bytes())
    data[60:70] = b"\0" * 10
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(InvalidTurn, match=r"x\.zip/s\.json cannot be unpacked"):
        import_into("memory://", tmp_path / "x.zip")
    (tmp_path / "y.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InvalidTurn, match=r"y\.zip cannot be unpacked"):
        import_into("memory://", tmp_path / "y.zip")


def test_a_result_in_a_chat_whose_call_nobody_made_stores_nothing(tmp_path: Path) -> None:
    files = {"a.json": CHAT, "b.json": [*CHAT, {"role": "tool", "tool_call_id": "never", "content": "x"}]}
    store = open_store("memory://stranger")
    with pytest.raises(UnknownToolCall, match=r"b\.json, message 3"):
        import_into(store, written(tmp_path, files))
    assert store.sessions() == []


def test_secrets_are_masked_before_they_are_stored(tmp_path: Path) -> None:
    store = open_store("memory://masked")
    secret = SHARED | {"conversations": [{"from": "human", "value": "key AKIAIOSFODNN7EXAMPLE"}]}
    import_into(store, written(tmp_path, {"s.json": [secret]}), redact=True)
    (info,) = store.sessions()
    assert "AKIA" not in store.read(info.id)[0].text


def test_progress_tells_both_steps(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    path = written(tmp_path, {"s.json": [SHARED, SHARED | {"id": "b"}]})
    import_into("memory://", path, progress=lambda step, done, total: told.append((step, done, total)))
    assert told == [("reading", 1, None), ("reading", 2, None), ("importing", 1, 2), ("importing", 2, 2)]


@pytest.mark.parametrize("chunk", [1, 3, 64, 1 << 20])
def test_items_come_whole_whatever_is_read_at_once(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(splitting, "CHUNK", chunk)
    items: list[Any] = [{"a": [1, {"b": 'q"]}\\'}]}, "überé 日\u2028", -12.5e3, 123456789, True, None, [], {}, "\\u12", "x" * 500]
    for text in (json.dumps(items), json.dumps(items, ensure_ascii=False, indent=2), "\ufeff" + json.dumps(items) + "\n"):
        found = splitting.Text(io.BytesIO(text.encode()), "x")
        found.peek()
        assert list(splitting.array_items(found)) == items


def test_a_broken_item_is_found_without_reading_on() -> None:
    class Counted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            read.append(size)
            return super().read(size)

    read: list[int | None] = []
    text = splitting.Text(Counted(b'[{"a": 1}, {"a": broken}, ' + b'{"a": 1},' * 2_000_000), "x")
    text.peek()
    with pytest.raises(InvalidTurn, match=r"item 2 \(line 1\)"):
        list(splitting.array_items(text))
    assert len(read) <= 2


def test_an_item_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "CHUNK", 1000)
    monkeypatch.setattr(splitting, "MOST_ITEM", 5 << 10)
    text = splitting.Text(io.BytesIO(b'["' + b"x" * 50_000 + b'"]'), "x")
    text.peek()
    with pytest.raises(InvalidTurn, match="item 1 is larger than"):
        list(splitting.array_items(text))
    with pytest.raises(InvalidTurn, match="line 1 is larger than"):
        list(splitting.lines(io.BytesIO(b'"' + b"x" * 50_000 + b'"'), "x"))


class Journal:
    """A format of a user's own."""

    name = "journal"

    def recognise(self, document: Document) -> bool:
        return bool(document.head) and isinstance(document.head[0], dict) and "journal" in document.head[0]

    def conversations(self, document: Document) -> list[Conversation]:
        return [Conversation(row["journal"], [{"role": "user", "content": row["words"]}]) for _, row in document.items()]


def test_a_format_of_one_s_own_is_asked_first(tmp_path: Path) -> None:
    path = written(tmp_path, {"j.jsonl": ({"journal": "a", "words": "Hi"}, {"journal": "b", "words": "Ho"})})
    with pytest.raises(UnknownExport):
        import_into("memory://", path)
    register(Journal())
    try:
        assert formats()[0].name == "journal"
        assert list(imported(path)) == ["journal/a", "journal/b"]
    finally:
        _added.clear()


def test_a_message_s_words_survive_a_block_that_no_turn_holds(tmp_path: Path) -> None:
    blocks = [{"type": "text", "text": "See"}, {"type": "hologram", "caption": "a cube of QX-77419"}]
    row = {"type": "user", "uuid": "u", "sessionId": "s", "message": {"role": "user", "content": blocks}}
    (turns,) = imported(written(tmp_path, {"s.jsonl": (row, row)})).values()
    assert "QX-77419" in turns[0].model_dump_json()
