"""Write pages into a request: the span of old entries is replaced, every other byte stays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...context.context import Context
from ...context.messages.request_outline import Kept, MissingResult, Note, Pages, outline
from ...context.plan import PageItem, Plan, TextItem
from ...context.wording import ASK_BY_NUMBER
from .raw_json import Edit, NotUnderstood, edited
from .recall.exchanges import Exchanges
from .wire.request import Request, Wire

NOTHING_HIDDEN = Exchanges({})
__all__ = ["Splice", "chain", "rewritten", "splice_of"]


@dataclass(frozen=True, slots=True)
class Splice:
    """What stands in place of the first `covered` entries of talk.

    Attributes:
        beginning: hash of all entries in front of the pages and of the covered ones; it fits requests that begin in this way only.
        parts: pages, or the number of an entry of talk that stays as it came.
        plan: the plan behind it.
        profile: name of the reader that it was made for.
        text_tokens: estimated tokens of what it replaces, as text.
        page_tokens: estimated tokens of what it sends instead.
    """

    covered: int
    beginning: bytes
    parts: tuple[Pages | int, ...]
    plan: Plan
    profile: str
    text_tokens: int
    page_tokens: int
    written: dict[tuple[int, str], bytes] = field(default_factory=dict, compare=False, repr=False)

    def message(self, part: int, wire: Wire, mark: Mapping[str, Any] | None) -> bytes:
        """Return a part that is pages as a message in JSON, in UTF-8; written once. Raises `RenderError` if a page was lost."""
        key = (part, f"{wire.name} {json.dumps(mark)}")
        known = self.written.get(key)
        if known is None:
            pages = self.parts[part]
            assert isinstance(pages, Pages)
            known = self.written[key] = wire.pages(pages, mark).encode()
        return known

    def fits(self, request: Request, profile: str) -> bool:
        """Whether it replaces the beginning of this very conversation, and leaves its newest entry."""
        talk = request.talk
        return self.profile == profile and len(talk) > self.covered and chain(request, self.covered) == self.beginning

    def sends_like(self, other: Splice) -> bool:
        """Whether both send the same: what follows the last page is text either way."""
        return (_up_to_the_last_page(self.plan), self.plan.left_out) == (_up_to_the_last_page(other.plan), other.plan.left_out)

    def shared_tokens(self, other: Splice | None) -> int:
        """Return the tokens of the first pages that both send."""
        shared = 0
        for mine, its in zip(self.plan.items, other.plan.items if other else (), strict=False):
            if not isinstance(mine, PageItem) or not isinstance(its, PageItem) or (mine.key, mine.tier) != (its.key, its.tier):
                break
            shared += mine.tokens
        return shared

    @property
    def pages(self) -> int:
        """Number of pages sent."""
        return sum(len(part.pages) for part in self.parts if isinstance(part, Pages))


def _up_to_the_last_page(plan: Plan) -> list[tuple[object, ...]]:
    items = list(plan.items)
    while items and isinstance(items[-1], TextItem):
        items.pop()
    return [(item.first, item.last) if isinstance(item, TextItem) else (item.key, item.tier) for item in items]


def chain(request: Request, covered: int) -> bytes:
    """Hash the entries up to the floor and the first `covered` entries of talk after it."""
    keys = [entry.key for entry in request.entries[: request.floor]]
    keys += [entry.key for entry in request.talk[:covered]]
    return hashlib.blake2b(b"".join((request.floor.to_bytes(4), *keys)), digest_size=16).digest()


def splice_of(context: Context, request: Request, profile: str, *, asked: bool = False) -> Splice | None:
    """Return the splice of a context of the request's talk; None if it is all text.

    Args:
        asked: whether the model can ask for turns by number.

    Raises `NotUnderstood` if a result that stays would lose its call.
    """
    plan = context.plan
    covered = plan.tail_from - 1
    parts = tuple(_parts(context, covered, asked))
    if not any(isinstance(part, Pages) for part in parts):
        return None
    kept = sum(item.tokens for item in plan.items if isinstance(item, TextItem))
    return Splice(covered, chain(request, covered), parts, plan, profile, plan.text_tokens - kept, plan.prefix_tokens - kept)


def _parts(context: Context, covered: int, asked: bool) -> Iterator[Pages | int]:
    for piece in outline(context):
        match piece:
            case Note():
                raise NotUnderstood("a result without its call")
            case Kept(number) if number <= covered:
                yield number
            case Pages(pages, framing):
                yield Pages(pages, framing if asked else framing.removesuffix(ASK_BY_NUMBER).rstrip())
            case Kept() | MissingResult():  # the tail, and calls that the client itself left open, stay as they came
                continue


def rewritten(
    request: Request, splice: Splice, wire: Wire, *, bound: int, hidden: Exchanges = NOTHING_HIDDEN, tool: Edit | None = None
) -> bytes:
    """Return the body with pages in place of the entries that the splice covers.

    Args:
        bound: number of entries when the splice was first sent; the reasoning in them may be bound to another prefix.
        hidden: exchanges that the client does not know.
        tool: the edit that adds a tool.

    Raises `NotUnderstood`, or `RenderError` if a page was lost.
    """
    tail = _position(request, splice.covered)
    mark, edits = wire.marker(request, tail)
    replaced = [request.entries[at] for at in hidden.at]
    edits = [edit for edit in edits if not any(entry.start <= edit.start < entry.end for entry in replaced)]  # with their markers
    messages = _messages(request, splice, wire, mark, tail, bound, hidden)
    edits.append(Edit(request.entries[request.floor].start, request.entries[tail].start, b"".join(each + b"," for each in messages)))
    for at in range(tail, len(request.entries)):
        edits += _edits(request, wire, at, bound, hidden)
    edits += [tool] if tool is not None else []
    return edited(request.text, edits)


def _position(request: Request, covered: int) -> int:
    """Return the place among all entries of the first entry of talk that stays."""
    places = [at for at in range(request.floor, len(request.entries)) if request.entries[at].kind == "talk"]
    if covered >= len(places):
        raise NotUnderstood("nothing would stay as text")
    return places[covered]


def _messages(
    request: Request, splice: Splice, wire: Wire, mark: Mapping[str, Any] | None, tail: int, bound: int, hidden: Exchanges
) -> list[bytes]:
    """Return the messages in place of the covered entries: pages, kept entries, and asides after the pages of their time."""
    places = [at for at in range(request.floor, tail) if request.entries[at].kind == "talk"]
    asides = [at for at in range(request.floor, tail) if request.entries[at].kind == "aside"]
    last = max(at for at, part in enumerate(splice.parts) if isinstance(part, Pages))
    messages: list[bytes] = []
    for at, part in enumerate(splice.parts):
        if isinstance(part, Pages):
            messages.append(splice.message(at, wire, mark if at == last else None))
            continue
        place = places[part - 1]
        messages += [_raw(request, wire, each, bound, hidden) for each in asides if each < place]
        asides = [each for each in asides if each > place]
        messages.append(_raw(request, wire, place, bound, hidden))
    return [*messages, *(_raw(request, wire, each, bound, hidden) for each in asides)]


def _edits(request: Request, wire: Wire, at: int, bound: int, hidden: Exchanges) -> list[Edit]:
    """Return the edits of an entry that stays: it loses reasoning, or an exchange that its client does not know comes back."""
    lost = wire.without_reasoning(request, request.entries[at]) if at < bound else []
    return lost or hidden.edits(request, at)


def _raw(request: Request, wire: Wire, at: int, bound: int, hidden: Exchanges) -> bytes:
    entry = request.entries[at]
    edits = _edits(request, wire, at, bound, hidden)
    moved = [Edit(edit.start - entry.start, edit.end - entry.start, edit.by) for edit in edits]
    return edited(request.text[entry.start : entry.end], moved)
