"""Compaction: denser rows, and nothing ambiguous."""

from __future__ import annotations

import argparse
import heapq
import inspect
import io
import json
import re
import textwrap
import tokenize
from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.renderers.document.compaction import (
    collapse_blank_runs,
    compact_code,
    cut_indentation,
    join_short_lines,
    minify_json,
    visible,
)

REPEATED = re.compile(r"(?s)^(.+?)\n\s*\1\n\s*\1", re.MULTILINE)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("number", ["1.10", "1e5", "-0.0", "1E+400", "123456789012345678901234567890", "9" * 5000])
def test_numbers_keep_their_spelling(number: str) -> None:
    assert minify_json(f'{{ "a" : [ {number} ] }}') == f'{{"a":[{number}]}}'


def test_repeated_keys_and_their_order_stay() -> None:
    assert minify_json('{"b": 1, "a": 2, "b": 3}') == '{"b":1,"a":2,"b":3}'


def test_escapes_of_readable_characters_become_the_characters() -> None:
    assert minify_json(r'["\u4e2d\u6587 \ud83d\ude00 \u202e \u0041\n\"\\u4e2d"]') == r'["中文 😀 \u202e A\n\"\\u4e2d"]'


@pytest.mark.parametrize("text", ["{a: 1}", "[1, 2", "hello  world", "", "  ", "[" * 100_000, "1.50 "])
def test_what_is_not_json_is_untouched(text: str) -> None:
    assert minify_json(text) == text


@given(JSON_VALUES.map(lambda value: [value]), st.booleans(), st.sampled_from([None, 2, "\t"]))
def test_minified_json_means_the_same(value: object, escaped: bool, indent: int | str | None) -> None:
    pretty = json.dumps(value, ensure_ascii=escaped, indent=indent)
    drawn = minify_json(pretty)
    assert json.loads(drawn) == value
    assert len(drawn) <= len(pretty)


def test_blank_runs_become_one_line() -> None:
    assert collapse_blank_runs("\n\na  \n \n\n\n  b\n\nc\n\n") == "a\n\n  b\n\nc"


def test_each_step_of_indentation_is_two_spaces_at_most() -> None:
    assert cut_indentation("if a:\n    b\n        c\nd") == "if a:\n  b\n    c\nd"
    assert cut_indentation("a\n    b\n   c\n e") == "a\n    b\n   c\n e"
    assert cut_indentation("x = f(a,\n      b)\n   c") == "x = f(a,\n    b)\n  c"


def test_common_indentation_is_not_drawn() -> None:
    assert cut_indentation("        a\n\n            b\n        c") == "a\n\n  b\nc"
    assert cut_indentation("<code>0</code>\n<output>\n        a\n            b\n</output>") == "<code>0</code>\n<output>\na\n  b\n</output>"
    assert cut_indentation("            a\n        b\n    c\nd") == "      a\n    b\n  c\nd"  # the end of a function


def test_indentation_begins_after_numbers_and_signs() -> None:
    assert cut_indentation("     9  def f():\n    10      return 1") == "9 def f():\n10   return 1"
    assert cut_indentation("507:        a\n525:            b") == "507: a\n525:   b"
    assert cut_indentation("507:    a\nx") == "507:  a\nx"
    signed = " def f():\n-        return 1\n+        return 2\n         # end"
    assert cut_indentation(signed, is_diff=True) == " def f():\n-  return 1\n+  return 2\n   # end"


@given(st.lists(st.tuples(st.integers(0, 24), st.sampled_from(["x", "y = 1", ""])), max_size=25))
def test_deeper_lines_stay_deeper_and_equal_ones_equal(lines: list[tuple[int, str]]) -> None:
    text = "\n".join(" " * depth + words if words else "" for depth, words in lines)
    shown = cut_indentation(text).split("\n")
    pairs = [(depth, len(line) - len(line.lstrip(" "))) for (depth, words), line in zip(lines, shown, strict=False) if words]
    for start, (one, drawn) in enumerate(pairs):
        for end, (other, below) in enumerate(pairs[start + 1 :], start + 1):
            if min(depth for depth, _ in pairs[start : end + 1]) == min(one, other):
                assert (drawn < below, drawn == below) == (one < other, one == other)
    assert all(drawn <= depth for depth, drawn in pairs)


