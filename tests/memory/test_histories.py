"""A small share of `python -m benchmarks.histories`, and that its checks see what they look for."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from PIL import Image

from benchmarks._histories import History, faults_of, limits_broken
from benchmarks.histories import plan_many, run_many
from optical_memory import ByAge, OpticalMemory, Tier, WaterMarks
from optical_memory.planning.candidates import Decision, PageCandidate, TextCandidate
from optical_memory.planning.forgetting import PageAge
from optical_memory.planning.selection import arrange
from optical_memory.profiles.profile import PAGE_BYTES, Limits
from optical_memory.profiles.registry import shipped_profiles
from optical_memory.readers import profile_of
from optical_memory.renderers.png import encode_grey
from optical_memory.turns.attachments import NO_IMAGES, ImageLoad
from tests.sampling import EXAMPLES, mostly_slow
from tests.support import RuledRenderer

HISTORIES = max(40, 2 * EXAMPLES)
PROFILE = profile_of("deepseek-ocr")


def page(
    place: int, *, tokens: int = 2_000, pinned: bool = False, pictures: ImageLoad = NO_IMAGES, run: int | None = None
) -> PageCandidate:
    vision = {tier: PROFILE.page_tokens(1024, 1024, tier) for tier in PROFILE.ladder}
    age = PageAge(9 - place, 9 - place, 0.0)
    run = place if run is None else run
    return PageCandidate(f"k{place}", place, place, place, run, tokens, 40, vision, age, (place,), pinned, pictures)


def history(*candidates: PageCandidate | TextCandidate, room: int | None = None, **limits: int) -> History:
    return History(candidates, NO_IMAGES, room, ByAge(), PROFILE.limited(**limits))


@pytest.mark.parametrize("reader", shipped_profiles())
def test_no_history_is_dearer_than_its_text_or_breaks_a_limit(reader: str) -> None:
    assert plan_many(reader, HISTORIES).faults.total() == 0


@pytest.mark.parametrize(
    "reader",
    mostly_slow(shipped_profiles(), quick=("deepseek-ocr", "claude", "gpt-4o", "gemini-2.5"), daily=sorted(shipped_profiles())[::3]),
)
def test_no_memory_is_dearer_than_its_text_or_breaks_a_limit(reader: str) -> None:
    assert run_many(reader, HISTORIES // 20).faults.total() == 0


def test_faults_are_seen() -> None:
    paid, dear = page(1), page(2, tokens=10)
    assert list(faults_of(history(paid), [Decision(paid, Tier.BASE)])) == []
    assert list(faults_of(history(dear), [Decision(dear, Tier.BASE)])) == ["dearer than text"]
    assert list(faults_of(history(paid, room=100), [Decision(paid, Tier.BASE)])) == ["over budget"]
    held = page(3, pinned=True)
    assert list(faults_of(history(held), [Decision(held)])) == ["pin lost"]
    assert list(faults_of(history(held), [Decision(held, Tier.TINY)])) == ["pin lost"]
    assert list(faults_of(history(paid, held, max_pictures=1), [Decision(paid, Tier.BASE), Decision(held, Tier.BASE)])) == ["limit broken"]


@pytest.mark.parametrize(
    ("limits", "broken"),
    [
        (Limits(max_pictures=3), False),
        (Limits(max_pictures=2), True),
        (Limits(max_bytes=2 * PAGE_BYTES + 1_000), False),
        (Limits(max_bytes=2 * PAGE_BYTES + 999), True),
        (Limits(max_side=1_024), False),
        (Limits(max_side=1_023), True),
        (Limits(many_pictures=3, many_side=10), False),
        (Limits(many_pictures=2, many_side=2_000), False),
        (Limits(many_pictures=2, many_side=1_999), True),
    ],
)
def test_limits_by_hand(limits: Limits, broken: bool) -> None:
    assert limits_broken(limits, [640, 1_024], [ImageLoad(1, 1_000, 2_000)]) is broken


def test_a_tier_larger_than_a_refused_size_is_left_out() -> None:
    assert PROFILE.limited(max_side=1_024).ladder == (Tier.TINY, Tier.SMALL, Tier.BASE)
    assert PROFILE.limited(max_side=500).ladder == ()


def test_among_many_pictures_pages_are_small_enough() -> None:
    candidates = [page(place) for place in range(1, 9)]
    few = arrange(candidates[:3], ByAge(), PROFILE.limited(many_pictures=3, many_side=640))
    assert max(decision.tier or 0 for decision in few) > Tier.SMALL
    many = arrange(candidates, ByAge(), PROFILE.limited(many_pictures=3, many_side=640))
    assert [decision.tier for decision in many if decision.tier] and max(decision.tier or 0 for decision in many) == Tier.SMALL
    assert sum(decision.tier is not None for decision in many) == 8, "smaller, and all of them"
    none_so_small = arrange(candidates, ByAge(), PROFILE.limited(many_pictures=3, many_side=100))
    assert sum(decision.tier is not None for decision in none_so_small) == 3, "large ones are few"
    large_beside = arrange(candidates, ByAge(), PROFILE.limited(many_pictures=3, many_side=640), beside=ImageLoad(1, 0, 2_000))
    assert sum(decision.tier is not None for decision in large_beside) == 2, "no page can make a user's picture smaller"


def test_pictures_of_turns_take_places() -> None:
    candidates = [TextCandidate(1, 1, 900, (1,), images=ImageLoad(1, 10, 64)), *(page(place) for place in range(2, 9))]
    decisions = arrange(candidates, ByAge(), PROFILE.limited(max_pictures=5), beside=ImageLoad(2, 20, 64))
    assert sum(decision.tier is not None for decision in decisions) == 2
    assert all(decision.shown for decision in decisions), "the others are text"


def test_a_run_that_brings_pictures_back_is_left_out_rather_than_text() -> None:
    bringing = [page(1, pictures=ImageLoad(3, 30, 64)), *(page(place) for place in range(2, 5))]
    decisions = arrange(bringing, ByAge(), PROFILE.limited(max_pictures=3))
    assert not decisions[0].shown and [decision.tier is not None for decision in decisions[1:]] == [True, True, True]


def test_a_pinned_page_that_does_not_pay_alone_keeps_its_run() -> None:
    together = [page(1, tokens=3_000, run=1), page(2, tokens=20, run=1, pinned=True), *(page(place) for place in range(3, 6))]
    decisions = arrange(together, ByAge(), PROFILE.limited(max_pictures=3))
    assert not list(faults_of(replace(history(*together), profile=PROFILE.limited(max_pictures=3)), decisions))
    assert all(decision.shown for decision in decisions)


def test_a_picture_said_now_takes_the_place_of_a_page() -> None:
    memory = OpticalMemory(
        "s",
        store="memory://",
        renderer=RuledRenderer(rows=6_000),
        reader=PROFILE.limited(max_pictures=3),
        marks=WaterMarks(high=400, low=100),
    )
    memory.extend([("user" if n % 2 else "assistant", f"word {n} " * 100) for n in range(60)])
    assert len(memory.context().pages) == 3
    picture = base64.b64encode(encode_grey(Image.new("L", (40, 20)), 2)).decode()
    url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
    memory.append({"role": "user", "content": [{"type": "text", "text": "look"}, url]})
    context = memory.context()
    assert (len(context.pages), context.plan.reason, context.usage.turns_left_out) == (2, "too many pictures", 0)
    memory.append({"role": "user", "content": [url] * 4})  # more than a request has places for: not planned again and again
    crowded = memory.context()
    assert crowded.pages == ()
    memory.append(("assistant", "fine"))
    assert memory.context().plan == crowded.plan
