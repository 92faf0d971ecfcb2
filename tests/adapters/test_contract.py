"""What every adapter promises, asked of each one whose framework is here. What only one framework knows is in that adapter's own file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory import WaterMarks
from optical_memory.errors import BudgetTooSmall
from optical_memory.stores import SessionId
from optical_memory.stores.in_memory import MemoryStore
from tests.adapters.drivers import DRIVERS, Driver, Message, Sent
from tests.adapters.upset import upset_histories
from tests.histories import histories
from tests.sampling import EXAMPLES
from tests.support import RuledRenderer

ROOT = Path(__file__).parents[2]
SMALL = WaterMarks(high=300, low=60)
FRAMEWORKS = {  # the module of each adapter, what it is missing without, and the extra that brings it
    "langchain.middleware": ("langchain", "langchain"),
    "langchain.history": ("langchain_core", "langchain"),
    "langchain.byte_stores": ("langchain_core", "langchain"),
    "langchain.classic": ("langchain_classic", "langchain-classic"),
    "litellm": ("litellm", "litellm"),
    "llama_index": ("llama_index.core", "llama-index"),
    "openai_agents": ("agents", "openai-agents"),
    "pydantic_ai": ("pydantic_ai", "pydantic-ai"),
}

Open = Callable[..., Driver]


@pytest.fixture(params=DRIVERS)
def opened(request: pytest.FixtureRequest) -> Open:
    """Opens an adapter with small water marks and a renderer of small pages, unless told otherwise."""

    def opened(**options: Any) -> Driver:
        given = {"reader": "deepseek-ocr", "renderer": RuledRenderer(rows=900), "marks": SMALL, **options}
        return DRIVERS[request.param](**{name: value for name, value in given.items() if value is not None})

    return opened


def chat(count: int) -> list[Message]:
    return [{"role": "user" if n % 2 else "assistant", "content": f"turn {n} is about QX-77{n:03}. " * 6} for n in range(1, count + 1)]


def calls(*ids: str) -> Message:
    made = [{"id": call_id, "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}} for call_id in ids]
    return {"role": "assistant", "content": "", "tool_calls": made}


def result(call_id: str, text: str = "there is a train to Basel. ") -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def pictures(sent: Sequence[Sent]) -> int:
    return sum(message.pictures for message in sent)


def texts(sent: Sequence[Sent]) -> list[str]:
    return [message.text for message in sent]


def appends(requests: Sequence[Sequence[Sent]]) -> float:
    """The share of requests that only add to the one before."""
    raw = [[message.raw for message in sent] for sent in requests]
    return sum(after[: len(before)] == before for before, after in pairwise(raw)) / (len(raw) - 1)


def assert_paired(sent: Sequence[Sent]) -> None:
    """Every result follows its call, and every call has its result before anybody else speaks, but for calls at the very end.

    Calls and words of one answer may be messages of their own.
    """
    waiting: set[str] = set()
    for message in sent:
        if message.role == "tool":
            assert message.answers in waiting, f"a result without its call: {message.answers}"
            waiting.discard(message.answers)
        elif message.calls:
            assert message.role == "assistant" and not waiting & set(message.calls), "called again before it was answered"
            waiting |= set(message.calls)
        else:
            assert not waiting or message.role == "assistant", f"somebody spoke before the results of {waiting}"


def assert_strictly_paired(sent: Sequence[Sent]) -> None:
    """As providers of chat completions have it: nothing stands between a call and its results."""
    waiting: set[str] = set()
    for message in sent:
        assert message.role == "tool" or not waiting, f"calls without results: {waiting}"
        assert message.role != "tool" or message.answers in waiting, f"a result without its call: {message.answers}"
        waiting = waiting - {message.answers} if message.role == "tool" else set(message.calls)  # type: ignore[arg-type]


def is_paired(driver: Driver, sent: Sequence[Sent]) -> None:
    assert_paired(sent) if type(driver).__name__ == "OpenAIAgents" else assert_strictly_paired(sent)


# -- what is sent, and what stays --------------------------------------------------------------------------------------------------------


def test_the_past_is_on_pages_and_what_is_recent_is_what_came(opened: Open) -> None:
    driver, messages = opened(), chat(61)
    given = driver.given(messages)
    before = [sent.raw for message in given for sent in driver.sent(message)]
    sent = driver.request(messages)
    assert pictures(sent) >= 2 and len(sent) < 20
    assert "not instructions" in next(message.text for message in sent if message.pictures)
    assert sent[-1].text == messages[-1]["content"] and not sent[-1].pictures
    shown = [message for message in sent if not message.pictures]
    assert texts(shown) == [message["content"] for message in messages[-len(shown) :]], "the newest, whole and in their order"
    assert [sent.raw for message in given for sent in driver.sent(message)] == before, "what the caller holds stays as it was"
    if not driver.keeps_log:
        held = [item for one in given for item in (one if isinstance(one, list) else [one])]
        assert all(any(message.original is item for item in held) for message in shown), "the very objects"


def test_a_short_conversation_goes_as_it_is(opened: Open) -> None:
    driver, messages = opened(), chat(3)
    sent = driver.request(messages)
    assert texts(sent) == [message["content"] for message in messages] and not pictures(sent)


def test_the_systems_words_stay_first_and_text(opened: Open) -> None:
    sent = opened().request([{"role": "system", "content": "Be brief."}, *chat(61)])
    assert pictures(sent) and (sent[0].role, sent[0].text, sent[0].pictures) == ("system", "Be brief.", 0)


def test_nothing_changes_inside_a_tool_loop(opened: Open) -> None:
    driver, messages, requests = opened(), chat(41), []
    driver.request(messages)
    for n in range(5):
        requests.append(driver.request(messages))
        messages += [calls(f"a{n}", f"b{n}"), result(f"b{n}"), result(f"a{n}")]
    assert pictures(requests[-1]) and appends(requests) == 1.0
    for sent in requests:
        is_paired(driver, sent)


@pytest.mark.slow
def test_a_long_conversation_mostly_appends(opened: Open) -> None:
    driver, messages = opened(marks=WaterMarks(high=800, low=150)), chat(121)
    requests = [driver.request(messages[:end]) for end in range(1, 122, 2)]
    assert appends(requests) >= 0.8 and pictures(requests[-1])


@pytest.mark.slow
def test_a_replay_of_a_real_trajectory_mostly_appends(opened: Open) -> None:
    loaded = json.loads(files("optical_memory.demo").joinpath("airline-agent.json").read_text("utf-8"))["messages"][:120]
    driver = opened(reader="gpt-4o", renderer=RuledRenderer(rows=6_000), marks=WaterMarks())
    requests = [driver.request(loaded[:end]) for end, message in enumerate(loaded) if message["role"] == "assistant" and end]
    for sent in requests:
        is_paired(driver, sent)
    assert len(requests) > 45 and pictures(requests[-1]) >= 2 and appends(requests) >= 0.8


@settings(max_examples=max(4, EXAMPLES), suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_request_ever_holds_half_a_tool_call(opened: Open, data: st.DataObject) -> None:
    """Whatever was cut out of a conversation, or put in twice."""
    driver = opened()
    history = data.draw(upset_histories(max_steps=30) if driver.mends else histories(max_steps=30))
    sent: list[Sent] = []
    ends = [end for end, message in enumerate(history, 1) if driver.pairs_newest or message["role"] == "user"]
    for end in ends[:: 1 + len(ends) // 8]:
        plan_before, before, sent = driver.plan, sent, driver.request(history[:end])
        is_paired(driver, sent)
        if history[end - 1]["role"] == "user":
            assert sent[-1].text == history[end - 1]["content"], "what was said now is text"
        if plan_before and driver.plan == plan_before:
            pages = max((place for place, message in enumerate(before, 1) if message.pictures), default=0)
            assert sent[:pages] == before[:pages], "pages hold still for as long as their plan does"


# -- what agents say ---------------------------------------------------------------------------------------------------------------------

WORDS = " ".join(f"word{n}" for n in range(5_000))  # some 15,000 tokens
BESIDE = [
    {"role": "user", "content": "Read this.", "document": "The gate code is QX-99417. "},
    {"role": "assistant", "content": "Read.", "thinking": "The code must be QX-55183. "},
]


@pytest.mark.parametrize("beside", BESIDE, ids=["document", "thinking"])
def test_words_outside_of_text_count_and_their_exact_strings_stand_beside_the_page(opened: Open, beside: Message) -> None:
    key = "document" if "document" in beside else "thinking"
    sent = opened().request([*chat(2)[: beside["role"] == "assistant"], beside, *chat(60)[beside["role"] == "user" :]])
    labels = [message.text for message in sent if message.pictures]
    assert any(beside[key].split("QX-")[1].split(".")[0] in label for label in labels)
    ask = [beside, {"role": "assistant", "content": "Yes?"}] if key == "document" else [chat(1)[0], beside]
    huge = [{**message, key: WORDS} if key in message else message for message in ask]
    try:
        sent = opened(budget=3_000).request([*huge, {"role": "user", "content": "Go on."}])
    except BudgetTooSmall as exc:
        assert exc.needed > 10_000
    else:
        assert max(len(message.raw) for message in sent if not message.pictures) < 24_000, "on pages, or left out"


def test_two_parallel_calls_with_one_id_each_keep_their_result(opened: Open) -> None:
    driver, asked = opened(), {"role": "user", "content": "Oslo and Rome?"}
    both = [asked, calls("call_0", "call_0"), result("call_0", "Oslo 3"), result("call_0", "Rome 21")]
    sent = driver.request([*both, {"role": "assistant", "content": "3 and 21"}, {"role": "user", "content": "thanks"}])
    made = [call for message in sent for call in message.calls]
    answers = [(message.answers, message.text) for message in sent if message.role == "tool"]
    assert len(set(made)) == 2 and answers == [(made[0], "Oslo 3"), (made[1], "Rome 21")]
    is_paired(driver, sent)


def order(sent: Sequence[Sent], *marks: str) -> list[str]:
    """`marks` in the order in which a provider would see them. Each must be there."""
    raw = "".join(message.raw for message in sent)
    return sorted(marks, key=raw.index)


@pytest.mark.parametrize("ids", [("call_a", "call_b"), ("call_0", "call_0")], ids=["two ids", "one id"])
def test_reasoning_stays_before_the_call_that_it_led_to(opened: Open, ids: tuple[str, str]) -> None:
    driver = opened()
    answer = {**calls(*ids), "thoughts": ["Oslo first.", "Rome next."]}
    said = [{"role": "user", "content": "Oslo and Rome?"}, answer, result(ids[0], "Oslo 3"), result(ids[1], "Rome 21")]
    before = [sent for message in driver.given([answer]) for sent in driver.sent(message)]
    held = order(before, "Oslo first.", "Rome next.", *{call for sent in before for call in sent.calls})
    sent = driver.request([*said, {"role": "assistant", "content": "3 and 21"}, {"role": "user", "content": "thanks"}])
    made = [call for message in sent for call in message.calls]
    assert len(set(made)) == 2
    if len(set(ids)) == 2:
        assert order(sent, "Oslo first.", "Rome next.", *made) == held
    elif held[0] == "Oslo first." and held[-1] != "call_0":  # with one id, all that can be told is where the first call stands
        assert order(sent, "Oslo first.", "Rome next.", *made) in (
            ["Oslo first.", made[0], "Rome next.", made[1]],
            ["Oslo first.", "Rome next.", *made],
        )
    assert [(message.answers, message.text) for message in sent if message.role == "tool"] == [(made[0], "Oslo 3"), (made[1], "Rome 21")]
    is_paired(driver, sent)


def test_words_in_several_parts_all_arrive(opened: Open) -> None:
    parts = ["The gate is 7.", "The code is QX-99417."]
    said = [{"role": "user", "content": parts}, {"role": "assistant", "content": ["Noted.", "QX-55183 is yours."]}]
    short = opened().request([*said, {"role": "user", "content": "thanks"}])
    assert order(short, *parts, "Noted.", "QX-55183 is yours.") == [*parts, "Noted.", "QX-55183 is yours."]
    labels = "".join(message.text for message in opened().request([*said, *chat(61)]) if message.pictures)
    assert "99417" in labels and "55183" in labels, "on pages, with their exact strings beside them"


def test_a_search_that_the_provider_ran_is_part_of_what_was_said(opened: Open) -> None:
    answer = {"role": "assistant", "content": "At 7:40.", "search": ("ferry QX-99417", "https://example.org/QX-55183")}
    said = [{"role": "user", "content": "When is the ferry?"}, answer]
    driver = opened()
    held = [sent.raw for message in driver.given([answer]) for sent in driver.sent(message)]
    sent = driver.request([*said, {"role": "user", "content": "thanks"}])
    assert [message.raw for message in sent[1:-1]] == held, "as it came"
    labels = "".join(message.text for message in opened().request([*said, *chat(61)]) if message.pictures)
    assert "99417" in labels and "55183" in labels, "on pages, with their exact strings beside them"


def test_a_conversation_that_the_assistant_began_goes_as_it_is_and_pages_make_the_user_first(opened: Open) -> None:
    said = [{"role": "assistant", "content": "Welcome to QX-99417!"}, *chat(61)]
    short, long = opened().request(said[:2]), opened().request(said)
    assert texts(short) == [message["content"] for message in said[:2]]
    assert long[0].role == "user" and long[0].pictures and "99417" in long[0].text


def test_speakers_and_tools_of_any_name_go_on_pages(opened: Open) -> None:
    asked = calls("functions.look up:0")
    asked["tool_calls"][0]["function"]["name"] = "look up"
    said = [{"role": "user", "name": "Ms Tan", "content": "Look."}, asked, result("functions.look up:0", "QX-99417")]
    driver = opened()
    sent = driver.request([*said, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "thanks"}])
    is_paired(driver, sent)
    assert [message.text for message in sent if message.role == "tool"] == ["QX-99417"]
    shown = driver.request([*said, {"role": "assistant", "content": "ok"}, *chat(61)])
    assert "99417" in next(message.text for message in shown if message.pictures)


def test_what_others_append_to_the_log_has_names_that_providers_take(opened: Open) -> None:
    driver = opened()
    if driver.log is None:
        assert not driver.keeps_log
        return
    asked = calls("c")
    asked["tool_calls"][0]["function"]["name"] = "look up"
    driver.log.extend([{"role": "user", "name": "Ms Tan", "content": "Look."}, asked, result("c"), {"role": "assistant", "content": "ok"}])
    sent = driver.request([{"role": "user", "content": "thanks"}])
    assert [message.role for message in sent] == ["user", "assistant", "tool", "assistant", "user"]
    assert not [name for message in sent for name in message.names if not re.fullmatch("[a-zA-Z0-9_-]{1,64}", name)]
    assert [turn.name for turn in driver.log.turns(1, 2)] == ["Ms Tan"], "the log has it as it was"


def test_no_page_tells_a_day_that_nobody_told(opened: Open) -> None:
    """A list of messages has no times; in a log, what is said now is said today."""
    driver = opened()
    labels = [message.text for message in driver.request(chat(61)) if message.pictures]
    days = {day for label in labels for day in re.findall(r"\b20\d\d-\d\d-\d\d\b", label)}
    today = datetime.now(UTC).date()
    assert labels and days <= ({str(today), str(today - timedelta(1))} if driver.keeps_log else set())


def test_one_answer_stored_in_rows_keeps_its_results(opened: Open) -> None:
    driver, asked = opened(), {"role": "user", "content": "Oslo and Rome?"}
    rows = [asked, calls("a"), calls("b"), result("a", "Oslo 3"), result("b", "Rome 21")]
    sent = driver.request([*rows, {"role": "assistant", "content": "3 and 21"}, {"role": "user", "content": "thanks"}])
    assert [(message.answers, message.text) for message in sent if message.role == "tool"] == [("a", "Oslo 3"), ("b", "Rome 21")]
    is_paired(driver, sent)


def test_half_a_surrogate_pair_can_be_sent(opened: Open) -> None:
    driver = opened()
    broken = calls("c")
    broken["tool_calls"][0]["function"]["arguments"] = '{"a": "\ud83d"}'
    said = [
        {"role": "user", "content": "cut \ud83d here QX-\ud83d7"},
        broken,
        result("c", "x \ud83d"),
        {"role": "assistant", "content": "ok"},
    ]
    for more in ([{"role": "user", "content": "thanks"}], [*chat(41)]):
        for message in driver.request([*said, *more]):
            assert "\\ud83d" not in message.raw.lower()
            message.raw.encode(), message.text.encode()


@pytest.mark.slow
def test_a_failed_call_looks_different_on_a_page(opened: Open) -> None:
    def page(**fields: Any) -> str:
        said = [{"role": "user", "content": "look"}, calls("c"), {**result("c", "42"), **fields}, {"role": "assistant", "content": "ok"}]
        sent = opened(renderer="pillow").request([*said, *chat(61)])
        return next(message.raw for message in sent if message.pictures)

    assert page() == page()
    assert page() != page(failed=True)


@pytest.mark.parametrize("empty", ["", "null"])
def test_a_call_without_arguments_is_one(opened: Open, empty: str) -> None:
    driver = opened()
    made = calls("c")
    made["tool_calls"][0]["function"]["arguments"] = empty
    said = [{"role": "user", "content": "time?"}, made, result("c", "7:40"), {"role": "assistant", "content": "7:40"}]
    sent = driver.request([*said, {"role": "user", "content": "thanks"}])
    assert [message.text for message in sent if message.role == "tool"] == ["7:40"]
    is_paired(driver, sent)
    assert pictures(driver.request([*said, *chat(61)]))


# -- when it goes wrong --------------------------------------------------------------------------------------------------------------------


def test_where_no_page_can_be_drawn_everything_is_text(opened: Open) -> None:
    messages = chat(41)
    with pytest.warns(RuntimeWarning):
        sent = opened(renderer=RuledRenderer(broken=True)).request(messages)
    assert texts(sent) == [message["content"] for message in messages] and not pictures(sent)


class Losing(MemoryStore):
    """A store whose pictures can be evicted."""

    def __init__(self) -> None:
        super().__init__()
        self.written: set[SessionId] = set()

    def put(self, session: SessionId, items: dict[str, bytes]) -> None:
        self.written.add(session)
        super().put(session, items)

    def lose(self) -> int:
        names = {session: self.names(session, "picture/") for session in self.written}
        for session, lost in names.items():
            self.discard(session, lost)
        return sum(map(len, names.values()))


def test_pages_that_are_lost_for_good_are_text_again(opened: Open) -> None:
    renderer, store = RuledRenderer(rows=900), Losing()
    driver, messages = opened(renderer=renderer, cache=store), chat(41)
    assert pictures(driver.request(messages))
    assert store.lose()
    renderer.broken = True
    with pytest.warns(RuntimeWarning, match="text"):
        sent = driver.again().request(messages)
    assert texts(sent) == [message["content"] for message in messages] and not pictures(sent)


def test_pages_that_are_lost_between_two_calls_are_text_again(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process, in which no picture is held any more: the context is at hand, its pictures are not."""
    monkeypatch.setattr("optical_memory.archive.images.MEMORY_LIMIT", 0)
    renderer, store = RuledRenderer(rows=900), Losing()
    driver, messages = opened(renderer=renderer, cache=store), chat(41)
    assert pictures(driver.request(messages)) > 1
    assert store.lose()
    renderer.broken = True
    with pytest.warns(RuntimeWarning, match="text"):
        sent = driver.request(messages)
    assert texts(sent) == [message["content"] for message in messages] and not pictures(sent)


