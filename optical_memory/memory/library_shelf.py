"""Pages of a library's documents, for one reader: what they cost at each tier, and their pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..context.context import PagePart
from ..errors import RenderError
from ..pages.page import Box, Page, PageStyle, Segment
from ..pages.sheet import Sheet, floor_of, kind_of
from ..pages.tiers import Tier
from ..planning.settings import ViewSettings
from ..profiles.pricing import Pricing
from ..stores.intact import intact
from ..text.exact_strings import sidecar_of
from ..text.labels import label_text
from ..turns.attached import is_pictured, single_page
from ..turns.parts import part_of
from ..turns.turn import DocumentPage, Turn
from .library import PICTURES, Library, LibraryDocument, page_key

__all__ = ["Shelf"]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A library as one memory sees it.

    What its pages cost is known before they are drawn. Their pictures are kept in the library's store.
    """

    library: Library
    settings: ViewSettings
    pricing: Pricing
    _sidecars: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def label(self, document: LibraryDocument, number: int) -> str:
        """Return what stands before a page: `[manuals: pump.pdf p. 7 of 120]`."""
        return f"[{self.library.name}: {label_text(document.name)} p. {number} of {len(document.pages)}]"

    def text(self, document: LibraryDocument, number: int) -> str:
        """Return the words of a page, without secrets if the memory masks them."""
        text, redactor = document.pages[number - 1].text, self.settings.redactor
        return redactor.redact(text) if redactor else text

    def may_show(self, document: LibraryDocument, number: int) -> bool:
        """Whether the page may be shown as a picture: a text layer with a secret would show it."""
        return self.text(document, number) == document.pages[number - 1].text

    def is_pictured(self, document: LibraryDocument, number: int) -> bool:
        """Whether the page says more than its text."""
        return is_pictured(document.pages[number - 1])

    def floor(self, document: LibraryDocument, number: int) -> Tier:
        """Return the faintest tier of the reader at which the page is read, as far as its text layer tells; Small for a scan."""
        page, ladder = document.pages[number - 1], self.settings.profile.ladder
        floor = floor_of(page.letters, page.letter / _longer(page)) if page.letters else Tier.SMALL
        return next((tier for tier in ladder if tier >= floor), ladder[-1])

    def part(self, document: LibraryDocument, number: int, tier: Tier) -> PagePart:
        """Return a page at a tier, as a part of a context. Its picture is drawn when it is asked for."""
        page = self._page(document, number)
        words = self.label(document, number)
        if page.sidecar and tier >= self.floor(document, number):  # an overview is to be cheap: its pages are not to be read
            words = f"{words} {' | '.join(map(label_text, page.sidecar))}"
        profile = self.settings.profile
        vision = profile.page_tokens(page.width, page.height, tier)
        return PagePart(page, tier, words, vision, self.pricing.message(words), profile.rung(tier))

    def _page(self, document: LibraryDocument, number: int) -> Page:
        measured = document.pages[number - 1]
        side = round(1.25 * max(self.settings.style.pixel_size))
        longer = _longer(measured)
        size = max(1, round(measured.width * side / longer)), max(1, round(measured.height * side / longer))
        key = page_key(document.content, number)
        if key not in self._sidecars:
            text = self.text(document, number)
            self._sidecars[key] = sidecar_of([text], max_tokens=self.settings.sidecar_tokens, count=self.pricing.count)
        letter = measured.letter / longer
        kind = kind_of(measured.letters, letter, is_wide=measured.width > measured.height)
        profile = self.settings.profile
        return Page(
            key=key,
            index=number,
            segments=(Segment(document.number, (Box(0, 0, *size),)),),
            text_tokens=self.pricing.count(measured.text),
            sidecar=self._sidecars[key],
            width=size[0],
            height=size[1],
            sheet=Sheet(document.name, number, len(document.pages), kind, self.floor(document, number), letter),
            picture_of=lambda page, tier: self._picture(document, number, profile.side(tier)),
            cost_of=lambda page, tier: profile.page_tokens(page.width, page.height, tier),
            size_of=lambda page, tier: profile.shown_size(page.width, page.height, tier),
        )

    def _picture(self, document: LibraryDocument, number: int, side: int) -> bytes:
        store, session = self.library.store, self.library.session
        name = f"{PICTURES}{page_key(document.content, number)}/{side}"
        found = intact(store, session, [name]).get(name)
        if found is not None:
            return found
        from ..renderers.pdfium.renderer import DocumentRenderer
        from ..renderers.png import resize

        section = part_of(
            Turn(number=document.number, role="user"),
            content=(single_page(document.content, number),),
            section=1,
            part=1,
            of=1,
            start=0,
            stop=1,
            whole=1,
        )
        drawn = DocumentRenderer().render([((section,),)], PageStyle(width=side, height=side))[0]
        data = resize(drawn.png, side, self.settings.style.faint_levels)
        store.put(session, {name: data})
        if not store.read(session, document.number, document.number + 1):  # removed meanwhile
            store.discard(session, [name])
            raise RenderError(f"{document.name!r} was removed from the library {self.library.name!r} while its pages were drawn")
        return data


def _longer(page: DocumentPage) -> float:
    return max(page.width, page.height) or 1.0
