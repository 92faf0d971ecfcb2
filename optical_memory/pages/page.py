"""A page: a run of turns on one canvas, sealed, and identified by the hash of what determines its pixels."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from ..turns.attachments import NO_IMAGES, ImageLoad
from ..turns.parts import TurnPart
from ..turns.repeated import RepeatedTurn
from ..turns.turn import AnyPart, DocumentContent, OtherContent, ReasoningContent, Turn
from .sheet import Sheet
from .tiers import Tier

__all__ = ["Box", "Page", "PageStyle", "Reference", "Segment", "drawn_form", "referents_of", "run_key"]

SANS_ADVANCE = 0.505  # em; mean character width of English prose, code and JSON in the pages' sans face (0.503 to 0.508), with spaces


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the sealed page; the origin is the upper left corner."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a turn on a page.

    Attributes:
        turn: the turn's number.
        boxes: its boxes in reading order, one per column.
        continued: whether it began on the page before.
        continues: whether it continues on the next page.
    """

    turn: int
    boxes: tuple[Box, ...]
    continued: bool = False
    continues: bool = False

    @property
    def box(self) -> Box:
        """The smallest rectangle around all boxes of the segment."""
        left = min(box.left for box in self.boxes)
        top = min(box.top for box in self.boxes)
        right = max(box.left + box.width for box in self.boxes)
        bottom = max(box.top + box.height for box in self.boxes)
        return Box(left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True)
class Reference:
    """A turn that a page shows as `#12 same as #41`.

    Attributes:
        turn: its number.
        of: number of the turn with the same words.
        tokens: its cost as plain text.
    """

    turn: int
    of: int
    tokens: int


@dataclass(frozen=True, slots=True)
class PageStyle:
    """Layout of pages. Lengths are in layout pixels; the sealed image has `scale` times as many.

    The default is readable for an OCR reader at Small: 14 px on a 1024 page (see docs/experiments.md). It is drawn at 1024 px, where
    hinted letters are aligned to whole pixels and four greys are enough; the other tiers are scaled from that image.

    `grey_levels` applies to the sealed image and tiers of its size or larger, `faint_levels` to smaller ones, whose letters consist of
    greys. `crop` cuts off the blank part of a page that is not full, for readers that bill by area. `advance` is the mean width of a
    character of prose in ems: that of the pages' sans face, or of the cell of a face of whole pixels.
    """

    width: int = 1024
    height: int = 1024
    scale: float = 1.0
    columns: int = 2
    font_size: float = 14.0
    code_size: float = 14.0
    number_size: float = 17.0
    line_height: float = 1.15
    margin: int = 6
    gutter: int = 10
    grey_levels: int = 4
    faint_levels: int = 16
    crop: bool = False
    advance: float = SANS_ADVANCE

    @property
    def cell(self) -> tuple[float, float]:
        """Mean width and height of a character of prose, in pixels of the sealed image."""
        return self.font_size * self.advance * self.scale, self.font_size * self.line_height * self.scale

    @property
    def key_fields(self) -> dict[str, float]:
        """Its fields, as keys of pages have them: the advance only where it is not that of the sans face, so that older keys stand."""
        return {name: value for name, value in asdict(self).items() if name != "advance" or value != SANS_ADVANCE}

    @property
    def pixel_size(self) -> tuple[int, int]:
        """Width and height of the sealed image in pixels."""
        return round(self.width * self.scale), round(self.height * self.scale)


