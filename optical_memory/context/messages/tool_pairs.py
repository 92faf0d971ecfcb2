"""Convert turns to messages in which every tool call precedes its results and every result has its call."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from ...text.labels import label_text
from ...turns.turn import (
    CallPlace,
    ImageContent,
    OtherContent,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolResultContent,
    Turn,
    is_failure,
    part_text,
)

__all__ = ["NO_RESULT", "Message", "Result", "failing", "paired"]

Inner = TextContent | ImageContent | OtherContent
Own = TextContent | ImageContent | OtherContent | ReasoningContent | CallPlace
NAME_LENGTH = 60  # characters of a tool's name in a note
NO_RESULT = "[no result was recorded]"


@dataclass(frozen=True, slots=True)
class Result:
    """A tool result, from either shape (OpenAI's message, Anthropic's block).

    `place` is that of its call among the calls of its message: ids repeat, places do not. `sent_id` is the id to send if it is another.
    """

    call_id: str
    content: str | tuple[Inner, ...]
    turn: int
    name: str | None = None
    is_error: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    place: int = -1
    sent_id: str = ""

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part_text(part) for part in self.content if not isinstance(part, ImageContent))

    @property
    def images(self) -> tuple[ImageContent, ...]:
        return () if isinstance(self.content, str) else tuple(part for part in self.content if isinstance(part, ImageContent))


@dataclass(frozen=True, slots=True)
class Message:
    """A turn without its own tool results, and the results of its calls, in the order of their arrival.

    `is_open`: results of its calls may still come, so that nothing may be added after them yet.
    `sent_ids`: ids to send for its calls, if they are others than their own, since some of these are the same.
    """

    turn: Turn | None
    content: str | tuple[Own, ...]
    results: tuple[Result, ...] = ()
    is_open: bool = False
    sent_ids: tuple[str, ...] = ()

    @property
    def said(self) -> tuple[Own, ...]:
        """The content as parts."""
        return (TextContent(text=self.content),) if isinstance(self.content, str) else self.content


def paired(turns: Sequence[Turn], *, newest: bool = True, apart: bool = False) -> Iterator[Message]:
    """Yield messages for `turns`, in order. Results move to their call, or become notes; unanswered calls get a substitute result.

    A call waits for its result until the next turn of another speaker. It gets the substitute then, after the results that came in time,
    and a result that comes later becomes a note of the user's: a request for more turns begins with all of the request for fewer.
    Calls with the same id get their results in the order in which both came.

    Turns of the assistant's that follow each other while calls wait are one message whose parts were stored one by one.

    Args:
        newest: whether `turns` end the context, so that results of the last calls may still come.
        apart: leave every turn a message of its own, for those who send the messages that the turns were made of.
    """
    calling = _Calling()
    known: set[str] = set()
    for turn in turns:
        for step, results in [(turn, _results(turn))] if apart else _steps(turn):
            speaks = step is not None and _speaks(step)
            joins = speaks and turn.role == "assistant" and not results and calling.goes_on_with(turn)
            calling.take(results, known, goes_on=speaks and not joins)
            if not calling.waiting:
                yield from calling.messages(apart)
                calling = _Calling()
            if step is None or not speaks:
                continue
            if step.tool_calls or joins:
                calling.make(step, waiting=apart)
                known.update(call.id for call in step.tool_calls)
            else:
                yield Message(step, _own_content(step))
    if not newest:
        calling.give_up()
    yield from calling.messages(apart)


def _steps(turn: Turn) -> Iterator[tuple[Turn | None, list[Result]]]:
    """Split a turn that holds calls and their results (as user interfaces keep an answer) after each group of results.

    Yields what was said, None for nothing, with the results that came before. Other turns are yielded as they are.
    """
    if len(turn.tool_calls) == len(turn.waiting_calls):
        yield turn, _results(turn)
        return
    placed = {part.place for part in turn.parts if isinstance(part, CallPlace)}
    rest = [CallPlace(place=place) for place in range(len(turn.tool_calls)) if place not in placed]
    parts = [*rest, *turn.parts] if rest else list(turn.parts)
    results: list[Result] = []
    first = True
    for inline, group in groupby(parts, key=lambda part: isinstance(part, ToolResultContent)):
        if inline:
            results = [_inline(part, turn.number) for part in group if isinstance(part, ToolResultContent)]
        else:
            said = [part for part in group if not isinstance(part, ToolResultContent)]
            yield _step(turn if first else turn.model_copy(update={"extra": {}}), said), results
            results, first = [], False
    if results:
        yield None, results


def _step(turn: Turn, parts: Sequence[Own]) -> Turn:
    """Return a turn of some of the parts of another, and the calls among them."""
    calls: list[ToolCall] = []
    content: list[Own] = []
    for part in parts:
        if isinstance(part, CallPlace):
            content.append(CallPlace(place=len(calls)))
            calls.append(turn.tool_calls[part.place])
        else:
            content.append(part)
    return turn.model_copy(update={"content": tuple(content), "tool_calls": tuple(calls)})


class _Calling:
    """Turns whose calls wait for results; without one, only notes.

    Attributes:
        rows: the turns; more than one if they are one message.
        calls: the id of each call, in order, and the place of its turn in `rows`.
        waiting: places of the calls without a result.
        results: in the order of their arrival.
        notes: of results that no call waits for. They are sent once none waits: a note between a call and its result is rejected.
    """

    def __init__(self) -> None:
        self.rows: list[Turn] = []
        self.calls: list[tuple[str, int]] = []
        self.waiting: list[int] = []
        self.results: list[Result] = []
        self.notes: list[Message] = []

    def goes_on_with(self, turn: Turn) -> bool:
        """Whether `turn` may be more of the same message: calls wait, and it comes right after them."""
        return bool(self.waiting) and not self.results and not self.notes and turn.number == self.rows[-1].number + 1

    def make(self, turn: Turn, *, waiting: bool) -> None:
        """Add a turn. With `waiting`, only those of its calls wait whose result is not in the turn itself."""
        ids = list(turn.waiting_calls) if waiting else [call.id for call in turn.tool_calls]
        for call in turn.tool_calls:
            if call.id in ids:
                ids.remove(call.id)
                self.waiting.append(len(self.calls))
            self.calls.append((call.id, len(self.rows)))
        self.rows.append(turn)

    def take(self, results: Sequence[Result], known: Collection[str], *, goes_on: bool) -> None:
        """Take the results of one turn.

        Args:
            known: ids of the calls so far; a result of another one, whose call is not sent, ends the waiting.
            goes_on: whether the turn says something too, which ends the waiting.
        """
        came, strays = [], []
        for result in results:
            place = next((place for place in self.waiting if self.calls[place][0] == result.call_id), None)
            if place is None:
                strays.append(result)
            else:
                self.waiting.remove(place)
                came.append(replace(result, place=place))
        if goes_on or any(stray.call_id not in known for stray in strays):
            self.give_up()  # before the results of this turn: a framework sends what it says together with them
        self.results += came
        self.notes += map(_note, strays)

    def give_up(self) -> None:
        """Give every call that still waits a substitute."""
        self.results += [self._substitute(place) for place in self.waiting]
        self.waiting = []

    def messages(self, apart: bool) -> Iterator[Message]:
        """Yield the message with the results so far, and the notes once no call waits."""
        if apart:
            yield from self._rows()
        elif self.rows:
            whole = self.rows[0] if len(self.rows) == 1 else _joined(self.rows)
            yield Message(whole, _own_content(whole), tuple(self.results), is_open=bool(self.waiting))
        if not self.waiting:
            yield from self.notes

    def _rows(self) -> Iterator[Message]:
        """Yield each turn with its results. Only the last may wait for more, since the next turn stands between."""
        first = 0
        ids = _told_apart([call_id for call_id, _ in self.calls])
        for row, turn in enumerate(self.rows):
            is_last = row == len(self.rows) - 1
            results = [result for result in self.results if self.calls[result.place][1] == row]
            waiting = [place for place in self.waiting if self.calls[place][1] == row]
            if not is_last:
                results += [self._substitute(place) for place in waiting]
            sent = ids[first : first + len(turn.tool_calls)]
            results = [replace(result, place=result.place - first, sent_id=ids[result.place]) for result in results]
            first += len(turn.tool_calls)
            changed = tuple(sent) if sent != [call.id for call in turn.tool_calls] else ()
            yield Message(turn, _own_content(turn), tuple(results), is_open=is_last and bool(waiting), sent_ids=changed)

    def _substitute(self, place: int) -> Result:
        call_id, row = self.calls[place]
        return Result(call_id, NO_RESULT, self.rows[row].number, place=place)


def _told_apart(ids: Sequence[str]) -> list[str]:
    """Return ids of which none is twice: the second `a` is `a-2`."""
    found: list[str] = []
    for call_id in ids:
        new, count = call_id, 2
        while new in found:
            new, count = f"{call_id}-{count}", count + 1
        found.append(new)
    return found


def _joined(rows: Sequence[Turn]) -> Turn:
    """Return turns that are one message as one turn, with the number of the first."""
    content: list[Own] = []
    calls: list[ToolCall] = []
    for row in rows:
        named = {part.place for part in row.parts if isinstance(part, CallPlace)}
        for part in (*row.parts, *(CallPlace(place=place) for place in range(len(row.tool_calls)) if place not in named)):
            if isinstance(part, CallPlace):
                content.append(CallPlace(place=len(calls) + part.place))
            elif not isinstance(part, ToolResultContent):
                content.append(part)
        calls += row.tool_calls
    extra = {key: value for row in rows for key, value in row.extra.items()}
    return rows[0].model_copy(update={"content": tuple(content), "tool_calls": tuple(calls), "extra": extra})


def _results(turn: Turn) -> list[Result]:
    if turn.role == "tool" and turn.tool_call_id:
        said = turn.content
        content = said if isinstance(said, str) else tuple(part for part in said if isinstance(part, Inner))
        return [Result(turn.tool_call_id, content, turn.number, turn.name, is_failure(turn.extra), turn.extra)]
    if isinstance(turn.content, str):
        return []
    own = [call.id for call in turn.tool_calls]
    others: list[Result] = []
    for part in turn.content:
        if isinstance(part, ToolResultContent) and part.tool_call_id in own:
            own.remove(part.tool_call_id)
        elif isinstance(part, ToolResultContent):
            others.append(_inline(part, turn.number))
    return others


def _inline(part: ToolResultContent, number: int) -> Result:
    extra = part.model_extra or {}
    name = extra.get("name") or extra.get("toolName")
    return Result(part.tool_call_id, part.content, number, name if isinstance(name, str) else None, part.is_error, extra)


def _speaks(turn: Turn) -> bool:
    """Whether a turn holds more than tool results."""
    if turn.role == "tool":
        return False
    return not any(isinstance(part, ToolResultContent) for part in turn.parts) or bool(turn.tool_calls) or bool(_own_content(turn))


def _own_content(turn: Turn) -> str | tuple[Own, ...]:
    """Return a turn's content without tool results."""
    if isinstance(turn.content, str):
        return turn.content
    return tuple(part for part in turn.content if not isinstance(part, ToolResultContent))


def _note(result: Result) -> Message:
    """Convert a result without its call to a user's note."""
    name = label_text(result.name or "", NAME_LENGTH)
    head = f"[result of an earlier tool call{f' of {name}' if name else ''}, turn #{result.turn}]\n"
    turn = Turn(number=result.turn, role="user", content=head)
    return Message(turn, (TextContent(text=head + failing(result)), *result.images))


def failing(result: Result) -> str:
    """Return the words of a result, for formats that cannot say otherwise that its call failed."""
    if not result.is_error or result.text.lower().lstrip("[ ").startswith("error"):
        return result.text
    return f"[error]\n{result.text}"
