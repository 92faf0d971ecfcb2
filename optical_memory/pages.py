"""A page: a run of turns on one canvas, sealed, and identified by the hash of what determines its pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from .turns import Turn

__all__ = ["Box", "PageStyle", "Segment", "drawn_form", "run_key"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the sealed page; the origin is the upper left corner."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of one turn that stands on one page.

    Attributes:
        turn: the turn's number.
        boxes: where it stands, in reading order: one box for each column that it touches.
        continued: it began on the page before.
        continues: it goes on on the next page.
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
class PageStyle:
    """How pages are set. Lengths are in layout pixels; the sealed picture has `scale` times as many.

    The default is what an OCR reader still reads at Small: DejaVu Sans 14 px on a 1024 page (see docs/experiments.md). It is drawn at
    1280 px, the side of the two sharpest tiers, and everything fainter is made from that picture by downscaling.
    """

    width: int = 1024
    height: int = 1024
    scale: float = 1.25
    columns: int = 2
    font_size: float = 14.0
    code_size: float = 12.0
    number_size: float = 17.0
    line_height: float = 1.15
    margin: int = 6
    gutter: int = 10
    grey_levels: int = 16

    @property
    def pixel_size(self) -> tuple[int, int]:
        """Width and height of the sealed picture in pixels."""
        return round(self.width * self.scale), round(self.height * self.scale)


def drawn_form(turn: Turn) -> dict[str, object]:
    """What of a turn reaches the canvas, as plain JSON: no id, no time, no metadata."""
    content = turn.content if isinstance(turn.content, str) else [part.model_dump(mode="json") for part in turn.content if part.type != "reasoning"]
    return {
        "number": turn.number,
        "role": turn.role,
        "name": turn.name,
        "content": content,
        "calls": [[call.name, call.arguments] for call in turn.tool_calls],
    }


def run_key(renderer: str, fingerprint: str, style: PageStyle, exchanges: Sequence[Sequence[Sequence[Turn]]]) -> str:
    """The identity of what a renderer makes of `exchanges`: 32 hexadecimal digits of a SHA-256.

    Equal keys promise equal bytes: everything that determines the pixels goes in, and nothing else.
    """
    drawn = [[[drawn_form(turn) for turn in unit] for unit in exchange] for exchange in exchanges]
    whole = json.dumps([renderer, fingerprint, asdict(style), drawn], ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:32]
