"""A turn as bytes and back: the one place that knows how turns are written down.

The record is JSON with a `v`. A turn's number and its pin are not part of it: stores keep them beside the record, where they can be given
and changed without rewriting what was said. What equals its default is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from ..errors import InvalidTurn, SessionCorrupted, StoreError
from ..text.excerpts import excerpt, said
from ..turns.turn import Turn

__all__ = ["DIGEST_BYTES", "VERSION", "blank", "decode", "digest", "encode", "from_bytes", "texts", "to_bytes"]

VERSION = 1
DIGEST_BYTES = 16
_HEADS = (b'{"v":%d,' % VERSION, b'{"v": %d,' % VERSION)  # as this module writes it, and as json.dumps does
_PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # json.dumps would make one for each record
_ESCAPED = json.JSONEncoder(separators=(",", ":"))


def encode(turn: Turn) -> bytes:
    """The record of a turn, without its number and its pin.

    Raises `InvalidTurn` for a turn without an id, and for one whose extra fields JSON cannot hold.
    """
    if not turn.id:
        raise InvalidTurn(f"a turn of role {excerpt(turn.role)} has no id; a store needs one to append it only once. Set Turn.id")
    record = _record(turn)
    try:
        if isinstance(turn.content, str) and turn.content:
            return _with_text(record, turn.content)
        return _PLAIN.encode(record).encode()
    except UnicodeEncodeError:
        # A lone surrogate cannot be UTF-8; JSON's escapes keep it without loss.
        return _ESCAPED.encode(record).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        problem = said(exc)  # not as a cause: its notes would quote what was said
    raise InvalidTurn(f"turn {excerpt(turn.id)} holds what JSON cannot: {problem}. Pass strings, numbers, lists and mappings only")


def _with_text(record: dict[str, Any], text: str) -> bytes:
    """The record with its text last. Most of a log is text, and pydantic writes that several times faster than `json` does."""
    rest = {key: value for key, value in record.items() if key != "content"}
    try:
        written = to_json(text)
        # Fields of a message or call may be anything: `json` refuses what is not JSON, and pydantic writes something else in its place.
        is_checked = rest.keys().isdisjoint(("extra", "tool_calls"))
        head = to_json(rest, inf_nan_mode="constants") if is_checked else _PLAIN.encode(rest).encode()
    except PydanticSerializationError:  # a lone surrogate
        return _PLAIN.encode(record).encode()
    return head[:-1] + b',"content":' + written + b"}"


def decode(data: bytes, number: int, pinned: bool = False) -> Turn:
    """The turn of a record. Raises `SessionCorrupted` if the record cannot be read, `StoreError` if a newer version wrote it."""
    if not data.startswith(_HEADS):
        return _decode_slowly(data, number, pinned)
    whole = b'{"number":%d,"pinned":%s,%s' % (number, b"true" if pinned else b"false", data[1:])
    try:
        return Turn.model_validate_json(whole)
    except ValidationError:
        return _decode_slowly(data, number, pinned)  # lone surrogates, and time zones with seconds


def blank(turn: Turn, number: int) -> Turn:
    """What stands for a turn whose id was erased: its number, id and role, and nothing that was said."""
    return Turn(number=number, id=turn.id, role=turn.role)


def digest(text: str) -> bytes:
    """Sixteen bytes that stand for an id: equal length for all, safe in any key, and no trace of the id after an erasure."""
    return hashlib.blake2b(to_bytes(text), digest_size=DIGEST_BYTES).digest()


def to_bytes(text: str) -> bytes:
    """UTF-8 that also takes lone surrogates. Sorts like the text."""
    return text.encode("utf-8", "surrogatepass")


def from_bytes(data: bytes) -> str:
    """The inverse of `to_bytes`."""
    return data.decode("utf-8", "surrogatepass")


def texts(names: Iterable[bytes]) -> dict[bytes, str]:
    """Those names that `to_bytes` can have made. Others are damage, or another program's."""
    found: dict[bytes, str] = {}
    for name in names:
        with suppress(UnicodeDecodeError):
            found[name] = from_bytes(name)
    return found


def _record(turn: Turn) -> dict[str, Any]:
    record: dict[str, Any] = {"v": VERSION, "id": turn.id, "role": turn.role}
    if turn.content != "":
        record["content"] = turn.content if isinstance(turn.content, str) else [part.model_dump() for part in turn.content]
    if turn.name is not None:
        record["name"] = turn.name
    if turn.tool_calls:
        record["tool_calls"] = [call.model_dump() for call in turn.tool_calls]
    if turn.tool_call_id is not None:
        record["tool_call_id"] = turn.tool_call_id
    if turn.created_at is not None:
        record["created_at"] = turn.created_at.isoformat()
    if turn.importance != 0.5:
        record["importance"] = turn.importance
    return record | {key: value for key, value in (("metadata", turn.metadata), ("extra", turn.extra)) if value}


def _decode_slowly(data: bytes, number: int, pinned: bool) -> Turn:
    try:
        record = {**json.loads(data), "number": number, "pinned": pinned}
        if (version := record.get("v")) != VERSION:
            if isinstance(version, int) and version > VERSION:
                raise StoreError(f"turn #{number} has a record of version {version}; this one knows {VERSION}. Upgrade optical-memory")
            raise ValueError("no version that a release writes")
        if "created_at" in record:
            record["created_at"] = datetime.fromisoformat(record["created_at"])
        return Turn.model_validate(record)
    except (ValueError, TypeError, RecursionError):
        message = f"the record of turn #{number} cannot be read; restore the store from a backup, or erase the turn"
    raise SessionCorrupted(message, missing=(number,))  # without its cause, which would quote what was said
