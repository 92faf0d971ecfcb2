"""Ways to bring a conversation into a budget for one question, and what of the evidence each one holds. All are billed alike.

Pages, text, and turns that are looked up for the question are counted at the reader's prices, labels and sidecars included.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from optical_memory.context.context import RecalledPart, TextPart
from optical_memory.context.wording import recalled_text
from optical_memory.errors import BudgetTooSmall
from optical_memory.evaluation.answering import Answering, Request, worded
from optical_memory.evaluation.conversations import Conversation
from optical_memory.evaluation.harness import Evaluation
from optical_memory.evaluation.legibility import ReadPicture
from optical_memory.evaluation.policies import POLICIES, Offer, Policy
from optical_memory.memory.optical_memory import OpticalMemory
from optical_memory.pages.page import referents_of
from optical_memory.planning.settings import SIDECAR_TOKENS, shaped_for
from optical_memory.profiles.pricing import Pricing
from optical_memory.profiles.profile import ReaderProfile
from optical_memory.renderers.base import Renderer
from optical_memory.stores import open_store
from optical_memory.text.token_count import open_counter
from optical_memory.turns.turn import Turn

__all__ = ["FLAT", "Summaries", "Trial", "Way", "kept", "ways_for"]

K1, B = 1.2, 0.75  # of BM25: Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009, section 3.2; the customary values
CANDIDATES = 400  # turns that are looked up; a budget holds fewer
FLAT = ("all base", "all small", "all tiny")
WINDOW = 8_000  # tokens of text that a model sums up at once
SUMMARY_SHARE = 0.5  # of a budget
SUMMARISE = (
    "Sum up this conversation for someone who will be asked about details of it. Keep names, dates, numbers and decisions. "
    "It may begin with a summary of what was said before: take that in. Use at most {words} words, and write nothing else."
)
TOKENS_A_WORD = 1.5
SUMMED_UP = "Summary of the conversation before: "


def kept(folder: Path | None, key: str, make: Callable[[], str]) -> str:
    """Return the text on file under the hash of a key, or make it and file it whole: a run that is ended leaves no half of one."""
    if folder is None:
        return make()
    file = folder / hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(make(), "utf-8")
        part.replace(file)
    return file.read_text("utf-8")


class Trial(Evaluation):
    """One conversation for one reader; its offers, and which evidence they hold."""

    def __init__(self, conversation: Conversation, renderer: Renderer, reader: ReaderProfile, read: ReadPicture) -> None:
        super().__init__(conversation, open_store("memory://"), renderer, reader, read)
        self.plain = self._memory(POLICIES["full text"])
        self.pricing = Pricing(self.plain.profile)
        self._frame = self.pricing.message(recalled_text([]))
        self._told: dict[int, int] = {}  # tokens of a turn among others that were found, by its number

    @cached_property
    def bm25(self) -> Bm25:
        """The turns as an index."""
        return Bm25(self.turns)

    def whole(self) -> int:
        """Tokens of the conversation as text."""
        return self.pricing.total(self.turns)

    def offered(self, policy: Policy, budget: int) -> Offer | None:
        """Return a policy's offer, the same for all questions; None if it does not fit."""
        return self._offer(policy, budget)[0]

    def recalling(self, policy: Policy, budget: int, question: str) -> Offer | None:
        """Return a policy's offer with the turns that are recalled for a question."""
        memory = self._memory(policy)
        try:
            offer = Offer(memory.context(budget, question=question))
        except BudgetTooSmall:
            return None
        self._pages.update((page.key, page) for page in memory.pages())
        return offer

    def text_only(self, turns: Sequence[Turn], found: Sequence[Turn] = ()) -> Offer:
        """Offer some turns as text and nothing else, or those `found` for a question, as `context(question=...)` words them."""
        empty = POLICIES["cut the oldest"].offer(self.plain, self.turns, 0)
        assert empty is not None  # it always fits
        context, numbers = empty.context, tuple(turn.number for turn in found)
        if found:
            message = Turn(role="user", content=recalled_text(found))
            parts: tuple[TextPart, ...] = (RecalledPart((message,), self.pricing.message(message.text), numbers),)
        else:
            parts = (TextPart(tuple(turns), self.pricing.total(turns)),)
        plan, tokens = context.plan.model_copy(update={"recalled": numbers}), sum(part.tokens for part in parts)
        return Offer(replace(context, parts=parts, plan=plan, usage=replace(context.usage, prompt_tokens=tokens)))

    def retrieved(self, ranked: Sequence[Turn], budget: int) -> Offer:
        """Offer the best turns that fit, in the order of the log, and nothing else. One that is too long is passed over."""
        spent, chosen = self._frame, list[Turn]()
        for turn in ranked:
            if spent + self._cost_told(turn) <= budget:
                chosen.append(turn)
                spent += self._cost_told(turn)
        return self.text_only((), sorted(chosen, key=lambda turn: turn.number))

    def _cost_told(self, turn: Turn) -> int:
        if turn.number not in self._told:
            self._told[turn.number] = self.pricing.message(recalled_text([turn])) - self._frame + 1  # 1: for the seam to the next
        return self._told[turn.number]

    def holds(self, policy: Policy, offer: Offer, place: int) -> bool:
        """Whether every turn with evidence for a question is text, recalled, or legible on a page."""
        shown, recalled = referents_of(page for page, _ in offer.shown), set(offer.context.plan.recalled)
        numbers = ((number, shown.get(number, number)) for number in self.conversation.questions[place].evidence)
        return all(number in recalled or at in offer.text or self._can_be_read(at, policy, offer) for number, at in numbers)

    def tells(self, policy: Policy, offer: Offer, place: int) -> bool | None:
        """Whether every sentence with the answer's words is there; None if the evidence does not hold the answer's words."""
        facts, recalled = self._facts[place], set(offer.context.plan.recalled)
        return all(self._is_told(fact, policy, offer, recalled) for fact in facts) if facts else None

    def asked(self, offer: Offer, place: int) -> Request:
        """Return the request to a model: the offer, and the question."""
        question = worded(self.conversation.questions[place].text, ())
        return Request(offer.context, question, offer.tokens + open_counter(self.plain.profile.encoding).count(question))


