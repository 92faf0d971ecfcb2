"""Decoded JSON: strings as what they mean, and still only one reading."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.renderers.document.blocks import Code, Paragraph, Span
from optical_memory.renderers.document.blocks_of_turn import blocks_of
from optical_memory.renderers.document.decoded_json import decoded_json
from optical_memory.turns.turn import ToolCall, Turn

TEXTS = st.text(st.sampled_from(list("ab \n\t\\\"'`é")), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def read_back(drawn: str) -> object:
    """The value of decoded JSON, by the rules that the module names."""
    shown, place = [], 0
    while place < len(drawn):
        if drawn[place] not in "\"'`":
            shown.append(drawn[place])
            place += 1
            continue
        run = len(re.match(re.escape(drawn[place]) + "+", drawn[place:])[0])  # type: ignore[index]
        quote = drawn[place] * (1 if run < 3 else run)
        end = drawn.index(quote, place + len(quote))
        value = drawn[place + len(quote) : end]
        value = value[1:-1] if run > 3 else value
        shown.append(json.dumps(value.removeprefix("\n")))
        place = end + len(quote)
    return json.loads("".join(shown))


def is_json_text(value: object) -> bool:
    """Whether a string in it is JSON again."""
    if isinstance(value, str):
        return value.lstrip()[:1] in ("{", "[")
    if isinstance(value, dict):
        return any(is_json_text(inner) for pair in value.items() for inner in pair)
    return isinstance(value, list) and any(map(is_json_text, value))


@given(VALUES.filter(lambda value: not is_json_text(value)))
def test_there_is_one_reading(value: object) -> None:
    assert read_back(decoded_json(json.dumps([value], ensure_ascii=False))) == [value]


@pytest.mark.parametrize(
    ("value", "drawn"),
    [
        ({"command": 'grep -A70 "def _save" x.py | tail'}, """{"command":'grep -A70 "def _save" x.py | tail'}"""),
        ({"code": "def f():\n    return 1\n"}, '{"code":"def f():\n    return 1\n"}'),
        ({"new": "    x = 1\n    y = 2"}, '{"new":"\n    x = 1\n    y = 2"}'),
        ({"a": 'it\'s "so"'}, """{"a":`it's "so"`}"""),
        ({"a": '`it\'s` "so"'}, "{\"a\":'''`it's` \"so\"'''}"),
        ({"path": "C:\\new"}, '{"path":"C:\\new"}'),
        ({"arguments": '{"q": "say \\"hi\\"", "n": 1.50}'}, """{"arguments":`{"q":'say "hi"',"n":1.50}`}"""),
        ({"a": 1, "b": "plain"}, '{"a":1,"b":"plain"}'),
    ],
)
def test_strings_are_shown_as_what_they_mean(value: object, drawn: str) -> None:
    assert decoded_json(json.dumps(value)) == drawn


def test_json_in_json_is_decoded_to_a_bounded_depth() -> None:
    value: object = {"word": 'say "deep"'}
    for _ in range(8):
        value = {"inner": json.dumps(value)}
    text = json.dumps(value)
    drawn = decoded_json(text)
    assert "deep" in drawn
    assert drawn.count("inner") == 8
    assert len(drawn) < len(text)


@pytest.mark.parametrize("text", ['{"a": "\\n"', "say \\n", "", "[" * 100_000 + "\\"])
def test_what_is_not_json_is_untouched(text: str) -> None:
    assert decoded_json(text) == text


def test_calls_are_drawn_decoded() -> None:
    short = ToolCall(id="1", name="bash", arguments=json.dumps({"command": 'grep "a" x\nls'}))
    code = "\n".join(f'    value_{n} = compute("{n}")' for n in range(40))
    long = ToolCall(id="2", name="edit", arguments=json.dumps({"new": code}))
    title, drawn = blocks_of(Turn(role="assistant", content="", tool_calls=(short, long)))
    assert title == Paragraph((Span("bash", bold=True), Span(" "), Span('{"command":\'grep "a" x↵ls\'}', code=True)))
    assert isinstance(drawn, Code)
    assert not re.search(r'\\n|\\"', drawn.text)
    assert re.split("[↵\n]+ *", drawn.text)[1:-1] == [line.strip() for line in code.split("\n")][:-1]
