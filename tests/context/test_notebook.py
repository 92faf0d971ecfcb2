"""Contexts and pages in a notebook: short as text, pages as pictures, nothing of a conversation as markup."""

from __future__ import annotations

from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from optical_memory import OpticalMemory
from tests.support import RuledRenderer


@pytest.fixture
def memory() -> OpticalMemory:
    opened = OpticalMemory("x", store="memory://", renderer=RuledRenderer(rows=900))
    for n in range(60):
        opened.append(("user", f"Question {n} <script>alert(1)</script> " * 30))
        opened.append(("assistant", f"Answer {n} & more. " * 30))
    return opened


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.depth = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        self.depth += tag not in ("img",)

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1


def test_a_context_is_short_as_text(memory: OpticalMemory) -> None:
    context = memory.context(6_000)
    assert context.pages and context.turns
    assert len(repr(context)) < 1_000 and len(repr(context.parts)) < 1_000 * max(1, len(context.parts) // 5)
    assert f"{len(context.pages)} pages" in repr(context)
    assert "Question" not in repr(context) + repr(context.parts)


def test_a_context_is_html_with_its_pages(memory: OpticalMemory) -> None:
    context = memory.context(6_000)
    html = context._repr_html_()
    tags = Tags(html)
    assert tags.depth == 0 and set(tags.opened) <= {"div", "p", "figure", "img", "figcaption", "ol", "li", "b"}
    assert tags.opened.count("img") == min(12, len(context.pages))
    assert "&lt;script&gt;" in html and html.count("data:image/png") == tags.opened.count("img")
    assert Tags(context.pages[0]._repr_html_()).opened == ["figure", "img", "figcaption"]
    assert Tags(memory.pages()[0]._repr_html_()).opened == ["img"]


def test_pages_are_saved_as_files(memory: OpticalMemory, tmp_path: Path) -> None:
    part = memory.context(6_000).pages[0]
    part.save(tmp_path / "sent.png")
    part.page.save(str(tmp_path / "drawn.png"))
    part.page.save(tmp_path / "tiny.png", "tiny")
    assert (tmp_path / "sent.png").read_bytes() == part.image()
    sizes = {name: Image.open(BytesIO((tmp_path / f"{name}.png").read_bytes())).size for name in ("drawn", "tiny")}
    assert sizes["drawn"] == (part.page.width, part.page.height) and max(sizes["tiny"]) == 512
