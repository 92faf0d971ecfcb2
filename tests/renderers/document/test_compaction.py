"""Compaction: denser rows, and nothing ambiguous."""

from __future__ import annotations

import json
import re
from itertools import pairwise

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


def test_indentation_is_cut_only_where_every_depth_allows_it() -> None:
    assert cut_indentation("if a:\n    b\n        c") == "if a:\n  b\n    c"
    assert cut_indentation("a\n    b\n   c") == "a\n    b\n   c"


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


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
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
