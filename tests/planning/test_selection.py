from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from optical_memory import BestUse, ByAge, PageAge, Plan, Tier, Turn, WaterMarks
from optical_memory.planning.candidates import PageCandidate, TextCandidate, total_of
from optical_memory.planning.selection import arrange, room_target, squeeze
from optical_memory.planning.triggers import between_exchanges, replan_reason, tail_start
from optical_memory.readers import profile_of
from optical_memory.turns.from_messages import turn_of

PROFILE = profile_of("deepseek-ocr")
START = datetime(2026, 1, 1, tzinfo=UTC)
CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "name": "f"}]}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "r"}


def log(*messages: Any, gap: float = 1.0) -> list[Turn]:
    turns = [turn_of(message) for message in messages]
    return [turn.model_copy(update={"number": n, "created_at": START + timedelta(seconds=gap * n)}) for n, turn in enumerate(turns, 1)]


def plan(**fields: Any) -> Plan:
    return Plan(**{"epoch": 1, "basis": "b", "budget": None, "high_water": 1_000, "reason": "first plan", **fields})


def reason(last: Plan | None, tail: Sequence[Turn], tokens: int, **changes: Any) -> str | None:
    settings = {"basis": "b", "budget": None, "pins": (), "cache_seconds": 300.0, "marks": WaterMarks(high=1_000, low=100), **changes}
    return replan_reason(last, tail, tokens, **settings)


CHAT = log(("user", "q"), ("assistant", "a"), ("user", "q2"))


@pytest.mark.parametrize(
    ("last", "tokens", "changes", "expected"),
    [
        (None, 10, {}, "first plan"),
        (plan(), 10, {}, None),
        (plan(), 10, {"basis": "c"}, "settings changed"),
        (plan(), 10, {"pins": (1,)}, "pins changed"),
        (plan(), 1_001, {}, "high water"),
        (plan(), 4_001, {}, "long exchange"),
        (plan(prefix_tokens=900), 101, {"budget": 1_000}, "over budget"),
        (plan(prefix_tokens=900), 100, {"budget": 1_000}, None),
        (plan(budget=1_000, squeezed=True), 10, {"budget": 1_200}, None),
        (plan(budget=1_000, squeezed=True), 10, {"budget": 1_300}, "budget grew"),
        (plan(budget=1_000, squeezed=True), 10, {"budget": None}, "budget grew"),
    ],
)
def test_why_a_plan_is_made_again(last: Plan | None, tokens: int, changes: dict[str, Any], expected: str | None) -> None:
    assert reason(last, CHAT, tokens, **changes) == expected


def test_a_tool_loop_is_not_disturbed_unless_the_budget_demands_it() -> None:
    for loop in (log(("user", "q"), CALL), log(("user", "q"), CALL, RESULT)):
        assert not between_exchanges(loop)
        assert reason(plan(), loop, 1_001) is None
        assert reason(plan(), loop, 1_001, budget=1_000) == "over budget"
    assert between_exchanges(log(("user", "q"), CALL, RESULT, ("assistant", "done")))
    assert between_exchanges(log(("user", "q"), CALL, ("user", "never mind"))), "a call that was given up holds nothing up"


def test_a_lapsed_cache_is_a_chance_to_settle_but_only_once() -> None:
    slow = log(("user", "q"), ("assistant", "a"), ("user", "q2"), gap=400)
    assert reason(plan(length=1), slow, 200) == "cache lapsed"
    assert reason(plan(length=1), slow, 90) is None, "there is nothing to gain below the low mark"
    assert reason(plan(length=3), slow, 200) is None, "the plan was made after the pause"


def test_what_stays_text() -> None:
    turns = log(("user", "q"), ("assistant", "a"), ("user", "q2"), CALL, RESULT, ("assistant", "a2"))
    tokens = [10, 10, 10, 10, 10, 10]
    assert tail_start(turns, tokens, 0) == 3, "the current exchange"
    assert tail_start(turns, tokens, 60) == 1
    assert tail_start(turns, tokens, 59) == 3
    assert tail_start(turns, tokens, 0, inside=True) == 6, "the newest unit"
    assert tail_start(turns, tokens, 39, inside=True) == 4, "a call and its result stay together"


