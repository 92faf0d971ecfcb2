from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.archive.codec import decode_pages, encode_pages
from optical_memory.errors import SessionCorrupted
from optical_memory.pages.page import Box, Page, PageStyle, Segment, run_key
from optical_memory.pages.pagination import IMPATIENCE, WORTH_BREAKING, Measured, page_starts
from optical_memory.turns.turn import ReasoningContent, TextContent, Turn

TURN = Turn(number=1, id="a", role="user", content="hello")
KEY = run_key("pillow", "f", PageStyle(), [[[TURN]]])


@pytest.mark.parametrize(
    "same", [{"id": "b"}, {"created_at": datetime.now(UTC)}, {"metadata": {"a": 1}}, {"importance": 1.0}, {"pinned": True}]
)
def test_a_key_ignores_what_is_not_drawn(same: dict[str, object]) -> None:
    assert run_key("pillow", "f", PageStyle(), [[[TURN.model_copy(update=same)]]]) == KEY


@pytest.mark.parametrize("other", [{"number": 2}, {"role": "assistant"}, {"content": "hello "}, {"name": "Ann"}, {"tool_call_id": "c"}])
def test_a_key_knows_all_that_is_drawn(other: dict[str, object]) -> None:
    assert run_key("pillow", "f", PageStyle(), [[[TURN.model_copy(update=other)]]]) != KEY


def test_a_key_knows_renderer_style_and_grouping() -> None:
    two = TURN.model_copy(update={"number": 2})
    keys = {
        KEY,
        run_key("chromium", "f", PageStyle(), [[[TURN]]]),
        run_key("pillow", "g", PageStyle(), [[[TURN]]]),
        run_key("pillow", "f", replace(PageStyle(), font_size=13), [[[TURN]]]),
        run_key("pillow", "f", PageStyle(), [[[TURN], [two]]]),
        run_key("pillow", "f", PageStyle(), [[[TURN]], [[two]]]),
        run_key("pillow", "f", PageStyle(), [[[TURN, two]]]),
    }
    assert len(keys) == 7


def test_a_key_takes_any_text_and_ignores_what_is_not_drawn() -> None:
    thought = ReasoningContent(block={"type": "redacted_thinking", "data": "x"})
    with_thought = TURN.model_copy(update={"content": (thought, TextContent(text="hi"))})
    without = TURN.model_copy(update={"content": (TextContent(text="hi"),)})
    assert run_key("p", "f", PageStyle(), [[[with_thought]]]) == run_key("p", "f", PageStyle(), [[[without]]])
    words = TURN.model_copy(update={"content": (ReasoningContent(block={"thinking": "x"}), TextContent(text="hi"))})
    signed = TURN.model_copy(update={"content": (ReasoningContent(block={"thinking": "x", "signature": "s"}), TextContent(text="hi"))})
    assert run_key("p", "f", PageStyle(), [[[words]]]) == run_key("p", "f", PageStyle(), [[[signed]]])
    assert run_key("p", "f", PageStyle(), [[[words]]]) != run_key("p", "f", PageStyle(), [[[without]]])
    assert run_key("p", "f", PageStyle(), [[[TURN.model_copy(update={"content": "\ud800\0"})]]])


def test_a_segments_box_holds_all_its_boxes() -> None:
    segment = Segment(1, (Box(0, 900, 500, 100), Box(510, 0, 500, 40)))
    assert segment.box == Box(0, 0, 1010, 1000)


def test_sizes_at_tiers() -> None:
    page = Page("k", 1, (Segment(1, (Box(0, 0, 1, 1),)),), 10, (), 1280, 1280)
    assert [page.size(tier) for tier in ("tiny", "small", "base", "large", "gundam")] == [(s, s) for s in (512, 640, 1024, 1280, 1280)]
    assert replace(page, height=320).size("base") == (1024, 256)


def test_records_come_back_as_they_were() -> None:
    moment = datetime(2026, 5, 1, 7, 40, tzinfo=UTC)
    page = Page(
        "k-0", 0, (Segment(7, (Box(1, 2, 3, 4), Box(5, 6, 7, 8)), True, False),), 99, ("QX-77419", "é"), 1280, 1280, 0.7, moment, 0.5, 3
    )
    assert decode_pages(encode_pages([page, page])) == [page, page]


@given(st.binary(max_size=80))
def test_no_record_is_trusted(data: bytes) -> None:
    with pytest.raises(SessionCorrupted):
        decode_pages(data)


def test_a_record_of_a_newer_release_is_not_guessed_at() -> None:
    with pytest.raises(SessionCorrupted, match="version 99"):
        decode_pages(b'{"v": 99, "pages": []}')


heights = st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=1, max_size=40)


def measured(sizes: list[tuple[int, bool]]) -> list[Measured]:
    exchange, units = 0, []
    for height, opens in sizes:
        exchange += opens
        units.append(Measured(height, exchange))
    return units


@given(heights)
def test_breaks_only_where_something_stays_whole(sizes: list[tuple[int, bool]]) -> None:
    units = measured(sizes)
    starts = page_starts(units, 100)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    for start, end in itertools.pairwise(starts):
        used = sum(unit.height for unit in units[start:end])
        least = max(0, WORTH_BREAKING * 100 - IMPATIENCE * 100 * ((used - 1) // 100))
        assert (used - 1) % 100 + 1 >= least, "an emptier page is not broken"
        assert (used - 1) % 100 + 1 + units[end].height > 100 or _exchange_height(units, end) > 100 - (used - 1) % 100 - 1


def _exchange_height(units: list[Measured], start: int) -> float:
    return sum(unit.height for unit in units[start:] if unit.exchange == units[start].exchange)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=60))
def test_no_run_of_pages_goes_on_for_ever(sizes: list[int]) -> None:
    units = [Measured(height, 0) for height in sizes]
    starts = page_starts(units, 100)
    for start, end in zip(starts, [*starts[1:], len(units)], strict=True):
        assert sum(unit.height for unit in units[start:end]) <= 500


@given(heights)
def test_pages_do_not_depend_on_what_comes_later(sizes: list[tuple[int, bool]]) -> None:
    """A run drawn alone must break as it did among others: what is decided before an exchange starts never changes after."""
    units = measured(sizes)
    whole = page_starts(units, 100)
    for cut in {unit.exchange for unit in units}:
        before = [unit for unit in units if unit.exchange < cut]
        assert page_starts(before, 100) == [start for start in whole if start < len(before)]


def test_an_exchange_that_fits_moves_whole_and_one_that_does_not_flows() -> None:
    full = WORTH_BREAKING * 100
    assert page_starts([Measured(full, 0), Measured(60, 1), Measured(30, 1)], 100) == [0, 1]
    flows = [Measured(full - 40, 0), Measured(40, 1), Measured(45, 1)]
    assert page_starts(flows, 100) == [0, 2], "the page is not full enough to break before the exchange; its second unit stays whole"
    long = [Measured(full, 0), Measured(95, 1), Measured(95, 1)]
    assert page_starts(long, 100) == [0, 1, 2], "the units of a long exchange stay whole instead"
