"""What formats make messages of: blocks, calls, results, pictures and times, in the shape that `OpticalMemory.append` takes."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from .base import Document, Message

__all__ = [
    "as_text",
    "attached",
    "call",
    "file_block",
    "image_block",
    "is_mapping_with",
    "mappings",
    "message",
    "moment",
    "parsed",
    "result",
    "text_block",
    "url_block",
]

Block = dict[str, Any]
_TEXT_KEYS = {"type", "text"}
_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def message(role: str, content: str | Iterable[Block | str], **fields: Any) -> Message:
    """A message; content of one text block is that text. Fields that are None or empty are left out."""
    if isinstance(content, str):
        return {"role": role, "content": content, **_given(**fields)}
    blocks = [text_block(block) if isinstance(block, str) else block for block in content]
    simple = all(block.keys() == _TEXT_KEYS and block["type"] == "text" for block in blocks)
    said: Any = "\n\n".join(block["text"] for block in blocks if block["text"]) if simple else blocks
    return {"role": role, "content": said, **_given(**fields)}


def text_block(text: str) -> Block:
    """A block of text."""
    return {"type": "text", "text": text}


def call(id: str | None, name: str | None, arguments: Any) -> Block:
    """A tool call as a block. Without an id it gets one when the conversation is complete."""
    return {"type": "tool_use", "id": id or "", "name": name or "tool", "input": {} if arguments in (None, "") else arguments}


def result(call_id: str | None, name: str | None, content: Any, *, failed: bool = False, **fields: Any) -> Message:
    """A tool result as a message. Without a `call_id` it answers the oldest open call of that name.

    Args:
        content: text, blocks, or any JSON value.
    """
    said = content if isinstance(content, str) or _are_blocks(content) else as_text(content)
    if failed:
        said = [{"type": "tool_result", "tool_use_id": call_id or "", "content": said, "is_error": True}]
        return {"role": "tool", "content": said} | _given(name=name, **fields)
    return {"role": "tool", "tool_call_id": call_id or "", "content": said} | _given(name=name, **fields)


def _given(**fields: Any) -> Message:
    return {key: value for key, value in fields.items() if value or value not in (None, "", [], {})}


def _are_blocks(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(is_mapping_with(block, "type") and _is_plain(block) for block in value)


def _is_plain(block: Mapping[str, Any]) -> bool:
    return (block["type"] == "text" and isinstance(block.get("text"), str)) or block["type"] in ("image", "image_url", "input_image")


def as_text(value: Any) -> str:
    """Text as it is, nothing as none, other values as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def image_block(data: bytes) -> Block | None:
    """A picture, if the bytes are one that models take: PNG, JPEG, GIF or WebP."""
    kind = next((kind for signature, kind in _SIGNATURES if data.startswith(signature)), "")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "image/webp"
    if not kind:
        return None
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": base64.b64encode(data).decode()}}


def file_block(name: str, kind: str = "file") -> Block:
    """The name of a file in place of what it holds."""
    return text_block(f"[{kind}: {name}]")


def attached(document: Document, name: str, shown: str = "", kind: str = "image") -> Block:
    """The picture of that name beside the document; its name if it is not there, or is no picture."""
    found = document.attachment(name)
    picture = image_block(found[1]) if found else None
    return picture or file_block(shown or (found[0] if found else name), kind)


def url_block(url: object, media_type: str = "", name: str = "") -> Block:
    """A picture or file behind a URL or inside a data URL; other media are named."""
    text = url if isinstance(url, str) else ""
    if text.startswith("data:"):
        head, _, data = text[5:].partition(",")
        with suppress(ValueError):
            if ";base64" in head and (picture := image_block(base64.b64decode(data, validate=True))):
                return picture
        return file_block(name or head.partition(";")[0] or "data")
    if text and (media_type.startswith("image") or not media_type):
        return {"type": "image_url", "image_url": {"url": text}}
    return file_block(" ".join(filter(None, (name, text))) or media_type or "without a name")


def parsed(value: Any) -> Any:
    """The JSON value in a text that holds an object or a list; other values as they are."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def moment(value: Any) -> datetime | None:
    """A time: ISO 8601 text, or seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by size. None if it is none."""
    if type(value) is float and 0 < value <= 1e11:  # what most exports hold
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(value, UTC)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, Mapping):
        value = value.get("$date")  # MongoDB's extended JSON
    if isinstance(value, str):
        with suppress(ValueError):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        return None
    for limit, factor in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)):
        if value > limit:
            value = value / factor
            break
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(value, UTC)
    return None


def is_mapping_with(value: object, *keys: str) -> bool:
    """Whether a value is an object that has all of these keys."""
    return isinstance(value, Mapping) and all(key in value for key in keys)


def mappings(value: object) -> Sequence[Mapping[str, Any]]:
    """The objects of a list; none of anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