def candidate(place: int, pages: int, tokens: int = 1_500, run: int | None = None, **fields: Any) -> PageCandidate:
    vision = {tier: PROFILE.page_tokens(1280, 1280, tier) for tier in PROFILE.ladder}
    age = PageAge(pages - place - 1, 0, 0.0)
    return PageCandidate(f"k{place}", place + 1, place, place, place if run is None else run, tokens, 40, vision, age, (place,), **fields)


def candidates(count: int, **fields: Any) -> list[PageCandidate | TextCandidate]:
    return [candidate(place, count, **fields) for place in range(count)]


def tiers(decisions: Sequence[Any]) -> list[Tier | None]:
    return [decision.tier for decision in decisions]


def test_pages_fade_with_age() -> None:
    faded = tiers(arrange(candidates(90), ByAge(), PROFILE))
    assert faded == [None] * 3 + [Tier.TINY] * 64 + [Tier.SMALL] * 16 + [Tier.BASE] * 4 + [Tier.LARGE] * 2 + [Tier.GUNDAM]


def test_a_page_is_never_dearer_than_its_text() -> None:
    [decision] = arrange([candidate(0, 1, tokens=500)], ByAge(), PROFILE)
    assert decision.tier is Tier.LARGE, "Gundam costs 733 with its label, Large 461"
    [decision] = arrange([candidate(0, 1, tokens=110)], ByAge(), PROFILE)
    assert decision.as_text and decision.tokens == 110, "Tiny costs 113 with its label"


def test_without_pictures_all_is_text() -> None:
    shared = [candidate(0, 2, tokens=1_500, run=0), candidate(1, 2, tokens=5, run=0), TextCandidate(7, 7, 300, (7,))]
    decisions = arrange(shared, ByAge(), PROFILE, pictures=False)
    assert [(decision.tier, decision.tokens) for decision in decisions] == [(None, 1_505), (None, 300)]


def test_pages_that_share_a_turn_are_text_together() -> None:
    shared = [candidate(0, 2, tokens=1_500, run=0), candidate(1, 2, tokens=5, run=0)]
    assert tiers(arrange(shared, ByAge(), PROFILE)) == [Tier.LARGE, Tier.GUNDAM], "together they pay"
    poor = [candidate(0, 2, tokens=120, run=0), candidate(1, 2, tokens=5, run=0)]
    [decision] = arrange(poor, ByAge(), PROFILE)
    assert decision.as_text and decision.tokens == 125 and decision.candidate.turns == (0, 1)


def test_a_budget_makes_pages_age_faster() -> None:
    decisions = squeeze(candidates(40), 2_000, ByAge(), PROFILE)
    total = sum(decision.tokens for decision in decisions)
    assert 1_500 < total <= 2_000
    assert tiers(decisions) == sorted(tiers(decisions), key=lambda tier: tier or 0)
    assert len(set(tiers(decisions))) > 2, "the ladder keeps its shape"


def test_what_is_held_stays_whatever_the_room() -> None:
    pinned = [
        candidate(0, 3, pinned=True),
        *candidates(3)[1:],
        TextCandidate(7, 7, 300, (7,), protected=True),
        TextCandidate(8, 8, 200, (8,)),
    ]
    decisions = squeeze(pinned, 0, ByAge(), PROFILE)
    assert [(decision.tier, decision.as_text) for decision in decisions] == [
        (Tier.SMALL, False),
        (None, False),
        (None, False),
        (None, True),
        (None, False),
    ]


def test_requests_have_room_for_so_many_pictures() -> None:
    few = PROFILE.limited(max_pictures=5)
    decisions = arrange(candidates(20), ByAge(), few)
    assert tiers(decisions)[:15] == [None] * 15 and None not in tiers(decisions)[15:]
    assert all(decision.as_text for decision in decisions[:15]), "the oldest stay text"
    within = squeeze(candidates(20), 9_000, ByAge(), few)
    assert sum(decision.tokens for decision in within) <= 9_000 and sum(decision.tier is not None for decision in within) == 5
    assert [decision.shown for decision in within] == sorted(decision.shown for decision in within), (
        "the budget leaves out the oldest text first"
    )
    assert any(decision.as_text for decision in within), "and no more of it than it must"


