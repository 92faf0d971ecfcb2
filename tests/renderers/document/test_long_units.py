"""Very long units: cut into sections of bounded size, without losing a word, at places where a reader would cut."""

from __future__ import annotations

import base64
import json
import random
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory.renderers.document.blocks import Code, Table
from optical_memory.renderers.document.blocks_of_turn import blocks_of
from optical_memory.renderers.document.long_units import LONG, SECTION, begins_page, in_sections, is_long, sections_of
from optical_memory.renderers.document.turn_heads import head_labels
from optical_memory.turns.exchanges import Unit
from optical_memory.turns.parts import TurnPart
from optical_memory.turns.turn import (
    CallPlace,
    ImageContent,
    OtherContent,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolResultContent,
    Turn,
)
from tests.sampling import examples

SIZE = 500_000
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(50)).decode()


def filled(make: str, size: int = SIZE) -> str:
    """`make` again and again, `{}` replaced by a running number."""
    pieces: list[str] = []
    length = 0
    while length < size:
        pieces.append(make.replace("{}", str(len(pieces))))
        length += len(pieces[-1])
    return "".join(pieces)


KINDS = {
    "lines": filled("line {} of the log says nothing\n"),
    "one line": filled("word{} and "),
    "one word": "a" * SIZE,
    "digits": filled("{}"),
    "ideographs": filled("的一是不了{}人我在有他。", SIZE // 3),
    "ideographs without stops": "漢" * (SIZE // 3),
    "paragraphs": filled("Paragraph {} has two sentences. This is the other one.\n\n"),
    "short paragraphs": filled("p{}\n\n"),
    "nested lists": filled("- item {}\n    - inner {}\n        - deepest {}\n"),
    "numbered": filled("7. item {}\n"),
    "quotes": filled("> quote {}\n\n"),
    "arabic": filled("مرحبا بالعالم {} ", SIZE // 2),
    "emoji": filled("👍🏽❤️👩‍👩‍👧 ", SIZE // 4),
    "base64": base64.b64encode(random.Random(1).randbytes(SIZE * 3 // 4)).decode(),
    "stacked marks": "e" + "\u0301" * (SIZE // 2),
}


def squeezed(text: str) -> str:
    return "".join(text.split())


def whole(sections: list[Unit]) -> str:
    return "\n".join(turn.text for section in sections for turn in section)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_sections_hold_every_word_once_and_in_order(kind: str, role: str) -> None:
    sections = sections_of((Turn(number=3, role=role, content=KINDS[kind]),))  # type: ignore[arg-type]
    assert squeezed(whole(sections)) == squeezed(KINDS[kind])
    assert len(sections) >= SIZE // SECTION - 1
    assert all(len(section[0].text.encode()) <= 1.3 * SECTION for section in sections)


@pytest.mark.parametrize("kind", ["lines", "one word", "base64", "ideographs"])
def test_output_and_arguments_of_tools_are_cut_too(kind: str) -> None:
    text = KINDS[kind]
    result = Turn(number=2, role="tool", content=text, tool_call_id="c")
    call = Turn(number=1, role="assistant", tool_calls=(ToolCall(id="c", name="write", arguments=json.dumps({"text": text})),))
    sections = sections_of((call, result))
    assert squeezed("".join(turn.text for section in sections for turn in section if turn.role == "tool")) == squeezed(text)
    assert squeezed(text[:40]) in squeezed(whole(sections[:1]))
    labels = [label for section in sections for label in head_labels((section,))]
    assert all(label.startswith(("assistant", "tool write")) for label in labels)  # the call stands in another section


def test_blocks_of_other_kinds_are_cut_too_and_calls_keep_their_places() -> None:
    text = KINDS["lines"]
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}}
    made = ToolCall(id="c", name="look", arguments="{}")
    parts = (ReasoningContent(block={"type": "thinking", "thinking": text}), CallPlace(place=0), OtherContent(block=document))
    turn = Turn(number=1, role="assistant", content=parts, tool_calls=(made,), extra={"refusal": "No more."})
    sections = sections_of((turn,))
    assert squeezed(whole(sections)) == squeezed(turn.text) == squeezed(f"{text}look({{}}){text}No more.")
    assert all(len(section[0].text.encode()) <= 1.3 * SECTION for section in sections)


def test_the_first_part_of_a_long_failure_says_so() -> None:
    turn = Turn(number=2, role="tool", content=KINDS["lines"], tool_call_id="c", extra={"status": "error"})
    assert [part.failed for section in sections_of((turn,)) for part in section][:2] == [True, False]


def test_short_units_stay_as_they_are() -> None:
    unit = (Turn(number=1, role="user", content="x" * LONG),)
    assert not is_long(unit)
    assert sections_of(unit) == [unit]
    assert is_long((Turn(number=1, role="user", content="x" * (LONG + 1)),))


def test_sections_are_not_cut_again() -> None:
    sections = sections_of((Turn(number=1, role="user", content=KINDS["lines"]),))
    again = [part for section in sections for part in sections_of(section)]
    assert again == sections


def test_parts_are_numbered_and_add_up() -> None:
    turn = Turn(number=9, role="user", name="Ann", content=KINDS["paragraphs"], importance=0.9, pinned=True)
    parts = [part for section in sections_of((turn,)) for part in section if isinstance(part, TurnPart)]
    assert [part.part for part in parts] == list(range(1, len(parts) + 1))
    assert {(part.number, part.role, part.name, part.importance, part.pinned, part.of) for part in parts} == {
        (9, "user", "Ann", 0.9, True, len(parts))
    }
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == parts[-1].whole
    assert head_labels(((parts[1],),)) == [f"user Ann 2/{len(parts)}"]


def test_a_code_fence_is_opened_again() -> None:
    text = "Look:\n\n````python\n" + filled("def f{}():\n    return '```'\n\n") + "````\n\nThat was *it*."
    sections = sections_of((Turn(number=1, role="assistant", content=text),))
    blocks = [blocks_of(section[0]) for section in sections]
    listings = [block for found in blocks for block in found if isinstance(block, Code)]
    assert len(listings) == len(sections)
    assert {listing.language for listing in listings} == {"python"}
    assert squeezed("".join(line for listing in listings for line in listing.text)).count("def") == text.count("def")
    assert not isinstance(blocks[-1][-1], Code)


def test_the_header_of_a_table_is_repeated() -> None:
    text = "Rows:\n\n| number | name |\n|---|---|\n" + filled("| {} | name {} |\n")
    sections = sections_of((Turn(number=1, role="assistant", content=text),))
    tables = [block for section in sections for block in blocks_of(section[0]) if isinstance(block, Table)]
    assert len(tables) == len(sections) > 3
    assert {table.rows[0] for table in tables} == {tables[0].rows[0]}
    cells = [row[0][0].text for table in tables for row in table.rows[1:]]
    assert cells == [str(number) for number in range(len(cells))]


def test_a_giant_header_is_not_repeated() -> None:
    text = "|" + " a |" * 30_000 + "\n|" + "-|" * 30_000 + "\n" + filled("| {} |\n")
    assert len(whole(sections_of((Turn(number=1, role="user", content=text),)))) < 1.1 * len(text)


def test_json_in_a_message_stays_a_listing() -> None:
    text = json.dumps([{"id": number, "text": "*not* _emphasis_ `code`"} for number in range(9_000)], indent=1)
    for section in sections_of((Turn(number=1, role="user", content=text),)):
        assert [type(block) for block in blocks_of(section[0])] == [Code]


def test_blank_stretches_make_no_sections() -> None:
    sections = sections_of((Turn(number=1, role="user", content="x" + " " * 2_000_000 + "\n" * 1_000_000 + "y"),))
    assert len(sections) == 1
    assert squeezed(whole(sections)) == "xy"


@pytest.mark.parametrize("blank", [" ", "\n", "\t"])
def test_a_blank_message_has_one_section(blank: str) -> None:
    sections = sections_of((Turn(number=1, role="user", content=blank * 1_000_000),))
    assert [turn.number for section in sections for turn in section] == [1]


def test_every_turn_of_a_long_unit_is_in_a_section() -> None:
    unit = (
        Turn(number=1, role="assistant", content="", tool_calls=(ToolCall(id="a", name="read"), ToolCall(id="b", name="list"))),
        Turn(number=2, role="tool", content=KINDS["lines"], tool_call_id="a"),
        Turn(number=3, role="tool", content="", tool_call_id="b"),
    )
    sections = sections_of(unit)
    assert [turn.number for section in sections for turn in section] == [1, *[2] * len(sections), 3]
    assert {call.name for section in sections for turn in section for call in turn.tool_calls} == {"read", "list"}


def test_results_inside_a_message_keep_their_pictures_and_their_error_once() -> None:
    inner = (TextContent(text=KINDS["lines"]), ImageContent(data=PICTURE, media_type="image/png"), TextContent(text="end"))
    unit = (Turn(number=1, role="user", content=(ToolResultContent(tool_call_id="a", content=inner, is_error=True),)),)
    sections = sections_of(unit)
    parts = [part for section in sections for turn in section for part in turn.parts if isinstance(part, ToolResultContent)]
    assert [part.is_error for part in parts] == [True, *[False] * (len(parts) - 1)]
    assert sum(len(turn.images) for section in sections for turn in section) == 1
    assert squeezed(whole(sections)) == squeezed(KINDS["lines"] + "end")


def test_many_short_results_are_a_long_unit_too() -> None:
    calls = tuple(ToolCall(id=str(number), name="read") for number in range(300))
    results = [Turn(number=number + 2, role="tool", content="line\n" * 200, tool_call_id=str(number)) for number in range(300)]
    sections = sections_of((Turn(number=1, role="assistant", tool_calls=calls), *results))
    assert [turn.number for section in sections for turn in section] == list(range(1, 302))
    assert len(sections) > 3
    assert all(label == "tool read" for label in head_labels((sections[2],)))


def test_what_stands_beside_a_section_begins_a_page() -> None:
    exchange = (
        (Turn(number=1, role="user", content="go"),),
        (Turn(number=2, role="assistant", content=KINDS["lines"]),),
        (Turn(number=3, role="assistant", content="done"),),
        (Turn(number=4, role="assistant", content="more"),),
    )
    parts = in_sections([exchange, ((Turn(number=5, role="user", content="thanks"),),)])
    fresh = [begins_page(parts, place) for place in range(len(parts))]
    assert fresh == [False, *[True] * (len(parts) - 2), False]
    assert [turn.number for turn in (unit[0] for unit in parts[-2])] == [3, 4]


@settings(max_examples=examples(30))
@given(
    st.lists(st.sampled_from(["word ", "\n", "\n\n", "```\n", "| a | b |\n", "|---|---|\n", "- x\n", "漢字。", "🙂", " " * 9]), min_size=4)
)
def test_any_mixture_is_cut_without_losing_letters(pieces: list[str]) -> None:
    text = "".join(pieces) * (1 + 3 * LONG // len("".join(pieces)))
    sections = sections_of((Turn(number=1, role="user", content=text),))
    letters = re.sub(r"[\s`|-]", "", whole(sections))
    given_letters = re.sub(r"[\s`|-]", "", text)
    extra = len(letters) - len(given_letters)  # headers of tables that are repeated
    assert 0 <= extra <= max(map(len, text.split("\n"))) * len(sections)
    assert set(letters) <= set(given_letters) | set(string.ascii_letters)
