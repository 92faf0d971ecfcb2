"""Whether a turn is readable on a page: its part of the image is read and compared with what was drawn."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from PIL import Image

from ..pages.page import Page, PageStyle, Segment
from ..pages.tiers import Tier
from ..renderers.document.blocks_of_turn import blocks_of
from ..renderers.geometry import Canvas
from ..turns.turn import Turn
from ..verification.alignment import faults
from ..verification.words import LARGEST_ERROR, critical_spans, plain, word_spans, words_of

__all__ = ["Layout", "Legibility", "ReadPicture"]

BORDER = 3  # px of white around a crop: OCR engines need a margin

ReadPicture = Callable[[bytes, float], str]
"""From a PNG, and the size of its letters in pixels, to words: `OcrReader.read_picture`, or another engine."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions of turns on a page at a tier, in pixels of the sealed image, and its letter size.

    `abridged`: it is laid out again, and may lack parts of a turn.
    """

    segments: tuple[Segment, ...]
    letter: float
    abridged: bool = False


class Legibility:
    """Reads turns on pages. A turn at a size is read once.

    Args:
        read: transcribes an image.
        style: style of the pages.
        layout: returns the layout of a page at a tier; the sealed one by default.
    """

    def __init__(self, read: ReadPicture, style: PageStyle, layout: Callable[[Page, Tier], Layout] | None = None) -> None:
        self._read, self._style = read, style
        self._layout = layout or (lambda page, tier: Layout(page.segments, style.font_size * style.scale))
        self._known: dict[tuple[object, ...], str] = {}
        self.readings = 0

    def is_legible(self, turn: Turn, label: str, shown: Sequence[tuple[Page, Tier]], *, beside: Sequence[str] = ()) -> bool:
        """Whether a turn is readable on the pages: few wrong characters, and every critical word exact.

        Args:
            label: text after its number on the page; see `renderers.document.turn_heads`.
            shown: pages with their tiers, oldest first; those without the turn are ignored.
            beside: exact strings in the sidecars. A critical word among them may be misread.
        """
        found = self._compared(turn, label, shown)
        if found is None:
            return False
        truth, wrong = found
        if sum(wrong) > LARGEST_ERROR * max(1, len(truth)):
            return False
        return all(not any(wrong[start:stop]) or _stands(truth[start:stop], beside) for start, stop in critical_spans(truth))

    def shows(self, turn: Turn, label: str, shown: Sequence[tuple[Page, Tier]], exact: str) -> bool:
        """Whether one of the places where a turn has a string is read exactly, regardless of the rest of the turn."""
        found = self._compared(turn, label, shown)
        if found is None:
            return False
        truth, wrong = found
        places = [place for place in range(len(truth)) if truth.startswith(exact, place)]
        return any(not any(wrong[place : place + len(exact)]) for place in places)

    def tells(self, turn: Turn, label: str, shown: Sequence[tuple[Page, Tier]], statement: str, words: Collection[str]) -> bool:
        """Whether a sentence of a turn is as readable as a whole turn must be, and its `words` exact.

        On an abridged page other sentences may be missing.
        """
        found = self._compared(turn, label, shown)
        if found is None:
            return False
        truth, wrong = found
        start = truth.find(statement)
        wrong = wrong[start : start + len(statement)] if start >= 0 else []
        if not wrong:
            return False
        wrong[-1] = min(wrong[-1], 1)  # a mark or a turn's number after a statement counts as an error of its last character
        if sum(wrong) > LARGEST_ERROR * len(wrong):
            return False
        critical = [*critical_spans(statement), *word_spans(statement, words)]
        return not any(any(wrong[begin:end]) for begin, end in critical)

    def _compared(self, turn: Turn, label: str, shown: Sequence[tuple[Page, Tier]]) -> tuple[str, list[int]] | None:
        """Return a turn's text, and the errors of its reading at each character; None if the pages lack part of it."""
        parts = [(page, tier) for page, tier in shown if any(segment.turn == turn.number for segment in page.segments)]
        layouts = [self._layout(page, tier) for page, tier in parts]
        if not parts or not (any(layout.abridged for layout in layouts) or _is_whole(turn.number, [page for page, _ in parts])):
            return None
        head = plain(f"#{turn.number} {label}")
        truth = plain(f"{head} {words_of(blocks_of(turn, row_width=Canvas(self._style).row_width))}")
        wrong = faults(truth, plain(self._reading(turn.number, parts)), whole=True)
        return truth[len(head) :], wrong[len(head) :]  # without its number

    def _reading(self, number: int, parts: Sequence[tuple[Page, Tier]]) -> str:
        key = (*((page.key, tier.side, page.is_shaped(tier)) for page, tier in parts), number)
        if key not in self._known:
            self._known[key] = "\n".join(self._read_part(number, page, tier) for page, tier in parts)
        return self._known[key]

    def _read_part(self, number: int, page: Page, tier: Tier) -> str:
        """Read the boxes of a turn on a page, one after the other."""
        picture = Image.open(io.BytesIO(page.image(tier))).convert("L")
        layout, ratio, texts = self._layout(page, tier), picture.width / page.width, []
        letters = layout.letter * ratio
        for segment in (segment for segment in layout.segments if segment.turn == number):
            for box in segment.boxes:
                edges = (box.left, box.top, box.left + box.width, box.top + box.height)
                cut = picture.crop(tuple(round(edge * ratio) for edge in edges))  # type: ignore[arg-type]  # four numbers
                framed = Image.new("L", (cut.width + 2 * BORDER, cut.height + 2 * BORDER), 255)
                framed.paste(cut, (BORDER, BORDER))
                file = io.BytesIO()
                framed.save(file, "PNG")
                self.readings += 1
                texts.append(self._read(file.getvalue(), letters))
        return "\n".join(texts)


def _is_whole(number: int, pages: Sequence[Page]) -> bool:
    """Whether pages hold a turn from its beginning to its end."""
    segments = [segment for page in pages for segment in page.segments if segment.turn == number]
    return not segments[0].continued and not segments[-1].continues


def _stands(word: str, beside: Sequence[str]) -> bool:
    return any(word in exact for exact in beside)
