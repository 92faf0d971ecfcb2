"""Share of questions whose evidence a context holds, with and without turns recalled for the question, at equal budgets.

`python -m benchmarks.question FILE ... [--cache FOLDER]`: as `benchmarks.forgetting`. Evidence counts if it is text, recalled, or
legible on a page. With a question the pages get the budget less a quarter, 400 tokens at most; each question is asked by itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.table import Table

from optical_memory.errors import BudgetTooSmall
from optical_memory.evaluation.conversations import read_conversation
from optical_memory.evaluation.harness import Evaluation
from optical_memory.evaluation.policies import POLICIES, Offer, Policy
from optical_memory.readers.tesseract import OcrReader
from optical_memory.renderers.base import open_renderer
from optical_memory.stores import open_store

from ._console import open_console
from .forgetting import BUDGETS, READER, cut, kept_in

Shares = dict[str, list[bool]]


def measured(evaluation: Evaluation, policy: Policy, budget: int) -> tuple[Shares, list[int]]:
    """For each question: whether its evidence is held without and with recalled turns; and the tokens with them."""
    memory, held, tokens = evaluation._memory(policy), Shares(), list[int]()
    for kind, asked in (("plain", False), ("with the question", True)):  # one after the other, since a plan depends on the one before
        for question in evaluation.conversation.questions:
            try:
                context = memory.context(budget, question=question.text if asked else None)
            except BudgetTooSmall:
                return {}, []
            evaluation._pages.update((page.key, page) for page in memory.pages())
            offer, recalled = Offer(context), set(context.plan.recalled)
            seen = (number in offer.text | recalled or evaluation._can_be_read(number, policy, offer) for number in question.evidence)
            held.setdefault(kind, []).append(all(seen))
            tokens.append(context.usage.prompt_tokens)
    return held, tokens


def main(arguments: Sequence[str]) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.question")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--tokens", type=int, default=24_000)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--renderer", default="auto")
    parser.add_argument("--policies", nargs="+", default=["best use", "aged + shaped"], choices=list(POLICIES))
    given = parser.parse_args(arguments)
    if not given.files:
        print("name conversations with questions: JSON with `messages` and `questions`")
        return
    read = partial(kept_in, given.cache and given.cache / "tesseract", OcrReader())
    drawing, store = open_renderer(given.renderer), open_store("memory://")
    talks = [cut(read_conversation(file, categories=(4,)), given.tokens) for file in given.files]
    evaluations = [Evaluation(talk, store, drawing, READER, read) for talk in talks]
    table = Table("policy", "budget", "plain", "with the question", "sends at most", "questions")
    for name in given.policies:
        for budget in BUDGETS:
            found = [measured(evaluation, POLICIES[name], budget) for evaluation in evaluations]
            held = {kind: [each for shares, _ in found for each in shares[kind]] for kind in found[0][0]}
            shares = [f"{sum(each) / len(each):.0%}" for each in held.values()] or ["-", "-"]
            most = max((number for _, tokens in found for number in tokens), default=0)
            table.add_row(name, str(budget), *shares, str(most), str(len(next(iter(held.values()), []))))
    open_console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
