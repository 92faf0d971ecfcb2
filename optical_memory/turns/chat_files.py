"""Read chat files (JSON and JSONL exports of conversations) as messages with stable ids.

Formats: a list of messages; an object with `messages` (and Anthropic's `system` beside it); lines of JSON, each a message or such an
object. Messages are not checked here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import InvalidTurn
from ..text.excerpts import excerpt, said, shape

__all__ = ["Message", "identified", "messages_of", "read_chat"]

Message = dict[str, Any]


def read_chat(data: bytes, name: str = "the file") -> list[Message]:
    """Return the messages of a chat file in order. Raises `InvalidTurn`, with `name` and the place, for another format or if not UTF-8."""
    at = -1
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        text, at = "", exc.start
    if at >= 0:  # not as a cause: it holds the whole file
        raise InvalidTurn(f"{name} is not UTF-8 text: byte {data[at]:#04x} at {at}")
    whole, problem = _parsed(text)
    if not problem:
        return list(messages_of(whole, name))
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) < 2 or _parsed(lines[0][1])[1]:
        raise InvalidTurn(f"{name} is not JSON: {problem}")
    return [message for number, line in lines for message in messages_of(_line(line, number, name), f"{name}, line {number}")]


def identified(messages: Sequence[Message], stored: Mapping[str, bool]) -> list[Message]:
    """Give the messages ids and their place in the file, so that importing the same file again adds nothing.

    Args:
        messages: the messages of one file, in order. Their own ids are kept in the metadata only, since exports repeat them.
        stored: ids of the session's imported turns, and whether each was the last message of its file.

    An id is a hash of a message and all before it in its file. So a file that has grown adds only its new messages, and another file that
    begins the same (`Hi!`) is told apart: its first turns are not the end of any file imported before.
    """
    variant = 0
    while True:
        ids = _chain(messages, variant)
        known = next((place for place, id in enumerate(ids) if id not in stored), len(ids))
        if known in (0, len(ids)) or stored[ids[known - 1]]:
            return [_marked(message, id, place, len(ids)) for place, (message, id) in enumerate(zip(messages, ids, strict=True), 1)]
        variant += 1


def _line(line: str, number: int, name: str) -> object:
    value, problem = _parsed(line)
    if problem:
        raise InvalidTurn(f"{name}, line {number} is not JSON: {problem}")
    return value


def _parsed(text: str) -> tuple[object, str]:
    """The value, and what is wrong with it. The exception holds the whole text, so it is no cause of ours."""
    try:
        return json.loads(text), ""
    except (ValueError, RecursionError) as exc:  # also a number of more digits than Python converts
        return None, said(exc)


def messages_of(value: object, where: str) -> Iterator[Message]:
    """The messages in a JSON value of a chat file. Raises `InvalidTurn`, with `where` it stands, for any other value."""
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        if value.get("system"):
            yield {"role": "system", "content": value["system"]}
        yield from messages_of(value["messages"], where)
    elif isinstance(value, list):
        for place, item in enumerate(value, 1):
            if not isinstance(item, Mapping):
                raise InvalidTurn(f"{where}: message {place} is {shape(item)}, not an object with role and content")
            yield dict(item)
    elif isinstance(value, Mapping) and "role" in value:
        yield dict(value)
    else:
        held = shape(value) if isinstance(value, Mapping) else excerpt(str(value))
        raise InvalidTurn(f"{where} holds {held}; expected a list of messages, an object with 'messages', or one message a line")


def _chain(messages: Sequence[Message], variant: int) -> list[str]:
    running = hashlib.sha256(f"optical-memory import {variant}".encode())
    ids: list[str] = []
    for message in messages:
        running.update(json.dumps(message, sort_keys=True).encode() + b"\n")
        ids.append(f"import-{running.hexdigest()[:32]}")
    return ids


def _marked(message: Message, id: str, place: int, of: int) -> Message:
    metadata = message.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise InvalidTurn(f"message {place}: metadata is {shape(metadata)}; it must be an object")
    note = {"place": place, "of": of} | ({"id": message["id"]} if message.get("id") else {})
    return {**message, "id": id, "metadata": {**(metadata or {}), "import": note}}
