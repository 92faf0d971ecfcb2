"""Public sets of questions about long conversations, at matched billed budgets: which evidence is still there, and what a model answers.

`python -m benchmarks.public locomo|longmemeval|beam --data PATH ... [--limit N] [--questions N] [--budgets 1000,2000,4000]`: the files of
the set as they are published, see `_public_sets`; N conversations, and N questions of each, evenly spread. Ways to forget: the oldest cut,
BM25 of turns and `recall` without pages, one tier for all pages, tiers by age, the default, and the default with recall. Everything that
is sent counts, with labels, sidecars and recalled turns.

Evidence is held if every turn that the set names is text, recalled, or on a page from which an OCR engine reads it back with at most 5 %
wrong characters and every critical word exact. Each engine is a reader with DeepSeek-OCR's prices and its own profile. A second table gives
uniform tiers exactly the tokens that tiers by age sent. Readings are kept below `--out` by the hash of the picture: a run that broke off
resumes.

`--ask URL --model NAME` has a model behind an OpenAI-compatible API answer instead, at its own prices (`--reader` if its name is not
known), and write summaries, which are then compared too. Its answers are scored as in SQuAD. The key is taken from OPTICAL_MEMORY_API_KEY.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean

from rich.table import Table

from optical_memory.errors import MissingExtra, ProgramNotFound
from optical_memory.evaluation.answering import Request, ask_all, exact_match, price_of, read_answers, token_f1
from optical_memory.evaluation.conversations import Conversation
from optical_memory.evaluation.harness import Result, save_results, spread
from optical_memory.evaluation.legibility import ReadPicture
from optical_memory.evaluation.policies import POLICIES, Offer, Policy
from optical_memory.evaluation.summary import Share, share_of
from optical_memory.profiles.profile import ReaderProfile
from optical_memory.profiles.registry import profile_for_model, profile_of
from optical_memory.readers.base import Reader, open_reader
from optical_memory.renderers.base import Renderer, open_renderer

from ._budget_ways import FLAT, Summaries, Trial, Way, ways_for
from ._console import open_console
from ._public_sets import SETS, read_set
from .forgetting import ENGINES, cut, kept_in

BUDGETS = "1000,2000,4000"
AGED = {"by age": POLICIES["aged"], "best use": POLICIES["best use"]}  # their tiers alone: no sidecars, nothing abridged
HALF = 0.5  # of a conversation: evidence that begins before it is old


def conversations(given: argparse.Namespace) -> Iterator[Conversation]:
    """Yield the conversations that were asked for, with the questions that were asked for."""
    found = (talk for path in given.data for talk in read_set(given.set, path, given.kinds))
    for talk in islice((talk for talk in found if talk.questions), given.limit):
        part = cut(talk, given.tokens) if given.tokens else talk
        most = given.questions or len(part.questions)
        if part.questions:
            yield replace(part, questions=tuple(part.questions[place] for place in spread(len(part.questions), most)))


def results_of(trial: Trial, ways: Sequence[Way], budgets: Sequence[int]) -> Iterator[Result]:
    """Yield what each way holds at each budget, question by question."""
    for way in ways:  # all budgets of a way in turn, since a plan depends on the one before
        for budget in budgets:
            for place in range(len(trial.conversation.questions)):
                if offer := way.offer(trial, budget, place):
                    yield judged(trial, way.name, way.policy, budget, place, offer)


def judged(trial: Trial, name: str, policy: Policy, budget: int, place: int, offer: Offer) -> Result:
    """Return what an offer holds for a question."""
    wanted, recalled = set(trial.conversation.questions[place].evidence), set(offer.context.plan.recalled)
    held = trial.holds(policy, offer, place)
    return Result(
        conversation=trial.conversation.name,
        policy=name,
        budget=budget,
        question=place,
        tokens=offer.tokens,
        as_text=wanted <= offer.text | recalled,
        legible=held,
        recallable=wanted <= recalled,
        offered=held,
        seconds=0.0,
        facts=trial.tells(policy, offer, place),
    )


def at_equal_tokens(trial: Trial, budgets: Sequence[int]) -> Iterator[Result]:
    """Yield tiers by age, and every uniform tier within the tokens that they sent: `by age` and `by age: all tiny`, by budget."""
    for name, policy in AGED.items():
        for budget in budgets:
            aged = trial.offered(policy, budget)
            if aged is None:
                continue
            rivals = [(f"{name}: {tier}", POLICIES[tier], trial.offered(POLICIES[tier], aged.tokens)) for tier in FLAT]
            for label, each, offer in [(name, policy, aged), *rivals]:
                for place in range(len(trial.conversation.questions)):
                    shown = offer or trial.text_only(())  # nothing fits: nothing is held
                    yield judged(trial, label, each, budget, place, shown)


def asked(trial: Trial, ways: Sequence[Way], budgets: Sequence[int]) -> Iterator[tuple[str, int, int, Request]]:
    """Yield the requests to a model: the way, the budget, the question's place, and what is sent."""
    for way in ways:
        for budget in budgets:
            for place in range(len(trial.conversation.questions)):
                if offer := way.offer(trial, budget, place):
                    yield way.name, budget, place, trial.asked(offer, place)


