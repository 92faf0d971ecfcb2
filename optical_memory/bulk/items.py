"""What a bulk job works on: items of a source, the pages of an item, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from ..errors import InvalidTurn, TurnNotFound
from ..pages.page import Segment
from ..stores.base import SessionId, Store, open_store
from ..turns.chat_files import messages_of
from ..turns.from_messages import turn_of
from ..turns.turn import Turn

__all__ = ["ConversationItem", "Item", "PageImage", "Pages", "PictureItem", "SessionItem", "StoredSession", "key_digest", "safe_path"]

LONGEST_PART = 200  # characters of a part of a file's name; file systems allow 255 bytes


class Item(Protocol):
    """One thing to work on: small, picklable, and named alike at every run."""

    @property
    def key(self) -> str:
        """Its name in the manifest: unique in the source, and another one if what it names has changed."""
        ...


class SessionItem(Item, Protocol):
    """An item with turns."""

    def turns(self) -> list[Turn]:
        """Its turns, numbered from 1. Raises `InvalidTurn`, `StoreError`, `OSError`."""
        ...


class PictureItem(Item, Protocol):
    """An item with pictures of pages: one for a picture, several for a document."""

    def pictures(self) -> Sequence[bytes]:
        """The bytes of each picture, in order. Raises `OSError`."""
        ...


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session of a store, as long as it was when it was listed: once it has grown it is another item.

    Attributes:
        url: the store's, with its password.
        length: the number of its last turn.
    """

    url: str
    name: str
    tenant: str
    length: int

    @property
    def key(self) -> str:
        return f"{self.name}@{self.length}"

    @property
    def id(self) -> SessionId:
        """The session's id in its store."""
        return SessionId(self.name, self.tenant)

    def turns(self) -> list[Turn]:
        """The turns that it had when it was listed. Raises `TurnNotFound` if all were erased meanwhile, `StoreError`."""
        store: Store = open_store(self.url)
        try:
            found = store.read(self.id, 1, self.length + 1)
        finally:
            store.close()
        if not found:
            raise TurnNotFound(self.length, self.length)
        return found


@dataclass(frozen=True, slots=True)
class ConversationItem:
    """A conversation of a file, with its messages.

    Attributes:
        where: its place, for errors.
    """

    key: str
    messages: tuple[dict[str, Any], ...]
    where: str

    def turns(self) -> list[Turn]:
        """The messages as turns. Raises `InvalidTurn`, with the place."""
        turns: list[Turn] = []
        for number, message in enumerate(messages_of(list(self.messages), self.where), 1):
            try:
                turn = turn_of(message)
            except (InvalidTurn, TypeError) as exc:
                raise InvalidTurn(f"{self.where}, message {number} of {len(self.messages)}: {exc}") from exc
            turns.append(turn.model_copy(update={"number": number, "id": turn.id or str(number)}))
        if not turns:
            raise InvalidTurn(f"{self.where} has no message")
        return turns


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a page, as a file or, from a table, as bytes."""

    key: str
    path: str = ""
    data: bytes = b""

    def pictures(self) -> Sequence[bytes]:
        """The one picture. Raises `OSError`."""
        return [self.data or Path(self.path).read_bytes()]


@dataclass(frozen=True, slots=True)
class PageImage:
    """A page of an item, as it goes from stage to stage.

    Attributes:
        png: the picture; of a picture item its own bytes, whatever their format.
        index: its number in the item, from 1.
        width, height: in pixels, as sealed: boxes are in these.
        canvas: the longer side in pixels before the blank part was cut off; 0 if nothing was.
        page_key: hash of what determines its pixels; empty for a picture that was not drawn here.
        roles: role of each segment's turn.
    """

    png: bytes
    index: int
    width: int
    height: int
    canvas: int = 0
    page_key: str = ""
    segments: tuple[Segment, ...] = ()
    roles: tuple[str, ...] = ()
    text_tokens: int = 0
    sidecar: tuple[str, ...] = ()
    missing_glyphs: int = 0


@dataclass(frozen=True, slots=True)
class Pages:
    """All pages of an item."""

    key: str
    pages: tuple[PageImage, ...]


def key_digest(key: str) -> str:
    """Return 32 hexadecimal digits that stand for a key of any length and characters."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def safe_path(key: str) -> str:
    """Return a relative path for an item's own file: its key, without parts that lead elsewhere, and short enough for file systems."""
    parts = [quote(part, safe=" ()[],=+@", errors="surrogatepass") for part in key.split("/")]
    if any(part in ("", ".", "..") or len(part) > LONGEST_PART for part in parts):
        return key_digest(key)
    return "/".join(parts)