@dataclass(frozen=True, slots=True)
class Page:
    """A sealed page of a session.

    Attributes:
        key: hash of everything that determines its pixels; equal keys mean equal bytes.
        index: number among the session's pages, from 1, ascending. Numbers are kept free for turns that are not drawn yet.
        first_turn, last_turn: numbers of the turns that it begins and ends with.
        segments: the turns on it, in reading order, with their boxes in pixels of the sealed image.
        text_tokens: cost of its text as plain text.
        sidecar: its exact strings.
        width, height: size of the sealed image in pixels.
        canvas: the longer side in pixels before the blank part was cut off; 0 if nothing was.
        importance: the greatest importance of its turns.
        last_said: time of its last turn.
        fill: share of its column height with content.
        missing_glyphs: characters drawn as a visible replacement because no font has them.
        pictures: images inside the turns that begin on it, sent if they are text instead.
        same_as: its turns that are drawn as a reference to another.
        section: the section of a long unit that it belongs to, from 1; 0 if its units are drawn as a whole.
        sheet: which page of an attached document it is; None for a page of turns.
        shaped_at: tiers at which its memory abridges it instead of shrinking it; see `archive.abridged_pages`.
    """

    key: str
    index: int
    segments: tuple[Segment, ...]
    text_tokens: int
    sidecar: tuple[str, ...]
    width: int
    height: int
    importance: float = 0.5
    last_said: datetime | None = None
    fill: float = 1.0
    missing_glyphs: int = 0
    canvas: int = 0
    pictures: ImageLoad = NO_IMAGES
    same_as: tuple[Reference, ...] = ()
    section: int = 0
    sheet: Sheet | None = None
    picture_of: Callable[[Page, Tier], bytes] | None = field(default=None, compare=False, repr=False)
    cost_of: Callable[[Page, Tier], int] | None = field(default=None, compare=False, repr=False)
    size_of: Callable[[Page, Tier], tuple[int, int]] | None = field(default=None, compare=False, repr=False)
    shaped_at: tuple[Tier, ...] = field(default=(), compare=False, repr=False)

    @property
    def first_turn(self) -> int:
        return self.segments[0].turn

    @property
    def last_turn(self) -> int:
        return self.segments[-1].turn

    @property
    def cited_as(self) -> str:
        """How an answer names it: `#42 p. 7` for a document's page, `#41-78` for one of turns."""
        if self.sheet:
            return f"#{self.first_turn} p. {self.sheet.number}"
        return f"#{self.first_turn}" if self.first_turn == self.last_turn else f"#{self.first_turn}-{self.last_turn}"

    @property
    def drawn_tokens(self) -> int:
        """Cost of the words drawn on it as plain text: `text_tokens` without those of its references."""
        return max(0, self.text_tokens - sum(reference.tokens for reference in self.same_as))

    def image(self, tier: Tier | str) -> bytes:
        """Return the page at a tier, as PNG bytes. Redrawn if its image was lost; raises `RenderError` if that fails."""
        assert self.picture_of is not None, "this page was not opened through a memory"
        return self.picture_of(self, Tier.parse(tier))

    @property
    def full_tier(self) -> Tier:
        """The faintest tier that has the page's full resolution."""
        return min((tier for tier in Tier if max(self.size(tier)) >= max(self.width, self.height)), default=max(Tier))

    def save(self, path: str | os.PathLike[str], tier: Tier | str | None = None) -> None:
        """Write the page to a PNG file, at a tier or, by default, as it was drawn. Raises `RenderError`, `OSError`."""
        image = self.image(self.full_tier if tier is None else tier)
        Path(path).write_bytes(image)

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.image(self.full_tier)).decode("ascii")
        return f'<img style="background:#fff;max-width:100%" alt="Page {self.index}" src="data:image/png;base64,{data}">'

    def size(self, tier: Tier | str) -> tuple[int, int]:
        """Return width and height in pixels at a tier, as sent to the memory's reader; without a memory, the tier's side."""
        if self.size_of is not None:
            return self.size_of(self, Tier.parse(tier))
        scale = Tier.parse(tier).side / (self.canvas or max(self.width, self.height))
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))

    def is_shaped(self, tier: Tier | str) -> bool:
        """Whether the page is abridged at a tier, if possible, instead of scaled from the sealed image."""
        return self.sheet is None and Tier.parse(tier) in self.shaped_at and max(self.size(tier)) < max(self.width, self.height)

    def tokens(self, tier: Tier | str) -> int:
        """Return the page's cost at a tier, in vision tokens of the memory's reader."""
        assert self.cost_of is not None, "this page was not opened through a memory"
        return self.cost_of(self, Tier.parse(tier))


def referents_of(pages: Iterable[Page]) -> dict[int, int]:
    """Map the turns that the pages draw as references to the turns that have their words."""
    return {reference.turn: reference.of for page in pages for reference in page.same_as}


def drawn_form(turn: Turn) -> dict[str, object]:
    """Return the parts of a turn that are drawn, as plain JSON: no id, no time, no metadata."""
    content = [_drawn_part(part) for part in turn.parts if not isinstance(part, ReasoningContent) or part.text]
    beside = [[part.type, part.text] for part in turn.drawn if isinstance(part, ReasoningContent | OtherContent)] if turn.extra else []
    reference = {"same_as": turn.same_as} if isinstance(turn, RepeatedTurn) else {}
    place = {"part": [turn.section, turn.part, turn.of]} if isinstance(turn, TurnPart) else {}
    return {
        **reference,
        **place,
        "number": turn.number,
        "role": turn.role,
        "name": turn.name,
        "content": turn.content if isinstance(turn.content, str) else content,
        "calls": [[call.id, call.name, call.arguments] for call in turn.tool_calls],
        "answers": turn.answered_calls,  # a result's head has the name of its tool, found by the call's id
        **({"beside": beside} if beside else {}),
        **({"failed": True} if turn.failed else {}),
    }


def _drawn_part(part: AnyPart) -> dict[str, object]:
    if isinstance(part, DocumentContent):  # its file tells what it looks like; without it, its text does
        return {"type": part.type, "file": part.sha256 if part.block else "", "pages": [part.first, part.of], "text": part.text}
    return {"type": part.type, "text": part.text} if isinstance(part, ReasoningContent | OtherContent) else part.model_dump(mode="json")


def run_key(renderer: str, fingerprint: str, style: PageStyle, exchanges: Sequence[Sequence[Sequence[Turn]]]) -> str:
    """Hash the input of a renderer: 32 hexadecimal digits of a SHA-256.

    Equal keys mean equal bytes: the hash covers everything that determines the pixels, and nothing else.
    """
    drawn = [[[drawn_form(turn) for turn in unit] for unit in exchange] for exchange in exchanges]
    whole = json.dumps([renderer, fingerprint, style.key_fields, drawn], ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:32]
