"""Where documents come from: a file, a stream, a folder or a zip archive. Nothing is unpacked, and no link is followed.

An archive may be hostile: names that lead out of it are passed over, what unpacks to more than 200 times its size is refused, and one item
of JSON has at most `splitting.MOST_ITEM` characters.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from ..errors import InvalidTurn
from ..text.excerpts import said
from .base import Shape
from .splitting import Text, array_items, lines, stacked_values

__all__ = ["Container", "JsonDocument", "open_container"]

MOST_UNPACKED = 200  # times the packed size; chats pack to about a fifth
SMALL = 64 << 20  # bytes that an archive may always unpack to
MOST_ATTACHMENT = 32 << 20  # bytes
HEAD_ITEMS, HEAD_SIZE = 64, 4 << 20  # items, characters
SUFFIXES = (".json", ".jsonl", ".ndjson")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)  # RuntimeError: a password is needed


class Container(Protocol):
    """Files that belong together, by their relative POSIX paths."""

    label: str

    def names(self) -> Sequence[str]:
        """Every file, sorted."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """A file to be read from its beginning."""
        ...

    def size(self, name: str) -> int:
        """Bytes of a file."""
        ...


class _OneFile:
    """A file that stands for itself, or a stream that can be sought in."""

    def __init__(self, label: str, source: Path | IO[bytes]) -> None:
        self.label, self._source = label, source

    def names(self) -> Sequence[str]:
        return [""]

    def open(self, name: str) -> IO[bytes]:
        if isinstance(self._source, Path):
            return self._source.open("rb")
        self._source.seek(0)
        return _Unclosed(self._source)  # type: ignore[return-value]

    def size(self, name: str) -> int:
        return os.stat(self._source).st_size if isinstance(self._source, Path) else 0


class _Unclosed:
    """A stream that outlives its readers."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.read, self.readline = stream.read, stream.readline

    def __enter__(self) -> _Unclosed:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


class _Folder:
    def __init__(self, path: Path) -> None:
        self.label, self._path = str(path), path

    @cached_property
    def _names(self) -> list[str]:
        found: list[str] = []
        for folder, folders, files in os.walk(self._path):  # does not follow links
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths = (Path(folder, name) for name in files if not name.startswith("."))
            found += [path.relative_to(self._path).as_posix() for path in paths if path.is_file() and not path.is_symlink()]
        return sorted(found)

    def names(self) -> Sequence[str]:
        return self._names

    def open(self, name: str) -> IO[bytes]:
        return (self._path / name).open("rb")

    def size(self, name: str) -> int:
        return (self._path / name).stat().st_size


class _Archive:
    def __init__(self, label: str, source: Path | IO[bytes]) -> None:
        self.label = label
        with _readable(label):
            self._zip = zipfile.ZipFile(source)
        packed = os.stat(source).st_size if isinstance(source, Path) else source.seek(0, os.SEEK_END)
        self._infos = {info.filename: info for info in self._zip.infolist() if _is_inside(info)}
        self._check(packed)

    def _check(self, packed: int) -> None:
        read = [info for info in self._infos.values() if info.filename.lower().endswith(SUFFIXES)]
        for info in read:
            if info.file_size > max(SMALL, MOST_UNPACKED * info.compress_size):
                raise InvalidTurn(f"{self.label}/{info.filename} unpacks to {info.file_size:,} bytes from {info.compress_size:,}: refused")
        whole = sum(info.file_size for info in read)
        if whole > max(SMALL, MOST_UNPACKED * packed):  # files may overlap
            raise InvalidTurn(f"{self.label} unpacks to {whole:,} bytes from {packed:,}: refused")

    def names(self) -> Sequence[str]:
        return sorted(self._infos)

    def open(self, name: str) -> IO[bytes]:
        with _readable(f"{self.label}/{name}"):
            return self._zip.open(self._infos[name])

    def size(self, name: str) -> int:
        return self._infos[name].file_size


