"""Convert turns to messages in which every tool call precedes its results and every result has its call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...turns.turn import ImageContent, ReasoningContent, TextContent, ToolResultContent, Turn

__all__ = ["Message", "Result", "paired"]

Inner = TextContent | ImageContent
NO_RESULT = "[no result was recorded]"


@dataclass(frozen=True, slots=True)
class Result:
    """A tool result, from either shape (OpenAI's message, Anthropic's block)."""

    call_id: str
    content: str | tuple[Inner, ...]
    turn: int
    name: str | None = None
    is_error: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextContent))

    @property
    def images(self) -> tuple[ImageContent, ...]:
        return () if isinstance(self.content, str) else tuple(part for part in self.content if isinstance(part, ImageContent))


@dataclass(frozen=True, slots=True)
class Message:
    """A turn without its own tool results, and the results of its calls."""

    turn: Turn | None
    content: str | tuple[Inner | ReasoningContent, ...]
    results: tuple[Result, ...] = ()


def paired(turns: Sequence[Turn], *, newest: bool = True) -> Iterator[Message]:
    """Yield messages for `turns`, in order. Results move to their call, or become notes; unanswered calls get a substitute result.
    Args:
        newest: whether `turns` end the context, so that results of the last calls may still come.
    """
    matched, answers = _match(turns)
    strays = [[result for result in _results(turn) if (turn.number, result.call_id) not in matched] for turn in turns]
    said = [place for place, turn in enumerate(turns) if strays[place] or _speaks(turn)]
    last_said = said[-1] if said and newest else len(turns)
    for place, turn in enumerate(turns):
        for result in strays[place]:
            yield _note(result)
        if turn.role == "tool":
            continue
        if turn.tool_calls:
            yield Message(turn, _own_content(turn), tuple(_answers(turn, answers.get(place, {}), went_on=place < last_said)))
        elif _speaks(turn):
            yield Message(turn, _own_content(turn))


def _match(turns: Sequence[Turn]) -> tuple[set[tuple[int, str]], dict[int, dict[str, Result]]]:
    """Match results to calls. Returns the matched (turn number, call id), and for each calling position its results by call id.

    A result answers the nearest earlier call of its id that is still open; a second result of one call is unmatched.
    """
    open_at: dict[str, list[int]] = {}
    matched: set[tuple[int, str]] = set()
    answers: dict[int, dict[str, Result]] = {}
    for place, turn in enumerate(turns):
        for result in _results(turn):
            if callers := open_at.get(result.call_id):
                matched.add((turn.number, result.call_id))
                answers.setdefault(callers.pop(), {})[result.call_id] = result
        for call in turn.tool_calls:
            open_at.setdefault(call.id, []).append(place)
    return matched, answers


def _answers(turn: Turn, results: dict[str, Result], *, went_on: bool) -> Iterator[Result]:
    """Yield the results of a turn's calls, in the order of the calls. A call is open while only tool results follow it."""
    for call in turn.tool_calls:
        if call.id in results:
            yield results[call.id]
        elif went_on:
            yield Result(call.id, NO_RESULT, turn.number)


def _results(turn: Turn) -> list[Result]:
    if turn.role == "tool" and turn.tool_call_id:
        said = turn.content
        content = said if isinstance(said, str) else tuple(part for part in said if isinstance(part, TextContent | ImageContent))
        return [Result(turn.tool_call_id, content, turn.number, turn.name, extra=turn.extra)]
    if isinstance(turn.content, str):
        return []
    parts = [part for part in turn.content if isinstance(part, ToolResultContent)]
    return [Result(part.tool_call_id, part.content, turn.number, is_error=part.is_error) for part in parts]


def _speaks(turn: Turn) -> bool:
    """Whether a turn holds more than tool results."""
    return turn.role != "tool" and (not _results(turn) or bool(_own_content(turn)))


def _own_content(turn: Turn) -> str | tuple[Inner | ReasoningContent, ...]:
    """Return a turn's content without tool results."""
    if isinstance(turn.content, str):
        return turn.content
    return tuple(part for part in turn.content if not isinstance(part, ToolResultContent))


def _note(result: Result) -> Message:
    """Convert a result without its call to a user's note."""
    head = f"[result of an earlier tool call{f' of {result.name}' if result.name else ''}, turn #{result.turn}]\n"
    turn = Turn(number=result.turn, role="user", content=head)
    return Message(turn, (TextContent(text=head + result.text), *result.images))
