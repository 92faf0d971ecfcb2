"""Complete the messages of a conversation: rows joined, calls and results paired, times and ids filled in; then they can become turns."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from json.encoder import encode_basestring_ascii
from typing import Any

from ..errors import InvalidTurn, UnsupportedContent
from ..turns.chat_files import identified
from ..turns.from_messages import turn_of
from ..turns.turn import Turn
from .base import PART_OF, Conversation, Message
from .messages import as_text, text_block

__all__ = ["ROWS", "completed", "turn_id", "turns_of"]

ROWS = "rows"  # in `metadata["import"]`: ids of the rows that a turn was made of


# What a message without an id is known by; times may differ from one export to the next.
_SAID = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content")


def turn_id(format: str, conversation: str, message: str, occurrence: int = 1) -> str:
    """The id of a turn that is a message of an export: the same at every import."""
    return _turn_ids(format, conversation)(message, occurrence)


def _turn_ids(format: str, conversation: str) -> Callable[[str, int], str]:
    """`turn_id` for the messages of one conversation: `_digest("import", format, conversation, message, occurrence)`, begun once."""
    begun = hashlib.sha256(json.dumps([format, conversation]).encode()[:-1])

    def named(message: str, occurrence: int) -> str:
        digest = begun.copy()
        digest.update(f", {encode_basestring_ascii(message)}, {occurrence}]".encode())
        return f"import-{digest.hexdigest()[:32]}"

    return named


def _digest(kind: str, *parts: Any) -> str:
    return f"{kind}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"


def completed(conversation: Conversation, format: str, stored: Mapping[str, Any] | None = None) -> list[Message]:
    """The messages of a conversation, complete, with the ids of turns; what an export says of them is in `metadata["import"]`.

    Args:
        stored: ids of the turns and rows that are stored, and what their import noted. Of a message that has grown, the rows that are new
            become a message of their own.
    """
    stored = stored or {}
    marked = _named(conversation, format) if conversation.id else _known_by_content(conversation, format, stored)
    if conversation.exact:
        return list(marked)
    return _timed(_paired(_joined(list(marked), stored)), conversation.created_at)


def _named(conversation: Conversation, format: str) -> Iterator[Message]:
    """Messages with ids made of the export's own; one that has none is known by what it says."""
    seen: Counter[str] = Counter()
    named, note = _turn_ids(format, conversation.id), _note(conversation, format)
    for message in conversation.messages:
        id = message.get("id")
        own = str(id or json.dumps({key: message.get(key) for key in _SAID}, sort_keys=True, default=str))
        seen[own] += 1
        noted = _noted(message, note, {"id": id} if id else {})
        noted["id"] = named(own, seen[own])
        yield noted


def _known_by_content(conversation: Conversation, format: str, stored: Mapping[str, Any]) -> Iterator[Message]:
    """Messages with ids made of what they and all before them say, as long as those end where an earlier import ended."""
    ends = {id: note["place"] == note["of"] for id, note in stored.items() if isinstance(note, Mapping) and {"place", "of"} <= set(note)}
    named = identified([_plain(message) for message in conversation.messages], ends)
    note = _note(conversation, format)
    for message, known in zip(conversation.messages, named, strict=True):
        yield _noted(message, note, known["metadata"]["import"]) | {"id": known["id"]}


def _plain(message: Message) -> Message:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in message.items()}


def _note(conversation: Conversation, format: str) -> Message:
    """What the import notes at every message of a conversation."""
    note: Message = {"format": format}
    note |= {"conversation": conversation.id} if conversation.id else {}
    return note | ({"title": conversation.title} if conversation.title else {})


def _noted(message: Message, note: Message, more: Message) -> Message:
    metadata = message.get("metadata")
    given = metadata if isinstance(metadata, Mapping) else {}
    return {**message, "metadata": {**given, "import": {**note, **given.get("import", {}), **more}}}


def _joined(rows: Sequence[Message], stored: Mapping[str, Any]) -> list[Message]:
    """One message of all rows with the same `part_of`, at the place of the first of them; stored rows and new ones apart."""
    whole: list[Message] = []
    first: dict[tuple[str, bool], Message] = {}
    for row in rows:
        if PART_OF not in row:
            whole.append(row)
            continue
        group = (row[PART_OF], row["id"] in stored)
        row = {key: value for key, value in row.items() if key != PART_OF}
        if group[0] is None:
            whole.append(row)
            continue
        if group not in first:
            whole.append(row)
            first[group] = row
            row["metadata"]["import"][ROWS] = [row.get("id", "")]
            continue
        start = first[group]
        start["content"] = _blocks(start["content"]) + _blocks(row["content"])
        start["metadata"]["import"][ROWS].append(row.get("id", ""))
        if "place" in (note := row["metadata"]["import"]):
            start["metadata"]["import"]["place"] = note["place"]  # whether the file ended here is asked of the last row
    for message in first.values():
        if len(message["metadata"]["import"][ROWS]) == 1:
            del message["metadata"]["import"][ROWS]
    return whole


def _blocks(content: Any) -> list[Any]:
    return list(content) if isinstance(content, list) else [text_block(content)] if content else []


