"""Compact text without making it ambiguous, since a page costs the same empty or full.

This changes only what is drawn; the turn log keeps the original. The visible marks:

- `↵` (U+21B5) is a line end inside a row. A `↵` of the text itself is written twice, and a line that begins or ends with one is
  never joined; so a single mark is always a line end, and a pair always one character of the text.
- `⇢` (U+21E2) at a row's end is where a word was cut that is wider than a row (`word_breaks`). A `⇢` of the text is written twice.
- Control characters appear as control pictures (U+2400 and on); invisible ones without a picture, bidirectional overrides among
  them, as `‹U+202E›`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

from .folding import fold_repeats, fold_underlines

__all__ = [
    "CUT_MARK",
    "JOIN_MARK",
    "JSON_STRING_OR_SPACE",
    "ROW_WIDTH",
    "cell_count",
    "collapse_blank_runs",
    "compact_code",
    "cut_indentation",
    "is_json",
    "join_short_lines",
    "literal",
    "minify_json",
    "string_of",
    "visible",
]

JOIN_MARK = "↵"
CUT_MARK = "⇢"  # drawn by renderers at the end of a line where a word was cut: the bundled fonts have it, and few texts
TAB_WIDTH = 4
SHOWN_LEVEL = 2  # spaces per step of indentation: half of the usual four, and still visible to an OCR reader
NUMBER_WIDTH = 6  # columns of a line's number, as `cat -n` and `nl` print it
ROW_WIDTH = 59  # monospace characters of 14 px in one of two columns of about 500 px: the default page

JSON_STRING_OR_SPACE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[ \t\r\n]+')
_JSON_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\.")
_NUMBER = re.compile(r" {0,5}\d{1,6}(?=  )|\d+[:-]")
_TAG = re.compile(r"</?[A-Za-z][\w-]*>")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Make invisible characters visible: control characters as control pictures, bidi controls as `‹U+202E›`, lone surrogates as U+FFFD.

    Line feeds and tabs stay; a carriage return, alone or before a line feed, is a line feed.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNSEEN.sub(_picture, text)


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"‹U+{code:04X}›"


def literal(text: str) -> str:
    """Write the marks of this module that the text itself contains twice."""
    return text.replace(JOIN_MARK, JOIN_MARK * 2).replace(CUT_MARK, CUT_MARK * 2)


def is_json(text: str) -> bool:
    """Whether text is one JSON object, array or string."""
    stripped = text.strip()
    if stripped[:1] not in ("{", "[", '"'):
        return False
    try:
        json.loads(stripped, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def minify_json(text: str) -> str:
    """Remove spaces between the tokens of JSON; return anything else unchanged.

    Numbers keep their spelling, objects the order of their keys and any repeated ones. Escapes of printable characters outside ASCII are
    written as the characters.
    """
    return JSON_STRING_OR_SPACE.sub(_minified_token, text.strip()) if is_json(text) else text


def _minified_token(match: re.Match[str]) -> str:
    token = match[0]
    if token[0] != '"':
        return ""
    return _JSON_ESCAPES.sub(_readable_escape, token) if "\\u" in token else token


def string_of(token: str) -> str:
    """Return what a JSON string means."""
    return str(json.loads(token))


def _readable_escape(match: re.Match[str]) -> str:
    escape = match[0]
    if escape[1] != "u":
        return escape
    text = str(json.loads(f'"{escape}"'))
    return "".join(char if ord(char) > 0x7F and char.isprintable() else json.dumps(char)[1:-1] for char in text)


def collapse_blank_runs(text: str) -> str:
    """Strip trailing spaces and blank lines at both ends; reduce runs of blank lines inside to one."""
    lines = [line.rstrip() for line in text.split("\n")]
    kept = [line for index, line in enumerate(lines) if line or (index and lines[index - 1])]
    return "\n".join(kept).strip("\n")


def cut_indentation(text: str, *, is_diff: bool = False) -> str:
    """Draw each line at most two spaces deeper than the next shallower line around it, so that common indentation is not drawn.

    Lines of tags around the rest do not count. Of two lines without a shallower one between them, the deeper one stays deeper, and equal
    ones stay equal: all that Python needs. The indentation begins after a line's number, as `cat -n` and `grep -n` print it, and in a diff
    after its sign.
    """
    top, lines, bottom = _inside_tags(text.split("\n"))
    margins = [_margin(line, is_diff) for line in lines]
    bodies = [line[margin:].lstrip(" ") for line, margin in zip(lines, margins, strict=True)]
    filled = [place for place, body in enumerate(bodies) if body]
    depths = [len(lines[place]) - margins[place] - len(bodies[place]) for place in filled]
    apart = 1 if min(depths, default=0) and not is_diff else 0  # a number stays apart from its line
    shown = [line[:margin] for line, margin in zip(lines, margins, strict=True)]
    for place, level in zip(filled, _levels(depths), strict=True):
        number = shown[place].lstrip(" ") or shown[place]
        shown[place] = number + " " * (level + (apart if number else 0)) + bodies[place]
    return "\n".join([*top, *shown, *bottom])


def _inside_tags(lines: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Part lines of tags at the top and at the bottom from what they enclose, as `<output>` does what a program printed."""
    first = next((place for place, line in enumerate(lines) if not _TAG.match(line)), len(lines))
    last = next((place for place in range(len(lines), first, -1) if not _TAG.match(lines[place - 1])), first)
    return lines[:first], lines[first:last], lines[last:]


