"""Syntax shown in weights and greys: every character stays, whatever a lexer makes of it."""

from __future__ import annotations

import re
from html import unescape

import pytest

from optical_memory.renderers.highlight import highlight
from optical_memory.renderers.highlighting import highlighted
from optical_memory.renderers.words import Look

ENDLESS = 'x\nTraceback (most recent call last):\n  File "/a/test_b.py", line 63, in <module>'  # its lexer gives empty tokens for ever


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("text", "language"),
    [(ENDLESS, "pytb"), ("def f(x): return 'a & b'  # <c>\n", "python"), ("- a\n+ b", "diff"), ("<a>", "html"), ("?", "no such language")],
)
def test_every_character_survives(text: str, language: str) -> None:
    assert "".join(piece for piece, _ in highlighted(text, language, Look(12.0, "mono"))) == text
    assert unescape(re.sub("</?[bis]>", "", highlight(text, language))) == text


def test_keywords_and_comments_look_different() -> None:
    assert highlight("def f(): pass  # why", "python") == "<b>def</b> <b>f</b>(): <b>pass</b>  <i># why</i>"
    looks = dict(highlighted("pass  # why", "python", Look(12.0, "mono")))
    assert looks["pass"].style == "monobold" and looks["# why"].italic
