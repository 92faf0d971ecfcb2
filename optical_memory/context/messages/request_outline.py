"""A context as an order of things to send, in terms of the caller's own messages.

What a framework gave comes back untouched, by number. Between it stand pages, and what has to be said so that a provider takes the request:
a result whose call has moved to a page is a note, and a call that was given up gets a result that says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from ...turns.turn import TextContent, Turn
from ..context import Context, PagePart, TextPart
from .tool_pairs import NO_RESULT, Message, paired

__all__ = ["Kept", "MissingResult", "Note", "Pages", "Piece", "grouped", "is_newest", "outline", "stale_reasoning"]


@dataclass(frozen=True, slots=True)
class Kept:
    """The caller's message `number`, from 1, as it is; its reasoning no longer holds if `stale`."""

    number: int
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages that follow each other; `framing` stands before the first of all."""

    pages: tuple[PagePart, ...]
    framing: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A user's message in place of result(s) in message `number` that no call in sight waits for."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class MissingResult:
    """The result of a call of message `number` that was never answered."""

    number: int
    call_id: str
    text: str = NO_RESULT


Piece = Kept | Pages | Note | MissingResult


def stale_reasoning(context: Context) -> int:
    """Messages up to this number were written before the prefix last changed.

    Providers bind reasoning blocks to everything before them (Anthropic's preserved thinking) and reject what was bound to something else.
    """
    return context.plan.changed_at


def outline(context: Context, *, followed: bool = False) -> Iterator[Piece]:
    """What to send, in order.

    Args:
        followed: a message that is not in the context, and answers none of its calls, comes right after it.
    """
    stale = stale_reasoning(context)
    sent: set[int] = set()
    for group in grouped(context):
        if isinstance(group, Pages):
            yield group
            continue
        for message in paired(group, newest=not followed and is_newest(group, context)):
            yield from _pieces(message, stale, sent)


def _pieces(message: Message, stale: int, sent: set[int]) -> Iterator[Piece]:
    """The pieces of a message; a turn in `sent` has come already: one that answers a call and says more is one message still."""
    turn = message.turn
    if turn is None:
        return
    if not turn.id:  # made here: a result without its call
        yield Note(turn.number, "".join(part.text for part in message.content if isinstance(part, TextContent)))
        return
    if turn.number not in sent:
        yield Kept(turn.number, turn.number <= stale)
        sent.add(turn.number)
    for result in message.results:
        if result.turn == turn.number:
            yield MissingResult(turn.number, result.call_id)
        elif result.turn not in sent:
            yield Kept(result.turn, result.turn <= stale)
            sent.add(result.turn)


def grouped(context: Context) -> Iterator[Sequence[Turn] | Pages]:
    """Texts and pictures in order; pages that follow each other are together, the framing stands after the system's opening words."""
    opening, parts = _opening(context)
    if opening:
        yield opening
    framing, pages = context.framing, list[PagePart]()
    for part in parts:
        if isinstance(part, PagePart):
            pages.append(part)
            continue
        if pages or framing:
            yield Pages(tuple(pages), framing)
            framing, pages = "", []
        yield part.turns
    if pages or framing:
        yield Pages(tuple(pages), framing)


def _opening(context: Context) -> tuple[Sequence[Turn], Sequence[TextPart | PagePart]]:
    """The system turns that a session begins with, and the parts after them."""
    first, *rest = context.parts or (TextPart((), 0),)
    if not isinstance(first, TextPart):
        return (), context.parts
    opening = tuple(takewhile(lambda turn: turn.role in ("system", "developer"), first.turns))
    others = first.turns[len(opening) :]
    return opening, ([TextPart(others, 0), *rest] if others else rest)


def is_newest(turns: Sequence[Turn], context: Context) -> bool:
    """Whether nothing follows `turns`, so that their last calls may still be answered."""
    last = context.parts[-1]
    return isinstance(last, TextPart) and turns[-1] is last.turns[-1]
