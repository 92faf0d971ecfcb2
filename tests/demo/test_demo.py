"""The demo, on a part of its conversation, with the renderer that needs no browser."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from optical_memory import OpticalMemory, Tier
from optical_memory.demo.demo import PICTURE_SIZE, Demo, Talk, conversation, photograph, run
from optical_memory.renderers.chromium.finding import find_browser

TURNS = 330  # long enough for pages at several tiers, short enough for every run of the tests


@pytest.fixture(scope="module")
def talk() -> Talk:
    whole = conversation()
    return replace(whole, messages=whole.messages[:TURNS])


@pytest.fixture(scope="module")
def demo(talk: Talk, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run(talk, tmp_path_factory.mktemp("demo"), renderer="pillow")


def test_the_conversation_is_real_and_names_its_licence() -> None:
    whole = conversation()
    assert len(whole.messages) == 987
    assert "tau-bench" in whole.source
    assert whole.licence.startswith("MIT")


def test_what_is_sent_falls_below_the_text(demo: Demo) -> None:
    growth = demo.report.growth
    assert [point.turns for point in growth] == [*range(25, TURNS, 25), TURNS]
    assert all(point.sent_tokens <= point.text_tokens + 100 for point in growth)  # the framing may come before the first saving
    assert growth[-1].sent_tokens < growth[-1].text_tokens / 2


def test_pages_fade_with_age(demo: Demo) -> None:
    tiers = [page.tier for page in demo.report.pages if page.tier is not None]
    assert tiers == sorted(tiers)
    assert len(set(tiers)) >= 3


def test_the_report_shows_the_ladder_within_a_budget_and_why(demo: Demo) -> None:
    assert demo.report.ladders is not None
    by_age, best = demo.report.ladders.ladders
    assert max(by_age.sent_tokens, best.sent_tokens) <= demo.report.ladders.budget
    assert best.turns_left_out <= by_age.turns_left_out and best.pages_by_tier != by_age.pages_by_tier
    html = demo.path.read_text("utf-8")
    assert "Within 4,000 tokens" in html and "59% at tiny" in html and f"<td>{best.sent_tokens:,}</td>" in html


def test_each_page_is_shown_at_the_size_of_its_tier(demo: Demo) -> None:
    assert all(max(page.size) == page.tier.side for page in demo.report.pages if page.tier)
    assert [tier for tier, _ in demo.report.fading] == sorted(Tier, reverse=True)


def test_the_recalls_give_turns_of_the_conversation_word_for_word(demo: Demo, talk: Talk) -> None:
    by_words, by_number, by_code = demo.report.recalls
    assert by_number.turns[0][0] == 325
    assert by_number.turns[0][2] == talk.messages[324]["content"]
    assert any("unwell" in text for _, _, text in by_words.turns)
    assert all(text == (talk.messages[number - 1]["content"] or text) for number, _, text in (*by_words.turns, *by_code.turns))


def test_the_report_stands_alone(demo: Demo) -> None:
    html = demo.path.read_text("utf-8")
    assert html.count('popover role="dialog"') == len(demo.report.pages)
    assert not re.search(r"""(src|href)=["'](?!data:)""", html)


def test_the_store_can_be_looked_into_afterwards(demo: Demo, talk: Talk) -> None:
    with OpticalMemory("demo", store=demo.store) as memory:
        assert [turn.content for turn in memory.turns()] == [message["content"] or "" for message in talk.messages]


def test_a_second_run_replaces_the_first(demo: Demo, talk: Talk) -> None:
    again = run(talk, demo.path.parent, renderer="pillow")
    assert again.report.growth == demo.report.growth
    assert [page.shown for page in again.report.pages] == [page.shown for page in demo.report.pages]


def test_a_picture_of_the_report_is_taken(demo: Demo, tmp_path: Path) -> None:
    if find_browser() is None:
        pytest.skip("no Chromium here")
    photograph(demo.path, tmp_path / "demo.png")
    assert Image.open(tmp_path / "demo.png").size == PICTURE_SIZE
