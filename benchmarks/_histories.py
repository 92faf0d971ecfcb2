"""Histories by chance, and what no plan for them may break: the price of the text, the budget, a pin, and the limits of a request.

What is checked is counted here from what is shown, not with the code that decides.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from optical_memory import ByAge
from optical_memory.planning.candidates import Decision, PageCandidate, TextCandidate
from optical_memory.planning.forgetting import PageAge
from optical_memory.planning.selection import arrange, squeeze
from optical_memory.profiles.profile import PAGE_BYTES, Limits, ReaderProfile
from optical_memory.turns.attachments import NO_IMAGES, ImageLoad

__all__ = ["History", "Report", "by_chance", "faults_of", "limited_by_chance", "limits_broken", "planned", "tally"]

SIDES = (64, 700, 1_200, 2_500)  # px of the pictures that users decision
HEIGHTS = (1_024, 1_024, 1_024, 700, 280)  # px; the last page of a run may be cropped
KINDS = ("dearer than text", "over budget", "pin lost", "limit broken")


@dataclass(frozen=True, slots=True)
class History:
    """Pages and texts of a session, oldest first, and what they have to fit into."""

    candidates: tuple[PageCandidate | TextCandidate, ...]
    beside: ImageLoad
    room: int | None
    policy: ByAge
    profile: ReaderProfile


@dataclass(slots=True)
class Report:
    """What came of many histories."""

    histories: int = 0
    pages: int = 0
    worst: float = 0.0  # tokens shown for one of text, where pages are shown and nothing is left out
    faults: Counter[str] = field(default_factory=Counter)


def limited_by_chance(chance: random.Random, profile: ReaderProfile) -> ReaderProfile:
    """A reader as it is, or behind a gateway that takes less."""
    limits: dict[str, int | None] = {}
    if chance.random() < 0.4:
        limits["max_pictures"] = chance.randint(1, 8)
    if chance.random() < 0.2:
        limits["max_bytes"] = chance.randint(1, 10) * PAGE_BYTES
    if chance.random() < 0.3:
        limits |= {"many_pictures": chance.randint(1, 6), "many_side": chance.choice([512, 640, 1_024, 2_000])}
    if chance.random() < 0.2:
        limits["max_side"] = chance.choice([600, 1_024, 1_100, 8_000])
    return profile.limited(**limits) if limits else profile


def by_chance(chance: random.Random, profile: ReaderProfile) -> History:
    """A history of up to sixty pages and texts."""
    profile = limited_by_chance(chance, profile)
    candidates = tuple(_candidates(chance, profile, chance.choice([3, 20, 60])))
    whole = sum(candidate.text_tokens for candidate in candidates)
    room = chance.choice([None, None, round(whole * chance.random() ** 2), chance.randint(0, 3_000)])
    gundam, large, base, small, tiny = sorted(chance.sample(range(200), 5))
    policy = chance.choice([ByAge(), ByAge(gundam, large, base, small, tiny), ByAge(1e4, 2e4, 3e4, 4e4, 5e4)])
    return History(candidates, _pictures(chance, 0.2), room, policy, profile)


def _candidates(chance: random.Random, profile: ReaderProfile, most: int) -> Iterator[PageCandidate | TextCandidate]:
    count, turn = chance.randint(1, most), 1
    for place in range(count):
        tokens = round(10 ** chance.choice([chance.uniform(0.7, 3.6), chance.uniform(2.8, 3.5)]))
        if chance.random() < 0.15:
            yield TextCandidate(turn, turn, tokens, (turn,), chance.random() < 0.2, _pictures(chance, 0.3))
            run = 0
        else:
            run = run if place and run and chance.random() < 0.3 else turn
            after = count - place - 1
            age = PageAge(after, 8 * after, after * chance.random(), chance.choice([0.0, 0.5, 0.5, 1.0]))
            height, pinned = chance.choice(HEIGHTS), chance.random() < 0.05
            vision = {tier: profile.page_tokens(1_024, height, tier) for tier in profile.ladder}
            overhead, brought = chance.randint(8, 90), _pictures(chance, 0.1)
            yield PageCandidate(f"k{turn}", turn, turn, turn, run, tokens, overhead, vision, age, (turn,), pinned, brought)
        turn += 1


def _pictures(chance: random.Random, share: float) -> ImageLoad:
    if chance.random() > share:
        return NO_IMAGES
    return ImageLoad(chance.randint(1, 3), chance.randint(1_000, 300_000), chance.choice(SIDES))


def planned(history: History) -> list[Decision]:
    """What the planner makes of a history."""
    if history.room is None:
        return arrange(history.candidates, history.policy, history.profile, beside=history.beside)
    return squeeze(history.candidates, history.room, history.policy, history.profile, history.beside)


def tally(report: Report, history: History) -> None:
    """Plan a history and count it, with its faults."""
    decisions = planned(history)
    whole = sum(candidate.text_tokens for candidate in history.candidates)
    report.histories += 1
    report.pages += sum(decision.tier is not None for decision in decisions)
    if all(decision.shown for decision in decisions) and any(decision.tier is not None for decision in decisions):
        report.worst = max(report.worst, sum(decision.tokens for decision in decisions) / whole)
    report.faults.update(faults_of(history, decisions))


def faults_of(history: History, decisions: Sequence[Decision]) -> Iterator[str]:
    """Each of `KINDS` that a plan for a history shows."""
    profile = history.profile
    runs = [list(run) for _, run in groupby(decisions, key=lambda decision: getattr(decision.candidate, "run", None))]
    for run in runs:
        drawn = [decision for decision in run if decision.tier is not None]
        if drawn and sum(decision.tokens for decision in drawn) >= sum(decision.candidate.text_tokens for decision in drawn):
            yield "dearer than text"
    if (
        history.room is not None
        and sum(decision.tokens for decision in decisions) > history.room
        and any(s.shown and not s.held for s in decisions)
    ):
        yield "over budget"
    pinned = {
        number
        for candidate in history.candidates
        if isinstance(candidate, PageCandidate) and candidate.pinned
        for number in candidate.turns
    }
    seen = {number for decision in decisions if decision.shown for number in decision.candidate.turns}
    if pinned - seen or any(s.tier and s.held and s.tier < min(profile.floor, profile.ladder[-1]) for s in decisions):
        yield "pin lost"
    pages = [profile.side(decision.tier) for decision in decisions if decision.tier is not None]
    texts = [decision.candidate.images for decision in decisions if decision.as_text]
    may_go = bool(pages) or any(decision.as_text and decision.candidate.images.count and not decision.held for decision in decisions)
    area = profile.page.width * profile.page.height if profile.page else 1_024**2
    if may_go and limits_broken(profile.limits, pages, [*texts, history.beside], PAGE_BYTES * area / 1_024**2):
        yield "limit broken"


def limits_broken(limits: Limits, pages: Sequence[int], turns: Sequence[ImageLoad], page_bytes: float = PAGE_BYTES) -> bool:
    """Whether a request with pages of these sides, and the pictures of turns, is more than a reader takes."""
    count = len(pages) + sum(load.count for load in turns)
    size = len(pages) * page_bytes + sum(load.bytes for load in turns)
    largest = max([*pages, *(load.side for load in turns)], default=0)
    return (
        count > limits.max_pictures
        or (limits.max_bytes is not None and size > limits.max_bytes)
        or (limits.max_side is not None and max(pages, default=0) > limits.max_side)
        or (limits.many_pictures is not None and count > limits.many_pictures and largest > (limits.many_side or largest))
    )
