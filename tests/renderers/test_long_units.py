"""Very long messages on pages: in sections that can be drawn alone, in both renderers."""

from __future__ import annotations

import itertools

import pytest

from optical_memory.pages.page import PageStyle
from optical_memory.renderers.base import RenderedPage, Renderer
from optical_memory.renderers.document.long_units import sections_of
from optical_memory.renderers.pillow import block_layout
from optical_memory.renderers.pillow.renderer import PillowRenderer
from optical_memory.turns.exchanges import Unit, exchanges_of
from optical_memory.turns.turn import ToolCall, Turn

STYLE = PageStyle(scale=1.0)
LONG_TEXT = "".join(f"Line {number} of a log that nobody reads to its end.\n" for number in range(4_000))
UNIT: Unit = (
    Turn(number=2, role="assistant", content="Reading.", tool_calls=(ToolCall(id="a", name="read", arguments='{"path": "log"}'),)),
    Turn(number=3, role="tool", content=LONG_TEXT, tool_call_id="a"),
)


def flags(page: RenderedPage) -> list[tuple[int, bool, bool]]:
    return [(segment.turn, segment.continued, segment.continues) for segment in page.segments]


@pytest.fixture(scope="module")
def pages(renderer: Renderer) -> list[RenderedPage]:
    before, after = Turn(number=1, role="user", content="Read it."), Turn(number=4, role="user", content="Thanks.")
    return renderer.render(exchanges_of([before, *UNIT, after]), STYLE)


def test_sections_begin_pages_and_name_them(pages: list[RenderedPage]) -> None:
    count = len(sections_of(UNIT))
    assert count > 2
    assert [page.section for page in pages] == [*sorted(page.section for page in pages[:-1]), 0]
    assert {page.section for page in pages} == set(range(count + 1))
    assert flags(pages[0]) == [(1, False, False)]
    assert flags(pages[-1]) == [(4, False, False)]


def test_a_turn_continues_from_section_to_section(pages: list[RenderedPage]) -> None:
    inner = [found for page in pages[1:-1] for found in flags(page)]
    assert inner[0] == (2, False, False)
    assert inner[1] == (3, False, True)
    assert set(inner[2:-1]) == {(3, True, True)}
    assert inner[-1] == (3, True, False)
    assert all(page.fill > 0.9 for page, after in itertools.pairwise(pages[1:]) if page.section == after.section)


def test_a_section_drawn_alone_is_the_same(renderer: Renderer, pages: list[RenderedPage]) -> None:
    for section in sections_of(UNIT)[::-1]:
        (number,) = {turn.section for turn in section}  # type: ignore[attr-defined]
        alone = renderer.render([(section,)], STYLE)
        together = [page for page in pages if page.section == number]
        assert [page.png for page in alone] == [page.png for page in together]
        assert [page.segments for page in alone] == [page.segments for page in together]
        assert {page.section for page in alone} == {number}


def test_sections_left_open_are_not_redrawn(renderer: Renderer, pages: list[RenderedPage]) -> None:
    after = Turn(number=4, role="user", content="Thanks.")
    open_ended = renderer.render(exchanges_of([Turn(number=1, role="user", content="Read it."), *UNIT, after]), STYLE, seal_last=False)
    assert [page.png for page in open_ended] == [page.png for page in pages[:-1]]


def test_missing_glyphs_count_once(renderer: Renderer) -> None:
    unit = (Turn(number=1, role="user", content="\U0010fffd" + LONG_TEXT + "\U0010fffd"),)
    found = renderer.render([(unit,)], STYLE)
    assert sum(page.missing_glyphs for page in found) == 2
    assert found[0].missing_glyphs == 1


def test_every_turn_is_laid_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out: list[int] = []
    blocks_of = block_layout.blocks_of

    def counting(turn: Turn, *, row_width: int) -> object:
        laid_out.append(len(turn.text))
        return blocks_of(turn, row_width=row_width)

    monkeypatch.setattr(block_layout, "blocks_of", counting)
    PillowRenderer().render([(UNIT,)], STYLE)
    assert sum(laid_out) <= 1.01 * sum(len(turn.text) for turn in UNIT)
