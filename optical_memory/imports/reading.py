"""Find out the format of every document, then read its conversations one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import IO

from ..errors import InvalidTurn
from ..text.excerpts import said
from .base import Conversation, Format, UnknownExport, keys_of
from .completing import completed
from .registry import formats as known_formats
from .sources import SUFFIXES, Container, JsonDocument, open_container

__all__ = ["Found", "Source", "errors_of", "opened", "read_conversations"]

_OF_ANOTHER_KIND = (AttributeError, LookupError, TypeError, ValueError, RecursionError)


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation, the format that read it, and its document.

    Attributes:
        key: tells it apart from the others of its source, also where the export gives no id.
    """

    conversation: Conversation
    format: str
    document: str
    key: str

    @property
    def where(self) -> str:
        """Its place, for errors."""
        return ", ".join(filter(None, (self.document, self.conversation.place)))


@dataclass(frozen=True, slots=True)
class Source:
    """Documents that were recognised, and the format of each. It can be read again."""

    documents: Sequence[tuple[JsonDocument, Format]]

    def found(self) -> Iterator[Found]:
        """Every conversation, in the order of the files. Raises `InvalidTurn` for a broken one."""
        for document, format in self.documents:
            stem = str(PurePosixPath(document.path).with_suffix("")) if document.path else ""
            for number, conversation in enumerate(_guarded(format, document), 1):
                own = conversation.id or "-".join(filter(None, (stem, str(number) if number > 1 else "")))
                yield Found(conversation, format.name, document.name, own)
            document.release()


def _guarded(format: Format, document: JsonDocument) -> Iterator[Conversation]:
    """Conversations of a document; errors name it."""
    with errors_of(document.name, format.name):
        yield from format.conversations(document)


@contextmanager
def errors_of(where: str, format: str) -> Iterator[None]:
    """Name the file in errors. A value of another kind than the format has there is an error of the file, not of the program."""
    try:
        yield
    except InvalidTurn as exc:
        if where in str(exc):
            raise
        raise InvalidTurn(f"{where}, {exc}") from exc
    except _OF_ANOTHER_KIND as exc:
        raise InvalidTurn(f"{where} is not as the format {format!r} has it: {type(exc).__name__}: {said(exc)}") from exc


def _recognises(format: Format, document: JsonDocument) -> bool:
    document.head  # noqa: B018  # what is no JSON is said here, and once
    try:
        return format.recognise(document)
    except _OF_ANOTHER_KIND:
        return False


def opened(source: str | os.PathLike[str] | IO[bytes], formats: Sequence[Format] | None = None, label: str | None = None) -> Source:
    """Open a file, a stream, a folder or a zip archive, and recognise everything in it that is JSON.

    Raises `UnknownExport` for a document of no known format, `InvalidTurn` for one that is no JSON, `OSError`.
    """
    asked = known_formats() if formats is None else formats
    documents: list[tuple[JsonDocument, Format]] = []
    for container in open_container(source, label):
        documents += _recognised(container, asked)
    if not documents:
        raise UnknownExport(label or str(source), "no file whose name ends in .json, .jsonl or .ndjson", [format.name for format in asked])
    return Source(documents)


def _recognised(container: Container, asked: Sequence[Format]) -> Iterable[tuple[JsonDocument, Format]]:
    found: list[tuple[JsonDocument, Format]] = []
    strangers: list[JsonDocument] = []
    for name in container.names():
        if name and not (name.lower().endswith(SUFFIXES) and container.size(name)):
            continue
        document = JsonDocument(container, name)
        if format := next((format for format in asked if _recognises(format, document)), None):
            found.append((document, format))
        else:
            strangers.append(document)
        document.release()
    found_formats = list({format.name: format for _, format in found}.values())
    unknown = [stranger for stranger in strangers if not _is_companion(stranger, found_formats)]
    for stranger in sorted(unknown, key=lambda stranger: _is_companion(stranger, asked)):
        raise UnknownExport(stranger.name, _held(stranger), [format.name for format in asked])
    return found


def _is_companion(document: JsonDocument, formats: Iterable[Format]) -> bool:
    name = PurePosixPath(document.path).name
    return any(fnmatch(name, pattern) for format in formats for pattern in getattr(format, "companions", ()))


def _held(document: JsonDocument) -> str:
    first = keys_of(next(iter(document.head), None))
    return {"array": f"an array whose first item is {first}", "lines": f"lines of which the first is {first}"}.get(document.shape, first)


def read_conversations(source: str | os.PathLike[str] | IO[bytes], *, formats: Sequence[Format] | None = None) -> Iterator[Conversation]:
    """Read every conversation of an export, one at a time: rows joined, calls paired, each message with an id and, if known, a time.

    Args:
        source: a file of JSON or JSON lines, a zip archive or a folder of them, or a binary stream that can be sought in.
        formats: the formats to ask, in order; all that `formats()` gives by default.

    Raises `UnknownExport`, `InvalidTurn` with the file and the place, `OSError`.
    """
    for found in opened(source, formats).found():
        conversation = replace(found.conversation, id=found.key) if not found.conversation.id else found.conversation
        with errors_of(found.where, found.format):
            messages = completed(conversation, found.format)
        yield replace(conversation, messages=messages)
