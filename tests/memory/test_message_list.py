"""Conversations that someone else keeps: the state goes along with the messages, wherever they go."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory.context.context import Context
from optical_memory.errors import TurnNotFound
from optical_memory.memory.message_list import MessageListMemory, _MessageListStore
from optical_memory.planning.settings import ViewSettings
from optical_memory.planning.triggers import WaterMarks
from optical_memory.profiles.registry import profile_of
from optical_memory.stores.in_memory import MemoryStore
from tests.histories import histories
from tests.sampling import examples
from tests.support import RuledRenderer

Message = dict[str, Any]


def memory_for(store: MemoryStore | None = None) -> MessageListMemory[Message]:
    settings = ViewSettings.of(profile_of("deepseek-ocr"), renderer=RuledRenderer(rows=900), marks=WaterMarks(high=300, low=60))
    return MessageListMemory(settings, store or MemoryStore(), key=json.dumps, turn=lambda message: message)


def chat(count: int, first: int = 1) -> list[Message]:
    return [
        {"role": "user" if n % 2 else "assistant", "content": f"turn {n} is about QX-77{n:03}. " * 6} for n in range(first, first + count)
    ]


def seen(context: Context) -> list[Any]:
    """All that would be sent."""
    pages = [(part.text, part.tier, part.image()) for part in context.pages]
    return [context.framing, pages, [(turn.role, turn.content) for turn in context.turns]]


def test_the_state_is_plain_json_without_pixels() -> None:
    shown = memory_for().context(chat(60))
    assert len(shown.context.pages) >= 3
    assert json.loads(json.dumps(shown.state)) == shown.state
    assert len(json.dumps(shown.state)) < 200 * len(shown.context.plan.items) + 1_200


def test_the_state_alone_brings_the_same_context_back() -> None:
    store, messages = MemoryStore(), chat(60)
    first = memory_for(store).context(messages)
    again = memory_for(store).context(messages, json.loads(json.dumps(first.state)))
    assert seen(again.context) == seen(first.context)
    assert again.state == first.state
    assert seen(memory_for().context(messages, first.state).context) == seen(first.context), "lost pages are drawn again"


def test_a_growing_conversation_keeps_its_prefix() -> None:
    one = memory_for()
    messages = chat(60)
    before = one.context(messages)
    messages += chat(1, first=61)
    after = one.context(messages, before.state)
    assert after.context.plan == before.context.plan
    assert [part.image() for part in after.context.pages] == [part.image() for part in before.context.pages]
    assert after.context.turns[-1].text == messages[-1]["content"]


def test_a_conversation_that_only_grew_is_not_hashed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one, messages = memory_for(), chat(60)
    before = one.context(messages)
    hashed: list[tuple[int, int]] = []
    digest = _MessageListStore._digest
    monkeypatch.setattr(_MessageListStore, "_digest", lambda self, *span: [hashed.append(span), digest(self, *span)][1])
    grown = one.context([*messages, *chat(1, first=61)], before.state)
    assert not hashed and grown.context.plan == before.context.plan
    edited = [*messages[:3], {"role": "assistant", "content": "Something else."}, *messages[4:], *chat(1, first=61)]
    after = one.context(edited, grown.state)
    assert hashed and "QX-77004" in repr(seen(grown.context)) and "QX-77004" not in repr(seen(after.context))


def test_branches_do_not_disturb_each_other() -> None:
    one, messages = memory_for(), chat(60)
    base = one.context(messages)
    left = one.context([*messages, *chat(30, first=61)], base.state)
    right = one.context([*messages, {"role": "user", "content": "another way"}], base.state)
    assert right.context.turns[-1].text == "another way"
    assert right.context.plan == base.context.plan
    assert left.context.plan != base.context.plan
    back = one.context(messages, base.state)
    assert seen(back.context) == seen(base.context)


@pytest.mark.parametrize("place", [0, 30, 59])
def test_an_edit_is_seen_wherever_it_is(place: int) -> None:
    store, messages = MemoryStore(), chat(60)
    one = memory_for(store)
    state = one.context(messages).state
    messages[place] = {**messages[place], "content": "edited: " + messages[place]["content"]}
    edited = one.context(messages, state)
    assert seen(edited.context)[1:] == seen(memory_for().context(messages, edited.state).context)[1:]
    shown = {segment.turn for part in edited.context.pages for segment in part.page.segments} | {
        turn.number for turn in edited.context.turns
    }
    assert shown == set(range(1, 61))
    assert edited.state["runs"] != state["runs"] or place == 59


def test_removed_messages_are_gone() -> None:
    one, messages = memory_for(), chat(60)
    state = one.context(messages).state
    fewer = one.context(messages[:20], state)
    assert fewer.context.usage.text_tokens == memory_for().context(messages[:20]).context.usage.text_tokens
    assert max(turn.number for turn in fewer.context.turns) == 20


@pytest.mark.parametrize(
    "state", [{"v": 1}, {"v": 2, "plans": 7}, {"v": 1, "plans": {"a": {}}, "runs": {}}, {"v": 1, "plans": {}, "runs": {"x": 1}}]
)
def test_a_state_that_makes_no_sense_starts_anew(state: dict[str, Any]) -> None:
    messages = chat(60)
    assert seen(memory_for().context(messages, state).context) == seen(memory_for().context(messages).context)


def test_recall() -> None:
    messages = chat(60)
    one = memory_for()
    assert [turn.number for turn in one.recall(messages, [7, 3])] == [7, 3]
    assert one.recall(messages, "QX-77012")[0].number == 12
    with pytest.raises(TurnNotFound, match="61"):
        one.recall(messages, 61)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(max_steps=40), st.data())
def test_any_list_with_any_state_is_shown_whole(history: list[Message], data: st.DataObject) -> None:
    plain = [{key: value for key, value in message.items() if key != "created_at"} for message in history]
    one, states = memory_for(), [None]
    for _ in range(4):
        messages = plain[: data.draw(st.integers(1, len(plain)))]
        shown = one.context(messages, data.draw(st.sampled_from(states)))
        states.append(shown.state)
        on_pages = {segment.turn for part in shown.context.pages for segment in part.page.segments}
        as_text = [turn.number for turn in shown.context.turns]
        assert on_pages.isdisjoint(as_text)
        assert as_text and as_text[-1] == len(messages), "the newest message is text"
        assert len(on_pages) + len(as_text) + shown.context.usage.turns_left_out == len(messages)
        assert [turn.text for turn in shown.context.turns] == [one.turns(messages)[n - 1].text for n in as_text]


def test_a_tool_loop_of_results_longer_than_a_page_is_drawn() -> None:
    """No page ends where a result ends, so that no page is full of whole units."""
    loop: list[Message] = [{"role": "user", "content": "go"}]
    for at in range(12):
        call = {"id": f"c{at}", "type": "function", "function": {"name": "run", "arguments": "{}"}}
        loop += [{"role": "assistant", "content": "", "tool_calls": [call]}]
        loop += [{"role": "tool", "tool_call_id": f"c{at}", "content": f"result {at} " + "word " * 1_100}]
    settings = ViewSettings.of(profile_of("deepseek-ocr"), renderer=RuledRenderer(rows=4_000), marks=WaterMarks(high=1_000, low=300))
    memory = MessageListMemory[Message](settings, MemoryStore(), key=json.dumps, turn=lambda message: message)
    context = memory.context(loop).context
    assert len(context.pages) > 8
    assert [turn.number for turn in context.turns][-1] == len(loop)