def _margin(line: str, is_diff: bool) -> int:
    """Return the length of a diff's sign, or of a line's number: right-aligned in six columns, or before a colon or hyphen."""
    if is_diff:
        return 1 if line[:1] in (" ", "+", "-") else 0
    number = _NUMBER.match(line)
    return number.end() if number and (number[0][-1] in ":-" or number.end() == NUMBER_WIDTH) else 0


def _levels(depths: Sequence[int]) -> list[int]:
    """Return the spaces before each line: those of the deeper of its nearest shallower neighbours, and a step."""
    before = _nearest_shallower(depths, range(len(depths)))
    after = _nearest_shallower(depths, range(len(depths) - 1, -1, -1))
    levels = [0] * len(depths)
    for place in sorted(range(len(depths)), key=depths.__getitem__):
        parents = [parent for parent in (before[place], after[place]) if parent is not None]
        if parents:
            parent = max(parents, key=depths.__getitem__)
            levels[place] = levels[parent] + min(SHOWN_LEVEL, depths[place] - depths[parent])
    return levels


def _nearest_shallower(depths: Sequence[int], order: Iterable[int]) -> list[int | None]:
    found: list[int | None] = [None] * len(depths)
    open_places: list[int] = []
    for place in order:
        while open_places and depths[open_places[-1]] >= depths[place]:
            open_places.pop()
        found[place] = open_places[-1] if open_places else None
        open_places.append(place)
    return found


def join_short_lines(text: str, width: int, *, flows: bool = False) -> str:
    """Join consecutive lines with `↵`, as many as fit a row of `width` character cells; longer lines are wrapped later.

    With `flows`, a line that does not fit still begins on the row before, if that is half empty. A row that ends
    with the mark ends with an empty line. Indentation follows the mark. A `↵` of the text is doubled.
    """
    rows: list[str] = []
    used = 0
    for line in text.split("\n"):
        touches = line.startswith(JOIN_MARK) or line.endswith(JOIN_MARK)
        line = literal(line)
        cells = cell_count(line)
        if rows and not touches and (used + 1 + cells <= width or (flows and 2 * used <= width)):
            rows[-1] += JOIN_MARK + (line or " ")
            used = (used + (cells or 1)) % width + 1
        else:
            rows.append(line)
            used = width if touches else (cells - 1) % width + 1 if cells else 0
    return "\n".join(row.rstrip(" ") for row in rows)


def compact_code(text: str, width: int = ROW_WIDTH, *, flows: bool = False, is_diff: bool = False) -> str:
    """Compact preformatted text for rows of `width` characters, with every step of this module and of `folding`.

    `flows` is for program output, where full rows matter more than where a line begins.
    """
    lines = collapse_blank_runs(visible(_COLOUR.sub("", text)).expandtabs(TAB_WIDTH)).split("\n")
    folded = "\n".join(fold_repeats(fold_underlines(lines)))
    return join_short_lines(cut_indentation(folded, is_diff=is_diff), width, flows=flows)


def cell_count(text: str) -> int:
    """Count the columns of text in a monospace font: two for East Asian wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)
