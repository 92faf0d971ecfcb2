"""The harness: evaluates every policy on every conversation at every budget, question by question."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from ..memory.optical_memory import OpticalMemory
from ..pages.page import Page, referents_of
from ..pages.tiers import Tier
from ..planning.forgetting import ByAge
from ..profiles.profile import ReaderProfile
from ..renderers.base import Renderer
from ..renderers.document.turn_heads import head_labels
from ..renderers.geometry import Canvas
from ..stores.base import Store
from ..text.token_count import open_counter
from ..turns.exchanges import exchanges_of
from ..turns.turn import Turn
from .answering import Request, exact_match, token_f1, worded
from .conversations import Conversation, Question
from .facts import Fact, facts_of
from .layouts import ShapedLayouts
from .legibility import Legibility, ReadPicture
from .policies import POLICIES, RECALLED, Offer, Policy, cost_of

__all__ = ["QUESTIONS", "Evaluation", "Result", "evaluate", "load_results", "requests_of", "save_results", "spread"]

NEVER = ByAge(tiny=1e12)  # a policy that leaves nothing out
QUESTIONS = 20  # default number of questions per conversation


@dataclass(frozen=True, slots=True)
class Result:
    """One question under one policy at one budget.

    Attributes:
        conversation, policy, budget, question: identify the result; the question by its index in the file.
        tokens: tokens that the policy sends, with recalled turns.
        as_text: every evidence turn is text.
        legible: every evidence turn is text, or readable on a page.
        recallable: search finds every evidence turn among the first `policies.RECALLED`.
        offered: legible, or recalled if the policy recalls.
        facts: every sentence with the answer's words is offered; None if the evidence does not hold them.
        seconds: time for the policy's offer, shared by all questions of the conversation.
        f1, exact: scores of a model's answer; None without a model.
    """

    conversation: str
    policy: str
    budget: int
    question: int
    tokens: int
    as_text: bool
    legible: bool
    recallable: bool
    offered: bool
    seconds: float
    f1: float | None = None
    exact: bool | None = None
    facts: bool | None = None


class Evaluation:
    """One conversation under every policy. A policy's offer at a budget is computed once.

    Args:
        store: an empty store for the sessions and their pages.
        reader: profile whose prices count.
        read: transcribes an image, in place of a model.
    """

    def __init__(
        self, conversation: Conversation, store: Store, renderer: Renderer, reader: str | ReaderProfile, read: ReadPicture
    ) -> None:
        self.conversation, self._store, self._renderer, self._reader = conversation, store, renderer, reader
        self._read, self._legible = read, dict[tuple[Tier, ...], Legibility]()
        self._pages: dict[str, Page] = {}  # of all offers
        self._memories: dict[str, OpticalMemory] = {}
        self._verdicts: dict[tuple[object, ...], bool] = {}
        first = self._memory(next(iter(POLICIES.values())))
        self.turns = first.turns()
        self._by_number = {turn.number: turn for turn in self.turns}
        exchanges = exchanges_of(self.turns)
        self._labels = {
            turn.number: label
            for exchange in exchanges
            for turn, label in zip((turn for unit in exchange for turn in unit), head_labels(exchange), strict=True)
        }
        self._style = first.profile.page_style()
        width = Canvas(self._style).row_width
        self._facts = [facts_of(question, self._by_number, width) for question in conversation.questions]
        self._cost, self._count = cost_of(first), open_counter(first.profile.encoding).count
        self._offers: dict[tuple[str, int], tuple[Offer | None, float]] = {}
        self._recalled = [[turn.number for turn in first.recall(question.text, RECALLED)] for question in conversation.questions]

    def _memory(self, policy: Policy) -> OpticalMemory:
        """Return the conversation in a memory with the policy's settings."""
        key = f"{policy.forgetting!r} {policy.sidecar_tokens} {policy.verify} {policy.shape}"
        if key not in self._memories:
            open_with = partial(
                OpticalMemory,
                f"{self.conversation.name} {key}",
                store=self._store,
                renderer=self._renderer,
                reader=self._reader,
                sidecar_tokens=policy.sidecar_tokens,
            )
            # A conversation that grew was drawn page after page: all policies are to see the same pages, whatever they show first.
            drawn = open_with(forgetting=NEVER, shape=())
            drawn.extend(self.conversation.messages)
            drawn.pages(draw=True)
            memory = open_with(forgetting=policy.forgetting, verify=policy.verify, shape=policy.shape)
            self._memories[key] = memory
        return self._memories[key]

    def _offer(self, policy: Policy, budget: int) -> tuple[Offer | None, float]:
        """Return a policy's offer, computed once, and the seconds that it took."""
        if (policy.name, budget) not in self._offers:
            began = time.perf_counter()
            offer = policy.offer(self._memory(policy), self.turns, budget)
            self._offers[policy.name, budget] = offer, time.perf_counter() - began
            self._pages.update((page.key, page) for page in self._memory(policy).pages())  # a later offer may draw some of them again
        return self._offers[policy.name, budget]

    def requests(self, policy: Policy, budget: int, most: int) -> dict[int, Request]:
        """Return a model's requests by the index of the question: at most `most`, evenly spread."""
        offer, _ = self._offer(policy, budget)
        return {place: self._request(offer, place) for place in spread(len(self._recalled), most)} if offer else {}

    def _request(self, offer: Offer, place: int) -> Request:
        recalled, tokens = self._within(offer, self._recalled[place])
        turns = [self._by_number[number] for number in self._recalled[place] if number in recalled]
        asked = self.conversation.questions[place].text
        return Request(offer.context, worded(asked, turns), offer.tokens + tokens + self._count(worded(asked, ())))

    def results(self, policy: Policy, budget: int, answers: Mapping[str, str], most: int) -> Iterator[Result]:
        offer, seconds = self._offer(policy, budget)
        if offer is None:
            return
        asked = self.requests(policy, budget, most) if answers else {}
        for place, question in enumerate(self.conversation.questions):
            result = self._judged(policy, budget, offer, place, question, seconds)
            said = answers.get(asked[place].key) if place in asked else None
            if said is not None:
                result = replace(result, f1=token_f1(said, question.answers), exact=exact_match(said, question.answers))
            yield result

    def _judged(self, policy: Policy, budget: int, offer: Offer, place: int, question: Question, seconds: float) -> Result:
        recalled, tokens = self._within(offer, self._recalled[place])
        as_text, referents = offer.text, referents_of(page for page, _ in offer.shown)
        places = {number: referents.get(number, number) for number in question.evidence}  # where its words are
        legible = {number: place in as_text or self._can_be_read(place, policy, offer) for number, place in places.items()}
        return Result(
            conversation=self.conversation.name,
            policy=policy.name,
            budget=budget,
            question=place,
            tokens=offer.tokens + tokens,
            as_text=all(place in as_text for place in places.values()),
            legible=all(legible.values()),
            recallable=all(number in self._recalled[place] for number in question.evidence),
            offered=all(legible[number] or number in recalled for number in question.evidence),
            seconds=seconds,
            facts=all(self._is_told(fact, policy, offer, recalled) for fact in self._facts[place]) if self._facts[place] else None,
        )

    def _within(self, offer: Offer, numbers: Sequence[int]) -> tuple[set[int], int]:
        """Return the recalled turns that fit into the policy's room, best first, and their tokens."""
        recalled, spent = set[int](), 0
        for number in numbers:
            cost = self._cost(self._by_number[number])
            if spent + cost > offer.recall_tokens:
                break
            recalled.add(number)
            spent += cost
        return recalled, spent

    def _can_be_read(self, number: int, policy: Policy, offer: Offer) -> bool:
        shown = [(page, tier) for page, tier in offer.shown if any(segment.turn == number for segment in page.segments)]
        key = (number, policy.sidecar_tokens, policy.shape, *((page.key, tier) for page, tier in shown))
        if key not in self._verdicts:
            beside = [exact for page, _ in shown for exact in page.sidecar]
            turn: Turn = self._by_number[number]
            self._verdicts[key] = self._legibility(policy).is_legible(turn, self._labels[number], shown, beside=beside)
        return self._verdicts[key]

    def _is_told(self, fact: Fact, policy: Policy, offer: Offer, recalled: set[int]) -> bool:
        place = referents_of(page for page, _ in offer.shown).get(fact.turn, fact.turn)
        if place in offer.text or fact.turn in recalled:
            return True
        turn, label = self._by_number[place], self._labels[place]
        return self._legibility(policy).tells(turn, label, offer.shown, fact.statement, fact.words)

    def _legibility(self, policy: Policy) -> Legibility:
        """Return the reader of the policy's pages; policies with the same `shape` share one."""
        if policy.shape not in self._legible:
            layouts = ShapedLayouts(self._pages.values, self.turns, self._renderer, self._style)
            self._legible[policy.shape] = Legibility(self._read, self._style, layouts if policy.shape else None)
        return self._legible[policy.shape]


