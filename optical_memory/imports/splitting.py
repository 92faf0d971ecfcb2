"""JSON arrays and JSON lines, item by item, in memory for one item.

`json` parses an item as soon as the text read so far holds all of it. An item that is cut off is tried again with twice the text, so that
parsing costs at most twice, whatever its size.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import IO, Any

from ..errors import InvalidTurn
from ..text.excerpts import excerpt, said

__all__ = ["MOST_ITEM", "Text", "array_items", "lines", "stacked_values"]

CHUNK = 1 << 20  # bytes read at once
MOST_ITEM = 512 << 20  # characters of one item; more is refused
_NEAR = 16  # characters: an error so close to the end of what was read may be a token that was cut
_SPACE = " \t\n\r"
_decode = json.JSONDecoder().raw_decode


class Text:
    """Characters of a UTF-8 stream, read as they are needed. Raises `InvalidTurn` for other bytes, with their place."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self.name = name
        self.held = ""
        self.at = 0  # place in `held`
        self.ended = False
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._bytes = 0
        self._lines = 1  # line feeds before `held`, and one

    def more(self, least: int | None = None) -> bool:
        """Read on by `least` characters or more, forgetting what was passed; false at the end."""
        wanted = CHUNK if least is None else least
        if self.ended:
            return False
        self._lines += self.held.count("\n", 0, self.at)
        pieces = [self.held[self.at :]]
        self.at = 0
        got = 0
        while got < wanted and not self.ended:
            data = self._stream.read(CHUNK)
            self.ended = not data
            text, problem = self._text(data)
            if problem:
                line = self._lines + sum(piece.count("\n") for piece in pieces) + data.count(b"\n", 0, max(problem[1] - self._bytes, 0))
                raise InvalidTurn(f"{self.name} is not UTF-8 text: byte {problem[0]:#04x} at {problem[1]} (line {line})")
            self._bytes += len(data)
            pieces.append(text)
            got += len(text)
        self.held = "".join(pieces)
        return got > 0

    def _text(self, data: bytes) -> tuple[str, tuple[int, int] | None]:
        before = len(self._decoder.getstate()[0])  # bytes of a character whose rest is in `data`
        try:
            return self._decoder.decode(data, final=not data), None
        except UnicodeDecodeError as exc:
            return "", (exc.object[exc.start], self._bytes - before + exc.start)

    def peek(self) -> str:
        """The next character that is no space, without passing it; empty at the end."""
        while True:
            while self.at < len(self.held) and self.held[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.held):
                return self.held[self.at]
            if not self.more():
                return ""

    def value(self, what: str) -> Any:
        """The next JSON value. Raises `InvalidTurn` with `what` it is and the line."""
        self.peek()
        while True:
            value, end, problem = _decoded(self.held, self.at, self.ended)
            if problem:
                line = self._line_of(min(end, len(self.held)))
                raise InvalidTurn(f"{self.name}, {what} (line {line}) is not JSON: {problem}")
            if end:
                self.at = end
                return value
            if len(self.held) - self.at > MOST_ITEM:
                raise InvalidTurn(f"{self.name}, {what} is larger than {MOST_ITEM >> 20} million characters")
            self.more(max(CHUNK, len(self.held) - self.at))

    def _line_of(self, place: int) -> int:
        """The line on which a place in `held` stands, from 1."""
        return self._lines + self.held.count("\n", 0, place)

    def misplaced(self, expected: str, after: str) -> InvalidTurn:
        """The error for the character that stands here."""
        found = excerpt(self.held[self.at]) if self.at < len(self.held) else "the end of the file"
        return InvalidTurn(f"{self.name}, {after} (line {self._line_of(self.at)}): {found} stands where {expected} should")


def _decoded(text: str, start: int, ended: bool) -> tuple[Any, int, str]:
    """A value and its end; 0 if more text is needed; or where it is broken, and how. Exceptions hold the text, so they go no further."""
    try:
        value, end = _decode(text, start)
    except json.JSONDecodeError as exc:
        cut = exc.msg.startswith("Unterminated string") or exc.pos >= len(text) - _NEAR
        return (None, exc.pos, exc.msg) if ended or not cut else (None, 0, "")
    except (ValueError, RecursionError) as exc:  # a number of more digits than Python converts, or values too deep in each other
        return None, start, said(exc)
    is_cut = isinstance(value, int | float) and end > len(text) - _NEAR  # of `-1.5e3`, `-1` and `-1.5` are numbers too
    return (value, end, "") if ended or not (is_cut or end == len(text)) else (None, 0, "")


def array_items(text: Text) -> Iterator[Any]:
    """Items of the JSON array that begins at the next character. Raises `InvalidTurn` with the item's number and line."""
    text.at += 1
    number = 1
    if text.peek() == "]":
        text.at += 1
    else:
        while True:
            yield text.value(f"item {number}")
            found = text.peek()
            if found not in (",", "]"):
                raise text.misplaced("',' or ']'", f"after item {number}")
            text.at += 1
            if found == "]":
                break
            number += 1
    if text.peek():
        raise text.misplaced("nothing", "after the end of the array")


def stacked_values(text: Text) -> Iterator[Any]:
    """JSON values one after another, each over as many lines as it takes. Raises `InvalidTurn` with the value's number and line."""
    number = 1
    while text.peek():
        yield text.value(f"item {number}")
        number += 1


def lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, Any]]:
    """JSON values, each on its line, with the line's number. Empty lines are passed over. Raises `InvalidTurn` with the line."""
    number = 0
    while data := stream.readline(MOST_ITEM):
        number += 1
        if number == 1:
            data = data.removeprefix(codecs.BOM_UTF8)
        if len(data) == MOST_ITEM:
            raise InvalidTurn(f"{name}, line {number} is larger than {MOST_ITEM >> 20} million bytes")
        if not data.strip():
            continue
        value, problem = _line(data)
        if problem:
            raise InvalidTurn(f"{name}, line {number} {problem}")
        yield number, value


def _line(data: bytes) -> tuple[Any, str]:
    try:
        return json.loads(data.decode("utf-8")), ""
    except UnicodeDecodeError as exc:
        return None, f"is not UTF-8 text: byte {data[exc.start]:#04x} at {exc.start}"
    except (ValueError, RecursionError) as exc:
        return None, f"is not JSON: {said(exc)}"
