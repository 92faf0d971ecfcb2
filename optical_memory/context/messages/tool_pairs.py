"""Convert turns to messages in which every tool call precedes its results and every result has its call."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...text.labels import label_text
from ...turns.turn import ImageContent, ReasoningContent, TextContent, ToolResultContent, Turn

__all__ = ["Message", "Result", "paired"]

Inner = TextContent | ImageContent
NAME_LENGTH = 60  # characters of a tool's name in a note
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
    """A turn without its own tool results, and the results of its calls, in the order of their arrival.

    `is_open`: results of its calls may still come, so that nothing may be added after them yet.
    """

    turn: Turn | None
    content: str | tuple[Inner | ReasoningContent, ...]
    results: tuple[Result, ...] = ()
    is_open: bool = False


def paired(turns: Sequence[Turn], *, newest: bool = True) -> Iterator[Message]:
    """Yield messages for `turns`, in order. Results move to their call, or become notes; unanswered calls get a substitute result.

    A call waits for its result until the next turn that says something. It gets the substitute then, after the results that came in time,
    and a result that comes later becomes a note of the user's: a request for more turns begins with all of the request for fewer.

    Args:
        newest: whether `turns` end the context, so that results of the last calls may still come.
    """
    calling = _Calling(None)
    known: set[str] = set()
    for turn in turns:
        speaks = _speaks(turn)
        calling.take(_results(turn), known, goes_on=speaks)
        if not calling.waiting:
            yield from calling.messages()
            calling = _Calling(None)
        if speaks and turn.tool_calls:
            calling = _Calling(turn)
            known.update(calling.waiting)
        elif speaks:
            yield Message(turn, _own_content(turn))
    if not newest:
        calling.give_up()
    yield from calling.messages()


class _Calling:
    """A turn whose calls wait for results; without one, only notes.

    Attributes:
        waiting: ids of the calls without a result.
        results: in the order of their arrival.
        notes: of results that no call waits for. They are sent once none waits: a note between a call and its result is rejected.
    """

    def __init__(self, turn: Turn | None) -> None:
        self.turn = turn
        self.waiting = [call.id for call in turn.tool_calls] if turn else []
        self.results: list[Result] = []
        self.notes: list[Message] = []

    def take(self, results: Sequence[Result], known: Collection[str], *, goes_on: bool) -> None:
        """Take the results of one turn.

        Args:
            known: ids of the calls so far; a result of another one, whose call is not sent, ends the waiting.
            goes_on: whether the turn says something too, which ends the waiting.
        """
        came, strays = [], []
        for result in results:
            if result.call_id in self.waiting:
                self.waiting.remove(result.call_id)
                came.append(result)
            else:
                strays.append(result)
        if goes_on or any(stray.call_id not in known for stray in strays):
            self.give_up()  # before the results of this turn: a framework sends what it says together with them
        self.results += came
        self.notes += map(_note, strays)

    def give_up(self) -> None:
        """Give every call that still waits a substitute."""
        assert self.turn is not None or not self.waiting
        self.results += [Result(call_id, NO_RESULT, self.turn.number) for call_id in self.waiting if self.turn]
        self.waiting = []

    def messages(self) -> Iterator[Message]:
        """Yield the message with the results so far, and the notes once no call waits."""
        if self.turn:
            yield Message(self.turn, _own_content(self.turn), tuple(self.results), is_open=bool(self.waiting))
        if not self.waiting:
            yield from self.notes


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
    return turn.role != "tool" and (not _results(turn) or bool(turn.tool_calls) or bool(_own_content(turn)))


def _own_content(turn: Turn) -> str | tuple[Inner | ReasoningContent, ...]:
    """Return a turn's content without tool results."""
    if isinstance(turn.content, str):
        return turn.content
    return tuple(part for part in turn.content if not isinstance(part, ToolResultContent))


def _note(result: Result) -> Message:
    """Convert a result without its call to a user's note."""
    name = label_text(result.name or "", NAME_LENGTH)
    head = f"[result of an earlier tool call{f' of {name}' if name else ''}, turn #{result.turn}]\n"
    turn = Turn(number=result.turn, role="user", content=head)
    return Message(turn, (TextContent(text=head + result.text), *result.images))
