"""Long units in the archive: their sections are drawn from the newest back, and only as many as a plan shows.

The run of a long unit names the turns and the tokens of the whole unit; its record has the pages of its last sections. Once a plan shows
the oldest of them, the sections before are drawn too, and the record is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from ..pages.page import Page
from ..renderers.base import RenderedPage
from ..renderers.document.long_units import is_long, sections_of
from ..turns.exchanges import Unit, units_of
from ..turns.parts import TurnPart
from ..turns.turn import DocumentContent, Turn

__all__ = ["by_section", "costs_of", "is_document_page", "newest_sections", "sections_before", "stretches_of"]

SECTION_PAGES = 7  # about; a page more may be drawn later
FIRST = 2  # most sections drawn when a long unit is sealed
FIRST_SHEETS = 8  # the same, of sections that are pages of a document


def stretches_of(turns: Sequence[Turn]) -> Iterator[tuple[list[Turn], bool]]:
    """Yield long units, each alone, and the turns between them; with each, whether it is a long unit."""
    for long, units in groupby(units_of(turns), key=is_long):
        if long:
            yield from ((list(unit), True) for unit in units)
        else:
            yield [turn for unit in units for turn in unit], False


def newest_sections(unit: Unit, pages: int) -> list[Unit]:
    """Return the sections that are drawn when a long unit is sealed of which `pages` pages are wanted: at least one."""
    sections = sections_of(unit)
    count = min(FIRST_SHEETS, max(1, pages)) if is_document_page(sections[-1]) else min(FIRST, 1 + pages // SECTION_PAGES)
    return sections[-count:]


def is_document_page(section: Sequence[Turn]) -> bool:
    """Whether a section is a page of a document whose file is there, so that it is drawn as it is."""
    return any(isinstance(part, DocumentContent) and bool(part.block) for part in section[0].parts)


def sections_before(unit: Unit, pages: Sequence[Page]) -> list[Unit]:
    """Return the sections to draw before `pages`, half as many as they have: so a long unit is drawn whole in few steps."""
    drawn = {page.section for page in pages}
    end = min(drawn) - 1
    return sections_of(unit)[max(0, end - max(1, len(drawn) // 2)) : end]


def by_section(rendered: Sequence[RenderedPage], turns: Sequence[Turn]) -> Iterator[tuple[list[RenderedPage], Sequence[Turn]]]:
    """Yield the pages of each section with the parts of turns on them. Pages of no section come with all of `turns`."""
    sections = sections_of(tuple(turns)) if any(page.section for page in rendered) else []
    for section, pages in groupby(rendered, key=lambda page: page.section):
        yield list(pages), sections[section - 1] if section else turns


def costs_of(turns: Sequence[Turn], whole: Mapping[int, int]) -> dict[int, int]:
    """Return the tokens of turns, or of their parts, by number. `whole` has those of whole turns."""
    return {turn.number: _cost(turn, whole[turn.number]) for turn in turns}


def _cost(turn: Turn, whole: int) -> int:
    return whole * turn.stop // turn.whole - whole * turn.start // turn.whole if isinstance(turn, TurnPart) else whole
