"""The harness: what counts as legible, where identifiers are offered, and that its numbers are those of its results."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory import OpticalMemory
from optical_memory.errors import ProgramNotFound, UnknownName
from optical_memory.evaluation.conversations import Conversation, Question, read_conversation
from optical_memory.evaluation.facts import Fact, facts_of
from optical_memory.evaluation.harness import Evaluation, Result, evaluate, load_results, save_results
from optical_memory.evaluation.identifiers import PLACES, cut_offers, probe, probes_of
from optical_memory.evaluation.legibility import Legibility, ReadPicture
from optical_memory.evaluation.policies import POLICIES, chosen, cost_of
from optical_memory.evaluation.summary import plot_of, rows_of, share_of
from optical_memory.pages.page import PageStyle
from optical_memory.pages.tiers import Tier
from optical_memory.readers.tesseract import OcrReader
from optical_memory.renderers.base import Renderer, open_renderer
from optical_memory.stores import open_store
from optical_memory.turns.turn import Turn
from optical_memory.verification.words import critical_spans, plain

WORDS = ["river", "stone", "garden", "window", "market", "morning", "letter", "paper", "bridge", "silver", "winter", "simple", "quiet"]


@pytest.fixture(scope="module")
def engine() -> ReadPicture:
    try:
        reader = OcrReader()
    except ProgramNotFound as exc:
        pytest.skip(str(exc))
    return lambda png, letter: reader.read_picture(png, letter=letter)


@pytest.fixture(scope="module")
def drawing() -> Renderer:
    return open_renderer("pillow")


def talk(count: int = 60) -> Conversation:
    """A chat in which turn n says a code of its own, and a question for every fifth."""
    chance = random.Random(7)
    codes = {n: f"{chance.choice(WORDS).upper()}-{chance.getrandbits(48):012x}" for n in range(1, count + 1)}
    messages = [
        {
            "role": "user" if n % 2 else "assistant",
            "content": f"The code of the {chance.choice(WORDS)} is {codes[n]}, and then {' '.join(chance.choices(WORDS, k=50))}.",
        }
        for n in codes
    ]
    questions = tuple(Question(f"What is {codes[n]}?", (codes[n],), (n,)) for n in range(5, count + 1, 5))
    return Conversation("talk", tuple(messages), questions)


@pytest.mark.slow
def test_a_turn_is_legible_as_long_as_its_page_can_be_read(engine: ReadPicture, drawing: Renderer) -> None:
    memory = OpticalMemory("a", store="memory://", renderer=drawing)
    memory.extend(talk().messages)
    memory.context(3_000)
    page = memory.pages()[0]
    whole = [segment.turn for segment in page.segments if not segment.continued and not segment.continues]
    turns = [memory.recall([number])[0] for number in whole[:8]]
    found = {}
    for tier in (Tier.BASE, Tier.TINY):
        legibility = Legibility(engine, PageStyle())
        found[tier] = sum(legibility.is_legible(turn, turn.role, [(page, tier)]) for turn in turns)
    assert found[Tier.BASE] >= 0.7 * len(turns), found
    assert found[Tier.TINY] < found[Tier.BASE], found


def test_one_wrong_digit_fails_unless_the_string_stands_beside(drawing: Renderer) -> None:
    memory = OpticalMemory("a", store="memory://", renderer=drawing)
    memory.extend(talk().messages)
    memory.context(3_000)
    page = memory.pages()[0]
    turn = memory.recall([page.segments[0].turn])[0]
    code = turn.text.split(" is ")[1].split(",")[0]
    head = f"#{turn.number} {turn.role} "

    def reads(text: str) -> Legibility:
        return Legibility(lambda png, letters: text, PageStyle())

    shown = [(page, Tier.BASE)]
    assert reads(head + turn.text).is_legible(turn, turn.role, shown)
    misread = head + turn.text.replace(code, code[:-1] + ("1" if code[-1] != "1" else "2"))
    assert not reads(misread).is_legible(turn, turn.role, shown)
    assert reads(misread).is_legible(turn, turn.role, shown, beside=[code])
    assert not reads(misread).shows(turn, turn.role, shown, code)
    assert reads(head + "?" * 40 + turn.text).shows(turn, turn.role, shown, code)
    assert not reads(head + turn.text[: len(turn.text) // 2]).is_legible(turn, turn.role, shown, beside=[code])
    assert not reads(head + turn.text).is_legible(turn, turn.role, [])


@pytest.mark.slow
def test_shares_by_policy(engine: ReadPicture, drawing: Renderer) -> None:
    names = ("full text", "cut the oldest", "all base", "aged + shaped + recall")
    store = open_store("memory://")
    results = list(
        evaluate([Evaluation(talk(), store, drawing, "deepseek-ocr", engine)], [POLICIES[name] for name in names], [1_000, 2_000])
    )
    rows = {(row.policy, row.budget): row for row in rows_of(results)}
    assert rows["full text", 1_000].legible.value == 1
    assert 0 < rows["cut the oldest", 1_000].legible.value < rows["cut the oldest", 2_000].legible.value < 1
    assert rows["cut the oldest", 2_000].tokens <= 2_000
    for (policy, budget), row in rows.items():
        assert row.questions == 12
        assert row.offered.value >= row.legible.value
        assert policy == "full text" or row.tokens <= budget
    assert rows["all base", 2_000].legible.value > rows["cut the oldest", 2_000].legible.value
    assert rows["aged + shaped + recall", 2_000].offered.value > 0.9  # each question names its code, so search finds it
    assert "<svg" in plot_of(list(rows.values()))


def test_results_are_saved_and_read(tmp_path: Path) -> None:
    result = Result("a", "aged", 1_000, 3, 900, False, True, True, True, 0.25)
    save_results(tmp_path / "results.jsonl", [result, result])
    assert load_results(tmp_path / "results.jsonl") == [result, result]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=40))
def test_an_interval_is_around_its_share(answers: list[tuple[str, bool]]) -> None:
    results = [Result(name, "p", 1, place, 1, held, held, held, held, 0.0) for place, (name, held) in enumerate(answers)]
    share = share_of(results, lambda result: result.legible)
    assert share.value == pytest.approx(sum(held for _, held in answers) / len(answers))
    assert 0 <= share.low <= share.high <= 1
    if len({held for _, held in answers}) == 1:
        assert share.low == share.high == share.value


def test_an_interval_narrows_with_more_questions() -> None:
    def width(count: int) -> float:
        results = [Result("a", "p", 1, n, 1, n % 2 == 0, n % 2 == 0, True, True, 0.0) for n in range(count)]
        share = share_of(results, lambda result: result.legible)
        return share.high - share.low

    assert width(400) < width(100) / 1.5 < width(25) / 2


@pytest.mark.parametrize(
    ("text", "critical"),
    [
        ("I saw it on 7 May, at Legend Investments.", ["7", "May", "Legend", "Investments"]),
        ("look at src/a.py (or my_name)", ["src/a.py", "my_name"]),
        ("nothing here to spoil", []),
        ('"QX-77419", he said', ["QX-77419"]),
    ],
)
def test_critical_words(text: str, critical: list[str]) -> None:
    assert [text[start:stop] for start, stop in critical_spans(text)] == critical


def test_what_an_engine_cannot_know_is_no_error() -> None:
    assert plain("“AI-\ndriven” — it’s") == plain('"AI-driven" - it\'s')


def test_conversations_from_files(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    messages = [{"role": "user", "content": "My name is  **Ann**."}, {"role": "assistant", "content": "Hello."}]
    questions: list[dict[str, Any]] = [
        {"question": "q1", "answers": ["Ann"], "evidence_quote": "my name is Ann"},
        {"question": "q2", "answers": ["x"], "evidence_quote": "nowhere"},
        {"question": "q3", "answers": [7], "evidence_turns": [2, 9], "category": 4},
        {"question": "q4", "answers": ["x"], "evidence_turns": [1], "category": 2},
    ]
    file.write_text(json.dumps({"messages": messages, "questions": questions}))
    read = read_conversation(file, categories=[4])
    assert [(question.text, question.evidence) for question in read.questions] == [("q1", (1,)), ("q3", (2,))]
    assert (read.without_evidence, read.questions[1].answers) == (1, ("7",))
    for wrong in ("[]", "{}", '{"messages": [], "questions": [{}]}', "nonsense"):
        file.write_text(wrong)
        with pytest.raises(ValueError, match=r"'talk.json' is no conversation with questions"):
            read_conversation(file)


def test_unknown_policies_are_named() -> None:
    assert [policy.name for policy in chosen("aged, full text")] == ["aged", "full text"]
    with pytest.raises(UnknownName, match="'agde'"):
        chosen("agde")


def test_identifiers_that_are_used_again(drawing: Renderer) -> None:
    def call(number: int, value: str) -> list[dict[str, Any]]:
        arguments = json.dumps({"id": value, "path": ["src/lib/http.py"], "note": "no identifier"})
        made = {"id": f"c{number}", "type": "function", "function": {"name": "look", "arguments": arguments}}
        return [
            {"role": "user", "content": f"please look {number} " + "word " * 60},
            {"role": "assistant", "content": "", "tool_calls": [made]},
            {"role": "tool", "tool_call_id": f"c{number}", "content": f"done {number}"},
        ]

    messages = [{"role": "user", "content": "the order is AB-1029, in src/lib/http.py"}]
    for number in range(12):
        messages += call(number, "AB-1029" if number in (0, 11) else f"ZZ-{number}-00")
    memory = OpticalMemory("a", store="memory://", renderer=drawing)
    memory.extend(messages)
    turns = memory.turns()
    probes = probes_of(turns, 10)
    assert [(each.value, each.turn, each.seen) for each in probes] == [("AB-1029", 36, 3)]
    fresh = OpticalMemory("b", store="memory://", renderer=drawing)
    found = probe(fresh, turns, probes, 600, Legibility(lambda png, letters: "", PageStyle()))
    assert sum(found.values()) == 1 and set(found) <= set(PLACES)
    assert found["in a sidecar"] == 1  # nothing can be read here, and the sidecar has it
    assert cut_offers(turns, probes, 300, cost_of(memory)) == 0
    assert cut_offers(turns, probes, 100_000, cost_of(memory)) == 1


def test_a_fact_is_the_sentence_that_holds_the_answer() -> None:
    turn = Turn(number=3, role="user", content="Hello there! My counter is only 38 square feet. It is in Seattle.")
    found = facts_of(Question("How large?", ("thirty eight", "38"), (3,)), {3: turn}, 59)
    assert found == (Fact(3, "My counter is only 38 square feet.", frozenset({"38"})),)
    both = facts_of(Question("What and where?", ("a counter in Seattle",), (3,)), {3: turn}, 59)
    assert [fact.statement for fact in both] == ["My counter is only 38 square feet.", "It is in Seattle."]
    assert facts_of(Question("How large?", ("quite small",), (3,)), {3: turn}, 59) == ()


@pytest.mark.slow
def test_shaped_pages_tell_more_facts_than_shrunk_ones_of_the_same_price(engine: ReadPicture, drawing: Renderer) -> None:
    thanks = "Thanks so much, that sounds awesome, and I am so glad to hear it, since it was really lovely to talk with you again today!"
    told = [f"The key of the {WORDS[n % len(WORDS)]} near gate {n} is held by Mr. Okafor at {n % 12 + 1}:40." for n in range(60)]
    messages = tuple({"role": role, "content": text} for line in told for role, text in (("user", line), ("assistant", thanks)))
    asked = tuple(Question("When?", (f"Okafor at {n % 12 + 1}:40",), (2 * n + 1,)) for n in range(0, 60, 4))
    opened = Evaluation(Conversation("keys", messages, asked), open_store("memory://"), drawing, "deepseek-ocr", engine)
    results = evaluate([opened], chosen("all tiny, shaped tiny"), [2_500])
    rows = {row.policy: row for row in rows_of(list(results))}
    plain, shaping = rows["all tiny"], rows["shaped tiny"]
    assert plain.facts and shaping.facts and shaping.facts.value > plain.facts.value
    assert shaping.tokens <= plain.tokens + 40  # what the framing text says of it
