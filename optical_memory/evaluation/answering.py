"""Ask a chat model questions over a policy's context, and score its answers.
F1 and exact match are those of SQuAD (Rajpurkar et al. 2016, arXiv 1606.05250, section 6.1 and its evaluation script): lower case, without
punctuation and articles; F1 is the harmonic mean of precision and recall of words, in each case against the best of the right answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..context.context import Context, PagePart
from ..readers.base import Answer
from ..turns.turn import Turn

__all__ = ["ANSWER_TOKENS", "Answering", "Price", "Request", "ask_all", "exact_match", "price_of", "read_answers", "token_f1", "worded"]

ANSWER_TOKENS = 64  # most tokens of an answer; correct ones have up to about twenty
ASKED = (
    "Answer the question from the conversation above, in as few of its words as will do, without a sentence around them. "
    "If it does not say, answer: unknown.\nQuestion: {question}"
)
RECALLED = "Turns of the conversation, looked up for the question, word for word:\n{turns}\n\n"


@dataclass(frozen=True, slots=True)
class Request:
    """A question about a context.

    Attributes:
        question: with the turns that were recalled for it, and the instruction to the model.
        tokens: of the prompt, as the evaluation's reader counts.
    """

    context: Context
    question: str
    tokens: int

    @property
    def key(self) -> str:
        """Hash of everything sent: equal requests of different policies and budgets are asked once."""
        said = [
            [part.page.key, part.tier.label, part.text]
            if isinstance(part, PagePart)
            else [turn.model_dump_json(exclude={"id", "created_at", "metadata"}) for turn in part.turns]
            for part in self.context.parts
        ]
        return hashlib.sha256(json.dumps([self.context.framing, said, self.question]).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Answering(Protocol):
    """The part of a reader that is needed here."""

    def answer(self, context: Context, question: str, *, max_tokens: int | None = None, stop: Sequence[str] = ()) -> Answer: ...


def worded(question: str, recalled: Sequence[Turn]) -> str:
    """Format a question, after the turns recalled for it."""
    turns = "\n".join(f"#{turn.number} {turn.role}: {turn.text}" for turn in recalled)
    return (RECALLED.format(turns=turns) if recalled else "") + ASKED.format(question=question)


@dataclass(frozen=True, slots=True)
class Price:
    """Cost of the requests still to be asked, and the number of answers on file."""

    requests: int
    prompt_tokens: int
    answered: int

    @property
    def answer_tokens(self) -> int:
        """Most tokens of the answers."""
        return self.requests * ANSWER_TOKENS


def price_of(requests: Iterable[Request], answers: Mapping[str, str]) -> Price:
    """Return the cost of asking each request once, without those that have an answer."""
    wanted = {request.key: request.tokens for request in requests}
    open_ones = {key: tokens for key, tokens in wanted.items() if key not in answers}
    return Price(len(open_ones), sum(open_ones.values()), len(wanted) - len(open_ones))


def ask_all(
    requests: Sequence[Request], reader: Answering, model: str, path: Path, *, advance: Callable[[int], None] = lambda steps: None
) -> dict[str, str]:
    """Return answers by the key of their request. Each is written to `path` before the next is asked; answers on file are not asked again.

    Raises `ReaderError`, keeping all answers, and `ValueError` if the file holds another model's answers.
    """
    answers = read_answers(path, model)
    wanted = {request.key: request for request in requests}
    advance(sum(key in answers for key in wanted))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        if not file.tell():
            file.write(json.dumps({"v": 1, "model": model}, ensure_ascii=False) + "\n")
        for key, request in wanted.items():
            if key in answers:
                continue
            answers[key] = str(reader.answer(request.context, request.question, max_tokens=ANSWER_TOKENS)).strip()
            asked = request.question.rpartition("Question: ")[2]
            file.write(json.dumps({"key": key, "question": asked, "answer": answers[key]}, ensure_ascii=False) + "\n")
            file.flush()
            advance(1)
    return answers


def read_answers(path: Path, model: str) -> dict[str, str]:
    """Read answers by key; drops an incomplete last line of a broken run. Raises `ValueError` for another model's file."""
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    head, *lines = whole.decode("utf-8").split("\n")[:-1] or ["null"]
    try:
        if head != "null" and json.loads(head)["model"] != model:
            raise ValueError(f"{str(path)!r} holds answers of {json.loads(head)['model']!r}, not of {model!r}; pass another folder")
        return {line["key"]: str(line["answer"]) for line in map(json.loads, lines)}
    except (KeyError, TypeError, json.JSONDecodeError) as exc:
        raise ValueError(f"{str(path)!r} is no file of answers ({exc!r}); pass another folder, or delete it") from exc


def token_f1(said: str, answers: Sequence[str]) -> float:
    """Return the best F1 of an answer's words against any of `answers`."""
    return max((_f1(_words(said), _words(answer)) for answer in answers), default=0.0)


def exact_match(said: str, answers: Sequence[str]) -> bool:
    """Whether an answer is one of `answers`, word for word."""
    return any(_words(said) == _words(answer) for answer in answers)


def _f1(said: list[str], truth: list[str]) -> float:
    if not said or not truth:
        return float(said == truth)
    same = (Counter(said) & Counter(truth)).total()
    return 2 * same / (len(said) + len(truth))


def _words(text: str) -> list[str]:
    plain = "".join(char for char in text.lower() if char not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", plain).split()