def answered(trial: Trial, ways: Sequence[Way], budgets: Sequence[int], reader: Reader, model: str, book: Path) -> Iterator[Result]:
    """Ask the model every question in every way, and yield its scores. Answers on file are not asked again."""
    requests = list(asked(trial, ways, budgets))
    answers = ask_all([request for *_, request in requests], reader, model, book)
    for name, budget, place, request in requests:
        said, right = answers[request.key], trial.conversation.questions[place].answers
        plain = Result(trial.conversation.name, name, budget, place, request.tokens, False, False, False, False, 0.0)
        yield replace(plain, f1=token_f1(said, right), exact=exact_match(said, right))


def print_price(requests: Sequence[Request], book: Path, model: str) -> None:
    """Print what asking would cost."""
    price = price_of(requests, read_answers(book, model))
    print(f"{price.requests:,} requests, {price.prompt_tokens:,} prompt tokens, {price.answered:,} answered before; summaries come on top")


def groups(results: Iterable[Result]) -> dict[tuple[str, int], list[Result]]:
    """Return results by way and budget."""
    found: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        found.setdefault((result.policy, result.budget), []).append(result)
    return found


def table_of(title: str, results: Sequence[Result], budgets: Sequence[int], score: str) -> Table:
    """One row for each way: its share with a 95 % interval at each budget, that of facts, and the tokens sent, a mean over questions."""
    table, found = Table("way", *[f"{budget:,}" for budget in budgets], title=title), groups(results)
    for name in dict.fromkeys(result.policy for result in results):
        cells = [found.get((name, budget), []) for budget in budgets]
        table.add_row(name, *[f"{_share(cell, score)}{_facts(cell)}; {_sent(cell)}" if cell else "does not fit" for cell in cells])
    return table


def equal_table(engine: str, results: Sequence[Result], trials: Sequence[Trial], budgets: Sequence[int]) -> Table:
    """Aged against uniform tiers. The difference is to the best of them, chosen on these questions, so that it favours uniform tiers."""
    heads = ["policy", "budget", "sends", "legible (newer; older)", *FLAT, "minus the best (95 %, paired)"]
    table, found = Table(*heads, title=f"aged against uniform tiers at equal tokens, read by {engine}"), groups(results)
    age = Ages(trials)
    for name in AGED:
        for budget in budgets:
            if aged := found.get((name, budget)):
                rivals = {tier: found[f"{name}: {tier}", budget] for tier in FLAT}
                best = max(rivals.values(), key=lambda cell: sum(result.legible for result in cell))
                cells = [age.told(cell) for cell in rivals.values()]
                table.add_row(name, f"{budget:,}", _sent(aged), age.told(aged), *cells, _points(difference(aged, best)))
    return table


