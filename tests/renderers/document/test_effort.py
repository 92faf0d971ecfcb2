"""The effort that a message takes grows with its length: counted in calls of Python functions, not in seconds."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from optical_memory.renderers.document.blocks import Code, Paragraph, Table
from optical_memory.renderers.document.blocks_of_turn import blocks_of
from optical_memory.renderers.document.markdown import LABEL_STEPS, MATHS_WORK, markdown_blocks
from optical_memory.turns.turn import Turn
from tests.sampling import mostly_slow

SMALL, LARGE = 6_000, 24_000  # characters
MOST_PER_CHARACTER = 120  # calls; a quadratic step over LARGE characters takes a thousand


def repeated(text: str, size: int) -> str:
    return (text * (size // len(text) + 1))[:size]


def nested(opening: str, closing: str, size: int) -> str:
    return repeated(opening, size // 2) + "x" + repeated(closing, size // 2)


MESSAGES = {
    "short paragraphs": lambda size: repeated("a\n\n", size),
    "short paragraphs right to left": lambda size: repeated("שלום 1\n\n", size),
    "short headings and paragraphs": lambda size: repeated("# h\n\nword\n\n", size),
    "paragraphs and lists": lambda size: repeated("word\n\n- a\n- b\n\n", size),
    "lines of one paragraph": lambda size: repeated("ab\n", size),
    "hard line breaks": lambda size: repeated("ab  \n", size),
    "nested strong and emphasis": lambda size: nested("*a **a ", " a** a*", size),
    "a tower of stars": lambda size: nested("*", "*", size),
    "a tower of underscores": lambda size: nested("__", "__", size),
    "mismatched emphasis": lambda size: repeated("*a_ ", size),
    "emphasis of the CommonMark fuzzers": lambda size: repeated("*a ", size // 2) + repeated("_a*_ ", size // 2),
    "struck": lambda size: repeated("~~a ", size),
    "backticks of every length": lambda size: "".join("e" + "`" * n for n in range(1, int((2 * size) ** 0.5))),
    "open brackets": lambda size: repeated("[a", size),
    "nested brackets": lambda size: nested("[", "]", size),
    "nested links": lambda size: nested("[", "](b)", size),
    "nested images": lambda size: nested("![", "](b)", size),
    "unclosed addresses": lambda size: repeated("[a](<b", size),
    "link references": lambda size: repeated("[a]: b\n", size) + repeated("[a]", size // 4),
    "open maths": lambda size: repeated("\\begin{equation}\n", size),
    "dollars": lambda size: repeated("$a ", size),
    "lines of dollars": lambda size: repeated("$$a b\n", size),
    "bracket maths": lambda size: repeated("\\[x ", size),
    "quotes": lambda size: repeated("> ", size) + "a",
    "quoted lines": lambda size: repeated("> > > a\n", size),
    "lists in a line": lambda size: repeated("- ", size) + "a",
    "nested lists": lambda size: "".join("  " * depth + "* a\n" for depth in range(int(size**0.5))),
    "tasks": lambda size: repeated("- [ ] a\n  - [x] b\n", size),
    "wide tables": lambda size: "|" + "a|" * int(size**0.5) + "\n|" + "-|" * int(size**0.5) + "\n" + "|b\n" * int(size**0.5),
    "many wide tables": lambda size: repeated("|" + "a|" * 90 + "\n|" + "-|" * 90 + "\n" + "|b\n" * 90 + "\n", size),
    "tables of many rows": lambda size: "|a|b|\n|-|-|\n" + repeated("|b|c|\n", size),
    "entities": lambda size: repeated("&amp;", size),
    "open angles": lambda size: repeated("<a ", size),
    "heads as text": lambda size: repeated("*a* #1 user ", size),
}


def calls_for(text: str) -> int:
    """How many functions are called, and generators resumed, to get the blocks of a message."""
    count = 0

    def counting(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    turn = Turn(number=1, role="user", content=text)
    before = sys.getprofile()
    sys.setprofile(counting)
    try:
        blocks_of(turn)
    finally:
        sys.setprofile(before)
    return count


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    blocks_of(Turn(number=1, role="user", content="*a* `b` $c$ [d](e)\n\n- f"))  # what is built once counts for no message


QUICK = (
    "nested strong and emphasis",
    "nested brackets",
    "lines of dollars",
    "nested lists",
)


@pytest.mark.parametrize("kind", mostly_slow(MESSAGES, quick=QUICK, daily=list(MESSAGES)[::3]))
def test_effort_grows_with_the_length_of_a_message(kind: str) -> None:
    small, large = (MESSAGES[kind](size) for size in (SMALL, LARGE))
    effort = calls_for(large)
    assert effort <= MOST_PER_CHARACTER * max(LARGE, len(large))
    assert effort <= 2 * len(large) / len(small) * calls_for(small) + MOST_PER_CHARACTER * LARGE / 2


@pytest.mark.parametrize("line", ["\\begin{align}\n", "$$a b\n", "> $$a b\n", "- \\begin{align} x\n", "1. $$x\n"])
def test_maths_that_is_opened_too_often_is_plain_text(line: str) -> None:
    often = int(MATHS_WORK**0.5) + 10
    blocks = markdown_blocks("*a*\n\n" + line * often)
    assert all(isinstance(block, Paragraph) for block in blocks)
    assert blocks[0] == markdown_blocks("\\*a\\*")[0]  # nothing of it is read as Markdown
    assert line.split()[-1] in "".join(span.text for block in blocks if isinstance(block, Paragraph) for span in block.spans)


def test_a_small_text_does_not_become_a_giant_table() -> None:
    text = "|" + "a|" * 100 + "\n|" + "-|" * 100 + "\n" + "|b\n" * 200
    (block,) = markdown_blocks(text)
    assert isinstance(block, Code)
    assert len(block.text) < 2 * len(text)
    (small,) = markdown_blocks("| a | b | c |\n|---|---|---|\n| 1 |\n| 2 |")
    assert isinstance(small, Table)


def test_some_maths_that_is_not_closed_spoils_nothing() -> None:
    (first, *_), _ = markdown_blocks("**a**\n\n" + "$$a b\n" * 40), None
    assert isinstance(first, Paragraph)
    assert first.spans[0].bold


def test_links_that_take_too_many_steps_are_plain_text() -> None:
    text = "[" * 400 + "`a` " * (LABEL_STEPS // 50)
    blocks = markdown_blocks(text)
    assert "".join(span.text for block in blocks if isinstance(block, Paragraph) for span in block.spans).count("a") == text.count("a")
    assert markdown_blocks(text) == blocks


def test_a_name_between_two_pairs_of_underscores_is_literal() -> None:
    def drawn(text: str) -> list[tuple[str, bool]]:
        (block,) = markdown_blocks(text)
        assert isinstance(block, Paragraph)
        return [(span.text, span.bold) for span in block.spans]

    assert drawn("call __init__ now") == [("call __init__ now", False)]
    assert drawn("call __a b__ now") == [("call ", False), ("a b", True), (" now", False)]
    assert drawn("__a__ and __b c__") == [("__a__ and ", False), ("b c", True)]
