"""What an answer says that was billed: read from a copy of its bytes, after they went to the client."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .encodings import UNREADABLE, decoder_of

__all__ = ["AnswerCopy", "Billed", "billed_of"]

MOST_BYTES = 16 * 2**20  # of an answer that are kept for this; of a longer one the usage is not known
HEAD_BYTES, TAIL_BYTES = 32_768, 262_144  # of a stream
KINDS = ("input", "write", "write_long", "read", "output")
MARKS = (b'"usage"', b'"usageMetadata"')


@dataclass(frozen=True, slots=True)
class Billed:
    """Tokens by kind: input without any cache, written to it for the usual and the long lifetime, read from it, and output."""

    input: int
    write: int = 0
    write_long: int = 0
    read: int = 0
    output: int = 0

    def __add__(self, other: Billed) -> Billed:
        """Two calls together."""
        return Billed(*(getattr(self, name) + getattr(other, name) for name in KINDS))

    @property
    def total(self) -> int:
        """All tokens of the request."""
        return self.input + self.write + self.write_long + self.read


class AnswerCopy:
    """Keeps what is needed of an answer: the two ends of a stream, which speak of usage; else all, up to a limit.

    Args:
        encoding: its `content-encoding`.
        is_stream: whether it consists of events.
    """

    def __init__(self, encoding: str, *, is_stream: bool = False) -> None:
        self._encoding = encoding.strip().lower()
        self._ends = is_stream and self._encoding in ("", "identity")
        self._chunks: list[bytes] | None = []
        self._tail: deque[bytes] = deque()
        self._size = self._tail_size = 0

    def add(self, chunk: bytes) -> None:
        """Keep a chunk as it came."""
        if self._chunks is None:
            return
        self._size += len(chunk)
        if self._ends and self._size > HEAD_BYTES:
            self._tail.append(chunk)
            self._tail_size += len(chunk)
            while self._tail_size - len(self._tail[0]) > TAIL_BYTES:
                self._tail_size -= len(self._tail.popleft())
            return
        self._chunks.append(chunk)
        if self._size > MOST_BYTES:
            self._chunks = None

    def billed(self) -> Billed | None:
        """Return the usage; None if the answer does not say, or cannot be read."""
        if self._chunks is None:
            return None
        decode = decoder_of(self._encoding)
        try:
            return _billed(decode(b"".join((*self._chunks, *self._tail)))) if decode is not None else None
        except UNREADABLE:
            return None


def _billed(plain: bytes) -> Billed | None:
    found: dict[str, Any] = {}
    kind = ""
    for value in _documents(plain):
        for usage, name in _usages(value):
            found.update({key: amount for key, amount in usage.items() if amount is not None})
            kind = name
    return billed_of(found, kind)


def billed_of(usage: Mapping[str, Any], wire: str) -> Billed | None:
    """Return the usage that an answer in a wire format states; None if it states none."""
    try:
        return _READ[wire](usage) if usage else None
    except (TypeError, ValueError, KeyError):
        return None


def _documents(plain: bytes) -> Iterable[Any]:
    """Yield the JSON values of an answer that speak of usage: the whole, or events of a stream."""
    if plain.lstrip()[:1] in (b"{", b"["):
        value = _json(plain)
        yield from value if isinstance(value, list) else [value]
        return
    for line in plain.splitlines():
        if any(mark in line for mark in MARKS):
            yield _json(line.removeprefix(b"data:"))


def _json(data: bytes) -> Any:
    """Return a JSON value; of one whose beginning is missing, the usage in it."""
    try:
        return json.loads(data)
    except ValueError:
        pass
    place = max(data.rfind(mark + b":") for mark in (b'"usage"', b'"usageMetadata"'))
    try:
        name, _, rest = data[place:].decode("utf-8", "replace").partition(":")
        return {json.loads(name): json.JSONDecoder().raw_decode(rest.lstrip())[0]} if place >= 0 else None
    except ValueError:
        return None


def _usages(value: Any) -> Iterable[tuple[Mapping[str, Any], str]]:
    if not isinstance(value, Mapping):
        return
    for place in (value, value.get("message"), value.get("response")):
        if not isinstance(place, Mapping):
            continue
        usage = place.get("usage")
        if isinstance(usage, Mapping):
            yield usage, _kind(usage, value)
        if isinstance(place.get("usageMetadata"), Mapping):
            yield place["usageMetadata"], "gemini"


def _kind(usage: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    if "prompt_tokens" in usage:
        return "chat"
    if "input_tokens_details" in usage or str(value.get("object")) == "response" or "response" in value:
        return "responses"
    return "anthropic"


def _anthropic(usage: Mapping[str, Any]) -> Billed:
    written = int(usage.get("cache_creation_input_tokens") or 0)
    parts = usage.get("cache_creation")
    longer = int(parts.get("ephemeral_1h_input_tokens") or 0) if isinstance(parts, Mapping) else 0
    read = int(usage.get("cache_read_input_tokens") or 0)
    return Billed(int(usage.get("input_tokens") or 0), max(0, written - longer), longer, read, int(usage.get("output_tokens") or 0))


def _openai(total: str, details: str, output: str, usage: Mapping[str, Any]) -> Billed:
    inner = usage.get(details)
    inner = inner if isinstance(inner, Mapping) else {}
    read, written = int(inner.get("cached_tokens") or 0), int(inner.get("cache_write_tokens") or 0)
    return Billed(max(0, int(usage[total]) - read - written), written, 0, read, int(usage.get(output) or 0))


def _gemini(usage: Mapping[str, Any]) -> Billed:
    read = int(usage.get("cachedContentTokenCount") or 0)
    output = int(usage.get("candidatesTokenCount") or 0) + int(usage.get("thoughtsTokenCount") or 0)
    return Billed(max(0, int(usage.get("promptTokenCount") or 0) - read), 0, 0, read, output)


_READ = {
    "anthropic": _anthropic,
    "chat": lambda usage: _openai("prompt_tokens", "prompt_tokens_details", "completion_tokens", usage),
    "responses": lambda usage: _openai("input_tokens", "input_tokens_details", "output_tokens", usage),
    "gemini": _gemini,
}
