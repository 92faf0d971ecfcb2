"""A request in any wire format, as the proxy sees it: entries in order, with their places in the JSON text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ....context.messages.request_outline import Pages
from ..raw_json import Edit, NotUnderstood, Span

__all__ = ["Entry", "EntryKind", "Request", "Wire", "as_text", "digest", "digest_of_raw", "head_of", "model_of"]

EntryKind = Literal["talk", "aside", "fixed"]
ENCODED = 4_000  # characters; a longer string without a space is encoded data, not text


@dataclass(slots=True)
class Entry:
    """A message of the conversation, or a group of items that belong together.

    Attributes:
        start, end: its place in the request's text.
        key: hash of its content, without what a client changes from call to call: markers, item ids, a string for a block list.
        role: as in the request.
        kind: `talk` may be drawn; an `aside` stays as it came, after the pages of its time (system messages, files); before a `fixed` entry
            nothing is drawn (compaction items, what is not understood).
        message: the message as `turn_of` takes it; only for `talk`.
        values: the JSON values of its items.
    """

    start: int
    end: int
    key: bytes
    role: str
    kind: EntryKind
    values: Sequence[Any]
    message: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Request:
    """A parsed request.

    Attributes:
        text: the body as text.
        fields: its members by name.
        model: the provider's name of the model.
        entries: all entries, in order.
        head: number of entries at the start that are instructions and stay text: system messages and the first user message.
        system: hash of the system prompt, without what changes from call to call.
        streams: whether the path, not the body, asks for a stream.
        marked: whether the client marks messages for a cache that needs it; None where the provider caches without markers.
        held: why the provider holds (part of) the history; such a request is not rewritten.
    """

    text: str
    fields: dict[str, Span]
    model: str
    entries: list[Entry]
    head: int
    system: bytes
    held: str = ""
    marked: bool | None = None
    streams: bool = False
    _floor: int | None = field(default=None, repr=False)
    _talk: list[Entry] | None = field(default=None, repr=False)

    def value(self, name: str) -> Any:
        """Return a member of the body; None if absent."""
        span = self.fields.get(name)
        return span.value if span else None

    @property
    def talk(self) -> list[Entry]:
        """The entries that may be drawn: those of the conversation after the floor."""
        if self._talk is None:
            self._talk = [entry for entry in self.entries[self.floor :] if entry.kind == "talk"]
        return self._talk

    @property
    def floor(self) -> int:
        """Number of entries at the start that stay as they came: the head, and all up to the last fixed entry."""
        if self._floor is None:
            fixed = max((at for at, entry in enumerate(self.entries) if entry.kind == "fixed"), default=-1)
            self._floor = max(self.head, fixed + 1)
        return self._floor


class Wire(Protocol):
    """A wire format."""

    name: str
    dialect: str  # as profiles name it

    def parse(self, text: str, path: str) -> Request:
        """Parse a request. Raises `NotUnderstood`."""
        ...

    def said(self, values: Sequence[Any]) -> Mapping[str, Any]:
        """Return the message of an entry, as `Entry.message` has it; empty for one that is not drawn. Raises `NotUnderstood`."""
        ...

    def pages(self, group: Pages, mark: Mapping[str, Any] | None) -> str:
        """Return one user message with pages, as JSON text; its last block with the cache marker `mark`."""
        ...

    def marker(self, request: Request, covered: int) -> tuple[Mapping[str, Any] | None, list[Edit]]:
        """Return the cache marker for the end of the pages in place of the entries up to `covered`, and edits that make room for it."""
        ...

    def without_reasoning(self, request: Request, entry: Entry) -> list[Edit]:
        """Return edits that remove reasoning which is bound to another prefix; none where the provider does not bind it."""
        ...


def head_of(entries: Sequence[Entry]) -> int:
    """Return the number of entries up to the first user message, that included; all without one."""
    return next((at + 1 for at, entry in enumerate(entries) if entry.role == "user"), len(entries))


def model_of(fields: Mapping[str, Span]) -> str:
    """Return the model that a body names. Raises `NotUnderstood`."""
    span = fields.get("model")
    if span is None or not isinstance(span.value, str):
        raise NotUnderstood("no model")
    return span.value


def digest(value: Any) -> bytes:
    """Hash plain data; the order of keys does not count."""
    data = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(data.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def digest_of_raw(text: str) -> bytes:
    """Hash text as it came."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def as_text(block: Any) -> str:
    """Write a block of a type that no page knows as text; encoded data is left out."""
    plain = _without_data(block)
    kind = plain.pop("type", "content") if isinstance(plain, dict) else "content"
    return f"[{kind}] {json.dumps(plain, ensure_ascii=False)}" if plain else f"[{kind}]"


def _without_data(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_data(inner) for name, inner in value.items() if not str(name).startswith(("encrypted", "signature"))}
    if isinstance(value, list):
        return [_without_data(inner) for inner in value]
    if isinstance(value, str) and len(value) > ENCODED and " " not in value[:ENCODED]:
        return f"[{len(value):,} characters]"
    return value
