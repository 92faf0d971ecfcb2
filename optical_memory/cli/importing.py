"""What `optical-memory import` does with conversations: read them from a file, a folder or a stream, store them, and say what was new."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .options import print_json

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ..imports import Imported

__all__ = ["first_line", "import_conversations", "opened", "spooled"]

SQLITE = "sqlite://"  # the store that puts indexing off until a session is searched
MANY = 1_000  # turns that are indexed in less than a second

IN_MEMORY = 32 << 20  # bytes of standard input
LONGEST_HEAD = 1 << 16  # bytes of a first line that are looked at


@contextmanager
def spooled(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """All of a stream, so that it can be read twice: in memory, or in a temporary file if it is large."""
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as kept:
        shutil.copyfileobj(stream, kept)
        kept.seek(0)
        yield kept


def opened(source: Path | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    """A stream of bytes from the beginning."""
    if isinstance(source, Path):
        return source.open("rb")
    source.seek(0)
    return nullcontext(source)


def first_line(source: Path | IO[bytes]) -> str:
    """The first line, or its beginning; empty for a folder."""
    if isinstance(source, Path) and source.is_dir():
        return ""
    with opened(source) as stream:
        return stream.readline(LONGEST_HEAD).decode("utf-8-sig", "replace")


def import_conversations(
    source: Path | IO[bytes], label: str, session: str | None, *, store: str | None, tenant: str, redact: bool, as_json: bool
) -> None:
    """Import every conversation and print the counts. Raises what `imports.import_into` raises."""
    from ..imports import import_into
    from .output import note

    with ExitStack() as bars:
        done = import_into(store, source, session=session, tenant=tenant, redact=redact, label=label, progress=_bars(bars))
    if as_json:
        print_json(_counts(done[0]) if len(done) == 1 else _all_counts(done))
    else:
        print("\n".join(_sentences(done)))
    if (store or SQLITE).startswith(SQLITE) and sum(one.new for one in done) >= MANY:
        note("The first search of an imported session indexes it, and takes longer than the next ones.")


def _bars(bars: ExitStack) -> Callable[[str, int, int | None], None]:
    """A bar for each step, drawn by what is called."""
    from .output import progress

    at: dict[str, Callable[[int], None]] = {}

    def advance(step: str, done: int, total: int | None) -> None:
        if step not in at:
            bars.close()  # the bar of the step before
            at[step] = bars.enter_context(progress(step, total))
        at[step](1)

    return advance


def _counts(one: Imported) -> dict[str, Any]:
    return {"session": one.session, "new": one.new, "known": one.known, "last": one.last}


def _all_counts(done: list[Imported]) -> dict[str, Any]:
    sessions = [_counts(one) | {"title": one.title, "format": one.format} for one in done]
    return {"sessions": sessions, "new": sum(one.new for one in done), "known": sum(one.known for one in done)}


def _sentences(done: list[Imported]) -> Iterator[str]:
    from ..text.labels import label_text

    if len(done) == 1:
        yield f"{done[0].new} new turns, {done[0].known} already there; session {done[0].session!r} ends at #{done[0].last}"
        return
    for one in done:
        yield f"{one.session}  {one.new} new, {one.known} already there{f'  {label_text(one.title)}' if one.title else ''}"
    new, known = sum(one.new for one in done), sum(one.known for one in done)
    yield f"{new} new turns, {known} already there, in {len({one.session for one in done})} sessions"
