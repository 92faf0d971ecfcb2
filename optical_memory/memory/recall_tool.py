"""The tool `recall_memory`: what a model is told about it, and what it gets back. Every way of offering it shares this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from ..errors import TurnNotFound
from ..text.labels import label_text, without_openings
from ..turns.turn import Turn
from .message_list import MessageListMemory

__all__ = ["DESCRIPTION", "PARAMETERS", "RECALL", "RECALLED", "recalled", "words_of"]

RECALL = "recall_memory"
RECALLED = 5  # most turns returned by one search
DESCRIPTION = (
    "Exact words of earlier turns of this conversation: by their `numbers`, as they stand on the pages (#12), "
    "or by a `query` of words that they hold."
)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "Words that the turns hold."},
        "numbers": {"type": "array", "items": {"type": "integer"}, "description": "Numbers of turns, such as [12, 13]."},
    },
}
T = TypeVar("T")


def recalled(
    memory: MessageListMemory[T],
    messages: Sequence[T],
    *,
    query: str = "",
    numbers: Sequence[int] = (),
    before: int | None = None,
    tools: Sequence[str] = (),
) -> str:
    """Return what the tool answers; for a number that does not exist, and for no match, a sentence that says so.

    Args:
        before: number of the first turn that is not searched by words: a question is its own best match.
        tools: names of tools whose results are not found by words, since they repeat what was found before.
    """
    if numbers:
        try:
            return words_of(memory.recall(messages, numbers))
        except TurnNotFound as exc:
            return str(exc)
    if not query:
        return "Give `numbers`, such as [12, 13], or a `query` of a few words."
    found = memory.recall(messages if before is None else messages[: before - 1], query, 3 * RECALLED)
    answers = [turn for turn in found if not (turn.role == "tool" and turn.name in tools)]
    return words_of(answers[:RECALLED]) or f"No earlier turn matches {query!r}."


def words_of(turns: Sequence[Turn]) -> str:
    """Return turns word for word, each under a line with its number and speaker."""
    return "\n\n".join(f"{_speaker(turn)}:\n{without_openings(turn.text) or '[no words]'}" for turn in turns)


def _speaker(turn: Turn) -> str:
    return f"#{turn.number} {turn.role} {label_text(turn.name or '')}".rstrip() + (" (failed)" if turn.reports_failure else "")
