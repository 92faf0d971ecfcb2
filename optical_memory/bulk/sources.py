"""Where items come from: a store's sessions, lines of JSON, Parquet, exports of other programs, folders of pictures.

A source is read as a stream, in the same order every time, so that a job goes on where it was. It is opened by its text (`open_source`) in
whatever process reads it. A source of your own is any object with the two names of `Source`; to be read by Ray it must be picklable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..errors import InvalidTurn
from ..imports import read_conversations
from ..stores.base import open_store
from ..text.excerpts import excerpt, said
from .items import ConversationItem, Item, Picture, StoredSession
from .outputs import arrow

__all__ = ["PICTURES", "Broken", "FileLines", "FolderOfPictures", "GivenItems", "Source", "StoreSessions", "TableRows", "open_source"]

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
LINES = (".jsonl", ".ndjson")
STORES = ("sqlite", "redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
ROWS_AT_ONCE = 64  # of a table, in memory together: pictures of 1 MB each are 64 MB
PICTURE_COLUMNS = ("png", "image", "picture", "bytes")
NAME_COLUMNS = ("id", "session", "item", "key", "name")


@runtime_checkable
class Source(Protocol):
    """A stream of items."""

    @property
    def name(self) -> str:
        """What it is, without passwords: a folder of outputs belongs to one source."""
        ...

    def items(self) -> Iterator[Item]:
        """The items, in the same order every time."""
        ...


@dataclass(frozen=True, slots=True)
class Broken:
    """An item that cannot be read: it goes to the dead letters, and its source is read on."""

    key: str
    why: str

    def turns(self) -> Any:
        """Always raises `InvalidTurn`."""
        raise InvalidTurn(self.why)


@dataclass(frozen=True, slots=True)
class GivenItems:
    """Items that a program hands over. With Ray they are all held in memory."""

    name: str
    given: tuple[Item, ...]

    def items(self) -> Iterator[Item]:
        return iter(self.given)


@dataclass(frozen=True, slots=True)
class StoreSessions:
    """The sessions of a tenant in a store, by name. The list of names is held in memory, the turns are not."""

    url: str
    tenant: str = ""

    @property
    def name(self) -> str:
        store = open_store(self.url)
        try:
            return f"{store.url}{f' of {self.tenant!r}' if self.tenant else ''}"
        finally:
            store.close()

    def items(self) -> Iterator[Item]:
        store = open_store(self.url)
        try:
            for info in store.sessions(self.tenant):
                if info.turns:
                    yield StoredSession(self.url, info.id.name, info.id.tenant, store.length(info.id))
        finally:
            store.close()


@dataclass(frozen=True, slots=True)
class FileLines:
    """A file with a JSON object on each line, each a session: `messages`, and `id` or `session`. A broken line is an item that fails."""

    path: str

    @property
    def name(self) -> str:
        return str(Path(self.path).resolve())

    def items(self) -> Iterator[Item]:
        with open(self.path, encoding="utf-8-sig", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _line_item(line, f"{Path(self.path).name}, line {number}", number)


def _line_item(line: str, where: str, number: int) -> Item:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:  # not as a cause: it holds the whole line
        return Broken(f"line {number}", f"{where} is not JSON: {said(exc)}")
    if not isinstance(row, dict) or not isinstance(row.get("messages"), list):
        return Broken(f"line {number}", f"{where} is no object with a list of messages")
    return _row_item(row, where, number)


def _row_item(row: dict[str, Any], where: str, number: int) -> Item:
    """A row's name tells it apart only with its number: exports repeat names."""
    named = next((row[name] for name in NAME_COLUMNS if isinstance(row.get(name), str | int) and row[name] != ""), None)
    messages = [message for message in row["messages"] if message is not None]
    if row.get("system"):
        messages = [{"role": "system", "content": row["system"]}, *messages]
    return ConversationItem(f"line {number}" if named is None else f"{named} (line {number})", tuple(messages), where)


