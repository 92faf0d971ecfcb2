"""Kinds of the pieces of a listing: every character stays, whatever a lexer makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.pages.page import PageStyle
from optical_memory.renderers.chromium.html import unit_html
from optical_memory.renderers.document.syntax import LONGEST, pieces_of
from optical_memory.renderers.geometry import Canvas
from optical_memory.renderers.pillow.block_layout import Flow
from optical_memory.renderers.pillow.typesetting import Typesetter
from optical_memory.renderers.typography.fonts import FontBook
from optical_memory.renderers.typography.word_masks import WordBook
from optical_memory.turns.turn import Turn

CANVAS = Canvas(PageStyle())
ENDLESS = 'x\nTraceback (most recent call last):\n  File "/a/test_b.py", line 63, in <module>'  # its lexer gives empty tokens for ever
LISTING = Turn(number=1, role="user", content="```python\npass  # why <b>\n```")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENDLESS, "pytb"),
        ("def f(x): return 'a & b'  # <c>\n", "python"),
        ("- a\n\n+ b", "diff"),
        ("<a>", "html"),
        ("?", "no such language"),
    ],
)
def test_every_character_survives(text: str, language: str) -> None:
    assert "".join(piece for piece, _ in pieces_of(text, language)) == text


@given(
    st.text(max_size=300) | st.text("↵\na#'+-@ ", max_size=50), st.sampled_from(["python", "diff", "json", "", "nonsense", "c++", "pycon"])
)
def test_every_character_survives_whatever_the_text(text: str, language: str) -> None:
    assert "".join(piece for piece, _ in pieces_of(text, language)) == text


def test_what_pieces_are() -> None:
    kinds = {piece.strip(): kind for piece, kind in pieces_of("def f(): x = 'a'  # why", "Python")}
    assert kinds["def"] == kinds["f"] == "strong"
    assert (kinds["x"], kinds["# why"]) == ("plain", "comment")
    assert dict(pieces_of("@@ 1\n-a\n+b\n c", "patch")) == {"@@ 1\n": "comment", "-a\n": "string", "+b\n": "strong", " c": "plain"}


def test_a_joined_line_ends_a_comment() -> None:
    kinds = {piece.strip("↵ "): kind for piece, kind in pieces_of("x = 1  # why ↵↵ not↵return 'a'", "python")}
    assert kinds["# why ↵↵ not"] == "comment" and kinds["return"] == "strong"
    assert [kind for _, kind in pieces_of("- a↵+ b↵  c", "diff")] == ["string", "strong", "plain"]


@pytest.mark.parametrize(("text", "language"), [("def f(): pass", "json"), ("pass\n" * (LONGEST // 5 + 1), "python"), (ENDLESS, "pytb")])
def test_what_a_lexer_cannot_tell_is_one_plain_piece(text: str, language: str) -> None:
    assert list(pieces_of(text, language)) == [(text, "plain")]


def test_a_browser_is_given_elements_for_kinds() -> None:
    [html] = unit_html(((LISTING,),), CANVAS)
    assert "<b>pass</b>  <i># why &lt;b&gt;</i></pre>" in html


def test_pillow_draws_comments_in_another_grey() -> None:
    [row] = Flow(Typesetter(WordBook(FontBook(()))), CANVAS).turn_rows(LISTING, "user")
    assert len({mark.grey for mark in row.marks}) == 2
