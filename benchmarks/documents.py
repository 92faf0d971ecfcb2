"""Documents with questions: which tier each kind needs, and what a budget offers of their answers, cut, retrieved, chosen or all at Tiny.

`python -m benchmarks.documents [--budgets 2000] [--questions 4] [--kinds slides book ...]`: needs a browser, which prints the documents,
and Tesseract. An answer counts if it stands in the words that are sent, or if Tesseract reads it off a page that is shown. Every answer is
a number of five digits that stands once in its document. All ways have the same budget of DeepSeek-OCR's tokens for the document; the
question comes on top. Large and Gundam are the same pixels to Tesseract, which knows no tiles.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from rich.table import Table

from optical_memory import OpticalMemory, PagePart, Tier
from optical_memory.memory.library import Library
from optical_memory.memory.library_shelf import Shelf
from optical_memory.pages.page import Page
from optical_memory.pages.sheet import LINE_BOX
from optical_memory.planning.settings import ViewSettings
from optical_memory.profiles.pricing import Pricing
from optical_memory.profiles.registry import profile_of
from optical_memory.readers.tesseract import OcrReader
from optical_memory.text.term_index import TermIndex

from ._console import open_console
from ._sample_documents import KINDS, Question, SampleDocument, sample

READER = profile_of("deepseek-ocr")
PIECE = 500  # characters of a piece that retrieval finds, about 130 tokens
LEAST_LETTER = 4.5  # px; smaller letters are not tried: Tesseract gets them enlarged, reads for minutes and gives nothing
PATIENCE = 900  # seconds for one page of a newspaper
PAGES_READ = 1  # of each kind, at every tier

Offered = Iterator[str | PagePart]


class Shown:
    """A document on a shelf of its own, and its pages read by Tesseract, each picture once."""

    def __init__(self, document: SampleDocument) -> None:
        self.document, self.library = document, Library(document.kind, store="memory://")
        self.pricing = Pricing(READER)
        self.shelf = Shelf(self.library, ViewSettings.of(READER), self.pricing)
        self.file = self.library.attach(document.data, name=f"{document.kind}.pdf")
        self._read = cache(self._reading)

    @property
    def text(self) -> str:
        return "\n".join(page.text for page in self.file.pages)

    def is_tried(self, number: int, tier: Tier) -> bool:
        """Whether Tesseract is given a page at a tier: not where its letters are too small."""
        return not 0 < self._letter(self.shelf.part(self.file, number, tier).page, tier) < LEAST_LETTER

    def reading(self, number: int, tier: Tier) -> str:
        """The words that Tesseract reads off a page at a tier; none of a page that is not tried."""
        return self._read(number, min(tier, Tier.LARGE))

    def _reading(self, number: int, tier: Tier) -> str:
        part = self.shelf.part(self.file, number, tier)
        if not self.is_tried(number, tier):
            return ""
        letter = self._letter(part.page, tier)
        return OcrReader(timeout=PATIENCE).read_picture(part.page.image(tier), letter=letter or None)

    def _letter(self, page: Page, tier: Tier) -> float:
        """The font size of a page's letters at a tier, in pixels."""
        assert page.sheet is not None
        return page.sheet.letter * max(page.size(tier)) / LINE_BOX

    def has(self, question: Question, offered: Offered) -> tuple[bool, bool]:
        """Whether the answer stands in the words, and whether it is read off a page."""
        in_words = on_page = False
        for each in offered:
            words = each if isinstance(each, str) else each.text
            in_words = in_words or question.answer in words
            if not isinstance(each, str) and each.page.sheet and each.page.sheet.number == question.page:
                on_page = on_page or question.answer in self.reading(question.page, each.tier)
        return in_words, on_page


def cut(shown: Shown, question: Question, budget: int) -> Offered:
    """The beginning of the text."""
    yield _fitting(shown.text, budget, shown.pricing)


