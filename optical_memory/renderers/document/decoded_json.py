r"""Draw the strings of JSON as what they mean: real line ends and quotes instead of `\n` and `\"`.

Between its quotes a string is literal. They are the first of `"`, `'`, `` ` `` and three of each that the string does not contain, so that
`{"command":'grep "def _save" x.py'}` has one reading. A string of several lines that begins with a space begins on a line of its own. A
string that is JSON itself is decoded too, down to a bounded depth.
"""

from __future__ import annotations

import re

from .compaction import JSON_STRING_OR_SPACE, is_json, minify_json, string_of

__all__ = ["decoded_json"]

DEEPEST = 3  # levels of JSON in strings of JSON that are decoded
QUOTES = ('"', "'", "`", '"""', "'''", "```")


def decoded_json(text: str) -> str:
    """Minify JSON and decode its strings; return anything else, and JSON without escapes, as `minify_json` does."""
    return _decoded(text.strip(), 0) if "\\" in text and is_json(text) else minify_json(text)


def _decoded(text: str, depth: int) -> str:
    return JSON_STRING_OR_SPACE.sub(lambda match: _token(match[0], depth), text)


def _token(token: str, depth: int) -> str:
    if token[0] != '"':
        return ""
    return _quoted(string_of(token), depth) if "\\" in token else token


def _quoted(value: str, depth: int) -> str:
    if depth < DEEPEST and value.lstrip()[:1] in ("{", "[") and is_json(value):
        value = _decoded(value.strip(), depth + 1)
    lines = value.count("\n")
    if lines and value[0].isspace():
        value = "\n" + value
    for quote in QUOTES:
        if quote not in value and quote[0] not in (value[0], value[-1]):
            return f"{quote}{value}{quote}"
    longest = max(len(run) for run in re.findall('"+', value))
    fence = '"' * max(4, longest + 1)
    return f"{fence}\n{value}\n{fence}"
