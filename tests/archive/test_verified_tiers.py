"""Verified demotion: no plan shows a page below what a verifier passed, whatever the budget; and what it costs when nothing is asked."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from optical_memory import ByAge, OpticalMemory, Page, Turn, WaterMarks
from optical_memory.adapters.conversation_states import Conversations
from optical_memory.adapters.settings import AdapterSettings
from optical_memory.archive.verified_tiers import MOST_FAILURES, MOST_READINGS
from optical_memory.errors import BudgetTooSmall, UnknownName
from optical_memory.pages.tiers import Tier
from optical_memory.planning.candidates import PageCandidate, TextCandidate, dearer_than_text, run_of, total_of
from optical_memory.planning.forgetting import PageAge
from optical_memory.planning.selection import arrange, squeeze
from optical_memory.profiles.registry import profile_of
from optical_memory.stores import open_store
from optical_memory.verification import Verification, verifier_of
from optical_memory.verification.density import ByDensity
from tests.histories import histories
from tests.memory.test_planning_properties import budgets, check, context_or_none, memory_of
from tests.sampling import EXAMPLES
from tests.support import RuledRenderer

quick = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
AT_TINY = ByAge(gundam=0, large=0, base=0, small=0, tiny=1_000)
PROFILE = profile_of("deepseek-ocr")


@dataclass
class AtLeast:
    """Passes a page from a tier on; one of more tokens than `most` nowhere. It asks nobody, but counts."""

    floor: Tier = Tier.BASE
    most: int = 10_000
    at_once: bool = False
    asked: list[tuple[str, Tier]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    name = "at least"

    @property
    def fingerprint(self) -> str:
        return f"{self.floor} {self.most}"

    def verify(self, page: Page, turns: Sequence[Turn], tier: Tier) -> Verification:
        self.asked.append((page.key, tier))
        self.words += [turn.text for turn in turns]
        passed = tier >= self.floor and page.text_tokens <= self.most
        return Verification(page.key, tier, self.name, float(passed), passed)


class Broken(AtLeast):
    """Of the same name and fingerprint as the one that works."""

    def verify(self, page: Page, turns: Sequence[Turn], tier: Tier) -> Verification:
        super().verify(page, turns, tier)
        raise OSError("the reader is out")


def chat(count: int = 40) -> list[tuple[str, str]]:
    return [("user" if n % 2 else "assistant", f"word {n} " * 60) for n in range(count)]


# -- what a plan may show -----------------------------------------------------------------------------------------------------------------


@quick
@given(histories(), budgets, st.sampled_from([700, 2_500, 6_000]), st.sampled_from([0.6, 0.9, 0.96]), st.data())
def test_no_plan_shows_a_page_below_its_floor_nor_dearer_than_text(
    history: list[dict[str, Any]], budget: int | None, rows: int, precision: float, data: st.DataObject
) -> None:
    verifier = ByDensity(precision)
    memory = memory_of(RuledRenderer(rows=rows), verify=verifier)
    memory.extend(history)
    if data.draw(st.booleans()):
        memory.pin(data.draw(st.integers(1, len(history))))
    if (context := context_or_none(memory, budget)) is None:
        return
    check(memory, context, budget)
    for part in context.pages:
        event(f"shown at {part.tier.label}")
        assert verifier.verify(part.page, [], part.tier).passed


@settings(quick, max_examples=max(4, EXAMPLES // 3))
@given(histories(), budgets, st.sampled_from(list(Tier)), st.integers(0, 400), st.booleans())
def test_the_same_for_a_verifier_that_is_asked_when_a_page_is_about_to_be_shown(
    history: list[dict[str, Any]], budget: int | None, floor: Tier, most: int, at_once: bool
) -> None:
    verifier = AtLeast(floor, most, at_once)
    memory = memory_of(verify=verifier)
    for place, message in enumerate(history):
        memory.append(message)
        if place % 7 and place != len(history) - 1:
            continue
        if (context := context_or_none(memory, budget)) is not None:
            check(memory, context, budget)
            assert all(part.tier.side >= floor.side and part.page.text_tokens <= most for part in context.pages)
    assert len(verifier.asked) == len({(key, tier.side) for key, tier in verifier.asked}), "each is asked about once"


candidates = st.builds(
    lambda number, tokens, ladder, run, pinned, enough, text: (
        TextCandidate(number, number, tokens, (number,), protected=pinned)
        if text
        else PageCandidate(
            key=str(number),
            index=number,
            first=number,
            last=number,
            run=run,
            text_tokens=tokens,
            overhead=20,
            vision={tier: tier.sequence_length for tier in sorted(ladder)},
            age=PageAge(0, 0, 0),
            turns=(number,),
            pinned=pinned,
            enough=min(ladder, default=None) if enough else None,
        )
    ),
    st.just(0),
    st.integers(0, 3_000),
    st.sets(st.sampled_from(list(Tier))),
    st.integers(1, 9),
    st.sampled_from([False, False, False, True]),
    st.booleans(),
    st.sampled_from([False, False, True]),
)


@quick
@given(st.lists(candidates, max_size=12), st.integers(0, 4_000), st.integers(0, 12))
def test_pages_with_any_rungs_left_are_arranged_within_them(given: list[PageCandidate | TextCandidate], room: int, limit: int) -> None:
    profile = PROFILE.limited(max_pictures=max(1, limit))
    runs = sorted(candidate.run if isinstance(candidate, PageCandidate) else 0 for candidate in given)
    numbered = [
        _numbered(candidate, place, run, len(given)) for place, (candidate, run) in enumerate(zip(given, runs, strict=True), start=1)
    ]
    for decisions in (arrange(numbered, ByAge(), profile), squeeze(numbered, room, ByAge(), profile)):
        for decision in decisions:
            assert decision.tier is None or (isinstance(decision.candidate, PageCandidate) and decision.tier in decision.candidate.vision)
            assert not decision.as_text or isinstance(decision.candidate, TextCandidate), "a page's text is a candidate of its own"
        assert sum(decision.tier is not None for decision in decisions) <= profile.page_limit
        shown = {number for decision in decisions if decision.shown for number in decision.candidate.turns}
        assert {number for candidate in numbered if _is_held(candidate) for number in candidate.turns} <= shown
    everything = arrange(numbered, ByAge(gundam=99, large=99, base=99, small=99, tiny=99), profile)
    assert {number for decision in everything if decision.shown for number in decision.candidate.turns} == {
        candidate.first for candidate in numbered
    }
    for _, run in itertools.groupby(arrange(numbered, ByAge(), PROFILE), key=lambda decision: run_of(decision.candidate)):
        assert not dearer_than_text(list(run))
    squeezed = squeeze(numbered, room, ByAge(), profile)
    assert total_of(squeezed) <= room or all(decision.held for decision in squeezed if decision.shown)


def _numbered(candidate: PageCandidate | TextCandidate, number: int, run: int, of: int) -> PageCandidate | TextCandidate:
    if isinstance(candidate, TextCandidate):
        return replace(candidate, first=number, last=number, turns=(number,))
    return replace(
        candidate, key=str(number), index=number, first=number, last=number, run=run, turns=(number,), age=PageAge(of - number, 0, 0)
    )


def _is_held(candidate: PageCandidate | TextCandidate) -> bool:
    return candidate.protected if isinstance(candidate, TextCandidate) else candidate.pinned


# -- a refused tier ------------------------------------------------------------------------------------------------------------------


def test_a_refused_page_stays_a_tier_higher_and_its_fainter_tiers_are_not_asked_for() -> None:
    verifier = AtLeast(Tier.BASE)
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(), forgetting=AT_TINY, verify=verifier)
    memory.extend(chat(200))
    context = memory.context()
    assert {part.tier for part in context.pages} == {Tier.BASE}
    first = context.pages[0].page.key
    assert [tier for key, tier in verifier.asked if key == first] == [Tier.TINY, Tier.SMALL, Tier.BASE]
    assert {(each.tier, each.passed) for each in memory.verifications()} == {(Tier.TINY, False), (Tier.SMALL, False), (Tier.BASE, True)}


def test_a_page_that_passes_nowhere_is_text_and_under_a_budget_left_out() -> None:
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(), forgetting=AT_TINY, verify=AtLeast(most=0))
    memory.extend(chat(200))
    context = memory.context()
    assert context.pages == () and context.usage.turns_left_out == 0 and memory.pages()
    squeezed = memory.context(3_000)
    assert squeezed.pages == () and squeezed.usage.turns_left_out > 0
    assert squeezed.usage.prompt_tokens > 2_000, "what there is room for is text"
    pinned = memory.pages()[0].first_turn
    memory.pin(pinned)
    with pytest.raises(BudgetTooSmall):
        memory.context(1_500)


def test_another_verifier_makes_another_plan_and_none_the_plan_without() -> None:
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(), forgetting=AT_TINY)
    memory.extend(chat(200))
    plain = memory.context().plan

    def opened(**options: Any) -> OpticalMemory:
        return OpticalMemory("s", store=memory._store, renderer=RuledRenderer(), forgetting=AT_TINY, **options)

    verified = opened(verify=AtLeast(Tier.BASE)).context().plan
    assert verified.reason == "settings changed" and {page.tier for page in verified.pages} == {Tier.BASE}
    assert {page.tier for page in opened(verify=AtLeast(Tier.SMALL)).context().plan.pages} == {Tier.SMALL}
    after = opened().context().plan
    assert after.items == plain.items and after.basis == plain.basis
    assert after.basis != verified.basis


def test_a_sparse_page_falls_at_once_and_a_dense_one_stays_high() -> None:
    for rows, young, old in ((500, Tier.TINY, Tier.TINY), (9_000, Tier.LARGE, Tier.LARGE)):
        memory = memory_of(RuledRenderer(rows=rows), verify="density")
        memory.extend([("user" if n % 2 else "assistant", f"word {n} " * 60) for n in range(160)])
        tiers = [part.tier for part in memory.context().pages]
        assert tiers[-1] == young and min(tiers) == old, rows


# -- asking --------------------------------------------------------------------------------------------------------------------------


def test_appending_asks_nobody() -> None:
    verifier = AtLeast()
    memory = memory_of(verify=verifier)
    memory.extend(chat())
    assert not verifier.asked


def test_a_re_plan_asks_a_bounded_number_of_times_and_the_next_goes_on() -> None:
    verifier = AtLeast(Tier.TINY)
    memory = memory_of(RuledRenderer(rows=1_000), forgetting=AT_TINY, verify=verifier)
    memory.extend(chat(250))
    context = memory.context()
    assert len(verifier.asked) == MOST_READINGS and 0.8 * MOST_READINGS < len(context.pages) <= MOST_READINGS < len(memory.pages())
    assert context.usage.turns_left_out == 0, "what nobody looked at yet is text"
    memory.pin(250)
    assert len(memory.context().pages) > MOST_READINGS


def test_a_verifier_that_fails_costs_no_turn() -> None:
    verifier = Broken()
    memory = memory_of(RuledRenderer(rows=700), verify=verifier)
    memory.extend(chat())
    with pytest.warns(RuntimeWarning, match=r"'at least' failed \(OSError: the reader is out\)"):
        context = memory.context()
    assert context.pages == () and memory.pages()
    assert [turn.number for turn in context.turns] == list(range(1, 41)) and context.usage.turns_left_out == 0
    assert len(verifier.asked) == MOST_FAILURES == memory.stats().verify_failures
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memory.pin(40)
        memory.context()
    assert memory.stats().verify_failures == 2 * MOST_FAILURES and memory.verifications() == []


def test_what_was_passed_before_stays_while_the_verifier_fails() -> None:
    aging = ByAge(gundam=0, large=0, base=0, small=2, tiny=1_000)
    memory = memory_of(RuledRenderer(rows=1_500), forgetting=aging, verify=AtLeast(Tier.TINY))
    memory.extend(chat(60))
    before = {part.page.key: part.tier for part in memory.context().pages}
    assert set(before.values()) == {Tier.TINY, Tier.SMALL}
    marks = memory._builder.settings.marks
    broken = OpticalMemory(
        "s", store=memory._store, renderer=RuledRenderer(rows=1_500), forgetting=aging, marks=marks, verify=Broken(Tier.TINY)
    )
    broken.extend(chat(20))
    with pytest.warns(RuntimeWarning, match="failed"):
        after = {part.page.key: part.tier for part in broken.context().pages}
    assert after == before, "what is new is text, what was at Small is not shown fainter"


def test_secrets_that_were_not_drawn_are_not_shown_to_a_verifier() -> None:
    verifier = AtLeast()
    memory = memory_of(RuledRenderer(rows=700), redact=True, keep_secrets_in_log=True, verify=verifier)
    memory.extend([("user", "the key is AKIAIOSFODNN7EXAMPLQ " + "and so on " * 40), *chat()])
    memory.context()
    assert any("redacted" in words for words in verifier.words)
    assert not any("AKIAIOSFODNN7EXAMPLQ" in words for words in verifier.words)
    kept = memory._store.get(memory.session, memory._store.names(memory.session, "verified/"))
    assert kept and not any(b"word" in data or b"key is" in data for data in kept.values())


def test_conversations_of_a_framework_share_what_was_found() -> None:
    verifier = AtLeast()
    settings = AdapterSettings(
        reader="deepseek-ocr",
        renderer=RuledRenderer(rows=1_500),
        marks=WaterMarks(high=400, low=100),
        cache=open_store("memory://"),
        verify=verifier,
    )
    messages = [{"role": role, "content": text} for role, text in chat()]
    seen = []
    for _ in range(2):
        shown = Conversations[dict[str, Any]](settings, key=lambda message: message["content"], turn=lambda message: message)
        seen.append(shown.show(messages, None, list))
        seen.append(len(verifier.asked))
    assert verifier.asked and seen[:2] == seen[2:], "another process, the same cache"


# -- settings and what is kept -------------------------------------------------------------------------------------------------------


def test_what_verify_may_be() -> None:
    assert verifier_of(None) is verifier_of(False) is None
    assert verifier_of("density").name == "density"  # type: ignore[union-attr]
    assert verifier_of(True).name == verifier_of("ocr").name == "ocr"  # type: ignore[union-attr]
    mine = AtLeast()
    assert verifier_of(mine) is mine
    with pytest.raises(UnknownName, match=r"'eyes'.*density, ocr"):
        OpticalMemory("s", store="memory://", verify="eyes")
    with pytest.raises(TypeError, match="verify is True"):
        AdapterSettings(verify=7)  # type: ignore[arg-type]


@given(st.builds(Verification, st.text(max_size=9), st.sampled_from(Tier), st.text(max_size=9), st.floats(0, 1), st.booleans()))
def test_a_result_comes_back_as_it_was_kept(found: Verification) -> None:
    assert Verification.decode(found.encode()) == found


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"v": 2}', b"\xff", b'{"v": 1, "tier": "huge"}'])
def test_a_damaged_result_is_none(data: bytes) -> None:
    assert Verification.decode(data) is None


def test_results_are_there_after_reopening_and_gone_after_erasing(tmp_path: Path) -> None:
    verifier = AtLeast()
    options: dict[str, Any] = {"store": f"sqlite:///{tmp_path}/m.sqlite3", "marks": WaterMarks(high=400, low=100), "verify": verifier}
    with OpticalMemory("s", renderer=RuledRenderer(rows=3_000), **options) as memory:
        memory.extend(chat(80))
        shown = memory.context().pages
        found, asked = memory.verifications(), len(verifier.asked)
        assert {part.page.key for part in shown} == {each.key for each in found if each.passed} != set()
    with OpticalMemory("s", renderer=RuledRenderer(rows=3_000), **options) as memory:
        memory.pin(80)
        memory.context()
        assert (memory.verifications(), len(verifier.asked), memory.stats().pages_verified) == (found, asked, 0)
        doomed = memory.pages()[0]
        memory.erase(doomed.first_turn)
        assert doomed.key not in {each.key for each in memory.verifications()}
        assert memory.verifications()


def test_what_was_found_holds_for_one_way_of_counting_and_one_size_of_sidecar() -> None:
    verifier = AtLeast()
    memory = memory_of(RuledRenderer(rows=1_500), verify=verifier)
    memory.extend(chat())
    memory.context()
    asked = len(verifier.asked)
    other = memory_of(RuledRenderer(rows=1_500), store=memory._store, verify=verifier, sidecar_tokens=0)
    other.context()
    assert len(verifier.asked) == 2 * asked > 0
