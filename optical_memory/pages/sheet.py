"""What a page of an attached document is: which page of it, of what kind, and the faintest tier at which it is read.

Nobody looks at the page to tell. The text layer says how many letters stand on it and how large they are; where there is none, the specks
of ink do. DeepSeek-OCR's table 4 (arXiv 2510.18234) has slides read at Tiny, books and reports at Small, newspapers at Gundam. Its authors
say why: text tokens within ten times the vision tokens. That, and letters that the smaller picture still has pixels for, is the rule here.
"""

from __future__ import annotations

from dataclasses import dataclass

from .tiers import Tier

__all__ = ["LINE_BOX", "Sheet", "floor_of", "kind_of"]

LINE_BOX = 1.15  # a line box of most faces, in ems
LETTERS_A_TOKEN = 4.4  # of English prose without its spaces, in tokens of DeepSeek's vocabulary
COMPRESSION = 10.0  # text tokens for a vision token up to which DeepSeek-OCR reads 97 % (the paper's table 2)
AT_TINY = 5.0  # the same at Tiny: there books have 0.147 errors and at Small 0.085, slides 0.116 and 0.111 (table 4)
LEAST_LETTER = 7.0  # px; height of a line box below which letters run together (docs/experiments/legibility.md: font sizes of 6 px)
FEW_LETTERS, LARGE_LETTER = 900, 0.02  # a slide is wide, has fewer letters, and they are larger, as a share of its longer side
MANY_LETTERS = 8_000  # letters from which a page is a newspaper's
BOOK_LETTERS = 2_400  # letters up to which a page is a book's


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page of a document.

    Attributes:
        name: of the document.
        number: of the page in it, from 1.
        of: pages that it has.
        kind: `slide`, `book`, `report`, `newspaper`, `picture`; see `kind_of`.
        floor: the faintest tier at which it is read.
        letter: height of a line box of its letters, as a share of its longer side; 0 if it has none.
    """

    name: str
    number: int
    of: int
    kind: str
    floor: Tier
    letter: float


def kind_of(letters: int, letter: float, *, is_wide: bool) -> str:
    """Name the kind of page that has so many letters, of that height as a share of its longer side; `picture` without any."""
    if not letters:
        return "picture"
    if is_wide and letters <= FEW_LETTERS and letter >= LARGE_LETTER:
        return "slide"
    if letters >= MANY_LETTERS:
        return "newspaper"
    return "book" if letters <= BOOK_LETTERS else "report"


def floor_of(letters: int, letter: float) -> Tier:
    """Return the faintest tier at which so many letters are read, of that height as a share of the page's longer side.

    Gundam where they are too many or too small for every tier: it shows most.
    """
    if not letters:
        return Tier.TINY
    tokens = letters / LETTERS_A_TOKEN
    return next((tier for tier in Tier if tokens <= _most_tokens(tier) and letter * tier.side >= LEAST_LETTER), Tier.GUNDAM)


def _most_tokens(tier: Tier) -> float:
    return (AT_TINY if tier is Tier.TINY else COMPRESSION) * tier.vision_tokens
