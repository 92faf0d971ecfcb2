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

__all__ = ["MOST_ITEM", "Text", "array_items", "lines"]

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
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._bytes = 0
        self._lines = 1  # line feeds before `held`, and one

    def more(self, least: int = CHUNK) -> bool:
        """Read on, forgetting what was passed; false at the end."""
        if self.ended:
            return False
        self._lines += self.held.count("\n", 0, self.at)
        pieces = [self.held[self.at :]]
        self.at = 0
        got = 0
        while got < least and not self.ended:
            data = self._stream.read(CHUNK)
            self.ended = not data
            text = self._text(data)
            if not self._bytes:
                text = text.removeprefix("\ufeff")
            self._bytes += len(data)
            pieces.append(text)
            got += len(text)
        self.held = "".join(pieces)
        return got > 0

    def _text(self, data: bytes) -> str:
        try:
            return self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as exc:
            place = self._bytes + exc.start
            raise InvalidTurn(f"{self.name} is not UTF-8 text: byte {exc.object[exc.start]:#04x} at about {place}") from exc

    def peek(self) -> str:
        """The next character that is no space, without passing it; empty at the end."""
        while True:
            while self.at < len(self.held) and self.held[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.held):
                return self.held[self.at]
            if not self.more():
                return ""

    def line_of(self, place: int) -> int:
        """The line on which a place in `held` stands, from 1."""
        return self._lines + self.held.count("\n", 0, place)

    def value(self, what: str) -> Any:
        """The next JSON value. Raises `InvalidTurn` with `what` it is and the line."""
        self.peek()
        while True:
            try:
                value, end = _decode(self.held, self.at)
            except json.JSONDecodeError as exc:
                cut = exc.msg.startswith("Unterminated string") or exc.pos >= len(self.held) - _NEAR
                if not cut or self.ended:
                    line = self.line_of(min(exc.pos, len(self.held)))
                    raise InvalidTurn(f"{self.name}, {what} (line {line}) is not JSON: {exc.msg}") from exc
            except RecursionError as exc:
                raise InvalidTurn(f"{self.name}, {what} is nested too deeply to be read") from exc
            else:
                if end < len(self.held) or self.ended:  # a number may go on
                    self.at = end
                    return value
            if len(self.held) - self.at > MOST_ITEM:
                raise InvalidTurn(f"{self.name}, {what} is larger than {MOST_ITEM >> 20} million characters")
            self.more(max(CHUNK, len(self.held) - self.at))


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
            text.at += 1
            if found == "]":
                break
            if found != ",":
                where = f"{text.name}, after item {number} (line {text.line_of(text.at)})"
                raise InvalidTurn(f"{where}: {'the file ends' if not found else f'{found!r} stands'} where ',' or ']' should")
            number += 1
    if rest := text.peek():
        raise InvalidTurn(f"{text.name}: {rest!r} stands after the end of the array (line {text.line_of(text.at)})")


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
        try:
            yield number, json.loads(data.decode("utf-8"))
        except UnicodeDecodeError as exc:
            raise InvalidTurn(f"{name}, line {number} is not UTF-8 text: byte {data[exc.start]:#04x} at {exc.start}") from exc
        except (json.JSONDecodeError, RecursionError) as exc:
            raise InvalidTurn(f"{name}, line {number} is not JSON: {exc}") from exc