@pytest.mark.parametrize("module", [heapq, argparse, textwrap])
@pytest.mark.parametrize("margin", [0, 12])
def test_python_read_off_the_rows_is_the_same_program(module: ModuleType, margin: int) -> None:
    source = inspect.getsource(module)
    rows = compact_code(textwrap.indent(source, " " * margin))
    assert tokens_of(_unjoined(rows)) == tokens_of(source)
    assert rows == compact_code(source)


def tokens_of(source: str) -> list[tuple[int, str]]:
    """Names, numbers, operators, and where blocks begin and end; neither comments nor what stands in strings."""
    dropped = (tokenize.COMMENT, tokenize.NL, tokenize.STRING)
    tokens = tokenize.generate_tokens(io.StringIO(source + "\n").readline)
    return [(token.type, token.string.strip()) for token in tokens if token.type not in dropped]


def test_short_lines_share_rows() -> None:
    assert join_short_lines("a\nbb\n\nccc\n  d", 8) == "a↵bb↵\nccc↵  d"
    assert join_short_lines("0123456789\na\nb\nc", 6) == "0123456789↵a\nb↵c"


@given(st.text(alphabet="ab↵ \n", max_size=60), st.integers(4, 20))
def test_lines_can_be_told_apart_again(text: str, width: int) -> None:
    lines = collapse_blank_runs(text)
    assert _unjoined(join_short_lines(lines, width)) == lines


@given(st.lists(st.text(alphabet="abc", min_size=1, max_size=12), min_size=1, max_size=30))
def test_joined_rows_fit_and_neighbours_would_not(lines: list[str]) -> None:
    rows = join_short_lines("\n".join(lines), 12).split("\n")
    assert all(len(row) <= 12 for row in rows)
    assert all(len(row) + 1 + len(after.split("↵")[0]) > 12 for row, after in pairwise(rows))


def test_marks_of_the_text_are_doubled() -> None:
    assert compact_code("a ⇢ b↵c") == "a ⇢⇢ b↵↵c"


def test_wide_characters_count_twice() -> None:
    assert join_short_lines("中文\n中文\n中文", 9) == "中文↵中文\n中文"


@given(st.text())
def test_nothing_invisible_is_left(text: str) -> None:
    drawn = visible(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", drawn)
    assert visible(drawn) == drawn


def test_controls_are_named() -> None:
    assert visible("a\x00b\x1b\x7f\r\nc\rd\u202ee\ud800\x85") == "a␀b␛␡\nc\nd‹U+202E›e\ufffd‹U+0085›"


def test_code_is_made_ready_in_one_step() -> None:
    listing = "def f(x):\n\treturn x\n\n\n\ndef g(y):  \n\treturn y\n"
    assert compact_code(listing, 24) == "def f(x):↵  return x↵\ndef g(y):↵  return y"


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="×⇢"), max_size=300).filter(lambda text: not REPEATED.search(text)))
def test_no_visible_character_is_lost(text: str) -> None:
    def ink(string: str) -> str:
        return "".join(string.replace("↵", "").split())

    assert ink(compact_code(text)) == ink(visible(re.sub("\x1b\\[[0-9;]*m", "", text)).expandtabs(4))


def _unjoined(rows: str) -> str:
    """Read rows back: single marks are line ends, pairs are characters; a lone mark at a row's end leaves an empty line."""
    lines: list[str] = []
    for row in rows.split("\n"):
        lines += re.split("(?<!↵)↵(?!↵)", _paired(row))
    return "\n".join("" if line == " " else line.replace("\x00", "↵") for line in lines)


def _paired(row: str) -> str:
    return row.replace("↵↵", "\x00")


def test_printed_lines_begin_on_a_row_that_is_half_empty() -> None:
    assert join_short_lines("abc\nlong line", 10, flows=True) == "abc↵long line"
    assert join_short_lines("abcdef\nlong line", 10, flows=True) == "abcdef\nlong line"
    assert join_short_lines("abc\nlong line", 10) == "abc\nlong line"
    assert join_short_lines("abc\n↵ong line", 10, flows=True) == "abc\n↵↵ong line"
