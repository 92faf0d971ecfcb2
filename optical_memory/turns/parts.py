"""A part of a long turn, drawn as if it were a turn."""

from __future__ import annotations

from typing import Any

from .turn import Turn

__all__ = ["TurnPart", "part_of"]


class TurnPart(Turn):
    """A part of a turn, with the turn's number, role, name and time. Never stored.

    Attributes:
        section: the section of its unit that it belongs to, from 1; each section begins a page.
        part, of: its place among the parts of its turn, from 1, and how many there are.
        start, stop, whole: the share of the turn that it is: from `start` to `stop` of `whole` bytes.
    """

    section: int
    part: int
    of: int
    start: int
    stop: int
    whole: int


def part_of(turn: Turn, **fields: Any) -> TurnPart:
    """Return a part of `turn`: its fields, some of them replaced. Not validated again, since a turn may hold a megabyte."""
    return TurnPart.model_construct(**{**dict(turn), **fields})
