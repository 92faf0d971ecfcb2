"""Turns that others append while pages are drawn: a context is that of the moment at which it was asked for, within its budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from optical_memory import OpticalMemory, PageStyle, WaterMarks
from optical_memory.errors import BudgetTooSmall
from optical_memory.renderers.base import RenderedPage
from optical_memory.turns.exchanges import Exchange
from tests.sampling import mostly_slow
from tests.support import RuledRenderer

MARKS = WaterMarks(high=600, low=100)


@dataclass
class TalkedOver(RuledRenderer):
    """Somebody else appends `late` turns at each drawing."""

    others: OpticalMemory | None = None
    late: int = 30
    enough: int = 400

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        if self.others is not None and len(self.others) < self.enough:
            fill(self.others, self.late)
        return super().render(exchanges, style, seal_last=seal_last)


def fill(memory: OpticalMemory, count: int) -> None:
    start = len(memory)
    memory.extend([("assistant" if n % 2 else "user", f"turn {n + 1} " + "lorem ipsum " * 30) for n in range(start, start + count)])


@pytest.mark.parametrize("url", mostly_slow(["memory://", "sqlite:///{}/s.db"], quick=["sqlite:///{}/s.db"]))
@pytest.mark.parametrize("late", mostly_slow([1, 2, 30], quick=[2]))
def test_the_budget_holds_whatever_others_append(url: str, late: int, tmp_path: object) -> None:
    with OpticalMemory("s", store=url.format(tmp_path), marks=MARKS, renderer=RuledRenderer(rows=900)) as others:
        fill(others, 60)
        renderer = TalkedOver(rows=900, others=others, late=late)
        memory = OpticalMemory("s", store=others._store, marks=MARKS, renderer=renderer)
        asked = 0
        for budget in (1_500, 3_000, 1_500, 4_000):
            for _ in range(3):
                before = len(others)
                try:
                    context = memory.context(budget)
                except BudgetTooSmall:
                    continue
                asked += 1
                assert context.usage.prompt_tokens <= budget
                shown = [turn.number for turn in context.turns] + [segment.turn for part in context.pages for segment in part.page.segments]
                left_out = [number for first, last in context.plan.left_out for number in range(first, last + 1)]
                assert set(shown).union(left_out) == set(range(1, before + 1)), "all that was there when it was asked for, and no more"
                fill(others, 2)
        assert asked >= 6 and renderer.calls
