"""Runs of pages: as few neighbouring pages as begin and end between units, known from their names in the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..errors import RenderError, SessionCorrupted
from ..pages.page import Page
from ..stores.base import Readable, SessionId
from ..stores.intact import intact
from ..text.excerpts import excerpt
from .codec import decode_pages

__all__ = ["PageRun", "PagesLost", "discard_runs", "merged_spans", "runs_named", "runs_with", "without_overlaps"]

OF_PAGES = ("picture", "verified")  # first parts of names whose second part is a page's key


@dataclass(frozen=True, slots=True, order=True)
class PageRun:
    """A run of pages, as parsed from its name: turns first to last, numbers of pages, turns and text tokens.

    `reach` is the last turn that one of its turns is drawn as a reference to; 0 without references.
    """

    first: int
    last: int
    pages: int
    turns: int
    text_tokens: int
    reach: int = 0

    def name(self, layout: str) -> str:
        reach = f"-{self.reach}" if self.reach else ""
        return f"run/{layout}/{self.first:09d}-{self.last:09d}-{self.pages}-{self.turns}-{self.text_tokens}{reach}"

    @classmethod
    def parse(cls, name: str) -> PageRun:
        """The run behind a name in the store. Raises `ValueError` for a name of another form."""
        parts = name.rpartition("/")[2].split("-")
        numbers = [int(part) for part in parts if part.isdecimal() and len(part) < 20]
        if len(parts) != len(numbers) or len(parts) not in (5, 6) or not 1 <= numbers[0] <= numbers[1]:
            raise ValueError(f"{excerpt(name)} is not the name of a run: expected run/LAYOUT/FIRST-LAST-PAGES-TURNS-TOKENS[-REACH]")
        return cls(*numbers)


class PagesLost(RenderError):
    """Records or images of sealed pages are missing or damaged and cannot be restored; the turns of `runs` can be sealed again."""

    def __init__(self, runs: Sequence[PageRun], why: str) -> None:
        where = f"pages of turns #{min(runs).first} to #{max(runs).last}" if runs else "pages of the plan"
        super().__init__(f"{where} are lost: {why}")
        self.runs, self.why = tuple(sorted(set(runs))), why


def runs_with(store: Readable, session: SessionId, numbers: Sequence[int]) -> list[str]:
    """Return the names of all runs, in any layout, that hold one of the turns `numbers`, or refer to it: that tells its words."""
    names = store.names(session, "run/")
    holding = [name for name in names if _may_hold(name, numbers)]
    others = sorted(set(names).difference(holding))
    reaching = [name for name in others if _may_refer(name, numbers)]
    records = intact(store, session, reaching) if reaching else {}
    return holding + [name for name in reaching if name not in records or _refers(records[name], numbers)]


def _may_hold(name: str, numbers: Sequence[int]) -> bool:
    """Whether the run of this name may hold one of the turns; True for a name that cannot be parsed."""
    try:
        run = PageRun.parse(name)
    except ValueError:
        return True
    return any(run.first <= number <= run.last for number in numbers)


def _may_refer(name: str, numbers: Sequence[int]) -> bool:
    run = PageRun.parse(name)
    return any(run.last < number <= run.reach for number in numbers)


def _refers(record: bytes, numbers: Sequence[int]) -> bool:
    """Whether a run's record has a reference to one of the turns; True for a damaged record."""
    try:
        return any(reference.of in numbers for page in decode_pages(record) for reference in page.same_as)
    except SessionCorrupted:
        return True


def runs_named(names: Sequence[str]) -> list[PageRun]:
    """Parse runs from their names; skips names of another form."""
    runs = []
    for name in names:
        with suppress(ValueError):
            runs.append(PageRun.parse(name))
    return runs


def without_overlaps(runs: Sequence[PageRun]) -> list[PageRun]:
    """Sort runs, and drop those that overlap an earlier one.

    Of runs with the same first turn, the longest is kept; of the same long unit, the one with most of its sections.
    """
    kept: list[PageRun] = []
    for run in sorted(runs, key=lambda run: (run.first, -run.last, -run.pages, run)):
        if not kept or run.first > kept[-1].last:
            kept.append(run)
    return kept


def merged_spans(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sort spans of turns (first, last), and merge adjacent ones."""
    current: tuple[int, int] | None = None
    for first, last in sorted(spans):
        if current and first <= current[1] + 1:
            current = (current[0], max(current[1], last))
            continue
        if current:
            yield current
        current = (first, last)
    if current:
        yield current


def discard_runs(store: Readable, session: SessionId, names: Sequence[str], *, also: Sequence[str] = ()) -> int:
    """Discard runs, the images and verdicts of their pages, and the names `also`; return the number of pages.

    Includes damaged records. One call to the store, since it may rewrite its files to remove the bytes.
    """
    pages, unreadable = _decoded(store, session, names)
    of_pages = [name for page in pages for kind in OF_PAGES for name in store.names(session, f"{kind}/{page.key}/")]
    if unreadable:  # which images are theirs is not known: all go that no other run names
        of_pages += _orphans(store, session, [name for name in store.names(session, "run/") if name not in names])
    store.discard(session, [*names, *dict.fromkeys(of_pages), *also])
    return len(pages) + sum(run.pages for run in runs_named(unreadable))


def _decoded(store: Readable, session: SessionId, names: Sequence[str]) -> tuple[list[Page], list[str]]:
    """The pages of runs, and the names of those whose record cannot be read."""
    records = intact(store, session, names)
    pages: list[Page] = []
    unreadable = [name for name in names if name not in records]
    for name, record in records.items():
        try:
            pages += decode_pages(record)
        except SessionCorrupted:
            unreadable.append(name)
    return pages, unreadable


def _orphans(store: Readable, session: SessionId, kept: Sequence[str]) -> list[str]:
    """Images and verdicts of pages that no readable run of `kept` has. Those that are needed are made again."""
    keys = {page.key for page in _decoded(store, session, kept)[0]}
    return [name for kind in OF_PAGES for name in store.names(session, f"{kind}/") if name.split("/")[1] not in keys]
