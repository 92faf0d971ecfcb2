"""Turns to blocks: Markdown as chats write it, hostile or not, tool calls and results, pictures."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.renderers.document.blocks_of_turn import (
    Block,
    Code,
    Heading,
    ListItem,
    Math,
    Paragraph,
    Picture,
    Quote,
    Rule,
    Span,
    Table,
    blocks_of,
)
from optical_memory.renderers.document.markdown import markdown_blocks
from optical_memory.turns.turn import ImageContent, ReasoningContent, TextContent, ToolCall, ToolResultContent, Turn
from tests.sampling import mostly_slow

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 16


def words(blocks: Iterable[Block]) -> str:
    """All text of blocks, in order."""
    return "".join(_words(block) for block in blocks)


def _words(block: Block) -> str:
    match block:
        case Paragraph(spans) | Heading(_, spans):
            return "".join(span.text for span in spans)
        case ListItem(_, marker, inner):
            return marker + words(inner)
        case Quote(inner):
            return words(inner)
        case Code(text, _, title):
            return "".join(span.text for span in title) + text
        case Math(text):
            return text
        case Table(rows, _):
            return "".join(span.text for row in rows for cell in row for span in cell)
    return ""


def paragraph(text: str) -> tuple[Span, ...]:
    (block,) = markdown_blocks(text)
    assert isinstance(block, Paragraph)
    return block.spans


def test_inline_looks() -> None:
    assert paragraph("a **b** *c* ~~d~~ `e` $x^2$ ***f***") == (
        Span("a "),
        Span("b", bold=True),
        Span(" "),
        Span("c", italic=True),
        Span(" "),
        Span("d", strike=True),
        Span(" "),
        Span("e", code=True),
        Span(" "),
        Span("x^2", maths=True),
        Span(" "),
        Span("f", bold=True, italic=True),
    )


@pytest.mark.parametrize(
    "text",
    [
        "2*3*4 = 24",
        "__init__.py and __main__",
        "$5 and $10, US$20-$30",
        "$HOME/$USER",
        "snake_case_name",
        "<b>raw</b> <script>alert(1)</script>",
        "[note]: not lost",
        "#hashtag",
        "a < b > c & d",
        "C:\\Users\\me",
        "javascript:alert(1)",
    ],
)
def test_characters_that_are_no_markup_stay(text: str) -> None:
    assert paragraph(text) == (Span(text),)


def test_emphasis_in_unspaced_scripts_works() -> None:
    assert paragraph("这是**重要**的") == (Span("这是"), Span("重要", bold=True), Span("的"))


def test_links_show_where_they_lead_and_pictures_are_named() -> None:
    assert paragraph("[text](http://a.example/x%20y) <http://b.example> ![alt](http://c.example/p.png)") == (
        Span("text (http://a.example/x%20y) http://b.example [picture: alt http://c.example/p.png]"),
    )


def test_line_ends() -> None:
    assert paragraph("12 High Street\nOxford\nOX1 4AA") == (Span("12 High Street ↵ Oxford ↵ OX1 4AA"),)
    assert paragraph("hard  \nbreak\\\nhere") == (Span("hard\nbreak\nhere"),)
    wrapped = (
        "This paragraph was wrapped by an editor at some sixty columns,\n"
        "so that its line ends say nothing at all and the words should\nflow."
    )
    assert paragraph(wrapped) == (Span(wrapped.replace("\n", " ")),)


def test_a_mark_in_the_text_is_doubled() -> None:
    assert paragraph("press ↵ now\nthen") == (Span("press ↵↵ now ↵ then"),)


def test_maths_in_every_notation() -> None:
    assert markdown_blocks("$$\nx = 1\n$$\n\n\\[ y = 2 \\]\n\n\\begin{align}z\\end{align}") == [
        Math("x = 1"),
        Math("y = 2"),
        Math("\\begin{align}z\\end{align}"),
    ]
    assert paragraph("so \\(a_1\\) is") == (Span("so "), Span("a_1", maths=True), Span(" is"))


def test_lists_nest_and_tasks_have_boxes() -> None:
    text = "- [x] done\n- [ ] open\n  1. three\n     - deep\n\n> - quoted"
    done, todo, quote = markdown_blocks(text)
    assert done == ListItem(0, "☑", (Paragraph((Span("done"),)),))
    deep = ListItem(2, "•", (Paragraph((Span("deep"),)),))
    assert todo == ListItem(0, "☐", (Paragraph((Span("open"),)), ListItem(1, "1.", (Paragraph((Span("three"),)), deep))))
    assert quote == Quote((ListItem(0, "•", (Paragraph((Span("quoted"),)),)),))


def test_tables_keep_every_cell() -> None:
    (table,) = markdown_blocks("|a|b|c|\n|:-|-:|:-:|\n|1|**2**|\n")
    header, row = ((Span("a"),), (Span("b"),), (Span("c"),)), ((Span("1"),), (Span("2", bold=True),), ())
    assert table == Table((header, row), ("left", "right", "center"))
    (too_wide,) = markdown_blocks("|a|b|\n|-|-|\n|1|2|3|")
    assert isinstance(too_wide, Code) and "3" in too_wide.text


def test_code_headings_and_rules() -> None:
    fences = '```Python\nx = 1\n\n\n\ny = 2\n```\n\n```json\n{"a": 1.10}\n```\n\n```12:15:src/app.py\nz\n```'
    assert markdown_blocks(f"# A *b*\n\n---\n\n{fences}") == [
        Heading(1, (Span("A "), Span("b", italic=True))),
        Rule(),
        Code("x = 1↵ ↵y = 2", "python"),
        Code('{"a":1.10}', "json"),
        Code("12:15:src/app.py↵z"),
    ]


def test_tool_calls_are_compact() -> None:
    short = ToolCall(id="1", name="now", arguments='{"zone": "UTC"}')
    long = ToolCall(id="2", name="run", arguments='{"code": "' + "x" * 300 + '"}')
    broken = ToolCall(id="3", name="run", arguments='{"code": ' + "y" * 300)
    turn = Turn(role="assistant", content="", tool_calls=(short, long, broken))
    assert blocks_of(turn) == (
        Paragraph((Span("now", bold=True), Span(" "), Span('{"zone":"UTC"}', code=True))),
        Code('{"code":"' + "x" * 300 + '"}', "json", (Span("run", bold=True),)),
        Code('{"code": ' + "y" * 300, title=(Span("run", bold=True),)),
    )


@pytest.mark.parametrize(
    ("text", "language", "drawn"),
    [
        ('{ "a": [1, 2.50] }', "json", '{"a":[1,2.50]}'),
        ("[1, 2]", "json", "[1,2]"),
        ("diff --git a/x b/x\n+*y*", "diff", "diff --git a/x b/x↵+*y*"),
        ("Traceback (most recent call last):\n  boom", "pytb", "Traceback (most recent call last):↵  boom"),
        ("<a>\n*b*</a>", "xml", "<a>↵*b*</a>"),
        ("name: x\nitems:\n- *y*", "yaml", "name: x↵items:↵- *y*"),
        ("# no heading\n*plain*", "", "# no heading↵*plain*"),
    ],
)
def test_tool_results_are_no_markdown(text: str, language: str, drawn: str) -> None:
    assert blocks_of(Turn(role="tool", tool_call_id="1", content=text)) == (Code(drawn, language),)
    inline = ToolResultContent(tool_call_id="1", content=text, is_error=True)
    assert blocks_of(Turn(role="user", content=(inline,))) == (Paragraph((Span("error", bold=True),)), Code(drawn, language))


@pytest.mark.parametrize(
    ("data", "kind"),
    [(PNG, "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a...", "image/gif"), (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp")],
)
def test_pictures_are_known_by_their_bytes(data: bytes, kind: str) -> None:
    part = ImageContent(media_type="image/svg+xml", data=base64.b64encode(data).decode())
    assert blocks_of(Turn(role="user", content=(part,))) == (Picture(data, kind),)


def test_what_is_no_raster_picture_is_text() -> None:
    svg = ImageContent(media_type="image/png", data=base64.b64encode(b"<svg onload='x()'/>").decode())
    remote = ImageContent(url="http://a.example/p.png")
    inline = ImageContent(url="data:image/svg+xml,<svg/>")
    assert blocks_of(Turn(role="user", content=(svg, remote, inline))) == (
        Paragraph((Span("[picture: image/png, 19 bytes] ↵ [picture: http://a.example/p.png] ↵ [picture: data:image/svg+xml,...]"),)),
    )


def test_empty_turns_and_encrypted_reasoning_have_no_blocks() -> None:
    assert blocks_of(Turn(role="assistant", content="")) == ()
    assert blocks_of(Turn(role="tool", tool_call_id="1", content=" \n")) == ()
    sealed = ReasoningContent(block={"type": "redacted_thinking", "data": "c2VjcmV0"})
    assert blocks_of(Turn(role="assistant", content=(TextContent(text=""), sealed))) == ()


def test_reasoning_is_drawn_as_such_and_not_its_signature() -> None:
    thought = ReasoningContent(block={"type": "thinking", "thinking": "Is it Basel?", "signature": "c2ln"})
    said = words(blocks_of(Turn(role="assistant", content=(thought, TextContent(text="Yes.")))))
    assert said.startswith("thinking") and "Is it Basel?" in said and "c2ln" not in said
    assert words(blocks_of(Turn(role="assistant", content="Yes.", extra={"reasoning_content": "Is it Basel?"}))) == said


def test_entities_cannot_bring_controls_back() -> None:
    assert words(markdown_blocks("a &#x202e; b &#x85; &#xd800; c")) == "a ‹U+202E› b \ufffd \ufffd c"


@given(st.text(st.characters(), max_size=400) | st.text(alphabet="*_`~[]()!<>|$\\#-+> \n\t1.a&;:^=字\x00\ud800", max_size=300))
def test_never_raises_and_never_leaves_a_control_character(text: str) -> None:
    for turn in (Turn(role="user", content=text), Turn(role="tool", tool_call_id="1", content=text)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", words(blocks_of(turn)))


@given(st.lists(st.text(alphabet="abcdefgXYZ012 ,;'\"?é中م\n", max_size=80), max_size=6))
def test_every_visible_character_of_prose_survives(paragraphs: list[str]) -> None:
    text = "\n\n".join("w" + paragraph for paragraph in paragraphs)
    assert "".join(words(markdown_blocks(text)).replace("↵", "").split()) == "".join(text.split())


FLOODS = ["a", "[", "![", "*", "_", "`", "$", "<", "> ", "- ", "|", "\\(", "~", "&", "a\n", "[a](", "- a\n", "|a|b|\n|-|-|\n"]


@pytest.mark.parametrize("pattern", mostly_slow(FLOODS, quick=FLOODS[1::3]))
def test_floods_of_one_pattern_are_bounded(pattern: str) -> None:
    began = time.process_time()
    assert "end" in words(markdown_blocks(pattern * (100_000 // len(pattern)) + "\n\nend"))
    assert time.process_time() - began < 5  # without its guard, the flood of brackets takes ten


STAIRS = "".join("  " * depth + f"- {depth}\n" for depth in range(200))


@pytest.mark.parametrize("text", [">" * 1000 + "end", "[" * 5000 + "end", STAIRS + "end"])
def test_absurd_nesting_becomes_plain_text(text: str) -> None:
    assert "end" in words(markdown_blocks(text))


def test_half_a_megabyte_of_one_character_survives() -> None:
    assert words(markdown_blocks("x" * 400_000)) == "x" * 400_000