class Way(Protocol):
    """A way to fit a conversation into a budget, for one question."""

    @property
    def name(self) -> str: ...
    @property
    def policy(self) -> Policy:
        """The policy whose pages it shows."""
        ...

    def offer(self, trial: Trial, budget: int, place: int) -> Offer | None:
        """Return what is sent for the question at `place`; None if it does not fit."""
        ...


@dataclass(frozen=True, slots=True)
class ByPolicy:
    """The same context for every question."""

    name: str
    policy: Policy

    def offer(self, trial: Trial, budget: int, place: int) -> Offer | None:
        return trial.offered(self.policy, budget)


@dataclass(frozen=True, slots=True)
class WithRecall:
    """A policy's pages, and turns recalled for the question, within the same budget."""

    name: str
    policy: Policy

    def offer(self, trial: Trial, budget: int, place: int) -> Offer | None:
        return trial.recalling(self.policy, budget, trial.conversation.questions[place].text)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Turns found for the question, and nothing else."""

    name: str
    find: Callable[[Trial, str], Sequence[Turn]]
    policy: Policy = POLICIES["full text"]

    def offer(self, trial: Trial, budget: int, place: int) -> Offer | None:
        return trial.retrieved(self.find(trial, trial.conversation.questions[place].text), budget)


@dataclass(frozen=True, slots=True)
class Summaries:
    """A model's summary of the older turns in half of the budget, and the newest turns as text in the rest.

    The summary is written window by window, each with the summary before it. Of the evidence it holds nothing word for word.
    """

    reader: Answering
    folder: Path | None = None
    name: str = "summary, newest turns"
    policy: Policy = POLICIES["full text"]

    def offer(self, trial: Trial, budget: int, place: int) -> Offer | None:
        room = round(budget * SUMMARY_SHARE)
        newest = trial.offered(POLICIES["cut the oldest"], budget - room)
        older = trial.turns[: len(trial.turns) - len(newest.text if newest else ())]
        if newest is None or not older:
            return newest
        summary = self._fitted(trial, self._summed_up(trial, older, room), room)
        return trial.text_only([summary, *newest.context.turns])

    def _summed_up(self, trial: Trial, turns: Sequence[Turn], room: int) -> str:
        summary, asked = "", SUMMARISE.format(words=max(1, round(room / TOKENS_A_WORD)))
        for window in _windows(trial.pricing, turns):
            before = [Turn(role="user", content=SUMMED_UP + summary)] if summary else []
            context = trial.text_only([*before, *window]).context
            key = "\n".join([asked, summary, *(f"{turn.role}: {turn.text}" for turn in window)])
            summary = kept(self.folder, key, lambda context=context: str(self.reader.answer(context, asked, max_tokens=room)).strip())  # type: ignore[misc]
        return summary

    def _fitted(self, trial: Trial, text: str, room: int) -> Turn:
        """Cut a summary that is longer than it was to be."""
        words = (SUMMED_UP + text).split(" ")
        while len(words) > 1 and trial.pricing.message(" ".join(words)) > room:
            words = words[: max(1, len(words) * 9 // 10)]
        return Turn(role="user", content=" ".join(words))


def _windows(pricing: Pricing, turns: Sequence[Turn]) -> list[list[Turn]]:
    windows, spent = [list[Turn]()], 0
    for turn in turns:
        cost = pricing.cost(turn)
        if windows[-1] and spent + cost > WINDOW:
            windows.append([])
            spent = 0
        windows[-1].append(turn)
        spent += cost
    return windows


class Bm25:
    """Turns ranked by plain BM25: words in lower case, no stems, no stop words. The baseline, not what `recall` does."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._terms = [Counter(_words(turn.text)) for turn in turns]
        self._lengths = [terms.total() for terms in self._terms]
        self._mean = sum(self._lengths) / max(1, len(turns)) or 1.0
        self._holding = Counter(term for terms in self._terms for term in terms)

    def ranked(self, question: str) -> list[Turn]:
        """Return the turns with a word of the question, best first, older first among equals."""
        wanted = set(_words(question))
        scores = [self._score(wanted, place) for place in range(len(self._turns))]
        best = sorted((place for place, score in enumerate(scores) if score > 0), key=lambda place: -scores[place])
        return [self._turns[place] for place in best[:CANDIDATES]]

    def _score(self, wanted: set[str], place: int) -> float:
        terms, damped = self._terms[place], K1 * (1 - B + B * self._lengths[place] / self._mean)
        return sum(self._weight(term) * terms[term] * (K1 + 1) / (terms[term] + damped) for term in wanted & terms.keys())

    def _weight(self, term: str) -> float:
        held = self._holding[term]
        return math.log(1 + (len(self._turns) - held + 0.5) / (held + 0.5))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def default_policy(profile: ReaderProfile) -> Policy:
    """Return the policy of a memory that was opened for a reader without any option."""
    shape = shaped_for(profile, profile.page_style())
    return replace(POLICIES["best use + sidecar"], name="default", sidecar_tokens=SIDECAR_TOKENS, shape=shape)


def ways_for(profile: ReaderProfile, summaries: Summaries | None = None) -> list[Way]:
    """Return the ways that are compared, for a reader; the summary only where a model writes it."""
    default = default_policy(profile)
    ways: list[Way] = [
        ByPolicy("cut the oldest", POLICIES["cut the oldest"]),
        Retrieval("BM25 of turns", lambda trial, question: trial.bm25.ranked(question)),
        Retrieval("recall alone", lambda trial, question: _recalled(trial.plain, question)),
        *(ByPolicy(name, POLICIES[name]) for name in FLAT),
        ByPolicy("by age", POLICIES["aged"]),
        ByPolicy("the default", default),
        WithRecall("the default, with recall", default),
    ]
    return [*ways[:1], *([summaries] if summaries else []), *ways[1:]]


def _recalled(memory: OpticalMemory, question: str) -> list[Turn]:
    return memory.recall(question, CANDIDATES)
