"""What does not fit into one request: unreadable pages, and pictures above its limits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..profiles.profile import ReaderProfile
from ..turns.attachments import PictureLoad
from .candidates import PageView, Show, as_one_text, dearer_than_text, run_of, total_of, turn_pictures

__all__ = ["free_places", "within_request"]


def free_places(shows: Sequence[Show], profile: ReaderProfile, beside: PictureLoad) -> int:
    """Places for pictures that `shows` leave in a request which holds `beside` too; below 0, so many are too many."""
    tiers = [show.tier for show in shows if show.tier is not None]
    return profile.free_places(beside + turn_pictures(shows), max(map(profile.side, tiers), default=0)) - len(tiers)


def within_request(shows: list[Show], profile: ReaderProfile, beside: PictureLoad, room: int | None) -> list[Show]:
    """Give up the pages that cannot be read, and the oldest that a request has no place for.

    Their runs are text, as far as there is room; else they are left out. What is held is text whatever the room. A run whose turns bring
    pictures of their own would win no place as text: it is left out. So, once there are no pages, are the oldest texts with pictures.
    """
    if any(show.as_text and isinstance(show.view, PageView) for show in shows):
        shows = _given_up(shows, 0, room)
    while (free := free_places(shows, profile, beside)) < 0 and any(show.tier is not None for show in shows):
        shows = _given_up(shows, -free, room)
    for place, show in enumerate(shows):
        if free_places(shows, profile, beside) >= 0:
            break
        if show.as_text and show.view.pictures.count and not show.held:
            shows = [*shows[:place], Show(show.view), *shows[place + 1 :]]
    return shows


def _given_up(shows: list[Show], surplus: int, room: int | None) -> list[Show]:
    """Without the pages that cannot be read, and the oldest `surplus` others, or all of them."""
    runs = [list(run) for _, run in groupby(shows, key=lambda show: run_of(show.view))]
    cut = [_without_unreadable(run) for run in runs]
    for place, run in enumerate(cut):
        if surplus > 0:
            cut[place] = _without_oldest(run, surplus)
            surplus -= sum(show.tier is not None for show in run) - sum(show.tier is not None for show in cut[place])
    for place in range(len(cut)):  # what is held may not be left out, and still has to fit
        if surplus > 0 and any(show.tier is not None for show in cut[place]):
            surplus -= sum(show.tier is not None for show in cut[place])
            cut[place] = _as_text(runs[place])
    total = sum(map(total_of, cut))
    for place in reversed(range(len(cut))):
        if cut[place] != runs[place] and not cut[place][0].as_text and not any(show.view.pictures.count for show in runs[place]):
            text = _as_text(runs[place])
            if room is None or total - total_of(cut[place]) + total_of(text) <= room:
                total += total_of(text) - total_of(cut[place])
                cut[place] = text
    return [show for run in cut for show in run]


def _without_unreadable(run: list[Show]) -> list[Show]:
    """A run without its pages that cannot be read, and the rest only if it pays alone; as text where what would go may not be left out."""
    unreadable = [show for show in run if show.as_text and isinstance(show.view, PageView)]
    if not unreadable:
        return run
    kept = [Show(show.view) if show in unreadable else show for show in run]
    is_dearer = dearer_than_text(kept)
    if any(show.held for show in (run if is_dearer else unreadable)):
        return _as_text(run)
    return [Show(show.view) for show in kept] if is_dearer else kept


def _without_oldest(run: list[Show], count: int) -> list[Show]:
    """A run without its oldest `count` pages that need not be shown.

    If the rest does not pay alone, it goes too; where a pin holds some of it, all of the run stays.
    """
    kept = list(run)
    for place, show in enumerate(run):
        if count > 0 and show.tier is not None and not show.held:
            kept[place], count = Show(show.view), count - 1
    if not dearer_than_text(kept):
        return kept
    return run if any(show.held for show in run) else [Show(show.view) for show in run]


def _as_text(run: Sequence[Show]) -> list[Show]:
    return [Show(as_one_text([show.view for show in run if isinstance(show.view, PageView)]), as_text=True)]
