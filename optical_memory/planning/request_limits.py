"""Drop what one request cannot hold: unreadable pages, and images above its limits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..profiles.profile import ReaderProfile
from ..turns.attachments import ImageLoad
from .candidates import Decision, PageCandidate, as_one_text, dearer_than_text, run_of, text_images, total_of

__all__ = ["free_places", "within_request"]


def free_places(decisions: Sequence[Decision], profile: ReaderProfile, beside: ImageLoad) -> int:
    """Return how many more images the request may hold after `decisions` and `beside`; negative if it holds too many."""
    tiers = [decision.tier for decision in decisions if decision.tier is not None]
    return profile.free_places(beside + text_images(decisions), max(map(profile.side, tiers), default=0)) - len(tiers)


def within_request(decisions: list[Decision], profile: ReaderProfile, beside: ImageLoad, room: int | None) -> list[Decision]:
    """Drop unreadable pages, then the oldest pages above the request's image limit.

    Their runs become text while `room` (tokens) lasts, else are left out; pinned ones are text regardless of room. A run whose turns
    contain images frees no place as text, so it is left out. If no pages remain, the oldest texts with images are left out too.
    """
    if any(decision.as_text and isinstance(decision.candidate, PageCandidate) for decision in decisions):
        decisions = _given_up(decisions, 0, room)
    while (free := free_places(decisions, profile, beside)) < 0 and any(decision.tier is not None for decision in decisions):
        decisions = _given_up(decisions, -free, room)
    for place, decision in enumerate(decisions):
        if free_places(decisions, profile, beside) >= 0:
            break
        if decision.as_text and decision.candidate.images.count and not decision.held:
            decisions = [*decisions[:place], Decision(decision.candidate), *decisions[place + 1 :]]
    return decisions


def _given_up(decisions: list[Decision], surplus: int, room: int | None) -> list[Decision]:
    """Drop the unreadable pages, and the oldest `surplus` others, or all."""
    runs = [list(run) for _, run in groupby(decisions, key=lambda decision: run_of(decision.candidate))]
    cut = [_without_unreadable(run) for run in runs]
    for place, run in enumerate(cut):
        if surplus > 0:
            cut[place] = _without_oldest(run, surplus)
            surplus -= sum(decision.tier is not None for decision in run) - sum(decision.tier is not None for decision in cut[place])
    for place in range(len(cut)):  # pinned and protected ones may not be left out, and still have to fit
        if surplus > 0 and any(decision.tier is not None for decision in cut[place]):
            surplus -= sum(decision.tier is not None for decision in cut[place])
            cut[place] = _as_text(runs[place])
    total = sum(map(total_of, cut))
    for place in reversed(range(len(cut))):
        if cut[place] != runs[place] and not cut[place][0].as_text and not any(decision.candidate.images.count for decision in runs[place]):
            text = _as_text(runs[place])
            if room is None or total - total_of(cut[place]) + total_of(text) <= room:
                total += total_of(text) - total_of(cut[place])
                cut[place] = text
    return [decision for run in cut for decision in run]


def _without_unreadable(run: list[Decision]) -> list[Decision]:
    """Drop a run's unreadable pages, and the rest too unless it is cheaper than text; as text if a dropped page is pinned."""
    unreadable = [decision for decision in run if decision.as_text and isinstance(decision.candidate, PageCandidate)]
    if not unreadable:
        return run
    kept = [Decision(decision.candidate) if decision in unreadable else decision for decision in run]
    is_dearer = dearer_than_text(kept)
    if any(decision.held for decision in (run if is_dearer else unreadable)):
        return _as_text(run)
    return [Decision(decision.candidate) for decision in kept] if is_dearer else kept


def _without_oldest(run: list[Decision], count: int) -> list[Decision]:
    """Drop the oldest `count` pages of a run that are not pinned.

    If the rest is not cheaper than text, it goes too; if a page of the rest is pinned, the whole run stays.
    """
    kept = list(run)
    for place, decision in enumerate(run):
        if count > 0 and decision.tier is not None and not decision.held:
            kept[place], count = Decision(decision.candidate), count - 1
    if not dearer_than_text(kept):
        return kept
    return run if any(decision.held for decision in run) else [Decision(decision.candidate) for decision in run]


def _as_text(run: Sequence[Decision]) -> list[Decision]:
    return [Decision(as_one_text([decision.candidate for decision in run if isinstance(decision.candidate, PageCandidate)]), as_text=True)]
