"""Kinds of text that fill pages, each taken from the repository's own conversations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from optical_memory.turns.exchanges import Exchange, exchanges_of
from optical_memory.turns.from_messages import turn_of
from optical_memory.turns.turn import Turn

__all__ = ["KINDS", "Kind", "samples"]

ROOT = Path(__file__).parent.parent
CHATS = ROOT / "tests" / "data" / "assistant-chats.json"
MARKUP = set("*`#|_$<>\\")
SAMPLE = 18_000  # characters: two pages and more of anything, so that the first page is full
LEAST_PARAGRAPH = 160  # characters; what is shorter in a chat is a heading or an item of a list


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of text: where it is from, whether it is set in the code font, and the Tesseract model that reads it."""

    name: str
    file: Path
    mono: bool = False
    language: str = "eng"

    @property
    def spaced(self) -> bool:
        """Whether words are parted by spaces alone: code is broken anywhere, and Chinese has none but those that the reader puts in."""
        return not self.mono and self.language == "eng"


KINDS = {
    kind.name: kind
    for kind in (
        Kind("prose", CHATS),
        Kind("chat", CHATS),
        Kind("code", ROOT / "tests" / "data" / "coding-agent.json", mono=True),
        Kind("json", ROOT / "optical_memory" / "demo" / "airline-agent.json", mono=True),
        Kind("chinese", ROOT / "tests" / "data" / "travel-chat-chinese.json", language="chi_sim"),
    )
}


def samples(kind: Kind, count: int) -> list[list[Exchange]]:
    """`count` conversations of a kind, each of them longer than a page, none with a word of another."""
    messages = json.loads(kind.file.read_text("utf-8"))["messages"]
    turns = _turns(kind, [turn_of(message) for message in messages])
    found: list[list[Turn]] = [[]]
    for turn in turns:
        if sum(len(other.text) for other in found[-1]) >= SAMPLE and turn.role != "tool":
            found.append([])
        found[-1].append(turn)
    chosen = [sample for sample in found if sum(len(turn.text) for turn in sample) >= SAMPLE / 2][:count]
    return [exchanges_of([turn.model_copy(update={"number": 40 + at}) for at, turn in enumerate(sample)]) for sample in chosen]


def _turns(kind: Kind, turns: list[Turn]) -> Iterator[Turn]:
    if kind.name == "prose":
        yield from (Turn(role="user", content=text) for text in _prose(turns))
    elif kind.name == "json":
        yield from (Turn(role="user", content=turn.text) for turn in turns if turn.role == "tool" and turn.text.startswith(("{", "[")))
    else:
        yield from turns


def _prose(turns: list[Turn]) -> Iterator[str]:
    """Plain paragraphs of the assistant, put together to turns that fill a page and more."""
    held: list[str] = []
    for turn in turns:
        held += [line for line in turn.text.split("\n") if len(line) >= LEAST_PARAGRAPH and line.isascii() and not set(line) & MARKUP]
        if sum(map(len, held)) > SAMPLE / 2:
            yield "\n\n".join(held)
            held = []
