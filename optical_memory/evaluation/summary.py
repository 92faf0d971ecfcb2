"""Summarise results as shares with confidence intervals."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..line_chart import Line, line_chart
from .harness import Result

__all__ = ["Row", "Share", "plot_of", "rows_of", "share_of"]

RESAMPLES = 1_000
PLOTTED = ("cut the oldest", "all base", "all small", "all tiny", "aged + shaped", "aged + shaped + recall")
COLOURS = ("#b35900", "#7fb2e5", "#3d85c6", "#1c4587", "#6aa84f", "#741b47")  # more names would not fit beside the lines


@dataclass(frozen=True, slots=True)
class Share:
    """A share of questions, with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} % ({100 * self.low:.0f}-{100 * self.high:.0f})"


@dataclass(frozen=True, slots=True)
class Row:
    """A policy at a budget, over all questions; F1 and exact matches over those asked of a model."""

    policy: str
    budget: int
    questions: int
    tokens: float
    legible: Share
    recallable: Share
    offered: Share
    seconds: float
    f1: Share | None = None
    exact: Share | None = None
    facts: Share | None = None


def plot_of(rows: Sequence[Row]) -> str:
    """Plot the share of evidence offered against the budget, a line per policy, as SVG."""
    present = list(dict.fromkeys(row.policy for row in rows))
    shown = [policy for policy in present if policy in PLOTTED] or present[: len(COLOURS)]
    lines = [
        Line(policy, f"line{place}", tuple((row.budget, 100 * row.offered.value) for row in rows if row.policy == policy))
        for place, policy in enumerate(shown)
    ]
    style = "".join(
        f".line{place}{{stroke:{colour};fill:none;stroke-width:2}}text.line{place}{{stroke:none;fill:{colour};font:11px sans-serif}}"
        for place, colour in enumerate(COLOURS)
    )
    chart = line_chart("Evidence offered by budget", lines, x_label="budget, tokens", y_label="evidence offered, % of questions", top=100)
    head = (
        f"<style>.chart{{background:#fff}}circle{{r:3px}}.axis,.tick{{font:11px sans-serif;fill:#333}}.grid{{stroke:#ddd}}{style}</style>"
    )
    return chart.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(">", f">{head}", 1)


def rows_of(results: Sequence[Result]) -> list[Row]:
    """Return one row per policy and budget, in order of first appearance. Tokens and seconds are means over conversations."""
    groups: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        groups.setdefault((result.policy, result.budget), []).append(result)
    return [_row(policy, budget, found) for (policy, budget), found in groups.items()]


def _row(policy: str, budget: int, found: Sequence[Result]) -> Row:
    asked = [result for result in found if result.f1 is not None]
    talks = {result.conversation: [each for each in found if each.conversation == result.conversation] for result in found}
    measured = [result for result in found if result.facts is not None]
    return Row(
        policy=policy,
        budget=budget,
        questions=len(found),
        tokens=statistics.mean(statistics.mean(each.tokens for each in talk) for talk in talks.values()),
        legible=share_of(found, lambda result: result.legible),
        recallable=share_of(found, lambda result: result.recallable),
        offered=share_of(found, lambda result: result.offered),
        seconds=statistics.mean(talk[0].seconds for talk in talks.values()),
        f1=share_of(asked, lambda result: result.f1 or 0.0) if asked else None,
        exact=share_of(asked, lambda result: result.exact or False) if asked else None,
        facts=share_of(measured, lambda result: result.facts is True) if measured else None,
    )


def share_of(results: Sequence[Result], holds: Callable[[Result], float]) -> Share:
    """Return the share of results for which `holds`, or a mean score from 0 to 1, with a percentile bootstrap interval (Efron 1979).

    Questions of one conversation are not independent: conversations are resampled if there are several, then questions within them.
    """
    talks: dict[str, list[float]] = {}
    for result in results:
        talks.setdefault(result.conversation, []).append(holds(result))
    chance, names, means = random.Random(0), sorted(talks), list[float]()
    for _ in range(RESAMPLES):
        drawn = [value for name in chance.choices(names, k=len(names)) for value in chance.choices(talks[name], k=len(talks[name]))]
        means.append(statistics.fmean(drawn))
    means.sort()
    value = statistics.fmean(value for talk in talks.values() for value in talk)
    return Share(value, means[round(0.025 * (RESAMPLES - 1))], means[round(0.975 * (RESAMPLES - 1))])