def pieces(shown: Shown, question: Question, budget: int) -> Offered:
    """Pieces of the text that BM25 finds, best first."""
    index, texts = TermIndex(), [shown.text[at : at + PIECE] for at in range(0, len(shown.text), PIECE)]
    for place, text in enumerate(texts):
        index.add(place, text)
    for place in index.search(question.words, len(texts)):
        tokens = shown.pricing.count(texts[place])
        if tokens > budget:
            return
        budget -= tokens
        yield texts[place]


def chosen(shown: Shown, question: Question, budget: int) -> Offered:
    """A library's overview, and the pages that the question needs, in a context that has nothing else."""
    memory = OpticalMemory("bench", store="memory://", renderer="pillow")
    memory.append(("user", question.words))
    context = memory.context(2 * budget, libraries=[shown.library])  # libraries have half of it
    yield context.framing
    for part in context.parts:
        if isinstance(part, PagePart):
            yield part
        else:
            yield from (turn.text for turn in part.turns if turn.text != question.words)


def all_at_tiny(shown: Shown, question: Question, budget: int) -> Offered:
    """Every page at Tiny, from the first on, as many as fit."""
    for number in range(1, len(shown.file.pages) + 1):
        part = shown.shelf.part(shown.file, number, Tier.TINY)
        budget -= part.tokens
        if budget < 0:
            return
        yield part


WAYS: dict[str, Callable[[Shown, Question, int], Offered]] = {
    "cut": cut,
    "pieces by BM25": pieces,
    "pages chosen": chosen,
    "all at Tiny": all_at_tiny,
}


def _fitting(text: str, budget: int, pricing: Pricing) -> str:
    """Return as much of the beginning of a text as costs at most `budget` tokens."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if pricing.count(text[:middle]) <= budget else (low, middle - 1)
    return text[:low]


def questions_of(document: SampleDocument, count: int) -> Sequence[Question]:
    """Some of a document's questions, spread over it."""
    step = max(1, len(document.questions) // count)
    return document.questions[::step][:count]


def by_tier(shown: Shown) -> list[str]:
    """What is measured of the first page, and the share of the answers on some pages that is read at each tier."""
    page = shown.shelf.part(shown.file, 1, Tier.BASE).page
    first = page.sheet
    assert first is not None
    answers = [question for question in shown.document.questions if question.page <= PAGES_READ]
    shares = [
        f"{sum(each.answer in shown.reading(each.page, tier) for each in answers) / len(answers):.0%}"
        if shown.is_tried(1, min(tier, Tier.LARGE))
        else "not tried"
        for tier in Tier
    ]
    measured = f"{shown.file.pages[0].letters:,}", f"{first.letter:.4f}"
    return [shown.document.kind, *measured, first.kind, first.floor.label, *shares]


def main(arguments: Sequence[str]) -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.documents")
    parser.add_argument("--budgets", nargs="+", type=int, default=[2_000])
    parser.add_argument("--questions", type=int, default=4)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    given = parser.parse_args(arguments)
    documents = [Shown(sample(kind)) for kind in given.kinds]
    console = open_console()
    tiers = Table(
        "document", "letters", "line", "kind", "faintest tier", *(tier.label for tier in Tier), title="Answers that Tesseract reads"
    )
    for shown in documents:
        tiers.add_row(*by_tier(shown))
    console.print(tiers)
    ways = Table("document", "tokens as text", "budget", *WAYS, title="Answers offered: in words + read off a page only")
    for shown in documents:
        asked = questions_of(shown.document, given.questions)
        for budget in given.budgets:
            found = [[shown.has(question, way(shown, question, budget)) for question in asked] for way in WAYS.values()]
            cells = [
                f"{sum(words for words, _ in way)} + {sum(page and not words for words, page in way)} of {len(asked)}" for way in found
            ]
            ways.add_row(shown.document.kind, f"{shown.pricing.count(shown.text):,}", f"{budget:,}", *cells)
    console.print(ways)


if __name__ == "__main__":
    main(sys.argv[1:])