def evaluate(
    opened: Sequence[Evaluation],
    policies: Sequence[Policy],
    budgets: Sequence[int],
    *,
    answers: Mapping[str, str] | None = None,
    questions: int = QUESTIONS,
    advance: Callable[[int], None] = lambda steps: None,
) -> Iterator[Result]:
    """Evaluate every policy on every conversation at every budget.

    Args:
        answers: a model's answers to `requests_of` the same arguments, by the keys of the requests; see `answering.ask_all`.
        questions: most questions asked per conversation.
        advance: called after each conversation, policy and budget.
    """
    for under_way in opened:
        for policy in policies:
            for budget in budgets:
                yield from under_way.results(policy, budget, answers or {}, questions)
                advance(1)


def requests_of(
    opened: Sequence[Evaluation], policies: Sequence[Policy], budgets: Sequence[int], questions: int = QUESTIONS
) -> list[Request]:
    """Return the requests to a model."""
    each = (under_way.requests(policy, budget, questions) for under_way in opened for policy in policies for budget in budgets)
    return [request for found in each for request in found.values()]


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` of the indices 0 to `count` - 1, evenly spread. Deterministic."""
    most = min(count, most)
    return [place * count // most for place in range(most)]


def save_results(path: Path, results: Sequence[Result]) -> None:
    """Write results as JSON lines."""
    path.write_text("".join(json.dumps(asdict(result)) + "\n" for result in results), "utf-8")


def load_results(path: Path) -> list[Result]:
    """Read what `save_results` wrote."""
    return [Result(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
