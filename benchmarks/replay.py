"""What a whole conversation is billed, call by call, in a reader's cache prices: as text, and as pages that are planned in several ways.

Before each of the assistant's turns the conversation so far is sent. What a request has in common with the one before it, from its first
token on, is read from the provider's prompt cache; the rest is written to it. After each quarter the user pauses for an hour, which no
cache outlives. Prices are multiples of a token of input, so a bill is in tokens too. `python -m benchmarks.replay [reader ...]`.

`--against pxpipe=FOLDER` bills real conversations instead: as text, as this library sends them, and as pxpipe's own transform functions
make them, for six models. FOLDER is a checkout of it with its modules compiled; more conversations are files that follow. Turns are sent
as above, the first `--turns` of each conversation.

The turns are those of the demo's conversation, over and over. Pages are drawn by the tests' ruled renderer: nobody looks at them.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.context.context import Context, PagePart
from optical_memory.profiles.profile import CachePrices, ReaderProfile
from optical_memory.profiles.registry import profile_of
from optical_memory.stores import open_store
from optical_memory.turns.from_messages import turn_of
from optical_memory.turns.turn import Turn
from tests.support import RuledRenderer

from . import _rivals
from ._console import open_console
from .memory import messages

READERS = ("claude", "claude-high-resolution", "gpt-5", "gpt-5.4", "gemini-3")
LENGTHS = (50, 200, 1_000)
PAUSES = 4
BETWEEN_TURNS, PAUSE = timedelta(seconds=20), timedelta(hours=1)
LOST = 1.3  # of a page's area: margins and ragged line ends, by which a page holds fewer characters than its cells would

Piece = tuple[object, int]
"""A part of a request: what tells it from others, and its tokens."""


@dataclass(frozen=True)
class Way:
    """A way to send a conversation: a memory with these settings, or text alone."""

    name: str
    remembers: bool = True
    marks: WaterMarks | None = None
    priced: bool = True


WAYS = (
    Way("text alone", remembers=False),
    Way("a boundary that moves every exchange", marks=WaterMarks(high=1_500, low=1_500), priced=False),
    Way("epochs", priced=False),
    Way("epochs that change when it pays (the default)"),
)


@dataclass
class Bill:
    """What a provider with a prompt cache asks for a series of requests."""

    prices: CachePrices
    total: float = 0.0
    _last: Sequence[Piece] = ()

    def ask(self, request: Sequence[Piece], *, lapsed: bool) -> None:
        """Bill one request; `lapsed` if the cache was cleared since the last."""
        pairs = zip(request, () if lapsed else self._last, strict=False)
        known = sum(tokens for (piece, tokens), _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        whole = sum(tokens for _, tokens in request)
        known = known if known >= (self.prices.minimum or 0) else 0
        read, write = self.prices.read if self.prices.read is not None else 1.0, self.prices.write or 1.0
        self.total += self.prices.factor(whole) * (read * known + write * (whole - known))
        self._last = request


def said(length: int, spoken: Iterable[dict[str, Any]] | None = None) -> Iterator[Turn]:
    """So many turns of a conversation, or of the demo, with times."""
    time, due = datetime(2026, 5, 1, tzinfo=UTC), [length * place // PAUSES for place in range(1, PAUSES)]
    for number, message in enumerate(itertools.islice(messages() if spoken is None else spoken, length)):
        turn = turn_of(message)
        pauses = turn.role == "user" and due and number >= due[0]
        time += PAUSE if pauses else BETWEEN_TURNS
        due = due[1:] if pauses else due
        yield turn.model_copy(update={"created_at": time})


def pieces(context: Context, cost: Callable[[Turn], int], framing: int) -> list[Piece]:
    """A request as its parts."""
    found: list[Piece] = [(context.framing, framing)] if context.framing else []
    for part in context.parts:
        if isinstance(part, PagePart):
            found.append(((part.page.key, part.tier, part.text), part.tokens))
        else:
            found += [(turn.number, cost(turn)) for turn in part.turns]
    return found


def bill(profile: ReaderProfile, way: Way, length: int) -> Bill:
    """Send a conversation of so many turns."""
    planned = profile if way.priced else profile.model_copy(update={"cache": CachePrices(seconds=profile.cache.seconds)})
    style = planned.page_style()
    width, height = style.pixel_size
    rows = int(width * height / (style.cell[0] * style.cell[1] * LOST))
    memory = OpticalMemory(store=open_store("memory://"), renderer=RuledRenderer(rows=rows), reader=planned, marks=way.marks)
    pricing = memory._builder.pricing
    billed = Bill(profile.cache)
    answered: datetime | None = None
    for turn in said(length):
        assert turn.created_at is not None
        if turn.role == "assistant" and len(memory):
            lapsed = answered is not None and (turn.created_at - answered).total_seconds() > profile.cache_seconds
            if way.remembers:
                context = memory.context()
                framing = pricing.count(context.framing) + profile.message_tokens
                request = pieces(context, pricing.cost, framing)
            else:
                request = [(each.number, pricing.cost(each)) for each in memory.turns()]
            billed.ask(request, lapsed=lapsed)
            answered = turn.created_at
        memory.append(turn)
    return billed


@dataclass(frozen=True)
class Compared:
    """What a conversation is billed as text, by this library, and by the other tool."""

    text: float
    ours: float
    theirs: float

    def __str__(self) -> str:
        if not self.text:
            return "-"
        return f"{self.text / self.ours:.2f} / {self.text / self.theirs:.2f}"


def compared(
    model: _rivals.Model, spoken: Sequence[dict[str, Any]], turns: int, rival: _rivals.Pxpipe, options: dict[str, Any]
) -> Compared:
    """Send a conversation in three ways to one model."""
    profile = profile_of(model.name)
    paged, plain = _rivals.memory_of(profile, **options), _rivals.text_only_memory(profile)
    pricing, bills = plain._builder.pricing, [Bill(profile.cache) for _ in range(3)]
    answered: datetime | None = None
    for turn in said(min(turns, len(spoken)), spoken):
        assert turn.created_at is not None
        if turn.role == "assistant" and len(paged):
            lapsed = answered is not None and (turn.created_at - answered).total_seconds() > profile.cache_seconds
            body = _rivals.wire(plain.context(), model)
            for billed, request in zip(bills, (body, _rivals.wire(paged.context(), model), rival.sent(body, model)), strict=True):
                billed.ask(_rivals.pieces_of(request, model, pricing), lapsed=lapsed)
            answered = turn.created_at
        paged.append(turn)
        plain.append(turn)
    return Compared(*(billed.total for billed in bills))


def against(folder: Path, files: Sequence[Path], turns: int, names: Sequence[str] = (), **options: Any) -> None:
    """Print a row for each conversation: times less billed than text, this library's and the other tool's, for each model."""
    models = [model for model in _rivals.MODELS if not names or model.name in names]
    table = Table("conversation", "turns", *(model.name for model in models), title="times less billed than text: ours / pxpipe's")
    rival = _rivals.Pxpipe(folder)
    for name, spoken in _rivals.conversations(files).items():
        results = [compared(model, spoken, turns, rival, options) for model in models]
        table.add_row(name, str(min(turns, len(spoken))), *map(str, results))
    rival.close()
    open_console().print(table)


def ways(names: Sequence[str]) -> None:
    """Print a row for each reader and way: the bill over that of text alone."""
    table = Table("reader", "way", title="billed tokens, in millions, and times less than text alone")
    for length in LENGTHS:
        table.add_column(f"{length:,} turns", justify="right")
    for name in names or READERS:
        profile = profile_of(name)
        plain = [bill(profile, WAYS[0], length).total for length in LENGTHS]
        for way in WAYS:
            totals = plain if way is WAYS[0] else [bill(profile, way, length).total for length in LENGTHS]
            cells = [f"{total / 1e6:.2f}, {text / total:.2f}x" for total, text in zip(totals, plain, strict=True)]
            table.add_row(name, way.name, *cells)
    open_console().print(table)


def main(arguments: Sequence[str] = ()) -> None:
    """Compare ways to send the demo, or this library with another tool."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("names", nargs="*", help="readers; with --against, models and files of conversations (*.json)")
    parser.add_argument("--against", metavar="pxpipe=FOLDER", help="bill real conversations through pxpipe too")
    parser.add_argument("--turns", type=int, default=300, help="turns of each conversation, with --against")
    parser.add_argument("--renderer", help="with --against; by default the one that needs no browser")
    given = parser.parse_args(arguments)
    if not given.against:
        return ways(given.names)
    tool, _, folder = given.against.partition("=")
    if tool != "pxpipe" or not folder:
        parser.error(f"--against {given.against!r}: only pxpipe=FOLDER is known")
    files = [Path(name) for name in given.names if name.endswith(".json")]
    models = [name for name in given.names if not name.endswith(".json")]
    return against(Path(folder), files, given.turns, models, **({"renderer": given.renderer} if given.renderer else {}))


if __name__ == "__main__":
    main(sys.argv[1:])
