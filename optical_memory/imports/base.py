"""The seam of export formats: a document that was opened, the conversations in it, and the format that reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from ..errors import InvalidTurn
from ..text.excerpts import excerpt, shape

__all__ = ["PART_OF", "Conversation", "Document", "Format", "Message", "Shape", "UnknownExport", "keys_of"]

Message = dict[str, Any]
Shape = Literal["array", "object", "lines"]

PART_OF = "part_of"  # key of a message that is one row of several; the value names the whole message


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation of an export.

    Attributes:
        id: the same in every export of it; empty if the export gives none.
        messages: chat messages in order, as `OpticalMemory.append` takes them. `id` is the export's own: it need be unique only within the
            conversation. Without ids a message is known by its content and what stands before it. Rows with the same `part_of` become one
            message, at the place of the first.
        title: what the export calls it.
        created_at: when it began; messages without a time get that of the message before them, the first this one.
        place: where it stands in its document, for errors.
        parent: the id of the conversation that this one is an aside of.
        exact: the messages are taken as they are: no id or call is made up, and what is wrong in them is an error.
    """

    id: str
    messages: Sequence[Message]
    title: str = ""
    created_at: datetime | None = None
    place: str = ""
    parent: str = ""
    exact: bool = False


class Document(Protocol):
    """One file of an export: JSON values, read one after another."""

    @property
    def name(self) -> str:
        """The file as errors name it: `export.zip/conversations.json`."""
        ...

    @property
    def shape(self) -> Shape:
        """A JSON array (its items are read one by one), one JSON object, or a JSON value on each line."""
        ...

    @property
    def head(self) -> Sequence[Any]:
        """The first items: at most 16, and at least one unless the document is empty."""
        ...

    def items(self) -> Iterator[tuple[str, Any]]:
        """Each item with its place (`line 3`, `item 2`). Raises `InvalidTurn` with the place where the JSON ends to be JSON."""
        ...

    def attachment(self, name: str) -> tuple[str, bytes] | None:
        """A file beside the document, by its name or the beginning of it, with its name. None if it is not there or is too large."""
        ...


class Format(Protocol):
    """What reads one format of export. A module with these three names will do.

    Optional: `companions`, patterns (`fnmatch`) of names of files that such an export has beside its conversations, and holds none.
    """

    @property
    def name(self) -> str:
        """Short, in lower case: it begins the names of the sessions."""
        ...

    def recognise(self, document: Document) -> bool:
        """Whether `document.head` is of this format. Looks at keys, never raises."""
        ...

    def conversations(self, document: Document) -> Iterable[Conversation]:
        """The conversations, one at a time. Raises `InvalidTurn` with the place for what is broken."""
        ...


class UnknownExport(InvalidTurn):
    """A file that no format recognises. Nothing was stored.

    Attributes:
        file: its name.
        known: names of the formats that were tried.
    """

    def __init__(self, file: str, found: str, known: Sequence[str]) -> None:
        super().__init__(f"{file} holds {found}: no conversation in a known format. Known: {', '.join(known)}. Nothing was stored")
        self.file, self.known = file, tuple(known)


def keys_of(value: object) -> str:
    """What an error says of a value that was not expected: its keys, or its kind; what it holds stays out of it."""
    if isinstance(value, Mapping):
        keys = sorted((str(key) for key in value), key=str)
        return f"an object with the keys [{', '.join(excerpt(key, 30) for key in keys[:12])}{', ...' if len(keys) > 12 else ''}]"
    if isinstance(value, list) and value:
        return f"a list of {len(value)}, the first {keys_of(value[0])}"
    return shape(value)