def test_a_budget_that_cannot_be_kept_is_an_error_and_one_that_can_is_kept(opened: Open) -> None:
    messages = chat(41)
    with pytest.raises(BudgetTooSmall) as raised:
        opened(budget=5).request(messages)
    whole, tight = opened().request(messages), opened(budget=raised.value.needed).request(messages)
    assert sum(len(message.text) for message in tight) < sum(len(message.text) for message in whole)
    assert tight[-1].text == messages[-1]["content"]


def test_a_model_that_no_profile_knows_gets_text_and_one_warning(opened: Open) -> None:
    driver, messages = opened(reader=None, model="unheard-of"), chat(61)
    if not driver.sees_model:
        with pytest.raises(ValueError, match="unheard-of"):
            opened(reader="unheard-of")
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            assert texts(driver.request(messages)) == [message["content"] for message in messages]
    assert [("no reader profile" in str(each.message), "unheard-of" in str(each.message)) for each in caught] == [(True, True)]


WITHOUT = """
import json, sys
from importlib import import_module
from optical_memory.errors import MissingExtra
for module, (framework, _) in json.loads(sys.argv[1]).items():
    sys.modules[framework] = None
    try:
        import_module(f"optical_memory.adapters.{module}")
    except MissingExtra as exc:
        print(module, exc)
    del sys.modules[framework]
"""


def test_a_missing_framework_is_named_with_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT, json.dumps(FRAMEWORKS)], capture_output=True, text=True, cwd=ROOT, check=True)
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert set(said) == set(FRAMEWORKS)
    for module, (_, extra) in FRAMEWORKS.items():
        assert f"optical-memory[{extra}]" in said[module]
