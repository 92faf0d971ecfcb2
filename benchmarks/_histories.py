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
from optical_memory.planning.candidates import PageView, Show, TextView
from optical_memory.planning.forgetting import PageAge
from optical_memory.planning.selection import arrange, squeeze
from optical_memory.profiles.profile import PAGE_BYTES, Limits, ReaderProfile
from optical_memory.turns.attachments import NO_PICTURES, PictureLoad

__all__ = ["History", "Report", "by_chance", "faults_of", "limited_by_chance", "limits_broken", "planned", "tally"]

SIDES = (64, 700, 1_200, 2_500)  # px of the pictures that users show
HEIGHTS = (1_024, 1_024, 1_024, 700, 280)  # px; the last page of a run may be cropped
KINDS = ("dearer than text", "over budget", "pin lost", "limit broken")


@dataclass(frozen=True, slots=True)
class History:
    """Pages and texts of a session, oldest first, and what they have to fit into."""

    views: tuple[PageView | TextView, ...]
    beside: PictureLoad
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
    views = tuple(_views(chance, profile, chance.choice([3, 20, 60])))
    whole = sum(view.text_tokens for view in views)
    room = chance.choice([None, None, round(whole * chance.random() ** 2), chance.randint(0, 3_000)])
    gundam, large, base, small, tiny = sorted(chance.sample(range(200), 5))
    policy = chance.choice([ByAge(), ByAge(gundam, large, base, small, tiny), ByAge(1e4, 2e4, 3e4, 4e4, 5e4)])
    return History(views, _pictures(chance, 0.2), room, policy, profile)


def _views(chance: random.Random, profile: ReaderProfile, most: int) -> Iterator[PageView | TextView]:
    count, turn = chance.randint(1, most), 1
    for place in range(count):
        tokens = round(10 ** chance.choice([chance.uniform(0.7, 3.6), chance.uniform(2.8, 3.5)]))
        if chance.random() < 0.15:
            yield TextView(turn, turn, tokens, (turn,), chance.random() < 0.2, _pictures(chance, 0.3))
            run = 0
        else:
            run = run if place and run and chance.random() < 0.3 else turn
            after = count - place - 1
            age = PageAge(after, 8 * after, after * chance.random(), chance.choice([0.0, 0.5, 0.5, 1.0]))
            height, pinned = chance.choice(HEIGHTS), chance.random() < 0.05
            vision = {tier: profile.page_tokens(1_024, height, tier) for tier in profile.ladder}
            overhead, brought = chance.randint(8, 90), _pictures(chance, 0.1)
            yield PageView(f"k{turn}", turn, turn, turn, run, tokens, overhead, vision, age, (turn,), pinned, brought)
        turn += 1


def _pictures(chance: random.Random, share: float) -> PictureLoad:
    if chance.random() > share:
        return NO_PICTURES
    return PictureLoad(chance.randint(1, 3), chance.randint(1_000, 300_000), chance.choice(SIDES))


def planned(history: History) -> list[Show]:
    """What the planner makes of a history."""
    if history.room is None:
        return arrange(history.views, history.policy, history.profile, beside=history.beside)
    return squeeze(history.views, history.room, history.policy, history.profile, history.beside)


def tally(report: Report, history: History) -> None:
    """Plan a history and count it, with its faults."""
    shows = planned(history)
    whole = sum(view.text_tokens for view in history.views)
    report.histories += 1
    report.pages += sum(show.tier is not None for show in shows)
    if all(show.shown for show in shows) and any(show.tier is not None for show in shows):
        report.worst = max(report.worst, sum(show.tokens for show in shows) / whole)
    report.faults.update(faults_of(history, shows))


def faults_of(history: History, shows: Sequence[Show]) -> Iterator[str]:
    """Each of `KINDS` that a plan for a history shows."""
    profile = history.profile
    runs = [list(run) for _, run in groupby(shows, key=lambda show: getattr(show.view, "run", None))]
    for run in runs:
        drawn = [show for show in run if show.tier is not None]
        if drawn and sum(show.tokens for show in drawn) >= sum(show.view.text_tokens for show in drawn):
            yield "dearer than text"
    if history.room is not None and sum(show.tokens for show in shows) > history.room and any(s.shown and not s.held for s in shows):
        yield "over budget"
    pinned = {number for view in history.views if isinstance(view, PageView) and view.pinned for number in view.turns}
    seen = {number for show in shows if show.shown for number in show.view.turns}
    if pinned - seen or any(s.tier and s.held and s.tier < min(profile.floor, profile.ladder[-1]) for s in shows):
        yield "pin lost"
    pages = [profile.side(show.tier) for show in shows if show.tier is not None]
    texts = [show.view.pictures for show in shows if show.as_text]
    may_go = bool(pages) or any(show.as_text and show.view.pictures.count and not show.held for show in shows)
    area = profile.page.width * profile.page.height if profile.page else 1_024**2
    if may_go and limits_broken(profile.limits, pages, [*texts, history.beside], PAGE_BYTES * area / 1_024**2):
        yield "limit broken"


def limits_broken(limits: Limits, pages: Sequence[int], turns: Sequence[PictureLoad], page_bytes: float = PAGE_BYTES) -> bool:
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
