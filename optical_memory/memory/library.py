"""A library: documents that sessions share, each stored once, by the hash of its file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Self

from ..documents.limits import Limits
from ..errors import DocumentError
from ..stores.base import SessionId, Store, open_store
from ..text.excerpts import excerpt
from ..text.term_index import TermIndex
from ..turns.turn import DocumentContent, DocumentPage, Turn
from .attaching import Attachable, content_of_document
from .batches import completed_turn

__all__ = ["Library", "LibraryDocument"]

PREFIX = "library:"  # of the session that holds a library's documents
PICTURES = "picture/"


@dataclass(frozen=True, slots=True)
class LibraryDocument:
    """A document of a library.

    Attributes:
        number: of its turn in the library's own session.
        content: the file and its pages.
    """

    number: int
    content: DocumentContent

    @property
    def name(self) -> str:
        return self.content.name

    @property
    def title(self) -> str:
        return self.content.title

    @property
    def sha256(self) -> str:
        return self.content.sha256

    @property
    def pages(self) -> Sequence[DocumentPage]:
        return self.content.pages


class Library:
    """Documents that sessions share: `context(budget, libraries=[Library("manuals")])`.

    Args:
        name: the library's name.
        store: a store's URL, or a store; the SQLite file in the user's data folder by default.
        tenant: libraries of different tenants never meet.

    Each document is stored once, whatever it is called, and its pages are drawn once for all sessions. Not thread-safe.
    """

    def __init__(self, name: str = "library", *, store: str | Store | None = None, tenant: str | None = None) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"a library's name is a non-empty string; got {excerpt(name)}")
        self.name, self.session = name, SessionId(PREFIX + name, tenant or "")
        self._owns_store = store is None or isinstance(store, str)
        self.store = open_store(store) if store is None or isinstance(store, str) else store
        self._known: tuple[int, dict[int, LibraryDocument]] = (0, {})

    def attach(
        self, source: Attachable, *, name: str | None = None, password: str | None = None, limits: Limits | None = None
    ) -> LibraryDocument:
        """Store a PDF, and return it as the library has it: under its first name, if it was there already.

        Takes and raises what `OpticalMemory.attach` does; `DocumentError` for a document without pages.
        """
        content = content_of_document(source, name=name, password=password, limits=limits)
        [first, *_] = content
        if not isinstance(first, DocumentContent) or not first.pages:
            raise DocumentError(f"a library holds PDFs with pages: print {excerpt(name or 'the document')} to a PDF, and attach that")
        turn = self._stored(first, first.sha256)
        if not turn.documents:  # it was removed before, and ids of what is erased stay unused
            turn = self._stored(first, f"{first.sha256}/{self.store.length(self.session)}")
        return LibraryDocument(turn.number, turn.documents[0])

    def _stored(self, content: DocumentContent, name: str) -> Turn:
        [turn] = self.store.append(self.session, [completed_turn(Turn(id=name, role="user", content=(content,)))])
        return turn

    def documents(self) -> list[LibraryDocument]:
        """Return the documents, in the order in which they came."""
        length, known = self._known
        newest = self.store.length(self.session)
        if newest > length:
            for turn in self.store.read(self.session, length + 1):
                if turn.documents:
                    known[turn.number] = LibraryDocument(turn.number, turn.documents[0])
            self._known = newest, known
            self.__dict__.pop("_index", None)
        return list(known.values())

    def remove(self, document: LibraryDocument) -> None:
        """Erase a document: its file, its text, and the pictures of its pages. Contexts that were made with it keep what they show."""
        self.store.erase(self.session, [document.number])
        self.store.discard(self.session, list(self.store.names(self.session, f"{PICTURES}{page_key(document.content, 0)[:32]}")))
        self._known = (0, {})
        self.__dict__.pop("_index", None)

    def search(self, query: str, limit: int) -> list[tuple[LibraryDocument, int]]:
        """Return the pages that answer a query best: their document, and their number in it, from 1."""
        self.documents()
        index, places = self._index
        return [places[place] for place in index.search(query, limit)]

    @cached_property
    def _index(self) -> tuple[TermIndex, list[tuple[LibraryDocument, int]]]:
        """Pages as postings, in the order of the documents. Built when first searched, and again when a document came or went."""
        index = TermIndex()
        places = [(document, number) for document in self._known[1].values() for number in range(1, len(document.pages) + 1)]
        for place, (document, number) in enumerate(places):
            index.add(place, document.pages[number - 1].text)
        return index, places

    def close(self) -> None:
        """Close the store if this object opened it."""
        if self._owns_store:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Library({self.name!r}, store={self.store.url!r})"


def page_key(content: DocumentContent, number: int) -> str:
    """Return the key of a page's pictures: the same for all sessions."""
    return f"{hashlib.sha256(content.sha256.encode()).hexdigest()[:32]}-{number}"
