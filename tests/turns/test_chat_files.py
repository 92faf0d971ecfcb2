"""Reading chat files: every shape that exports have, and ids that neither repeat nor swallow a turn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.errors import InvalidTurn
from optical_memory.turns.chat_files import Message, identified, read_chat

HELLO = {"role": "user", "content": "Hello\u2028there"}
REPLY = {"role": "assistant", "content": "Hi."}


def as_bytes(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def stored_after(messages: list[Message]) -> dict[str, bool]:
    """What a session knows after an import: each id, and whether it ended its file."""
    return {message["id"]: note["place"] == note["of"] for message in messages for note in [message["metadata"]["import"]]}


@pytest.mark.parametrize(
    "data",
    [
        as_bytes([HELLO, REPLY]),
        b"\xef\xbb\xbf" + as_bytes([HELLO, REPLY]),
        as_bytes({"title": "x", "messages": [HELLO, REPLY]}),
        as_bytes(HELLO) + b"\n\n" + as_bytes(REPLY) + b"\n",
        as_bytes(HELLO) + b"\r\n" + as_bytes(REPLY),
        as_bytes({"messages": [HELLO]}) + b"\n" + as_bytes({"messages": [REPLY]}),
        json.dumps({"messages": [HELLO, REPLY]}, indent=2).encode(),
    ],
    ids=["list", "byte order mark", "object", "lines", "lines with CRLF", "lines of objects", "indented"],
)
def test_every_shape_gives_the_same_messages(data: bytes) -> None:
    assert read_chat(data) == [HELLO, REPLY]


def test_an_anthropic_request_brings_its_system_text_first() -> None:
    messages = read_chat(as_bytes({"model": "m", "system": [{"type": "text", "text": "Be kind."}], "messages": [HELLO]}))
    assert messages == [{"role": "system", "content": [{"type": "text", "text": "Be kind."}]}, HELLO]


def test_one_message_alone_is_a_chat() -> None:
    assert read_chat(as_bytes(HELLO)) == [HELLO]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON"),
        (b"hello\nthere", "not JSON"),
        (b"\xff\xfe", "not UTF-8 text: byte 0xff at 0"),
        (b"3", "'3'"),
        (b'{"a": 1}', r"keys \['a'\]"),
        (b'{"mapping": {}}', "expected a list of messages"),
        (b'[{"role": "user"}, "x"]', "message 2 is 'x'"),
        (b'{"role": "user", "content": ""}\n{"role":', "line 2 is not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_chat_is_refused_with_its_place(data: bytes, said: str) -> None:
    with pytest.raises(InvalidTurn, match=said):
        read_chat(data, "chat.json")


def test_the_same_file_gets_the_same_ids() -> None:
    first = identified([HELLO, REPLY], {})
    assert identified([HELLO, REPLY], stored_after(first)) == first


def test_a_file_that_grew_keeps_the_ids_of_its_beginning() -> None:
    first = identified([HELLO, REPLY], {})
    grown = identified([HELLO, REPLY, HELLO], stored_after(first))
    assert [message["id"] for message in grown[:2]] == [message["id"] for message in first]


def test_another_file_that_opens_alike_shares_no_id() -> None:
    first = identified([HELLO, REPLY, HELLO], {})
    other = identified([HELLO, {"role": "assistant", "content": "Who is there?"}], stored_after(first))
    assert not {message["id"] for message in other} & {message["id"] for message in first}
    assert identified([HELLO, other[1] | {}], {})[0]["id"] == first[0]["id"]  # alone it would have got the shared one


def test_the_other_file_is_known_again_too() -> None:
    stored = stored_after(identified([HELLO, REPLY, HELLO], {}))
    second: list[Message] = [HELLO, {"role": "assistant", "content": "Who is there?"}]
    stored |= stored_after(identified(second, stored))
    assert all(message["id"] in stored for message in identified(second, stored))


def test_an_id_in_the_file_is_noted_but_not_relied_on() -> None:
    messages: list[Message] = [HELLO | {"id": "c1"}, REPLY | {"id": "c1"}]
    marked = identified(messages, {})
    assert len({message["id"] for message in marked}) == 2
    assert [message["metadata"]["import"]["id"] for message in marked] == ["c1", "c1"]


def test_metadata_of_the_file_is_kept() -> None:
    assert identified([HELLO | {"metadata": {"a": 1}}], {})[0]["metadata"] == {"a": 1, "import": {"place": 1, "of": 1}}


contents = st.lists(st.sampled_from("abc"), min_size=1, max_size=5)


@given(st.lists(contents, min_size=1, max_size=5))
def test_after_an_import_the_file_is_known_and_its_ids_are_distinct(files: list[list[str]]) -> None:
    stored: dict[str, bool] = {}
    for words in files:
        messages: list[dict[str, Any]] = [{"role": "user", "content": word} for word in words]
        marked = identified(messages, stored)
        new = [message for message in marked if message["id"] not in stored]
        stored |= stored_after(new)
        assert len({message["id"] for message in marked}) == len(words)
        assert all(message["id"] in stored for message in identified(messages, stored))
