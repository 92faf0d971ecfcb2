"""Documents of each kind, with questions: words of our own from a seed, printed to PDF by Chromium.

Slides, a book, a paper, a newspaper, a form, and the book as a scan: pictures without a text layer, as a copier makes them.
"""

from __future__ import annotations

import html
import io
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from PIL import Image
from playwright.sync_api import sync_playwright

from optical_memory.documents.document import PdfDocument
from optical_memory.renderers.chromium.finding import require_browser

__all__ = ["KINDS", "Question", "SampleDocument", "sample"]

PLACES = (
    "Aldermoor", "Bressel", "Cawdrie", "Dunwater", "Eskholm", "Farnley", "Gorsefield", "Hexworth", "Inverlune", "Jarrow Point", "Kelso Bay",
    "Lambrigg", "Marrick", "Northwell", "Ottersea", "Penhallow", "Quernmore", "Rothbury", "Skelding", "Tarnside", "Ulverdale", "Vennick",
    "Westerdale", "Yarrowby",
)  # fmt: skip
THINGS = ("lighthouse", "granary", "bridge", "mill", "library", "tannery", "school", "harbour wall", "observatory", "waterworks")
PEOPLE = (
    "Ada Fenn",
    "Bruno Hale",
    "Clara Voss",
    "Dmitri Lane",
    "Edda Moss",
    "Felix Orme",
    "Greta Pike",
    "Hugo Rand",
    "Ines Tarn",
    "Jonas Wray",
)
SENTENCES = (
    "The road from the station climbs between hedges and leaves the river on its left.",
    "Nobody who lives there would call it a remarkable building, and few have looked at it twice.",
    "What strikes a visitor first is the silence, and after it the smell of rope and tar.",
    "The accounts of that winter are short, since the clerk who kept them had fallen ill.",
    "Stone was brought by barge as long as the water stood high enough, and by cart after that.",
    "Two of the letters that tell of it are lost, and the third was damaged by damp.",
    "Of the first design little was kept except the height of the windows.",
    "A later survey found the foundations sound, and the roof in want of slates.",
    "The men were paid by the week, the boys by the load, and the horses were hired.",
    "It has been said that the plan was drawn on the back of a bill, which is likely enough.",
    "In the parish book the event takes up one line, between a baptism and a fine.",
    "When the wind stands in the east, the sound of the bells reaches the upper fields.",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a document: the string that answers it, and the page that has it, from 1."""

    words: str
    answer: str
    page: int


@dataclass(frozen=True, slots=True)
class SampleDocument:
    """A document of a kind, as a file, with questions."""

    kind: str
    data: bytes
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a kind is printed: paper in CSS, a style sheet, and how many facts stand on a page."""

    size: tuple[str, str]
    style: str
    facts: int
    sentences: int  # around each fact
    pages: int


LAYOUTS = {
    "slides": _Layout(("13.333in", "7.5in"), "body{font:24pt sans-serif;margin:.7in} h1{font-size:40pt} p{margin:.25in 0}", 3, 0, 12),
    "book": _Layout(("5.5in", "8.5in"), "body{font:11pt serif;margin:.7in;line-height:1.3;text-align:justify}", 2, 10, 24),
    "paper": _Layout(
        ("210mm", "297mm"),
        "body{font:10pt serif;margin:18mm} .page{columns:2;text-align:justify} h1{font-size:12pt} svg,table{width:100%}"
        " td{border:.5pt solid;font-size:8pt}",
        8,
        6,
        8,
    ),
    "newspaper": _Layout(
        ("380mm", "560mm"), "body{font:9pt serif;margin:14mm} .page{columns:6;text-align:justify} h1{font-size:26pt}", 36, 7, 2
    ),
    "form": _Layout(("210mm", "297mm"), "body{font:11pt sans-serif;margin:20mm} p{border:.5pt solid #888;padding:3mm}", 8, 0, 2),
}
KINDS = (*LAYOUTS, "scan")
SCANNED_SIDE, NOISE, SKEW = 1_650, 14, 0.4  # px of a page (200 dpi of the book), greys of noise, degrees


@cache
def sample(kind: str, seed: int = 1) -> SampleDocument:
    """Return the document of a kind. Needs a browser: raises `BrowserNotFound`."""
    if kind == "scan":
        book = sample("book", seed)
        return SampleDocument(kind, scanned(book.data), book.questions)
    layout, draw = LAYOUTS[kind], random.Random(f"{kind} {seed}")
    facts = iter(draw.sample([(thing, place) for thing in THINGS for place in PLACES], layout.facts * layout.pages))
    questions: list[Question] = []
    pages: list[str] = []
    for number in range(1, layout.pages + 1):
        paragraphs: list[str] = []
        for _ in range(layout.facts):
            question, fact = _fact(*next(facts), number, draw)
            questions.append(question)
            paragraphs.append(" ".join(_mixed(fact, draw.choices(SENTENCES, k=layout.sentences), draw)))
        pages.append(_page(kind, number, paragraphs, draw))
    sheet = f"<style>@page{{size:{' '.join(layout.size)};margin:0}} .page:not(:last-child){{break-after:page}} {layout.style}</style>"
    title = f"Places of the coast, a {kind}"
    data = printed(f"<title>{title}</title>{sheet}{''.join(pages)}", layout.size)
    return SampleDocument(kind, data, tuple(_where_they_stand(data, questions)))


def _where_they_stand(data: bytes, questions: Sequence[Question]) -> Iterator[Question]:
    """Yield questions with the page that their answer came to stand on."""
    with PdfDocument(data) as document:
        texts = {sheet.number: sheet.text for sheet in document.sheets()}
    for question in questions:
        yield replace(question, page=next(number for number, text in texts.items() if question.answer in text))


def _fact(thing: str, place: str, page: int, draw: random.Random) -> tuple[Question, str]:
    cost, year, who = draw.randint(10_000, 99_999), draw.randint(1701, 1899), draw.choice(PEOPLE)
    fact = f"The {thing} at {place} was built in {year} by {who} and cost {cost} crowns."
    return Question(f"What did the {thing} at {place} cost?", str(cost), page), fact


def _mixed(fact: str, others: Sequence[str], draw: random.Random) -> Iterator[str]:
    place = draw.randint(0, len(others))
    yield from (*others[:place], fact, *others[place:])


def _page(kind: str, number: int, paragraphs: Sequence[str], draw: random.Random) -> str:
    said = "".join(f"<p>{html.escape(text)}</p>" for text in paragraphs)
    figure = _figure(draw) + _table(draw) if kind == "paper" and number % 2 == 0 else ""
    return f"<div class=page><h1>{kind.title()}, part {number}</h1>{figure}{said}</div>"


def _figure(draw: random.Random) -> str:
    bars = "".join(
        f"<rect x='{12 * place}' y='{100 - high}' width='9' height='{high}' fill='{draw.choice(['#c33', '#36c', '#393'])}'/>"
        for place, high in enumerate(draw.choices(range(10, 100), k=16))
    )
    return f"<svg viewBox='0 0 200 100'>{bars}</svg>"


def _table(draw: random.Random) -> str:
    rows = "".join(f"<tr><td>{place}<td>{draw.randint(100, 999)}<td>{draw.randint(100, 999)}" for place in draw.sample(PLACES, 8))
    return f"<table>{rows}</table>"


def printed(page: str, size: tuple[str, str]) -> bytes:
    """Print HTML to PDF."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_browser().path, chromium_sandbox=False)
        try:
            tab = browser.new_page(java_script_enabled=False, offline=True)
            tab.set_content(page)
            return tab.pdf(width=size[0], height=size[1], print_background=True, prefer_css_page_size=True)
        finally:
            browser.close()


def scanned(data: bytes, pages: int | None = None) -> bytes:
    """Return a PDF as a copier would make it of its print: grey pictures, a little skewed and noisy, without a text layer."""
    draw = random.Random(0)
    noise = Image.effect_noise((SCANNED_SIDE, SCANNED_SIDE), NOISE).point(_darker)
    with PdfDocument(data) as document:
        images = [_copied(document, number, draw, noise) for number in range(1, (pages or len(document)) + 1)]
    held = io.BytesIO()
    images[0].save(held, "PDF", save_all=True, append_images=images[1:], resolution=200)
    return held.getvalue()


def _copied(document: PdfDocument, number: int, draw: random.Random, noise: Image.Image) -> Image.Image:
    pixels = document.draw(number, SCANNED_SIDE)
    page = Image.frombuffer("RGB", (pixels.width, pixels.height), pixels.data, "raw", "BGR", 0, 1).convert("L")
    turned = page.rotate(draw.uniform(-SKEW, SKEW), Image.Resampling.BICUBIC, fillcolor=255)
    return Image.blend(turned, noise.crop((0, 0, *turned.size)), 0.12)


_darker: Callable[[int], int] = lambda value: min(255, value + 110)  # noqa: E731  # paper is light
