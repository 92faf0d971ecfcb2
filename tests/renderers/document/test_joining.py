"""Short blocks run together: fewer rows, the same words in the same order, and no two readings."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.renderers.document.blocks import Block, Code, Heading, ListItem, Paragraph, Quote, Span, Table
from optical_memory.renderers.document.blocks_of_turn import blocks_of
from optical_memory.turns.turn import ToolCall, Turn

LONG = "word " * 60


def drawn(text: str) -> list[str]:
    """The blocks of a message, each as its words; a list item behind its marker in brackets."""
    return [words(block) for block in blocks_of(Turn(role="assistant", content=text))]


def words(block: Block) -> str:
    match block:
        case Paragraph(spans) | Heading(_, spans):
            return "".join(span.text for span in spans).replace("\u00a0", " ")
        case ListItem(_, marker, inner):
            return f"[{marker}] " + " | ".join(map(words, inner))
        case Quote(inner):
            return "> " + " | ".join(map(words, inner))
        case Table(rows, _):
            return "".join(span.text for row in rows for cell in row for span in cell)
        case Code(text, _):
            return text
    return ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One.\n\nTwo.", "One. ↵ Two."),
        ("One  \nTwo", "One ↵ Two"),
        ("# Title\n## Part\n\nText.", "Title ↵ Part ↵ Text."),
        ("Choose:\n- red\n- green\n\nThanks.", "Choose: • red • green ↵ Thanks."),
        ("1. One-way\n2. Economy", "1. One-way 2. Economy"),
        ("- [x] done\n- [ ] open", "☑ done ☐ open"),
        ("- fruit\n  - apple\n  - pear\n- nuts", "• fruit ◦ apple ◦ pear • nuts"),
        ("- a\n  1. b\n     - c\n  2. d", "• a ›1. b ‣ c ›2. d"),
        ("- a\n\n1. b", "• a ↵ 1. b"),
        ("- press ↵ now\n- then", "• press ↵↵ now • then"),
    ],
)
def test_short_blocks_share_a_row(text: str, expected: str) -> None:
    assert drawn(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{LONG}\n\n{LONG}", [LONG.strip()] * 2),
        (f"1. {LONG}\n2. {LONG}", [f"[1.] {LONG.strip()}", f"[2.] {LONG.strip()}"]),
        ("Text.\n\n# Title", ["Text.", "Title"]),
        ("- see • here\n- b", ["[•] see • here", "[•] b"]),
        ("1. then 2. of it\n2. b", ["[1.] then 2. of it", "[2.] b"]),
        ("As in 1. above:\n1. a\n2. b", ["As in 1. above:", "1. a 2. b"]),
        ("- a\n  b\n- c", ["[•] a ↵ b", "[•] c"]),
        ("- a\n\n  more\n- c", ["[•] a ↵ more", "[•] c"]),
        ("- a\n  ```\n  x\n  ```\n- c", ["[•] a | x", "[•] c"]),
        ("- \u05d0\u05d1\n- b", ["[•] \u05d0\u05d1", "[•] b"]),
        ("Hello.\n\n\u05e9\u05dc\u05d5\u05dd", ["Hello.", "\u05e9\u05dc\u05d5\u05dd"]),
        ("a\n\n> b\n>\n> c\n\nd", ["a", "> b ↵ c", "d"]),
        ("a\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\nb", ["a", "xy12", "b"]),
    ],
)
def test_what_could_be_mistaken_stays_as_it_is(text: str, expected: list[str]) -> None:
    assert drawn(text) == expected


def test_long_items_hold_their_short_ones() -> None:
    flight = "{}. **Flight HAT069**\n   - Departure: 06:00 AM EST\n   - Arrival: 12:00 PM EST\n   - Price: $121 " + "x" * 90
    found = drawn(flight.format(1) + "\n" + flight.format(2))
    assert [item[:40] for item in found] == ["[1.] Flight HAT069 ◦ Departure: 06:00 AM", "[2.] Flight HAT069 ◦ Departure: 06:00 AM"]


def test_markers_and_headings_are_bold() -> None:
    (title,) = blocks_of(Turn(role="assistant", content="# Title\n\n1. one"))
    assert isinstance(title, Paragraph)
    assert title.spans == (Span("Title", bold=True), Span(" "), Span("1.\u00a0", bold=True), Span("one"))


def test_a_tools_name_stays_with_its_long_arguments() -> None:
    call = ToolCall(id="1", name="run", arguments='{"code": "' + "x" * 300 + '"}')
    text, code = blocks_of(Turn(role="assistant", content="Let me see.", tool_calls=(call,)))
    assert words(text) == "Let me see." and isinstance(code, Code) and code.title == (Span("run", bold=True),)
    short = ToolCall(id="1", name="now", arguments='{"zone": "UTC"}')
    (joined,) = blocks_of(Turn(role="assistant", content="Let me see.", tool_calls=(short,)))
    assert words(joined) == 'Let me see. ↵ now {"zone":"UTC"}'


PIECES = st.sampled_from(["- {}\n", "  - {}\n", "1. {}\n", "# {}\n", "\n{}\n", "> {}\n", "{}\n", "- [ ] {}\n"])
MARKS = str.maketrans("", "", "↵•◦‣›☐[]|>#-. \n1")


def letters(pieces: Iterable[str]) -> str:
    return "".join(pieces).translate(MARKS)


@given(st.lists(st.tuples(PIECES, st.text(alphabet="abcXYZé中字", min_size=1, max_size=90)), max_size=12))
def test_every_letter_survives_in_order(pieces: list[tuple[str, str]]) -> None:
    text = "".join(form.format(words) for form, words in pieces)
    assert letters(drawn(text)) == letters(words for _, words in pieces)