def test_bytes_are_a_limit_as_pictures_are() -> None:
    few = PROFILE.limited(max_bytes=1_000_000)
    assert few.page_limit == 7
    assert sum(decision.tier is not None for decision in arrange(candidates(20), ByAge(), few)) == 7


def test_more_pinned_pages_than_pictures_are_text() -> None:
    few = PROFILE.limited(max_pictures=2)
    for decisions in (arrange(candidates(4, pinned=True), ByAge(), few), squeeze(candidates(4, pinned=True), 0, ByAge(), few)):
        assert [decision.as_text for decision in decisions] == [True, True, False, False]


def test_what_is_left_of_a_run_must_pay_for_itself() -> None:
    few = PROFILE.limited(max_pictures=1)
    dense, thin = candidate(0, 2, 1_600, run=1), candidate(1, 2, 80, run=1)
    assert tiers(arrange([dense, thin], ByAge(), PROFILE)).count(None) == 0, "together they cost less than their text"
    assert tiers(arrange([dense, thin], ByAge(), few, room=0)) == [None, None], "the thin one alone does not"
    [both] = arrange([dense, thin], ByAge(), few)
    assert both.as_text and both.tokens == 1_680


def test_room_is_left_for_the_next_turns_but_pages_get_some() -> None:
    assert room_target(1_000, 100) == 800
    assert room_target(1_000, 600) == 900
    assert room_target(1_000, 900) == 1_000
    assert room_target(1_000, 100, fills=True) >= 950


@pytest.mark.parametrize("falls", [0.0, 0.5, 1.0, 2.0])
def test_the_best_use_of_a_budget_keeps_its_promises(falls: float) -> None:
    policy = BestUse(fall=falls)
    pages = [replace(page, age=replace(page.age, turns=20.0 * page.age.pages)) for page in [candidate(place, 30) for place in range(30)]]
    shown, tokens = set[int](), 0
    for room in range(0, 9_000, 130):
        decisions = squeeze(pages, room, policy, PROFILE)
        levels = [decision.tier or 0 for decision in decisions]
        assert levels == sorted(levels), "never sharper for an older page"
        now = {place for place, level in enumerate(levels) if level}
        assert shown <= now, "a larger budget takes no page away"
        shown, tokens = now, sum(decision.tokens for decision in decisions)
        assert tokens <= room
        if len(now) < len(pages):
            assert tokens > room - 120, "what is left is less than a page at Tiny"
    assert max(levels) == Tier.BASE, "Large and Gundam read no better and are never bought"
    assert tiers(decisions) == tiers(arrange(pages, policy, PROFILE)), "with more than enough, the schedule"


def test_a_page_is_worth_what_its_text_is() -> None:
    pages = [candidate(0, 2, tokens=300), candidate(1, 2, tokens=1_500)]
    thin, full = (replace(page, age=replace(page.age, turns=0.0)) for page in pages)
    assert tiers(squeeze([thin, full], 230, BestUse(), PROFILE)) == [None, Tier.SMALL], "a sharper full page rather than a thin one more"
    assert tiers(squeeze([replace(thin, text_tokens=1_500), full], 230, BestUse(), PROFILE)) == [Tier.TINY, Tier.TINY]


def test_what_is_dearer_as_pages_gets_the_room_that_pages_leave() -> None:
    given = [*candidates(30), candidate(30, 40, tokens=100), candidate(31, 40, tokens=100)]
    for room in range(200, 4_000, 97):
        decisions = squeeze(given, room, BestUse(), PROFILE)
        assert total_of(decisions) <= room
        texts = [decision.shown for decision in decisions[-2:]]
        assert texts == sorted(texts), "the newest first"
        shown = [decision.tier for decision in decisions[:-2]]
        assert shown == tiers(squeeze(candidates(30), room, BestUse(), PROFILE)), "no page goes for them"


def test_plans_are_plain_json() -> None:
    made = plan(
        items=({"kind": "page", "key": "k", "index": 1, "first": 1, "last": 2, "tier": Tier.TINY}, {"kind": "text", "first": 3, "last": 3})
    )
    assert Plan.model_validate_json(made.model_dump_json()) == made
    with pytest.raises(ValueError, match="v"):
        Plan.model_validate({**made.model_dump(), "v": 2})
