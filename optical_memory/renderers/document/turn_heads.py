"""The run-in head of a turn: `#42 user`, with the tool's name for a tool's turn. The same for every renderer.

Nothing that is said is drawn like it: in content, and in names, the `#` of what reads like a head is written twice, `##42 user`.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import get_args

from ...text.confusables import HOMOGLYPHS
from ...text.labels import label_text
from ...turns.exchanges import Exchange
from ...turns.parts import TurnPart
from ...turns.repeated import RepeatedTurn
from ...turns.turn import Role, Turn
from .blocks import Block, Code, Heading, ListItem, Math, Paragraph, Picture, Quote, Rule, Span, Spans, Table

__all__ = ["doubled", "head_labels", "reference_to", "speaker_labels", "speaker_of", "told_apart"]

NAME_LENGTH = 60  # characters of a speaker's or tool's name that are drawn; the log keeps the rest

_SIGNS = "#＃﹟♯⋕"
_SIGN = re.compile(f"[{_SIGNS}]")
_NUMBER = re.compile(rf"(?<![{_SIGNS}])[{_SIGNS}](?:(?![{_SIGNS}])[\W_]){{0,6}}+\d(?:(?![{_SIGNS}])[\d\W_]){{0,20}}+(?=[^\W\d_])")
_ROLE = re.compile(rf"(?:{'|'.join(get_args(Role))})(?![a-z])")
_ROLE_LENGTH = 24  # characters after a number in which its role is looked for, those that are not seen included
_TEX_HASH = re.compile(r"\\?#")


def head_labels(exchange: Exchange) -> list[str]:
    """Return the text after the number of each turn of `exchange`, in order: `tool get_user`, or `same as #41, tool get_user`.

    The reference comes first: a name, which a message may choose, cannot pass for one.
    """
    turns = (turn for unit in exchange for turn in unit)
    return [
        f"{reference_to(turn.same_as)}, {label}" if isinstance(turn, RepeatedTurn) else label
        for turn, label in zip(turns, speaker_labels(exchange), strict=True)
    ]


def reference_to(number: int) -> str:
    """Return what is drawn in place of words that another turn has."""
    return f"same as #{number}"


def speaker_labels(exchange: Exchange) -> list[str]:
    """Return the speaker of each turn of `exchange`, in order: the role, and the speaker's or tool's name if known.

    A part of a long turn is numbered: `user 2/16`.
    """
    return [_label(turn, unit) for unit in exchange for turn in unit]


def _label(turn: Turn, unit: Sequence[Turn]) -> str:
    name = label_text(speaker_of(turn, unit), NAME_LENGTH)
    label = f"{turn.role} {doubled(name)}" if name else turn.role
    return f"{label} {turn.part}/{turn.of}" if isinstance(turn, TurnPart) and turn.of > 1 else label


def speaker_of(turn: Turn, unit: Sequence[Turn]) -> str:
    """Return the speaker's name of a turn of `unit`, or its tool's; empty if it is not known."""
    return turn.name or _called_tool(turn, unit)


def _called_tool(turn: Turn, unit: Sequence[Turn]) -> str:
    """Return the tool whose call a tool turn answers: chat formats name it at the call only."""
    if turn.role != "tool" or not turn.tool_call_id:
        return ""
    return next((call.name for other in unit for call in other.tool_calls if call.id == turn.tool_call_id), "")


def told_apart(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Return blocks in which nothing reads like a head: the `#` before a number and a role is doubled, also across spans and cells."""
    return tuple(_told_apart(block) for block in blocks)


def _told_apart(block: Block) -> Block:
    match block:
        case Paragraph(spans) | Heading(_, spans):
            return replace(block, spans=_spans(spans))
        case ListItem(blocks=inner) | Quote(blocks=inner):
            return replace(block, blocks=told_apart(inner))
        case Code(text, _, title):
            *titled, last = _spans((*title, Span(" ", code=True), Span(text))) if title else _spans((Span(text),))
            return replace(block, text=last.text, title=tuple(titled[:-1]))
        case Table(rows):
            return replace(block, rows=tuple(_row(row) for row in rows))
        case Math(tex):
            return Math(_TEX_HASH.sub(r"\\#\\#", tex)) if "#" in tex else block
        case Picture(alt=alt):
            return replace(block, alt=doubled(alt)) if alt else block
        case Rule():
            return block


def _row(row: tuple[Spans, ...]) -> tuple[Spans, ...]:
    """Return the cells of a row: a head may go over several of them."""
    parted = [(*cell, Span(" ")) for cell in row]
    spans = iter(_spans(tuple(span for cell in parted for span in cell)))
    return tuple(tuple(next(spans) for _ in cell)[:-1] for cell in parted)


def _spans(spans: Spans) -> Spans:
    if not any(_SIGN.search(span.text) for span in spans):
        return spans
    whole = "".join(span.text for span in spans)
    places, done, found = list(_heads(whole)), 0, []
    doubled = set(places)
    for span in spans:
        text = span.text
        if span.maths:
            text = _TEX_HASH.sub(r"\\#\\#", text)
        elif bisect_left(places, done) < bisect_left(places, done + len(text)):
            text = "".join(char * 2 if done + at in doubled else char for at, char in enumerate(text))
        done += len(span.text)
        found.append(replace(span, text=text) if text != span.text else span)
    return tuple(found)


def doubled(text: str) -> str:
    """Return text in which nothing reads like a head: the `#` before a number and a role is doubled."""
    places = set(_heads(text))
    return "".join(char * 2 if at in places else char for at, char in enumerate(text)) if places else text


def _heads(text: str) -> Iterator[int]:
    """Yield the places of the `#` of what reads like a head; what has two of them does not."""
    for match in _NUMBER.finditer(text):
        if _ROLE.match(_folded(text[match.end() : match.end() + _ROLE_LENGTH])):
            yield match.start()


def _folded(text: str) -> str:
    """Return `text` as its letters look: small, without marks, of one script, without what is not seen."""
    return "".join(map(_folded_character, text))


@lru_cache(maxsize=4096)
def _folded_character(char: str) -> str:
    if unicodedata.category(char) in ("Cf", "Mn"):
        return ""
    plain = unicodedata.normalize("NFKD", HOMOGLYPHS.get(char, char))
    return "".join(HOMOGLYPHS.get(each, each) for each in plain if unicodedata.category(each) != "Mn").casefold()