@dataclass(frozen=True, slots=True)
class Export:
    """Conversations of a file, zip archive or folder of another program, as the import knows them."""

    path: str

    @property
    def name(self) -> str:
        return str(Path(self.path).resolve())

    def items(self) -> Iterator[Item]:
        for number, conversation in enumerate(read_conversations(self.path), 1):
            key = f"{conversation.id or 'conversation'} ({number})"
            yield ConversationItem(key, tuple(conversation.messages), conversation.place or key)


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of Parquet: a file, a folder of files, or a URI that Arrow's file systems open (`s3://bucket/folder`, `gs://`, `file://`).

    A row is a session if it has a column `messages` (a list of structs with role and content, or JSON text), and a picture if it has one
    of `png`, `image`, `picture` or `bytes`. Its name is in `id`, `session`, `item`, `key` or `name`; with `page` beside it, of that page.
    """

    where: str

    @property
    def name(self) -> str:
        return self.where if "://" in self.where else str(Path(self.where).resolve())

    def items(self) -> Iterator[Item]:
        arrow()
        import pyarrow.dataset

        table = pyarrow.dataset.dataset(self.where, format="parquet")
        names = set(table.schema.names)
        picture = next((name for name in PICTURE_COLUMNS if name in names), None)
        if "messages" not in names and picture is None:
            wanted = f"messages, {', '.join(PICTURE_COLUMNS)}"
            raise ValueError(f"{excerpt(self.where)} has the columns {', '.join(sorted(names))[:200]}; wanted is one of {wanted}")
        columns = [name for name in ("messages", "system", "page", *NAME_COLUMNS) if name in names]
        columns = [name for name in columns if name != "messages" or picture is None] + ([picture] if picture else [])
        number = 0
        for batch in table.to_batches(columns=columns, batch_size=ROWS_AT_ONCE, batch_readahead=1, fragment_readahead=1):
            for row in batch.to_pylist():
                number += 1
                yield _picture_item(row, picture, number) if picture else _table_item(row, number)


def _table_item(row: dict[str, Any], number: int) -> Item:
    messages = row["messages"]
    if isinstance(messages, str):
        return _line_item(json.dumps(row | {"messages": _parsed(messages)}), f"row {number}", number)
    if not isinstance(messages, list):
        return Broken(f"line {number}", f"row {number} has no list of messages")
    # A struct's absent fields come back as None, and a message must not have them.
    cleared = [{name: value for name, value in message.items() if value is not None} for message in messages if message]
    return _row_item(row | {"messages": cleared}, f"row {number}", number)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _picture_item(row: dict[str, Any], column: str, number: int) -> Item:
    named = next((row[name] for name in NAME_COLUMNS if isinstance(row.get(name), str | int) and row[name] != ""), "row")
    value = row[column]
    data = value.get("bytes") if isinstance(value, dict) else value  # the struct that Hugging Face's `Image` feature stores
    page = f", page {row['page']}" if row.get("page") is not None else ""
    key = f"{named}{page} (row {number})"
    return Picture(key, data=data) if isinstance(data, bytes) and data else Broken(key, f"row {number} has no picture in {column!r}")


@dataclass(frozen=True, slots=True)
class FolderOfPictures:
    """All pictures below a folder, by path: PNG, JPEG, WebP, GIF, BMP, TIFF."""

    path: str

    @property
    def name(self) -> str:
        return str(Path(self.path).resolve())

    def items(self) -> Iterator[Item]:
        root = Path(self.path).resolve()
        for path in _sorted_files(root):
            if path.suffix.lower() in PICTURES:
                yield Picture(path.relative_to(root).as_posix(), path=str(path))


def _sorted_files(folder: Path) -> Iterator[Path]:
    """Files below a folder, by path: one folder's names are in memory at a time."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _sorted_files(path)
        elif path.is_file():
            yield path


def open_source(source: str | Path | Source | Iterable[Item], *, tenant: str = "") -> Source:
    """A source by what its text names: a store's URL, a file or folder of Parquet, lines of JSON, a folder of pictures, or an export.

    Raises `FileNotFoundError`, `ValueError` for what cannot be shared by processes, or of which it cannot be told what it holds.
    """
    if isinstance(source, Source):
        return source
    if not isinstance(source, str | Path):
        return GivenItems("given items", tuple(source))
    text = str(source)
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme == "memory":
        raise ValueError(f"{excerpt(text)} lives in one process, and bulk jobs use several; export its sessions, or use sqlite:///FILE")
    if scheme in STORES:
        return StoreSessions(text, tenant)
    if scheme:
        return TableRows(text)
    return _of_path(Path(text).expanduser())


def _of_path(path: Path) -> Source:
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {str(path)!r}")
    if path.is_dir():
        kinds = {found.suffix.lower() for found, _ in zip(_sorted_files(path), range(1000), strict=False)}
        if kinds & set(PICTURES):
            return FolderOfPictures(str(path))
        return TableRows(str(path)) if ".parquet" in kinds else Export(str(path))
    if path.suffix.lower() == ".parquet":
        return TableRows(str(path))
    if path.suffix.lower() in LINES and _has_sessions(path):
        return FileLines(str(path))
    return Export(str(path))


def _has_sessions(path: Path) -> bool:
    """Whether the first line is a session, not a message."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = next((line for line in file if line.strip()), "")
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and isinstance(row.get("messages"), list)
