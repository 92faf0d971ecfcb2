"""Documents of each kind, printed by a real Chromium: what is measured on their pages, and the tier that follows."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="documents are printed by a browser")

from benchmarks._sample_documents import sample, scanned
from optical_memory import OpticalMemory, Tier
from optical_memory.documents.document import PdfDocument
from optical_memory.pages.sheet import floor_of, kind_of
from optical_memory.renderers.chromium.finding import find_browser
from optical_memory.renderers.pdfium.renderer import drawn
from optical_memory.renderers.pdfium.specks import SPECK_SIDE, letters_on
from tests.support import RuledRenderer

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no browser to print with")
EXPECTED = {
    "slides": ("slide", Tier.TINY),
    "book": ("book", Tier.SMALL),
    "paper": ("report", Tier.SMALL),
    "newspaper": ("newspaper", Tier.GUNDAM),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_the_kind_decides_the_tier_with_and_without_a_text_layer(kind: str) -> None:
    """A page is measured by its text layer, and again as if it had none."""
    with PdfDocument(sample(kind).data) as document:
        sheet = next(document.sheets())
        longer, is_wide = max(sheet.width, sheet.height), sheet.width > sheet.height
        letters, letter = letters_on(drawn(document, 1, SPECK_SIDE))
    assert (kind_of(sheet.letters, sheet.letter / longer, is_wide=is_wide), floor_of(sheet.letters, sheet.letter / longer)) == EXPECTED[
        kind
    ]
    assert (kind_of(letters, letter, is_wide=is_wide), floor_of(letters, letter)) == EXPECTED[kind]
    assert letters == pytest.approx(sheet.letters, rel=0.1)
    assert letter == pytest.approx(sheet.letter / longer, rel=0.1)


def test_scans_are_judged_by_their_ink_and_shown_at_no_tier_fainter_than_their_kind() -> None:
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer())
    for kind in ("book", "slides"):
        turn = memory.attach(scanned(sample(kind).data, pages=4), name=f"{kind}.pdf")
        assert [page.text for page in turn.documents[0].pages] == [""] * 4
    memory.append(("user", "What do they say?"))
    tiers: dict[tuple[str, Tier], set[Tier]] = {}
    for part in memory.context(1_250).pages:
        assert part.page.sheet is not None
        tiers.setdefault((part.page.sheet.kind, part.page.sheet.floor), set()).add(part.tier)
    assert min(tiers[("slide", Tier.TINY)]) == Tier.TINY and min(tiers[("book", Tier.SMALL)]) == Tier.SMALL
