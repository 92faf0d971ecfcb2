from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

from optical_memory.adapters.conversation_states import Conversations
from optical_memory.adapters.settings import AdapterSettings, ModelMemories
from optical_memory.context.messages.request_outline import Kept, MissingResult, Note, Pages, outline, stale_reasoning
from optical_memory.errors import UnknownName
from optical_memory.pages.tiers import Tier
from optical_memory.planning.triggers import WaterMarks
from tests.context.test_openai_anthropic import call, filler
from tests.support import RuledRenderer

Message = dict[str, Any]


def memories(**options: Any) -> ModelMemories[Message]:
    settings = AdapterSettings(renderer=RuledRenderer(rows=900), marks=WaterMarks(high=300, low=60), **options)
    return ModelMemories(settings, key=json.dumps, turn=lambda message: message)


def test_the_model_decides_who_reads() -> None:
    one = memories()
    claude = one.memory_for("claude-sonnet-4-5")
    assert claude is one.memory_for("anthropic/claude-haiku-4-5")
    assert claude is not None and claude.settings.profile.name == "claude"
    fixed = memories(reader="deepseek-ocr").memory_for("whatever")
    assert fixed is not None and fixed.settings.profile.name == "deepseek-ocr"


def test_a_stranger_gets_text_and_is_named_once() -> None:
    one = memories()
    with pytest.warns(RuntimeWarning, match="'llama-3'"):
        assert one.memory_for("llama-3") is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert one.memory_for("llama-3") is None


def test_an_unknown_model_gets_text_and_exactly_one_warning() -> None:
    shown = Conversations[Message](
        AdapterSettings(renderer=RuledRenderer(rows=900), marks=WaterMarks(high=300, low=60)), key=json.dumps, turn=lambda message: message
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            assert shown.show(filler(30), "llama-3", list) is None, "the messages go as they are"
        assert shown.show(filler(30), "mistral-9", list) is None
    assert [str(warning.message).split("'")[1] for warning in caught] == ["llama-3", "mistral-9"]


def test_pages_that_must_ask_for_a_resolution_are_not_used_where_messages_cannot() -> None:
    memory = memories().memory_for("gemini-3-pro-preview")
    assert memory is not None and memory.settings.profile.ladder == (Tier.BASE,)
    fixed = memories(reader="gemini-3").memory_for("whatever")
    assert fixed is not None and fixed.settings.profile.ladder == (Tier.BASE,)


def test_a_reader_that_does_not_exist_is_named_at_once() -> None:
    with pytest.raises(UnknownName, match="hawk"):
        memories(reader="hawk")


def test_an_outline_holds_every_message_or_its_page() -> None:
    memory = memories(reader="deepseek-ocr").memory_for(None)
    assert memory is not None
    messages = [{"role": "system", "content": "Be brief."}, *filler(30), call("c1"), {"role": "user", "content": "never mind"}]
    shown = memory.context(messages)
    pieces = list(outline(shown.context))
    assert pieces[0] == Kept(1, stale=True), "the system's words come before the framing"
    assert isinstance(pieces[1], Pages)
    assert pieces[1].framing == shown.context.framing
    kept = [piece.number for piece in pieces if isinstance(piece, Kept)]
    on_pages = {segment.turn for part in shown.context.pages for segment in part.page.segments}
    assert sorted({*kept, *on_pages}) == list(range(1, len(messages) + 1))
    assert MissingResult(32, "c1") in pieces
    assert not any(isinstance(piece, Note) for piece in pieces)


def test_a_message_that_answers_a_call_and_says_more_is_kept_once() -> None:
    memory = memories(reader="deepseek-ocr").memory_for(None)
    assert memory is not None
    both = [{"type": "tool_result", "tool_use_id": "c1", "content": "done"}, {"type": "text", "text": "and now?"}]
    shown = memory.context([call("c1"), {"role": "user", "content": both}, {"role": "assistant", "content": "fine"}])
    assert list(outline(shown.context)) == [Kept(1), Kept(2), Kept(3)]


def test_reasoning_holds_until_the_prefix_changes() -> None:
    memory = memories(reader="deepseek-ocr").memory_for(None)
    assert memory is not None
    first = memory.context(filler(3))
    assert stale_reasoning(first.context) == 0, "nothing was rewritten yet"
    second = memory.context(filler(30), first.state)
    assert stale_reasoning(second.context) == 30
    third = memory.context(filler(31), second.state)
    assert stale_reasoning(third.context) == 30, "what was said since holds"


def test_a_replan_that_changes_nothing_on_the_wire_leaves_reasoning_alone() -> None:
    memory = memories(reader="deepseek-ocr").memory_for(None)
    assert memory is not None
    shown, idle = None, 0
    for length in range(1, 40, 2):
        before, shown = shown, memory.context(filler(length), shown.state if shown else None)
        if before is None or before.context.plan.epoch == shown.context.plan.epoch:
            continue
        same = [part.text for part in before.context.pages] == [part.text for part in shown.context.pages]
        idle += same
        assert stale_reasoning(shown.context) == (stale_reasoning(before.context) if same else length)
    assert idle, "some re-plans find that no page pays yet"


@pytest.mark.parametrize(("model", "takes_images"), [("llama-3", True), ("mistral-9", True), ("claude-sonnet-4-5", False)])
@pytest.mark.parametrize("budget", [500, 2_000])
def test_text_keeps_the_budget_too(model: str, takes_images: bool, budget: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        memory = memories(budget=budget).memory_for(model, takes_images=takes_images)
    assert memory is not None
    messages, state = filler(80), None
    for length in (20, 50, 80):
        shown = memory.context(messages[:length], state, budget=budget)
        state = shown.state
        context = shown.context
        assert context.usage.prompt_tokens <= budget and not context.pages
        texts = [turn.number for turn in context.turns]
        assert texts[-1] == length, "the newest stays"
        left_out = [number for first, last in context.plan.left_out for number in range(first, last + 1)]
        assert sorted([*texts, *left_out]) == list(range(1, length + 1)) and context.usage.turns_left_out == len(left_out)
        assert not left_out or f"#{left_out[0]}" in context.framing
    assert left_out and memory.recall(messages, [left_out[0]])[0].text == messages[left_out[0] - 1]["content"]


def test_without_a_budget_a_model_that_takes_no_images_gets_the_messages_as_they_are() -> None:
    assert memories().memory_for("claude-sonnet-4-5", takes_images=False) is None


def test_adapters_recall_for_what_the_user_said_last_where_asked_to() -> None:
    said = [
        {"role": "user", "content": "Ann plays the violin."},
        *filler(30),
        {"role": "user", "content": "Which instrument does Ann play?"},
    ]
    for wanted in (True, False):
        settings = AdapterSettings(
            reader="claude", budget=2_000, recall_for_question=wanted, renderer=RuledRenderer(rows=900), marks=WaterMarks(high=300, low=60)
        )
        shown = Conversations[Message](settings, key=json.dumps, turn=lambda message: message).show(said, "claude-sonnet-4-5", list)
        notes = [piece.text for piece in shown or () if isinstance(piece, Note)]
        assert ["Ann plays the violin." in note for note in notes] == [True] * wanted
        assert shown is not None and isinstance(shown[-1], Kept) and shown[-1].number == len(said)