class _Calls:
    """Calls that were made and not answered yet, by id and in order."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []  # id, name
        self._made: set[str] = set()

    def make(self, id: str, name: str) -> None:
        self._open.append((id, name))
        self._made.add(id)

    def answer(self, id: str, name: str) -> str | None:
        """The id of the call that a result answers: that of its id; without one, the oldest open one of its name, or of any."""
        if id:
            self._open = [pair for at, pair in enumerate(self._open) if pair[0] != id or at != self._first(id)]
            return id if id in self._made else None
        found = next((pair for pair in self._open if pair[1] == name), None)
        if found is None and (not name or len(self._open) == 1):
            found = next(iter(self._open), None)
        if found:
            self._open.remove(found)
        return found[0] if found else None

    def _first(self, id: str) -> int:
        return next(at for at, pair in enumerate(self._open) if pair[0] == id)


def _paired(messages: Sequence[Message]) -> list[Message]:
    """Calls have ids, and each result the id of its call. A result whose call the export does not hold gets a call without arguments."""
    calls = _Calls()
    done: list[Message] = []
    for place, message in enumerate(messages, 1):
        if isinstance(message["content"], str) and message["role"] != "tool" and not message.get("tool_calls"):
            done.append(message)
            continue
        message = message | {"content": _with_call_ids(message.get("content"), message.get("id") or f"message-{place}", calls)}
        for made in message.get("tool_calls") or ():
            if isinstance(made, Mapping):
                function = made.get("function")
                calls.make(str(made.get("id") or ""), str((function if isinstance(function, Mapping) else made).get("name") or ""))
        for missing in _answered(message, calls):
            done.append(_call_alone(message, missing))
        done.append(message)
    return done


def _with_call_ids(content: Any, owner: str, calls: _Calls) -> Any:
    if not isinstance(content, list):
        return content
    blocks: list[Any] = []
    for place, block in enumerate(content, 1):
        if isinstance(block, Mapping) and block.get("type") == "tool_use":
            block = dict(block) | {"id": block.get("id") or _digest("call", owner, place)}
            calls.make(block["id"], str(block.get("name") or ""))
        blocks.append(block)
    return blocks


def _answered(message: Message, calls: _Calls) -> list[str]:
    """Give results in `message` the ids of their calls; returns the ids of the calls that are not there."""
    missing: list[str] = []
    name = str(message.get("name") or "")
    content = message["content"]
    blocks = content if isinstance(content, list) else []
    results = [block for block in blocks if isinstance(block, Mapping) and block.get("type") == "tool_result"]
    if message["role"] == "tool" and not results:
        found = calls.answer(str(message.get("tool_call_id") or ""), name)
        message["tool_call_id"] = found or message.get("tool_call_id") or _made_up(message, 0)
        missing += [] if found else [message["tool_call_id"]]
    for place, block in enumerate(results, 1):
        key = "tool_call_id" if block.get("tool_call_id") else "tool_use_id"
        found = calls.answer(str(block.get(key) or ""), str(block.get("name") or name))
        block = dict(block) | {key: found or block.get(key) or _made_up(message, place)}
        content[next(at for at, held in enumerate(content) if held is results[place - 1])] = block
        missing += [] if found else [block[key]]
    for id in missing:
        calls.make(id, name)
    return missing


def _made_up(message: Message, place: int) -> str:
    return _digest("call", message.get("id") or as_text(message["content"]), place)


def _call_alone(message: Message, id: str) -> Message:
    note = dict(message["metadata"]["import"]) | {"made": "the export has the result of this call, not the call"}
    made = {"id": id, "name": message.get("name") or "tool", "arguments": "{}"}
    alone: Message = {"role": "assistant", "content": "", "tool_calls": [made], "metadata": {"import": note}}
    if message.get("id"):
        alone["id"] = _digest("import", message["id"], "call", id)
    return alone | ({"created_at": message["created_at"]} if message.get("created_at") else {})


def _timed(messages: Sequence[Message], began: datetime | None) -> list[Message]:
    """A message without a time has that of the one before it."""
    first = began or next((found for message in messages if (found := message.get("created_at"))), None)
    done: list[Message] = []
    for message in messages:
        own = message.get("created_at")
        first = own or first
        done.append(message if own or not first else message | {"created_at": first})
    return done


def turns_of(messages: Sequence[Message], where: str, *, exact: bool = False) -> list[Turn]:
    """Messages as turns. Raises `InvalidTurn` with the place of the first invalid one.

    Args:
        exact: a block that no turn can hold is an error; else it becomes text.
    """
    turns: list[Turn] = []
    for place, message in enumerate(messages, 1):
        try:
            turns.append(turn_of(message) if exact else _turn(message))
        except (InvalidTurn, TypeError) as exc:
            raise InvalidTurn(f"{where}, message {place} of {len(messages)}: {exc}") from exc
    return turns


def _turn(message: Message) -> Turn:
    try:
        return turn_of(message)
    except UnsupportedContent:
        if not isinstance(message.get("content"), list):
            return turn_of(message | {"content": as_text(message["content"])})
        return turn_of(message | {"content": [_supported(message["role"], block) for block in message["content"]]})


def _supported(role: str, block: Any) -> Any:
    try:
        turn_of({"role": role if role != "tool" else "user", "content": [block]})
    except UnsupportedContent:
        if isinstance(block, Mapping) and block.get("type") == "tool_result":
            inner = block.get("content")
            return dict(block) | {"content": [_supported("user", item) for item in inner] if isinstance(inner, list) else as_text(inner)}
        return text_block(as_text(block))
    except InvalidTurn:
        return block
    return block
