"""The public sets in the shapes in which they are published, from tiny files made here, and the ways that are compared on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks._budget_ways import FLAT, Summaries, Trial, kept, ways_for
from benchmarks._public_sets import read_set
from benchmarks.forgetting import kept_in
from benchmarks.public import at_equal_tokens, difference, main, results_of
from optical_memory.errors import ProgramNotFound
from optical_memory.evaluation.conversations import Conversation, Question
from optical_memory.evaluation.harness import Result
from optical_memory.evaluation.policies import POLICIES
from optical_memory.readers.base import open_reader
from optical_memory.readers.tesseract import OcrReader
from optical_memory.renderers.base import open_renderer
from tests.readers.chat_server import ChatServer
from tests.sampling import mostly_slow

LOCOMO = [
    {
        "sample_id": "conv-7",
        "conversation": {
            "speaker_a": "Ann",
            "speaker_b": "Bo",
            "session_10_date_time": "7:05 pm on 1 June, 2023",
            "session_10": [{"speaker": "Bo", "dia_id": "D10:1", "text": "The boat is green.", "blip_caption": "a boat", "img_url": ["x"]}],
            "session_2_date_time": "1:56 pm on 8 May, 2023",
            "session_2": [
                {"speaker": "Ann", "dia_id": "D2:1", "text": "I bought a boat."},
                {"speaker": "Bo", "dia_id": "D2:2", "text": "Nice."},
            ],
            "session_11_date_time": "1:00 pm on 2 June, 2023",
        },
        "qa": [
            {"question": "What did Ann buy?", "answer": "a boat", "evidence": ["D2:1"], "category": 4},
            {"question": "How many boats?", "answer": 1, "evidence": ["D2:1; D10:1"], "category": 1},
            {"question": "And whose?", "answer": "Ann's", "evidence": ["D3:1"], "category": 2},
            {"question": "What did Bo buy?", "adversarial_answer": "a boat", "evidence": ["D2:1"], "category": 5},
        ],
    }
]


def memory_question(id: str, **others: Any) -> dict[str, Any]:
    return {
        "question_id": id,
        "question_type": "knowledge-update",
        "question": "Which bus?",
        "answer": 7,
        "question_date": "2023/05/30 (Tue) 10:00",
        "haystack_session_ids": ["late", "early"],
        "haystack_dates": ["2023/05/21 (Sun) 08:00", "2023/05/20 (Sat) 02:21"],
        "haystack_sessions": [
            [
                {"role": "user", "content": "I take bus 7 now.", "has_answer": True},
                {"role": "assistant", "content": "I see.", "has_answer": False},
            ],
            [{"role": "user", "content": "I take bus 3."}, {"role": "assistant", "content": "Good."}],
        ],
        "answer_session_ids": ["late"],
        **others,
    }


def beam_chat(folder: Path, turns: list[tuple[str, int, str]], questions: dict[str, Any], name: str = "chat.json") -> None:
    told = [{"role": role, "id": id, "time_anchor": "March-15-2024", "content": content} for role, id, content in turns]
    (folder / "probing_questions").mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps([{"batch_number": 1, "turns": [told[:2], told[2:]]}]))
    (folder / "probing_questions" / "probing_questions.json").write_text(json.dumps(questions))


def test_locomo_as_published(tmp_path: Path) -> None:
    (tmp_path / "locomo10.json").write_text(json.dumps(LOCOMO))
    [talk] = read_set("locomo", tmp_path)
    assert [(message["role"], message["name"]) for message in talk.messages] == [("user", "Ann"), ("assistant", "Bo"), ("assistant", "Bo")]
    assert talk.messages[2]["content"] == "The boat is green. [shared a picture: a boat]", "session 10 comes after session 2"
    assert [f"{message['created_at']:%m-%d %H}" for message in talk.messages] == ["05-08 13", "05-08 13", "06-01 19"]
    assert talk.questions == (Question("What did Ann buy?", ("a boat",), (1,)), Question("How many boats?", ("1",), (1, 3)))
    assert (talk.name, talk.without_evidence) == ("conv-7", 1), "D3:1 is nowhere; category 5 has no answer"
    [only] = read_set("locomo", tmp_path / "locomo10.json", ["1"])
    assert [question.evidence for question in only.questions] == [(1, 3)]


def test_longmemeval_as_published(tmp_path: Path) -> None:
    unmarked = memory_question("b")
    for session in unmarked["haystack_sessions"]:
        for turn in session:
            turn.pop("has_answer", None)
    asked = [memory_question("a"), unmarked, memory_question("c_abs"), memory_question("d", question_type="multi-session")]
    (tmp_path / "longmemeval_s.json").write_text(json.dumps(asked))
    first, second = read_set("longmemeval", tmp_path, ["knowledge-update"])
    assert [message["content"] for message in first.messages] == ["I take bus 3.", "Good.", "I take bus 7 now.", "I see."], "by date"
    assert first.questions == (Question("Which bus?", ("7",), (3,)),)
    assert second.questions[0].evidence == (3, 4), "no turn is marked: the sessions with the answer"
    assert len(list(read_set("longmemeval", tmp_path))) == 3, "what is not answered is left out"


def test_beam_as_published(tmp_path: Path) -> None:
    turns = [
        ("user", 0, "My sprint ends on March 29. ->-> 1,1"),
        ("assistant", 1, "Noted."),
        ("user", 2, "No, on March 30."),
        ("assistant", 3, "Ok."),
    ]
    questions = {
        "abstention": [{"question": "Who am I?", "ideal_response": "There is no information."}],
        "knowledge_update": [{"question": "When?", "answer": "March 30", "source_chat_ids": {"original_info": [0], "updated_info": [2]}}],
        "summarization": [{"question": "Sum up.", "ideal_summary": "A sprint.", "source_chat_ids": [2, 3, 3]}],
    }
    beam_chat(tmp_path / "100K" / "11", turns, questions)
    beam_chat(tmp_path / "100K" / "2", [*turns, ("user", 2, "twice")], questions)
    beam_chat(tmp_path / "100K" / "2", turns[:3], questions, "chat_trunecated.json")
    shorter, whole = read_set("beam", tmp_path)
    assert (shorter.name, whole.name) == ("100K-2", "100K-11")
    assert whole.messages[0]["content"] == "My sprint ends on March 29."
    assert [question.evidence for question in whole.questions] == [(1, 3), (3, 4)]
    assert whole.without_evidence == 1, "nothing is to be found for an abstention"
    assert [question.answers for question in shorter.questions] == [("March 30",)], "turn 3 is not in the shorter chat"
    assert len(whole.messages) == 4 and f"{whole.messages[3]['created_at']:%Y-%m-%d}" == "2024-03-15"
    beam_chat(tmp_path / "x", [*turns, ("user", 2, "twice")], questions)
    [double] = read_set("beam", tmp_path / "x")
    assert double.questions == (), "a number that two turns have names neither"


def test_files_of_another_shape_are_named(tmp_path: Path) -> None:
    own = {
        "messages": [{"role": "user", "content": "Bus 7."}],
        "questions": [{"question": "Bus?", "answers": ["7"], "evidence_turns": [1]}],
    }
    (tmp_path / "own.json").write_text(json.dumps(own))
    assert [talk.name for talk in read_set("locomo", tmp_path)] == ["own"]
    with pytest.raises(ValueError, match=r"'.*gone' is not there; name the folder with longmemeval_s\.json"):
        list(read_set("longmemeval", tmp_path / "gone"))
    with pytest.raises(ValueError, match="no conversations of beam"):
        list(read_set("beam", tmp_path))
    (tmp_path / "other.json").write_text(json.dumps([{"conversation": {}, "turns": 3}]))
    with pytest.raises(ValueError, match=r"other\.json' is not of locomo \(KeyError: 'qa'\)"):
        list(read_set("locomo", tmp_path / "other.json"))


@pytest.fixture(scope="module")
def engine() -> OcrReader:
    try:
        return OcrReader()
    except ProgramNotFound as exc:
        pytest.skip(str(exc))


def talk() -> Conversation:
    """A chat of 60 turns. The third and the last but one tell the colour of something."""
    filler = "They had walked along the river for hours and saw nothing at all before somebody came with a lamp in one hand."
    said = [f"{filler} It was number {number}." for number in range(1, 61)]
    said[2], said[58] = f"{filler} The colour of the orchard is turquoise.", f"{filler} The colour of the castle is crimson."
    asked = (("orchard", "turquoise", 3), ("castle", "crimson", 59))
    questions = tuple(Question(f"What colour has the {noun}?", (colour,), (turn,)) for noun, colour, turn in asked)
    return Conversation(
        "talk", tuple({"role": "user" if n % 2 else "assistant", "content": text} for n, text in enumerate(said)), questions
    )


@pytest.fixture(scope="module")
def trial(engine: OcrReader) -> Trial:
    read: Callable[[bytes, float], str] = lambda png, letter: engine.read_picture(png, letter=letter)  # noqa: E731
    return Trial(talk(), open_renderer("pillow"), engine.profile, read)


QUICK = ("cut the oldest", "BM25 of turns", "recall alone", "all base")


OTHERS = ("all small", "all tiny", "by age", "the default", "the default, with recall")


@pytest.mark.parametrize("names", mostly_slow([QUICK, OTHERS], quick=[QUICK]))
def test_every_way_keeps_to_the_budget_and_evidence_is_what_it_shows(trial: Trial, names: tuple[str, ...]) -> None:
    ways = [way for way in ways_for(trial.plain.profile) if way.name in names]
    found = {(result.policy, result.question): result for result in results_of(trial, ways, [700])}
    assert {result.tokens <= 700 for result in found.values()} == {True} and len(found) == 2 * len(names)
    for way in {"BM25 of turns", "recall alone", "the default, with recall"} & set(names):
        assert found[way, 0].legible and found[way, 0].recallable and found[way, 0].as_text, way
    if names == QUICK:
        assert [found["cut the oldest", place].legible for place in (0, 1)] == [False, True], "the newest only"
        assert found["all base", 0].legible and found["all base", 0].facts and not found["all base", 0].as_text, "read off a page"


@pytest.mark.slow
def test_uniform_tiers_get_the_tokens_that_aged_ones_sent(trial: Trial) -> None:
    results = list(at_equal_tokens(trial, [700]))
    sent = {result.policy: result.tokens for result in results}
    assert len(sent) == 2 * (1 + len(FLAT))
    assert all(sent[f"{name}: {tier}"] <= sent[name] <= 700 for name in ("by age", "best use") for tier in FLAT)


def test_differences_are_of_the_same_questions() -> None:
    def results(policy: str, held: str) -> list[Result]:
        return [Result("c", policy, 1, place, 1, False, each == "+", False, False, 0.0) for place, each in enumerate(held)]

    better = difference(results("a", "+++-"), results("b", "-++-"))
    assert better.value == 0.25 and better.low == 0.0 and better.high > 0.25
    assert str(difference(results("a", "+-+-"), results("a", "+-+-"))) == "0 % (0-0)", "in pairs: no chance is left"


def test_bm25_ranks_by_rare_words(trial: Trial) -> None:
    ranked = trial.bm25.ranked("What colour has the castle?")
    assert [turn.number for turn in ranked[:2]] == [59, 3]
    assert trial.bm25.ranked("zebra") == []
    most = trial.retrieved(ranked, 10_000)
    assert len(most.context.plan.recalled) == len(ranked) and most.tokens <= 10_000
    assert trial.retrieved(ranked, 5).context.plan.recalled == ()


def test_a_summary_is_written_once_and_the_newest_turns_follow(trial: Trial, tmp_path: Path) -> None:
    with ChatServer(["Ann likes boats. " * 60]) as server:
        reader = open_reader("openai", url=server.url, model="m", profile="deepseek-ocr")
        way = Summaries(reader, tmp_path)
        offers = [way.offer(trial, 400, place) for place in (0, 1)]
        asked = len(server.requests)
        reader.close()
    first, *newest = [turn for part in offers[0].context.parts for turn in part.turns] if offers[0] else []
    assert first.text.startswith("Summary of the conversation before: Ann likes boats.")
    assert [turn.number for turn in newest] == list(range(61 - len(newest), 61)) and newest
    assert offers[0] and offers[0].tokens <= 400
    assert asked == 1, "kept, since it does not depend on the question"
    assert "Sum up this conversation" in json.dumps(server.requests[0]) and "turquoise" in json.dumps(server.requests[0])
    assert not trial.holds(POLICIES["full text"], offers[0], 0), "nothing word for word"


def test_a_reading_is_whole_or_not_there(engine: OcrReader, tmp_path: Path) -> None:
    def broken() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, "a", broken)
    assert kept(tmp_path, "a", lambda: "b") == kept(tmp_path, "a", broken) == "b"

    class Stopped(OcrReader):
        def read_picture(self, png: bytes, *, letter: float | None = None) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept_in(tmp_path / "r", Stopped(), b"png", 9.0)
    assert list((tmp_path / "r").iterdir()) == []


@pytest.mark.slow
def test_a_model_answers_and_is_asked_nothing_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = talk()
    own = [{"question": each.text, "answers": each.answers, "evidence_turns": each.evidence} for each in said.questions]
    (tmp_path / "talk.json").write_text(json.dumps({"messages": said.messages, "questions": own}))
    fixed = ["locomo", "--data", str(tmp_path / "talk.json"), "--budgets", "700", "--renderer", "pillow", "--out", str(tmp_path / "o")]
    with ChatServer(["crimson"]) as server:
        asking = [*fixed, "--ask", server.url, "--model", "a-model"]
        main(asking)
        asked, printed = len(server.requests), capsys.readouterr().out
        main(asking)
        assert len(server.requests) == asked
        main([*asking, "--dry-run"])
        assert len(server.requests) == asked
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 requests, 0 prompt tokens, ")
    rows = {cells[1].strip(): cells[2] for cells in (line.split("│") for line in printed.splitlines() if line.startswith("│"))}
    assert {"cut the oldest", "summary, newest turns", "recall alone", "all tiny", "the default, with recall"} <= rows.keys()
    assert all(cell.strip().startswith("50 % (0-100)") for cell in rows.values()), "the castle is crimson, the orchard is not"
    assert any("image_url" in json.dumps(request) for request in server.requests), "pages go as pictures"
    assert sum("Sum up this conversation" in json.dumps(request) for request in server.requests) == 1, "one summary for both questions"
