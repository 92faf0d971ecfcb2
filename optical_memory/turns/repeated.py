"""Turns whose words another turn has, byte for byte: drawn as a reference to it, `#12 same as #41`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .exchanges import Exchange
from .turn import Content, ReasoningContent, TextContent, ToolResultContent, Turn

__all__ = ["RepeatedTurn", "Words", "repeated", "with_references", "words_of_turn"]

Words = tuple[str, tuple[tuple[str, bool], ...]]  # kind of turn, and its texts, each with whether it is an error
RESULT = "result"  # kind of a tool's result, in every provider's shape


class RepeatedTurn(Turn):
    """A turn as it is drawn where turn `same_as` has its words: without them. Never stored."""

    same_as: int


def repeated(turn: Turn, same_as: int) -> RepeatedTurn:
    """Return `turn` as a reference. Results keep their call's id, since turns are grouped by it."""
    fields = {name: getattr(turn, name) for name in Turn.model_fields}
    return RepeatedTurn(**{**fields, "content": _emptied(turn.content), "extra": {}, "same_as": same_as})


def with_references(exchanges: Sequence[Exchange], same: Mapping[int, int]) -> list[Exchange]:
    """Replace the turns that `same` maps to another turn's number by references to it."""
    if not same:
        return list(exchanges)
    return [
        tuple(tuple(repeated(turn, same[turn.number]) if turn.number in same else turn for turn in unit) for unit in exchange)
        for exchange in exchanges
    ]


def words_of_turn(turn: Turn) -> Words | None:
    """Return what must be equal for one turn to stand for another: kind and words. None for one with calls, images, reasoning or no words.

    A result is the same whether it is a message of its own or a part of one; only whole messages are compared.
    """
    texts: list[tuple[str, bool]] = []
    kinds: set[str] = set()
    for part in turn.parts:
        if isinstance(part, ReasoningContent) and not part.text:
            continue
        items = _items(part) if isinstance(part, ToolResultContent) else [part]
        for item in items:
            if not isinstance(item, TextContent):
                return None
            texts.append((item.text, part.is_error if isinstance(part, ToolResultContent) else turn.failed))
        kinds.add(RESULT if isinstance(part, ToolResultContent) or turn.role == "tool" else turn.role)
    if turn.tool_calls or len(kinds) != 1 or (turn.extra and len(turn.drawn) > len(turn.parts)):
        return None
    return kinds.pop(), tuple(texts)


def _items(part: ToolResultContent) -> Sequence[object]:
    return [TextContent(text=part.content)] if isinstance(part.content, str) else part.content


def _emptied(content: Content) -> Content:
    if isinstance(content, str):
        return ""
    results = (part for part in content if isinstance(part, ToolResultContent))
    return tuple(ToolResultContent(tool_call_id=part.tool_call_id) for part in results)
