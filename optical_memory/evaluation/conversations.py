"""Conversations with questions, from JSON files: `messages` in a chat API's shape, and `questions` with their evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Conversation", "Question", "read_conversation"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its correct answers, and the numbers of the turns that hold the evidence."""

    text: str
    answers: tuple[str, ...]
    evidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages, and questions about them. Questions without evidence in the messages are left out, and counted."""

    name: str
    messages: tuple[Mapping[str, Any], ...]
    questions: tuple[Question, ...]
    without_evidence: int = 0


def read_conversation(path: Path, *, categories: Sequence[int] | None = None) -> Conversation:
    """Read a file.

    Args:
        categories: only questions of these, and those without a category. In LoCoMo, 4 is questions that one turn answers verbatim.

    Raises `ValueError` for a file without a conversation with questions.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        messages = tuple(data["messages"])
        asked = [entry for entry in data["questions"] if categories is None or entry.get("category", categories[0]) in categories]
        found = [Question(entry["question"], tuple(map(str, entry["answers"])), _evidence(entry, messages)) for entry in asked]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        what = f"{path.name!r} is no conversation with questions ({type(exc).__name__})"
        raise ValueError(f"{what}: it needs `messages` and `questions`") from exc
    questions = tuple(question for question in found if question.evidence)
    return Conversation(path.stem, messages, questions, len(found) - len(questions))


def _evidence(entry: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """Return the numbers, from 1, of the turns with the evidence: those named, or the first that holds the quote."""
    if "evidence_turns" in entry:
        return tuple(number for number in entry["evidence_turns"] if 1 <= number <= len(messages))
    quote = _plain(str(entry.get("evidence_quote", "")))
    for number, message in enumerate(messages, 1):
        if quote and quote in _plain(str(message.get("content") or "")):
            return (number,)
    return ()


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()
