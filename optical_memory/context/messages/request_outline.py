"""Outline a request in terms of the caller's own messages.

A framework's messages are referred to by number and sent unchanged. Between them come pages, and what providers require: a note for a
result whose call has moved to a page, and a result for a call that was never answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from ...turns.turn import TextContent, Turn
from ..context import Context, PagePart, TextPart
from .tool_pairs import NO_RESULT, Message, paired

__all__ = ["FIRST", "Kept", "MissingResult", "Note", "Pages", "Piece", "grouped", "is_newest", "outline", "stale_reasoning"]


@dataclass(frozen=True, slots=True)
class Kept:
    """The caller's message `number`, from 1, unchanged; without its reasoning if `stale`.

    `ids`: what to send as the ids of its calls, or of the calls that it answers, in order: some of its own are the same. Empty: its own.
    """

    number: int
    stale: bool = False
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pages:
    """Adjacent pages; `framing` precedes the first pages of a context."""

    pages: tuple[PagePart, ...]
    framing: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A user's message in place of results in message `number` whose calls are not sent."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class MissingResult:
    """A substitute result for a call of message `number` that was never answered.

    `call_id` is the id that is sent; `own_id` that of the caller's message if it is another.
    """

    number: int
    call_id: str
    text: str = NO_RESULT
    own_id: str = ""


FIRST = "[The assistant began this conversation.]"  # before a greeting, for providers that want the user first

Piece = Kept | Pages | Note | MissingResult


def stale_reasoning(context: Context) -> int:
    """Return the number of the last message written before the prefix last changed.

    Providers bind reasoning blocks to everything before them (Anthropic's preserved thinking) and reject blocks bound to another prefix.
    """
    return context.plan.changed_at


def outline(context: Context, *, followed: bool = False) -> Iterator[Piece]:
    """Yield what to send, in order.

    Args:
        followed: whether a message outside the context, which answers none of its calls, comes right after it.
    """
    stale = stale_reasoning(context)
    sent: set[int] = set()
    for group in grouped(context):
        if isinstance(group, Pages):
            yield group
            continue
        for message in paired(group, newest=not followed and is_newest(group, context), apart=True):
            yield from _pieces(message, stale, sent)


def _pieces(message: Message, stale: int, sent: set[int]) -> Iterator[Piece]:
    """Yield the pieces of a message, except turns in `sent`: a turn that answers a call and says more is still one message."""
    turn = message.turn
    if turn is None:
        return
    if not turn.id:  # made here: a result without its call
        yield Note(turn.number, "".join(part.text for part in message.said if isinstance(part, TextContent)))
        return
    if turn.number not in sent:
        yield Kept(turn.number, turn.number <= stale, message.sent_ids)
        sent.add(turn.number)
    for result in message.results:
        sent_id = result.sent_id or result.call_id
        if result.turn == turn.number:
            yield MissingResult(turn.number, sent_id, own_id=result.call_id if sent_id != result.call_id else "")
        elif result.turn not in sent:
            answers = [(other.sent_id or other.call_id, other.call_id) for other in message.results if other.turn == result.turn]
            ids = tuple(sent for sent, _ in answers) if any(sent != own for sent, own in answers) else ()
            yield Kept(result.turn, result.turn <= stale, ids)
            sent.add(result.turn)


def grouped(context: Context) -> Iterator[Sequence[Turn] | Pages]:
    """Yield texts and pages in order, adjacent pages grouped; the framing comes after the opening system turns."""
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
    """Split off the system turns that a session begins with."""
    first, *rest = context.parts or (TextPart((), 0),)
    if not isinstance(first, TextPart):
        return (), context.parts
    opening = tuple(takewhile(lambda turn: turn.role in ("system", "developer"), first.turns))
    others = first.turns[len(opening) :]
    return opening, ([TextPart(others, 0), *rest] if others else rest)


def is_newest(turns: Sequence[Turn], context: Context) -> bool:
    """Whether `turns` end the context, so that their last calls may still be answered."""
    last = context.parts[-1]
    return isinstance(last, TextPart) and turns[-1] is last.turns[-1]
