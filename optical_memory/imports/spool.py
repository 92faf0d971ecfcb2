"""What was read of an export, ready to be stored, in a temporary file until all of it is read."""

from __future__ import annotations

import marshal
import os
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from ..stores.entries import Entry
from .reading import Found

__all__ = ["Spool", "without_messages"]

IN_MEMORY = 16_000_000  # bytes; a larger export goes to a file
LARGE_FILES = "/var/tmp"  # where /tmp is in memory, this is not


class Spool:
    """Conversations with their entries, in order. Closing it removes the file; so does the end of the process, whatever ends it."""

    def __init__(self) -> None:
        folder = None if os.environ.get("TMPDIR") or not os.access(LARGE_FILES, os.W_OK) else LARGE_FILES
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=folder)  # noqa: SIM115  # closed by `__exit__`
        self._count = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, found: Found, entries: Sequence[Entry]) -> None:
        """Keep a conversation, without its messages."""
        rows = marshal.dumps([(*entry,) for entry in entries])  # bytes and booleans only
        pickle.dump((without_messages(found), rows), self._file, pickle.HIGHEST_PROTOCOL)
        self._count += 1

    def __iter__(self) -> Iterator[tuple[Found, list[Entry]]]:
        self._file.seek(0)
        for _ in range(self._count):
            found, rows = pickle.load(self._file)  # written by this process, and open to no other
            yield found, [Entry._make(row) for row in marshal.loads(rows)]


def without_messages(found: Found) -> Found:
    """A conversation without its messages."""
    return replace(found, conversation=replace(found.conversation, messages=()))
