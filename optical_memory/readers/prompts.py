"""A context as a flat sequence of texts and pictures, for models that run in this process."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from PIL import Image

from ..context.context import Context, PagePart
from ..pages.page import Page
from ..pages.tiers import Tier
from ..text.excerpts import said
from ..text.labels import without_openings
from ..turns.turn import ImageContent, Turn

__all__ = ["READ_PAGE", "Picture", "Piece", "Words", "context_pieces", "picture_of", "turn_pieces"]

READ_PAGE = "Write down all the words on this page, in reading order, and nothing else."
MOST_PIXELS = 50_000_000  # of a picture inside a turn; a "bomb" of a few kB can claim billions
FORMATS = ("PNG", "JPEG", "GIF", "WEBP")


@dataclass(frozen=True, slots=True)
class Words:
    """Text of a content. Special tokens that it spells are never encoded as such."""

    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A page or another picture.

    Attributes:
        content: identifies its pixels in cache keys.
        size: width and height in pixels.
        label: its name in errors.
        png: returns its bytes, the same every time; not called if its vision tokens are cached.
    """

    content: str
    tier: Tier
    size: tuple[int, int]
    label: str
    png: Callable[[], bytes] = field(compare=False, repr=False)

    def load(self) -> Image.Image:
        """The picture itself."""
        return Image.open(io.BytesIO(self.png()))


Piece = Words | Picture


def context_pieces(context: Context) -> Iterator[Piece]:
    """Framing, then each page's label and sidecar before its picture, then recent turns, oldest first."""
    if context.framing:
        yield Words(context.framing + "\n")
    for part in context.parts:
        if isinstance(part, PagePart):
            yield Words(part.text + "\n")
            yield picture_of(part.page, part.tier)
            yield Words("\n")
        else:
            for turn in part.turns:
                yield from turn_pieces(turn)


def turn_pieces(turn: Turn) -> Iterator[Piece]:
    """A turn as `role: text`, then its pictures. A picture given by URL is named, never fetched."""
    yield Words(f"{turn.role}: {without_openings(turn.text)}\n")
    for image in turn.images:
        picture = _inline(image)
        yield picture or Words(f"[picture {image.url[:200] if image.url else 'that cannot be read'}]")
        yield Words("\n")


def picture_of(page: Page | bytes | Image.Image, tier: Tier | str) -> Picture:
    """A page at a tier; or any picture, as PNG bytes or of Pillow.

    Raises `TypeError` for anything else, `ValueError` for bytes that are no picture.
    """
    tier = Tier.parse(tier)
    if isinstance(page, Page):
        sealed: Page = page
        label = f"page {sealed.index} (#{sealed.first_turn}-{sealed.last_turn})"
        content = f"{sealed.key}-shaped" if sealed.is_shaped(tier) else sealed.key
        return Picture(content, tier, sealed.size(tier), label, lambda: sealed.image(tier))
    if isinstance(page, bytes):
        page = _opened(page)
    if not isinstance(page, Image.Image):
        raise TypeError(f"a page is a Page, the bytes of a picture, or a Pillow image; got {type(page).__name__}")
    image = page.convert("RGB")
    content = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()
    return Picture(content, tier, image.size, f"a picture of {image.width} x {image.height} px", lambda: _as_png(image))


def _as_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _opened(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"a picture of {image.width} x {image.height} px is larger than {MOST_PIXELS:,} pixels")
        image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as exc:
        raise ValueError(f"{len(data)} bytes that are no PNG, JPEG, GIF or WebP picture: {said(exc)}") from exc
    return image


def _inline(image: ImageContent) -> Picture | None:
    if not image.data:
        return None
    try:
        return picture_of(image.decode(), Tier.BASE)
    except ValueError:
        return None
