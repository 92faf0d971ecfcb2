"""Draws pages of attached documents as they are, in a process of their own; see `documents`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from PIL import Image, ImageChops

from ...documents.document import PdfDocument
from ...documents.limits import Limits
from ...errors import DocumentError, MissingExtra, RenderError
from ...pages.page import Box, PageStyle, Segment
from ...pages.sheet import Sheet, floor_of, kind_of
from ...text.excerpts import said
from ...text.labels import label_text
from ...turns.attached import file_of
from ...turns.exchanges import Exchange
from ...turns.parts import TurnPart
from ...turns.turn import DocumentContent
from ..base import RenderedPage
from ..png import encode_colour, encode_grey
from .specks import SPECK_SIDE, letters_on

__all__ = ["DocumentRenderer", "drawn", "drawn_side"]

LARGER = 1.25  # than a page of turns: Large and Gundam have 1280 px where Base has 1024, and a document's page is drawn once for all tiers
GREYS = 16  # letters of documents are drawn with edges of grey; a page of text alone needs no more (docs/experiments/legibility.md)
COLOURED = 40  # difference of two channels from which a pixel has a colour
COLOURFUL = 0.001  # share of pixels from which a page has
NAME = 60  # characters of a document's name in a label


def drawn_side(style: PageStyle) -> int:
    """Return the longer side in pixels of a document's page as it is sealed."""
    return round(LARGER * max(style.pixel_size))


class DocumentRenderer:
    """A renderer of sections that are one page of a document each; see `Renderer`.

    Args:
        limits: what a document may take of time and memory while its pages are drawn.
    """

    name = "pdfium"

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    @property
    def fingerprint(self) -> str:
        try:
            return f"pdfium {version('pypdfium2')} 1"
        except PackageNotFoundError:
            return "pdfium"

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        """Draw one page for each section. Raises `RenderError` if one cannot be drawn; none is drawn then."""
        parts = [turn for exchange in exchanges for unit in exchange for turn in unit if isinstance(turn, TurnPart)]
        pages: list[RenderedPage] = []
        opened: tuple[str, PdfDocument] | None = None
        try:
            for part in parts:
                document = part.documents[0]
                if opened is None or opened[0] != document.sha256:
                    if opened:
                        opened[1].close()
                    opened = document.sha256, self._opened(document)
                pages.append(_page(part, document, opened[1], drawn_side(style)))
        except (DocumentError, MissingExtra, ValueError) as exc:
            raise RenderError(f"a page of a document in turn #{parts[0].number} cannot be drawn: {said(exc)}") from exc
        finally:
            if opened:
                opened[1].close()
        return pages

    def close(self) -> None:
        """Nothing to release: a document's process ends with the call."""

    def _opened(self, document: DocumentContent) -> PdfDocument:
        data = file_of(document)
        if data is None:
            raise DocumentError("its file is damaged, or is not there")
        return PdfDocument(data, name=document.name, password=document.password or None, limits=self._limits)


def _page(part: TurnPart, document: DocumentContent, opened: PdfDocument, side: int) -> RenderedPage:
    image = drawn(opened, document.first, side)
    page = document.pages[0]
    longer = max(page.width, page.height) or 1.0
    letters, letter = (page.letters, page.letter / longer) if page.letters else letters_on(drawn(opened, document.first, SPECK_SIDE))
    whole = Box(0, 0, *image.size)
    return RenderedPage(
        png=encode_colour(image) if _has_colour(image) else encode_grey(image, GREYS),
        width=image.width,
        height=image.height,
        segments=(Segment(part.number, (whole,), continued=part.part > 1, continues=part.part < part.of),),
        fill=1.0,
        section=part.section,
        sheet=Sheet(
            name=label_text(document.name, NAME),
            number=document.first,
            of=document.of,
            kind=kind_of(letters, letter, is_wide=image.width > image.height),
            floor=floor_of(letters, letter),
            letter=round(letter, 6),
        ),
    )


def drawn(opened: PdfDocument, page: int, side: int) -> Image.Image:
    """Draw page number `page` of a document with its longer side at `side` pixels, in colour."""
    pixels = opened.draw(page, side)
    return Image.frombuffer("RGB", (pixels.width, pixels.height), pixels.data, "raw", "BGR", 0, 1)


def _has_colour(image: Image.Image) -> bool:
    """Whether more than a speck of the page is not grey."""
    red, green, blue = image.split()
    apart = ImageChops.lighter(ImageChops.difference(red, green), ImageChops.difference(green, blue))
    return sum(apart.histogram()[COLOURED:]) > COLOURFUL * image.width * image.height