def _is_inside(info: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(info.filename.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or ":" in path.parts[0] if path.parts else True
    return not (info.is_dir() or outside or path.parts[0] == "__MACOSX" or path.name.startswith("."))


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as exc:
        raise InvalidTurn(f"{name} cannot be unpacked: {said(exc)}") from exc


class JsonDocument:
    """A file of a container, read as JSON."""

    def __init__(self, container: Container, path: str) -> None:
        self.path = path
        self.name = f"{container.label}/{path}" if path else container.label
        self._container = container
        self._is_stacked = False  # values over several lines each, one after another
        self._beginning: tuple[Shape, list[Any]] | None = None

    def _looked(self) -> tuple[Shape, list[Any]]:
        if self._beginning is None:
            self._beginning = self._look()
        return self._beginning

    def release(self) -> None:
        """Forget what was read of it; it is read again when it is asked for."""
        self._beginning = None

    def _look(self) -> tuple[Shape, list[Any]]:
        with self._container.open(self.path) as stream, _readable(self.name):
            text = Text(stream, self.name)
            first = text.peek()
            if first == "[" and not _is_line(text):
                return "array", _beginning(array_items(text), text)
            value = text.value("the text")
            self._is_stacked = "\n" in text.held[: text.at].strip()
            if not text.peek():
                self._is_stacked = False
                return "object", [value]
            if self._is_stacked:
                return "lines", [value, *islice(stacked_values(text), HEAD_ITEMS - 1)]
        return "lines", self._first_lines()

    def _first_lines(self) -> list[Any]:
        found: list[Any] = []
        with self._container.open(self.path) as stream, _readable(self.name):
            for _, value in lines(stream, self.name):
                found.append(value)
                if len(found) == HEAD_ITEMS:
                    break
        return found

    @property
    def shape(self) -> Shape:
        return self._looked()[0]

    @property
    def head(self) -> Sequence[Any]:
        return self._looked()[1]

    def items(self) -> Iterator[tuple[str, Any]]:
        shape, head = self._looked()  # before the file is opened: a stream has one place
        if shape == "object":
            yield "the object", head[0]
            return
        with self._container.open(self.path) as stream, _readable(self.name):
            if shape == "lines" and not self._is_stacked:
                yield from ((f"line {number}", value) for number, value in lines(stream, self.name))
                return
            text = Text(stream, self.name)
            text.peek()
            values = stacked_values(text) if self._is_stacked else array_items(text)
            yield from ((f"item {number}", value) for number, value in enumerate(values, 1))

    def attachment(self, name: str) -> tuple[str, bytes] | None:
        if not name or not self.path:
            return None
        path = _index(self._container).get(name)
        if path is None or self._container.size(path) > MOST_ATTACHMENT:
            return None
        with self._container.open(path) as stream, _readable(f"{self._container.label}/{path}"):
            return path, stream.read(MOST_ATTACHMENT + 1)


class _Index:
    """Files by name, or by the beginning of their name."""

    def __init__(self, names: Sequence[str]) -> None:
        self._sorted = sorted((PurePosixPath(name).name, name) for name in names)

    def get(self, name: str) -> str | None:
        at = bisect_left(self._sorted, (name, ""))
        if at == len(self._sorted):
            return None
        found, path = self._sorted[at]
        rest = found.removeprefix(name)
        return path if found.startswith(name) and (not rest or not rest[0].isalnum()) else None


def _index(container: Container) -> _Index:
    index: _Index | None = getattr(container, "_by_name", None)
    if index is None:
        index = _Index(container.names())
        container._by_name = index  # type: ignore[attr-defined]
    return index


def _is_line(text: Text) -> bool:
    """Whether the array that begins here ends on its line, and other lines follow."""
    end = text.held.find("\n", text.at)
    if end < 0 or not text.held[end:].strip():
        return False
    try:
        json.loads(text.held[text.at : end])
    except (ValueError, RecursionError):
        return False
    return text.held[end:].lstrip()[0] not in ",]"


def _beginning(items: Iterator[Any], text: Text) -> list[Any]:
    found: list[Any] = []
    for item in items:
        found.append(item)
        if len(found) == HEAD_ITEMS or len(text.held) > HEAD_SIZE:
            break
        if len(found) >= 4 and text.at > HEAD_SIZE // 8:
            break
    return found


def open_container(source: str | os.PathLike[str] | IO[bytes], label: str | None = None) -> Iterator[Container]:
    """The containers at a path: one, or a folder and the archives in it. A stream must be seekable.

    Raises `InvalidTurn` for an archive that cannot be read, `OSError` for a path that is not there.
    """
    if not isinstance(source, str | os.PathLike):
        source.seek(0)
        named = label or "standard input"
        yield _Archive(named, source) if source.read(4) == b"PK\x03\x04" else _OneFile(named, source)
        return
    path = Path(source)
    if path.is_dir():
        folder = _Folder(path)
        yield folder
        yield from (_Archive(str(path / name), path / name) for name in folder.names() if name.lower().endswith(".zip"))
        return
    with path.open("rb") as stream:
        is_zip = stream.read(4) == b"PK\x03\x04"
    yield _Archive(label or str(source), path) if is_zip else _OneFile(label or str(source), path)
