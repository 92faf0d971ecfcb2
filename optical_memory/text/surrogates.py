"""Half surrogate pairs, which JavaScript leaves where a string was cut through an emoji. No client can send them as UTF-8.

The log keeps what came. What is sent has U+FFFD in their place.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = ["sendable", "sendable_text", "whole_pairs"]

T = TypeVar("T")

_ESCAPE = re.compile(r"\\(?:[uU][dD][89abAB]\w\w\\[uU][dD][c-fC-F]\w\w|([uU][dD][89a-fA-F]\w\w)|.)", re.DOTALL)


def sendable_text(text: str) -> str:
    """Return `text` with every half surrogate pair replaced, also one that JSON in it spells as an escape; the same object if it has none.

    Two halves that belong together are joined.
    """
    text = whole_pairs(text)
    if "\\ud" in text or "\\uD" in text:
        text = _ESCAPE.sub(lambda match: "\\ufffd" if match[1] else match[0], text)
    return text


def whole_pairs(text: str) -> str:
    """Return `text` with every half surrogate pair replaced; the same object if it has none. Two halves that belong together are joined."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def sendable(value: T) -> T:
    """Return a message, or JSON, whose texts can be sent; the same object if they can. Takes data classes and Pydantic's models."""
    changed: Any = _sendable(value)
    return changed  # type: ignore[no-any-return]


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return sendable_text(value)
    if isinstance(value, dict):
        changed: Any = {_sendable(key): _sendable(item) for key, item in value.items()}
        same = all(
            one is other for pair, was in zip(changed.items(), value.items(), strict=False) for one, other in zip(pair, was, strict=True)
        )
        return value if same and len(changed) == len(value) else changed
    if type(value) in (list, tuple):
        items = [_sendable(item) for item in value]
        return value if all(one is other for one, other in zip(items, value, strict=True)) else type(value)(items)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = _changes({field.name: getattr(value, field.name, None) for field in dataclasses.fields(value) if field.init})
        return dataclasses.replace(value, **fields) if fields else value
    if hasattr(value, "model_copy") and hasattr(type(value), "model_fields"):
        fields = _changes(dict(value))
        return value.model_copy(update=fields) if fields else value
    return value


def _changes(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: new for name, item in fields.items() if (new := _sendable(item)) is not item}
