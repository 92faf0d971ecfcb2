"""Find where values stand in JSON text, so that a part can be replaced while every other byte stays as it came."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Edit", "NotUnderstood", "Span", "common_length", "edited", "elements", "members"]

_scan = json.JSONDecoder().raw_decode
_space = re.compile(r"[ \t\n\r]*").match


class NotUnderstood(ValueError):
    """A request of a shape that is not rewritten; it goes on as it came."""


@dataclass(frozen=True, slots=True)
class Span:
    """A JSON value and its place: `text[start:end]`; and the elements of a list, if they were asked for."""

    start: int
    end: int
    value: Any
    items: tuple[Span, ...] | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `text[start:end]` by `by`, text or the same as UTF-8."""

    start: int
    end: int
    by: str | bytes


def edited(text: str, edits: Iterable[Edit]) -> bytes:
    """Return a text after edits that do not overlap, as UTF-8."""
    pieces: list[str | bytes] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < at:
            raise NotUnderstood("edits overlap")
        pieces += (text[at : edit.start], edit.by)
        at = edit.end
    pieces.append(text[at:])
    return b"".join(piece if isinstance(piece, bytes) else piece.encode("utf-8", "surrogatepass") for piece in pieces)


def common_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return the length of the longest common beginning of two texts or lists. Slices are compared: faster than item by item."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def members(text: str, start: int = 0, *, lists: str = "", known: Sequence[Span] = (), whole: bool = True) -> dict[str, Span]:
    """Return the members of the JSON object at `start`, by name.

    Args:
        lists: the name of a member whose elements are wanted too, if it is a list.
        known: elements of that list, from its first on, that are known from a text with the same beginning.
        whole: nothing but white space may follow the object.

    Raises `NotUnderstood` for anything but an object, and for a name that stands twice.
    """
    found: dict[str, Span] = {}
    at = _open(text, start, "{")
    if text[at : at + 1] == "}":
        return _ended(text, at + 1, whole, found)
    while True:
        name, at = _value(text, at)
        at = _skip(text, at)
        if not isinstance(name, str) or text[at : at + 1] != ":":
            raise NotUnderstood("no JSON object")
        begin = _skip(text, at + 1)
        if name in found:
            raise NotUnderstood(f"the name {name!r} stands twice")
        span = (
            _list(text, begin, known) if name == lists and text[begin : begin + 1] == "[" else Span(begin, *reversed(_value(text, begin)))
        )
        found[name] = span
        at = _skip(text, span.end)
        if text[at : at + 1] == "}":
            return _ended(text, at + 1, whole, found)
        if text[at : at + 1] != ",":
            raise NotUnderstood("no JSON object")
        at = _skip(text, at + 1)


def elements(text: str, array: Span) -> Sequence[Span]:
    """Return the elements of the JSON array at `array`. Raises `NotUnderstood` for anything but an array."""
    return _list(text, array.start).items or () if array.items is None else array.items


def _list(text: str, start: int, known: Sequence[Span] = ()) -> Span:
    at = _open(text, start, "[")
    found: list[Span] = list(known) if known and known[0].start == at else []
    if text[at : at + 1] == "]":
        return Span(start, at + 1, [], ())
    if found:
        found.pop()  # it is read again, with what follows it
        at = known[-1].start
    while True:
        value, end = _value(text, at)
        found.append(Span(at, end, value))
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return Span(start, at + 1, [span.value for span in found], tuple(found))
        if text[at : at + 1] != ",":
            raise NotUnderstood("no JSON array")
        at = _skip(text, at + 1)


def _open(text: str, start: int, bracket: str) -> int:
    at = _skip(text, start)
    if text[at : at + 1] != bracket:
        raise NotUnderstood(f"no JSON value that begins with {bracket}")
    return _skip(text, at + 1)


def _ended(text: str, at: int, whole: bool, found: dict[str, Span]) -> dict[str, Span]:
    if whole and _skip(text, at) != len(text):
        raise NotUnderstood("something follows the JSON object")
    return found


def _skip(text: str, at: int) -> int:
    match = _space(text, at)
    return match.end() if match else at


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        value, end = _scan(text, at)
    except (StopIteration, ValueError, RecursionError) as exc:
        raise NotUnderstood(f"no JSON at character {at:,}") from exc
    return value, end
