"""What a plan decides about: pages and texts, how each is shown, and how many pictures a request has a place for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ..pages.tiers import Tier
from ..readers.base import ReaderProfile
from ..turns.attachments import NO_PICTURES, PictureLoad
from .forgetting import PageAge

__all__ = [
    "PageView",
    "Show",
    "TextView",
    "as_one_text",
    "dearer_than_text",
    "free_places",
    "run_of",
    "total_of",
    "turn_pictures",
    "within_request",
]


@dataclass(frozen=True, slots=True)
class PageView:
    """What planning needs to know of a page.

    Attributes:
        run: pages of one run share a unit with their neighbour: they are text together or pictures together.
        turns: numbers of the turns on it.
        overhead: tokens of the text beside the page: its label and its sidecar.
        vision: vision tokens at each tier that it may be shown at, faintest first: the reader's ladder, as far as nobody found that the
            page cannot be read there. Empty for a page that can be read at none.
        pictures: what its turns bring along where they are text instead.
        enough: the tier that it falls to at once, whatever its age; None where that is left to its age.
    """

    key: str
    index: int
    first: int
    last: int
    run: int
    text_tokens: int
    overhead: int
    vision: dict[Tier, int]
    age: PageAge
    turns: tuple[int, ...]
    pinned: bool = False
    pictures: PictureLoad = NO_PICTURES
    enough: Tier | None = None


@dataclass(frozen=True, slots=True)
class TextView:
    """Turns before the tail that are text or nothing, together. Protected ones are never left out."""

    first: int
    last: int
    text_tokens: int
    turns: tuple[int, ...]
    protected: bool = False
    pictures: PictureLoad = NO_PICTURES


@dataclass(frozen=True, slots=True)
class Show:
    """A decision: a page at a tier, turns as text, or (neither) left out. A page as text can be read at no tier: see `within_request`."""

    view: PageView | TextView
    tier: Tier | None = None
    as_text: bool = False

    @property
    def tokens(self) -> int:
        if self.as_text:
            return self.view.text_tokens
        if self.tier is None or isinstance(self.view, TextView):
            return 0
        return self.view.vision[self.tier] + self.view.overhead

    @property
    def shown(self) -> bool:
        return self.as_text or self.tier is not None

    @property
    def held(self) -> bool:
        """Whether it must stay in the context."""
        return self.view.protected if isinstance(self.view, TextView) else self.view.pinned


def turn_pictures(shows: Sequence[Show]) -> PictureLoad:
    """The pictures of turns that are sent as text."""
    return sum((show.view.pictures for show in shows if show.as_text), NO_PICTURES)


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


def run_of(view: PageView | TextView) -> tuple[str, int]:
    """What tells a view's run from its neighbours'; texts stand alone."""
    return ("run", view.run) if isinstance(view, PageView) else ("text", view.first)


def as_one_text(pages: Sequence[PageView]) -> TextView:
    """A run whose pictures do not pay, as text: whole, since turns run over the edges of its pages."""
    turns = sorted({number for page in pages for number in page.turns})
    tokens = sum(page.text_tokens for page in pages)
    pictures = sum((page.pictures for page in pages), NO_PICTURES)
    return TextView(turns[0], turns[-1], tokens, tuple(turns), any(page.pinned for page in pages), pictures)


def dearer_than_text(shows: Sequence[Show]) -> bool:
    shown = [show for show in shows if show.tier is not None]
    return bool(shown) and sum(show.tokens for show in shown) >= sum(show.view.text_tokens for show in shown)


def total_of(shows: Sequence[Show]) -> int:
    return sum(show.tokens for show in shows)
