"""Folding: repeats and the underlining of tracebacks."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.renderers.document.blocks import Code
from optical_memory.renderers.document.blocks_of_turn import blocks_of
from optical_memory.renderers.document.folding import fold_repeats, fold_underlines
from optical_memory.turns.turn import Turn

NOISE = "find: 'grep' terminated by signal 13"


def unfolded(lines: list[str]) -> list[str]:
    """Read the counts back."""
    found: list[str] = []
    for line in lines:
        count = re.search(r"  (×+)(\d+)(?: \((\d) lines\))?$", line)
        repeated = count is not None and count[1] == "×"
        text = line[: count.start()] if count and repeated else line
        found.append(re.sub(r"  ××(?=×*\d+(?: \(\d lines\))?$)", "  ×", text))
        if count and repeated:
            found += found[-int(count[3] or 1) :] * (int(count[2]) - 1)
    return found


@given(st.lists(st.sampled_from(["alpha beta", "gamma", "delta  ×3", "epsilon  ××4", "x  ×2 (2 lines)"]), max_size=40))
def test_counts_can_be_read_back(lines: list[str]) -> None:
    folded = fold_repeats(lines)
    assert unfolded(folded) == lines
    assert sum(map(len, folded)) + len(folded) <= sum(len(line.replace("  ×", "  ××")) for line in lines) + len(lines)


@given(
    st.lists(st.sampled_from(["a long line", "another one", "x", ""]), max_size=40).filter(
        lambda lines: all(any(p) for p in pairwise(lines))
    )
)
def test_only_blank_lines_between_repeats_go(lines: list[str]) -> None:
    assert list(filter(None, unfolded(fold_repeats(lines)))) == list(filter(None, lines))


@pytest.mark.parametrize("cycle", [["one line"], ["first", "second"], ["a b c", "d e f", "g h i"], ["1st", "2nd", "3rd", "4th"]])
def test_cycles_fold(cycle: list[str]) -> None:
    mark = "  ×37" if len(cycle) == 1 else f"  ×37 ({len(cycle)} lines)"
    assert fold_repeats(["before", *cycle * 37, "after"]) == ["before", *cycle[:-1], cycle[-1] + mark, "after"]


def test_repeats_with_blank_lines_between_fold() -> None:
    assert fold_repeats(["warning: slow", "", "warning: slow", "", "warning: slow", "end"]) == ["warning: slow  ×3", "end"]


def test_two_lines_and_what_saves_nothing_stay() -> None:
    assert fold_repeats(["one line", "one line", "end"]) == ["one line", "one line", "end"]
    assert fold_repeats([")", ")", ")"]) == [")", ")", ")"]


@pytest.mark.parametrize("text", [f"start\n{(NOISE + chr(10)) * 37}end", f"```\nstart\n{(NOISE + chr(10)) * 37}end\n```"])
def test_results_and_listings_fold(text: str) -> None:
    turn = Turn(role="user", content=text) if text.startswith("`") else Turn(role="tool", tool_call_id="1", content=text)
    (block,) = blocks_of(turn)
    assert isinstance(block, Code)
    assert f"{NOISE}  ×37" in re.split("[↵\n]", block.text)
    assert block.text.count("signal") == 1
    assert turn.text == text  # the log stays as it is


TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "a.py", line 3, in f',
    "    foo(bar)",
    "    ~~~^^^^^",
    '  File "b.py", line 4, in foo',
    "    x = a.b(c) + d",
    "        ^^^^^^",
    '  File "c.py", line 9',
    "    x = = 1",
    "        ^",
    "SyntaxError: invalid syntax",
]


def test_underlines_of_tracebacks_take_no_rows() -> None:
    assert fold_underlines(TRACEBACK) == [
        *TRACEBACK[:3],
        TRACEBACK[4],
        "    x = »a.b(c)« + d",
        TRACEBACK[7],
        "    x = »=« 1",
        TRACEBACK[10],
    ]


def test_underlines_inside_exception_groups_and_several_lines() -> None:
    group = ["  | Traceback", '  |   File "a.py", line 3, in f', "  |     foo(bar)", "  |     ^^^^^^^^", "  | ValueError: 1"]
    assert fold_underlines(group) == [*group[:3], group[4]]
    spread = ['  File "a.py", line 3, in f', "    foo(", "    ~~~^", "        bar", "        ^^^", "    )", "    ^", "ValueError"]
    assert fold_underlines(spread) == [spread[0], spread[1], spread[3], spread[5], spread[7]]


@pytest.mark.parametrize(
    "lines", [["Title", "^^^^^"], ["x = 1", "~~~~"], ["a.c:3: error", "  foo(bar)", "  ^~~"], ['  File "a.py", line 3, in f', "^^^"]]
)
def test_other_lines_of_carets_stay(lines: list[str]) -> None:
    assert fold_underlines(lines) == lines
