"""Find pages of attached documents by their words, each with its number in the document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter

from ..archive.page_archive import PageArchive
from ..errors import RenderError
from ..text.term_index import TermIndex
from ..turns.turn import DocumentContent, TextContent, Turn

__all__ = ["MOST_DOCUMENTS", "RecalledPage", "drawn_page", "pages_saying", "with_best_passages"]

PASSAGE = 500  # characters of a passage at least: some lines, about 130 tokens
MOST_DOCUMENTS = 50  # turns with documents whose pages are searched: those that answer best as a whole


@dataclass(frozen=True, slots=True)
class RecalledPage:
    """A page of an attached document.

    Attributes:
        turn: the number of its turn.
        document: the document's name.
        page: its number, from 1; the document has `of` pages.
        text: its text layer, word for word; empty for a scan.
    """

    turn: int
    document: str
    page: int
    of: int
    text: str
    draw: Callable[[int], bytes] = field(compare=False, repr=False)

    @property
    def cited_as(self) -> str:
        """How an answer names it: `#42 p. 7`."""
        return f"#{self.turn} p. {self.page}"

    def image(self) -> bytes:
        """Draw the page as it is, PNG. Raises `RenderError`."""
        return self.draw(self.page)


Draw = Callable[[Turn, int, int], bytes]  # the turn, the place of the document among its documents, the page


def pages_saying(turns: Iterable[Turn], query: str, limit: int, draw: Draw) -> list[RecalledPage]:
    """Return the pages of documents in `turns` that answer `query` best, at most `limit`."""
    index, pages = TermIndex(), list(_pages(turns, draw))
    for place, page in enumerate(pages):
        index.add(place, page.text)
    return [pages[place] for place in index.search(query, limit)]


def _pages(turns: Iterable[Turn], draw: Draw) -> Iterator[RecalledPage]:
    for turn in turns:
        for place, part in enumerate(turn.documents):
            of = len(part.pages)
            for number, page in enumerate(part.pages, 1):
                yield RecalledPage(turn.number, part.name, number, of, page.text, partial(draw, turn, place))


def with_best_passages(turn: Turn, query: str, most: int) -> Turn:
    """Return a turn with the `most` passages of its documents that answer `query` best, as text, in their order and with their pages.

    A turn without documents is returned as it is.
    """
    if not turn.documents:
        return turn
    parts = [_best_passages(part, query, most) if isinstance(part, DocumentContent) else part for part in turn.parts]
    return turn.model_copy(update={"content": tuple(parts)})


def _best_passages(part: DocumentContent, query: str, most: int) -> TextContent:
    index = TermIndex()
    passages = [(number, text) for number, page in enumerate(part.pages, part.first) for text in _passages(page.text)]
    for place, (_, text) in enumerate(passages):
        index.add(place, text)
    said = [f"[{part.name}]"]
    for number, best in groupby((passages[place] for place in sorted(index.search(query, most))), key=itemgetter(0)):
        said += [f"[p. {number}]", *(text for _, text in best)]
    return TextContent(text="\n".join(said))


def _passages(text: str) -> Iterator[str]:
    """Cut a page's text into passages of whole lines."""
    held: list[str] = []
    for line in text.splitlines():
        held.append(line)
        if sum(map(len, held)) >= PASSAGE:
            yield "\n".join(held)
            held = []
    if held:
        yield "\n".join(held)


def drawn_page(archive: PageArchive, turn: Turn, place: int, page: int) -> bytes:
    """Draw a page of the document at `place` in a turn, PNG. Raises `RenderError` if that fails, or its file was withheld."""
    png = archive.document_picture(turn, turn.documents[place], page)
    if png is None:
        raise RenderError(f"page {page} of the document in turn #{turn.number} cannot be drawn; its text is there")
    return png
