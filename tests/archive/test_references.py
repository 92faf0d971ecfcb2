"""Pages with references, drawn by the real renderers: what they say, whether it is read, verified, abridged and evaluated."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory, Page, WaterMarks
from optical_memory.archive.abridged_pages import shaped, shares_of
from optical_memory.evaluation.conversations import Conversation, Question
from optical_memory.evaluation.harness import Evaluation
from optical_memory.evaluation.policies import POLICIES, AtOneTier
from optical_memory.pages.page import PageStyle, referents_of
from optical_memory.pages.tiers import Tier
from optical_memory.readers.tesseract import OcrReader, has_language
from optical_memory.renderers.base import RenderedPage, Renderer, open_renderer
from optical_memory.renderers.chromium.finding import find_browser
from optical_memory.renderers.document.turn_heads import head_labels
from optical_memory.stores import open_store
from optical_memory.turns.exchanges import Exchange
from optical_memory.turns.repeated import RepeatedTurn, repeated, with_references
from optical_memory.turns.turn import ToolCall, ToolResultContent, Turn
from optical_memory.verification.reading import ByReading

WORDS = ["river", "stone", "garden", "window", "market", "morning", "letter", "paper", "bridge", "silver", "winter", "simple", "quiet"]
RENDERERS = ["pillow", pytest.param("chromium", marks=pytest.mark.skipif(find_browser() is None, reason="no Chromium here"))]
reads = pytest.mark.skipif(not has_language(), reason="no Tesseract with English here: apt install tesseract-ocr")


def words(seed: int, count: int = 40) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count)) + "."


def asking(times: int = 40, every: int = 5) -> list[dict[str, Any]]:
    """An agent that asks one thing again and again; every fifth result is another's."""
    messages: list[dict[str, Any]] = []
    for n in range(1, times + 1):
        call = {"id": f"c{n}", "type": "function", "function": {"name": "get_status", "arguments": "{}"}}
        messages += [
            {"role": "user", "content": f"Please look again, {words(n, 8)}"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{n}", "content": words(0) if n % every else words(1_000 + n)},
            {"role": "assistant", "content": words(2_000 + n, 30)},
        ]
    return messages


def memory_of(renderer: str | Renderer, **options: Any) -> OpticalMemory:
    memory = OpticalMemory("s", store="memory://", renderer=renderer, marks=WaterMarks(high=600, low=200), **options)
    memory.extend(asking())
    return memory


@reads
@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_reference_is_read_off_the_page_and_takes_one_row(renderer: str) -> None:
    memory = memory_of(renderer)
    memory.context()
    page = max(memory.pages(), key=lambda page: len(page.same_as))
    assert len(page.same_as) >= 5
    said = OcrReader().transcribe(page, tier=Tier.BASE)
    read = {int(number) for number in re.findall(r"same as #(\d+)", said)}
    assert read == set(referents_of([page]).values())
    boxes = {segment.turn: segment.box for segment in page.segments}
    assert all(boxes[reference.turn].height < 40 for reference in page.same_as), "a row of 14 px, with its head"


def test_a_reference_stands_before_the_speaker_where_no_message_can_write() -> None:
    unit = (
        Turn(number=1, role="assistant", tool_calls=(ToolCall(id="a", name="get_status"),)),
        repeated(Turn(number=2, role="tool", tool_call_id="a", content="x" * 200), 9),
        Turn(number=3, role="user", name="same as #9, tool get_status", content="same as #9"),
    )
    labels = head_labels((unit,))
    assert labels[1] == "same as #9, tool get_status"
    assert labels[2].startswith("user ")


def test_a_reference_keeps_its_call_and_its_place() -> None:
    block = Turn(number=2, role="user", content=(ToolResultContent(tool_call_id="a", content="x" * 200, is_error=True),), importance=0.9)
    call = Turn(number=1, role="assistant", tool_calls=(ToolCall(id="a", name="look"),))
    ((unit,),) = with_references([((call, block),)], {2: 9})
    assert unit[0] is call
    assert isinstance(unit[1], RepeatedTurn) and unit[1].same_as == 9
    assert (unit[1].number, unit[1].role, unit[1].importance, unit[1].answered_calls) == (2, "user", 0.9, ("a",))
    assert unit[1].text == ""


@reads
def test_a_verifier_expects_the_reference_and_not_the_words() -> None:
    memory = memory_of("pillow")
    context = memory.context()
    part = max(context.pages, key=lambda part: len(part.page.same_as))
    drawn = memory._builder._open_archive().drawn_turns(part.page)
    assert {turn.number for turn in drawn if isinstance(turn, RepeatedTurn)} == set(referents_of([part.page]))
    reader = OcrReader()
    assert ByReading(reader).verify(part.page, drawn, Tier.BASE).passed

    class Misreading:
        profile = reader.profile

        def transcribe(self, page: Page, *, tier: Tier | str = Tier.BASE) -> str:
            return re.sub(r"same as #\d+", "same as #1", reader.transcribe(page, tier=tier))

    right, wrong = (ByReading(each, name="x").verify(part.page, drawn, Tier.BASE) for each in (reader, Misreading()))
    assert wrong.segments_read < right.segments_read, "a reference that is misread leads elsewhere"


def test_the_density_of_a_page_is_that_of_what_is_drawn() -> None:
    memory = memory_of("pillow")
    memory.context()
    page = max(memory.pages(), key=lambda page: len(page.same_as))
    saved = sum(reference.tokens for reference in page.same_as)
    assert page.drawn_tokens == page.text_tokens - saved
    assert saved >= len(page.same_as) * 40, "the page replaces their text"


class Watching:
    """The Pillow renderer, noting what it is given."""

    name = "pillow"

    def __init__(self) -> None:
        self._inner = open_renderer("pillow")
        self.fingerprint = self._inner.fingerprint
        self.texts: list[str] = []

    def render(self, exchanges: list[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        self.texts.append(" ".join(f"#{turn.number} {turn.text}" for exchange in exchanges for unit in exchange for turn in unit))
        return self._inner.render(exchanges, style, seal_last=seal_last)

    def close(self) -> None:
        self._inner.close()


def test_an_abridged_page_keeps_its_references() -> None:
    watching = Watching()
    memory = memory_of(watching, forgetting=AtOneTier(Tier.TINY))  # type: ignore[arg-type]
    memory.context()
    pages = memory.pages()
    page = max(pages, key=lambda page: len(page.same_as))
    run = [each for each in pages if each.key.rpartition("-")[0] == page.key.rpartition("-")[0]]
    same = referents_of(run)
    turns = [turn for turn in memory.turns() if run[0].first_turn <= turn.number <= run[-1].last_turn]
    drawn = [repeated(turn, same[turn.number]) if turn.number in same else turn for turn in turns]
    assert shaped(watching, PageStyle(), page, shares_of(page, run, drawn))  # type: ignore[arg-type]
    assert all(f"same as #{reference.of}" in watching.texts[-1] for reference in page.same_as)
    assert words(0) not in watching.texts[-1]


@reads
def test_an_answer_at_the_turn_that_is_referred_to_counts_as_told(tmp_path: Path) -> None:
    messages = asking()
    code = "The code of the harbour is KX-40917."
    for message in messages:
        if message["role"] == "tool" and message["content"] == words(0):
            message["content"] = f"{code} {words(0)}"
    first = next(n for n, message in enumerate(messages, 1) if message["role"] == "tool")
    talk = Conversation("talk", tuple(messages), (Question("What is the code of the harbour?", ("KX-40917",), (first,)),))
    reader = OcrReader()
    evaluation = Evaluation(
        talk,
        open_store("memory://"),
        open_renderer("pillow"),
        "deepseek-ocr",
        lambda png, letter: reader.read_picture(png, letter=letter),
    )
    policy = POLICIES["aged"]
    (result,) = evaluation.results(policy, 4_000, {}, 0)
    memory = evaluation._memory(policy)
    assert first in referents_of(part.page for part in memory.context(4_000).pages), "else nothing is tested"
    assert result.legible and result.facts