class Ages:
    """Shares of questions with evidence in the newer and the older half of their conversations."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._old = {
            (trial.conversation.name, place): min(question.evidence) <= HALF * len(trial.turns)
            for trial in trials
            for place, question in enumerate(trial.conversation.questions)
        }

    def told(self, results: Sequence[Result]) -> str:
        """`61 % (71; 52)`: all, newer, older."""
        old = [result.legible for result in results if self._old[result.conversation, result.question]]
        new = [result.legible for result in results if not self._old[result.conversation, result.question]]
        halves = "; ".join(f"{100 * fmean(half):.0f}" if half else "-" for half in (new, old))
        return f"{100 * fmean(result.legible for result in results):.0f} % ({halves})"


def difference(one: Sequence[Result], other: Sequence[Result]) -> Share:
    """Return the mean difference of two ways over the same questions, with a paired bootstrap interval."""
    held = {(result.conversation, result.question): result.legible for result in other}
    return share_of(one, lambda result: float(result.legible) - held[result.conversation, result.question])


def _points(share: Share) -> str:
    return f"{100 * share.value:+.0f} ({100 * share.low:+.0f} to {100 * share.high:+.0f})"


def _share(results: Sequence[Result], score: str) -> str:
    return str(share_of(results, lambda result: float(getattr(result, score))))


def _facts(results: Sequence[Result]) -> str:
    told = [result.facts for result in results if result.facts is not None]
    return f"; {100 * fmean(told):.0f}" if told else ""


def _sent(results: Sequence[Result]) -> str:
    return f"{fmean(result.tokens for result in results):,.0f}"


def read_back(given: argparse.Namespace, name: str, renderer: Renderer) -> None:
    """Measure with one OCR engine, and print its tables."""
    engine = ENGINES[name]()
    read: ReadPicture = partial(kept_in, given.out / "readings" / name, engine)
    ways, results, equal, trials = ways_for(engine.profile), list[Result](), list[Result](), list[Trial]()
    for talk in conversations(given):
        trial = Trial(talk, renderer, engine.profile, read)
        results += results_of(trial, ways, given.budgets)
        equal += at_equal_tokens(trial, given.budgets)
        trials.append(trial)
        print(f"{name}: {talk.name}, {len(talk.questions)} questions, {trial.whole():,} tokens as text", file=sys.stderr, flush=True)
    save_results(_made(given.out) / f"results-{given.set}-{name}.jsonl", [*results, *equal])
    length, count = fmean(trial.whole() for trial in trials), sum(len(trial.conversation.questions) for trial in trials)
    about = f"{given.set}, {len(trials)} conversations of {length:,.0f} tokens, {count} questions"
    open_console().print(table_of(f"{about}: evidence held, read by {name}; facts; tokens sent", results, given.budgets, "legible"))
    open_console().print(equal_table(name, equal, trials, given.budgets))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def ask(given: argparse.Namespace, renderer: Renderer) -> None:
    """Have a model answer, and print its scores; or only what that would cost."""
    known = profile_for_model(given.model)
    like: ReaderProfile = known or profile_of(given.reader)
    book, options = given.out / f"answers-{given.set}.jsonl", {"temperature": 0}
    key = os.environ.get("OPTICAL_MEMORY_API_KEY")
    opened = open_reader("openai", url=given.ask, model=given.model, profile=None if known else like, api_key=key, options=options)
    with closing(opened):
        trials = (Trial(talk, renderer, like, lambda png, letter: "") for talk in conversations(given))
        if given.dry_run:
            print_price([request for trial in trials for *_, request in asked(trial, ways_for(like), given.budgets)], book, given.model)
            return
        ways = ways_for(like, Summaries(opened, given.out / "summaries" / given.model.replace("/", "-")))
        results = [result for trial in trials for result in answered(trial, ways, given.budgets, opened, given.model, book)]
    save_results(_made(given.out) / f"results-{given.set}-answers.jsonl", results)
    for score in ("f1", "exact"):
        open_console().print(
            table_of(f"{given.set}: answers of {given.model}, {score}; tokens of the prompt", results, given.budgets, score)
        )


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.public")
    parser.add_argument("set", nargs="?", choices=list(SETS))
    parser.add_argument("--data", nargs="+", type=Path, default=[], help="folders or files of the set")
    parser.add_argument("--limit", type=int, help="most conversations")
    parser.add_argument("--questions", type=int, help="most questions of a conversation")
    parser.add_argument("--kinds", nargs="+", default=[], help="only questions of these kinds")
    parser.add_argument("--tokens", type=int, help="the first so many tokens of a conversation")
    parser.add_argument("--budgets", type=lambda text: [int(part) for part in text.split(",")], default=BUDGETS)
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--renderer", default="auto")
    parser.add_argument("--out", type=Path, default=Path("public-output"))
    parser.add_argument("--ask", metavar="URL")
    parser.add_argument("--model")
    parser.add_argument("--reader", default="deepseek-ocr", help="whose prices count for a model that no profile knows")
    parser.add_argument("--dry-run", action="store_true")
    given = parser.parse_args(arguments)
    if given.ask and not given.model:
        parser.error("--ask needs --model, the name of the model there")
    return given


def main(arguments: Sequence[str]) -> None:
    """Print the tables of a set."""
    given = parsed(arguments)
    if not given.set or not given.data:
        print(f"name a set ({', '.join(SETS)}) and --data, its folder; nothing is downloaded")
        return
    renderer = open_renderer(given.renderer)
    if given.ask:
        ask(given, renderer)
        return
    for name in given.engines:
        try:
            read_back(given, name, renderer)
        except (MissingExtra, ProgramNotFound) as exc:
            print(f"{name} is left out: {exc}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
