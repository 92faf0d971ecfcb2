"""A session as it stands in a store: its plans, pages and turns. Reads alone; draws nothing, and makes no plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ...archive.codec import decode_pages
from ...archive.page_archive import sealed_name
from ...archive.page_runs import PageRun
from ...context.plan import PageItem, Plan
from ...errors import SessionCorrupted, UnknownName
from ...memory.plan_history import PastPlan, past_plans
from ...pages.page import Page, PageStyle
from ...pages.tiers import Tier
from ...profiles.pricing import Pricing
from ...profiles.profile import ReaderProfile
from ...profiles.registry import profile_of
from ...renderers.png import resize
from ...stores.base import SessionId, Store
from ...stores.intact import intact
from ...turns.turn import Turn

__all__ = ["SessionView", "Stretch"]

PLAN = "plan/"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring turns that a context shows in one way.

    Attributes:
        kind: `page`, `text`, `left out`, or `tail` (the newest turns, as text).
        first, last: numbers of its turns.
        tokens: its cost in the reader's tokens; 0 if it is left out.
        page: the page; None for the other kinds.
    """

    kind: str
    first: int
    last: int
    tokens: int
    page: PageItem | None = None

    @property
    def css_class(self) -> str:
        """Tier of a page, else the kind, as one word."""
        return self.page.tier.label if self.page else self.kind.replace(" ", "-")


class SessionView:
    """What a store holds of a session for one reader. Every method raises `StoreError` as the store does.

    Args:
        reader: whose plan is looked at; the one with the newest plan by default.
    """

    has_words = True  # whether the store has the words of the turns

    def __init__(self, store: Store, session: SessionId, reader: str | None = None) -> None:
        self._store, self.session = store, session
        self.readers = sorted(name.removeprefix(PLAN) for name in store.names(session, PLAN))
        self.reader = reader if reader in self.readers else self._newest_reader()

    def _newest_reader(self) -> str:
        made = {reader: past[-1].made for reader in self.readers if (past := past_plans(self._store, self.session, reader))}
        return max(self.readers, key=lambda reader: made[reader].timestamp() if reader in made else 0.0, default="")

    @cached_property
    def profile(self) -> ReaderProfile | None:
        """The reader's profile; None for a reader that this process does not know."""
        try:
            return profile_of(self.reader)
        except (UnknownName, ValueError):
            return None

    @cached_property
    def pricing(self) -> Pricing:
        """Prices text as the reader does, or as the default reader."""
        return Pricing(self.profile or profile_of("deepseek-ocr"))

    # -- plans ---------------------------------------------------------------------------------------------------------------------

    @cached_property
    def plan(self) -> Plan | None:
        """The plan in use; None before the first context."""
        name = f"{PLAN}{self.reader}"
        data = intact(self._store, self.session, [name]).get(name) if self.reader else None
        try:
            return Plan.model_validate_json(data) if data else None
        except ValueError:  # damaged, or of another release
            return None

    @cached_property
    def past(self) -> list[PastPlan]:
        """The last plans of the reader, oldest first, with the one in use."""
        return past_plans(self._store, self.session, self.reader) if self.reader else []

    @cached_property
    def length(self) -> int:
        """Number of the newest turn."""
        return self._store.length(self.session)

    def stretches(self, plan: Plan | None, length: int | None = None) -> list[Stretch]:
        """Return the whole past in order, as a plan shows it.

        Args:
            length: number of the newest turn; the session's by default.
        """
        length = self.length if length is None else length
        if plan is None:
            return [Stretch("tail", 1, length, 0)] if length else []
        found = [
            Stretch("page", item.first, item.last, item.tokens, item)
            if isinstance(item, PageItem)
            else Stretch("text", item.first, item.last, item.tokens)
            for item in plan.items
        ]
        found += [Stretch("left out", first, last, 0) for first, last in plan.left_out]
        if plan.tail_from <= length:
            found.append(Stretch("tail", plan.tail_from, length, 0))
        return sorted(found, key=lambda each: (each.first, each.last, each.page.index if each.page else 0))

    # -- pages ---------------------------------------------------------------------------------------------------------------------

    def pages(self, items: Sequence[PageItem]) -> dict[str, Page]:
        """Return the pages of a plan by key; those whose record is gone or damaged are absent."""
        wanted = {item.key for item in items}
        runs = [name for name, run in self._runs() if any(run.first <= item.last and item.first <= run.last for item in items)]
        records = intact(self._store, self.session, runs) if runs else {}
        found = {page.key: page for data in records.values() for page in _decoded(data) if page.key in wanted}
        return {item.key: self._bound(found[item.key], item.index) for item in items if item.key in found}

    def _runs(self) -> Iterator[tuple[str, PageRun]]:
        for name in self._store.names(self.session, "run/"):
            try:
                yield name, PageRun.parse(name)
            except ValueError:
                continue

    def _bound(self, page: Page, index: int) -> Page:
        profile = self.profile
        if profile is None:
            return replace(page, index=index)
        return replace(page, index=index, size_of=lambda page, tier: profile.shown_size(page.width, page.height, tier, page.canvas))

    def picture(self, page: Page, tier: Tier) -> bytes | None:
        """Return a page at a tier, PNG, as a context sends it; None if its image is not in the store: the next context draws it again."""
        size = page.size(tier)
        names = [f"picture/{page.key}/{max(size)}-shaped", f"picture/{page.key}/{max(size)}", sealed_name(page)]
        if size == (page.width, page.height):
            names = names[2:]
        found = intact(self._store, self.session, names)
        name = next((name for name in names if name in found), None)
        if name is None:
            return None
        if name != sealed_name(page) or size == (page.width, page.height):
            return found[name]
        style = self.profile.page_style() if self.profile else PageStyle()
        return resize(found[name], size, style.faint_levels if size[0] < page.width else style.grey_levels)

    def tiers(self, page: Page) -> list[Tier]:
        """Return the tiers of the reader at which a page has different sizes, sharpest first."""
        tiers = self.profile.ladder if self.profile and self.profile.ladder else tuple(Tier)
        sizes = {page.size(tier): tier for tier in sorted(tiers, reverse=True)}
        return sorted(sizes.values(), reverse=True)

    # -- turns ---------------------------------------------------------------------------------------------------------------------

    def turns(self, first: int, last: int) -> dict[int, Turn]:
        """Return the turns first to last, by number; erased ones are absent."""
        return {turn.number: turn for turn in self._store.read(self.session, max(1, first), last + 1)}

    def search(self, query: str, limit: int) -> list[Turn]:
        """Return the turns that match, best first, as `OpticalMemory.recall` does."""
        from ...memory.recall import Period, Recall

        return Recall(self._store, self.session).saying(query, limit, Period())


def _decoded(record: bytes) -> list[Page]:
    try:
        return decode_pages(record)
    except SessionCorrupted:
        return []
