"""The HTML report: complete in itself, and safe whatever the conversation holds."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from optical_memory.demo.report import Growth, Recalled, Report, ReportPage, to_html
from optical_memory.pages.tiers import Tier

HOSTILE = "</code><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
VOID = {"meta", "img", "br", "line", "circle", "polyline"}


def png(side: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (side, side), 200).save(file, "PNG")
    return file.getvalue()


def page(index: int, tier: Tier | None) -> ReportPage:
    side = tier.side if tier else 512
    shown = png(side) if tier else b""
    return ReportPage(
        index, index * 10, index * 10 + 9, tier, (side, side), 73 if tier else 0, 1_500, shown, png(1280), (HOSTILE, "QX-77419")
    )


REPORT = Report(
    title=f"A talk {HOSTILE}",
    source=HOSTILE,
    growth=(Growth(50, 4_000, 4_000, 0, {}), Growth(100, 9_000, 3_000, 800, {Tier.TINY: 1, Tier.LARGE: 1}, 9)),
    pages=(page(1, None), page(2, Tier.TINY), page(3, Tier.LARGE)),
    recent_turns=(40, 100),
    recalls=(Recalled(HOSTILE, ((7, HOSTILE, HOSTILE),)),),
    fading=((Tier.LARGE, png(1280)), (Tier.TINY, png(512))),
    facts=((HOSTILE, HOSTILE),),
)


class Elements(HTMLParser):
    """Collects tags with their attributes, and checks that each one opened is closed in turn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return to_html(REPORT)


@pytest.fixture(scope="module")
def elements(html: str) -> Elements:
    return Elements(html)


def test_hostile_words_stay_words(elements: Elements) -> None:
    assert not elements.all("script")
    assert not [attributes for _, attributes in elements.found if any(name.startswith("on") for name in attributes)]
    assert "".join(elements.text).count(HOSTILE) == 11  # the title twice, the source, 3 sidecars, 3 in a recall, 2 in the facts


def test_nothing_is_fetched(html: str, elements: Elements) -> None:
    sources = [attributes["src"] or "" for attributes in elements.all("img")]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not elements.all("link")
    assert not re.search(r"url\(|@import|https?://", html)
    assert "default-src 'none'" in html


def test_each_page_is_shown_small_and_with_the_pixels_of_its_tier(elements: Elements) -> None:
    def sizes(images: list[dict[str, str | None]]) -> list[tuple[int, int]]:
        return [Image.open(io.BytesIO(base64.b64decode((image["src"] or "").partition(",")[2]))).size for image in images]

    images = elements.all("img")
    faces = [attributes for attributes in images if attributes.get("width")]
    assert sizes(faces) == [(204, 204), (512, 512)]
    assert [face["width"] for face in faces] == ["102", "256"]
    opened = [attributes for attributes in images if "Page" in (attributes.get("alt") or "")]
    assert sizes(opened) == [(1280, 1280), (512, 512), (1280, 1280), (1280, 1280), (1280, 1280)]


def test_a_report_without_sealed_pages_or_growth_leaves_them_out() -> None:
    lean = replace(REPORT, growth=REPORT.growth[-1:], pages=tuple(replace(page, sealed=b"") for page in REPORT.pages))
    html = to_html(lean)
    assert "as it was sealed" not in html and "While it grows" not in html and len(html) < len(to_html(REPORT))


def test_every_button_opens_a_page_that_is_there(elements: Elements) -> None:
    ids = {attributes.get("id") for _, attributes in elements.found}
    targets = [attributes["popovertarget"] for attributes in elements.all("button")]
    assert len(targets) == 6  # opened and closed for each of three pages
    assert set(targets) <= ids


def test_every_picture_has_an_alternative_or_a_labelled_button(elements: Elements) -> None:
    assert all("alt" in attributes for attributes in elements.all("img"))
    assert all(attributes.get("aria-label") for attributes in elements.all("button") if attributes.get("class") != "close")


def test_the_numbers_are_those_of_the_last_growth(elements: Elements) -> None:
    text = " ".join(elements.text)
    for shown in ("9,000", "3,000", "3.0", "1 large, 1 tiny", "#40 to #100", "1 faded out"):
        assert shown in text


def test_a_report_without_pages_is_whole_too() -> None:
    bare = replace(REPORT, pages=(), recent_turns=None, recalls=(), fading=(), facts=())
    assert Elements(to_html(bare)).all("svg")


def test_a_report_without_growth_is_refused() -> None:
    with pytest.raises(ValueError, match="growth"):
        to_html(replace(REPORT, growth=()))
