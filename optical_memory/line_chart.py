"""A line chart as inline SVG: no script, no library. A screen reader gets its title, and the numbers from the table beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Line", "line_chart"]

WIDTH, HEIGHT = 860, 280  # of the view box; the picture scales with the page
LEFT, RIGHT, TOP, BOTTOM = 68, 132, 34, 42
LABEL = 38  # from one label at a line's end to the next


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart.

    Attributes:
        name: stands at the line's end.
        css_class: how the style sheet knows the line.
        points: (x, y), x rising, both at least 0.
    """

    name: str
    css_class: str
    points: tuple[tuple[float, float], ...]


def line_chart(
    title: str, lines: Sequence[Line], *, x_label: str, y_label: str, top: float | None = None, x_ticks: Sequence[float] = ()
) -> str:
    """An `<svg>` element. Both axes start at 0.

    Args:
        top: where the upright axis ends, for charts that are compared; at the highest point if None.
        x_ticks: where the other one is marked; at round numbers if there are none.

    Raises `ValueError` if there is no point to draw.
    """
    points = [point for line in lines for point in line.points]
    if not points:
        raise ValueError("a chart needs at least one point")
    x_ticks = x_ticks or _ticks(max(x for x, _ in points))
    y_ticks = _ticks(max(y for _, y in points) if top is None else top)
    x_top, y_top = max(1.0, *(x for x, _ in points)), y_ticks[-1]
    body = [_y_axis(tick, y_top) for tick in y_ticks]
    body += [_x_axis(tick, x_top) for tick in x_ticks if tick <= x_top]
    body += _end_labels(lines, x_top, y_top)
    body += [_line(line, x_top, y_top) for line in lines]
    body.append(f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    body.append(f'<text class="axis" x="4" y="12">{escape(y_label)}</text>')
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(body)}</svg>'


def _ticks(top: float, wanted: int = 5) -> list[float]:
    """Round numbers from 0 to at least `top`, and to 1: multiples of 1, 2, 2.5 or 5 times a power of ten."""
    top = max(top, 1.0)
    raw = top / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    return [step * index for index in range(math.ceil(top / step - 1e-9) + 1)]


def _x(value: float, top: float) -> float:
    return LEFT + value / top * (WIDTH - LEFT - RIGHT)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)


def _y_axis(tick: float, top: float) -> str:
    y = _y(tick, top)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:,.0f}</text>'
    )


def _x_axis(tick: float, top: float) -> str:
    return f'<text class="tick" x="{_x(tick, top):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:,.0f}</text>'


def _line(line: Line, x_top: float, y_top: float) -> str:
    path = " ".join(f"{_x(x, x_top):.1f},{_y(y, y_top):.1f}" for x, y in line.points)
    dots = "".join(
        f'<circle cx="{_x(x, x_top):.1f}" cy="{_y(y, y_top):.1f}" r="7"><title>{x:,.0f}: {y:,.0f} ({escape(line.name)})</title></circle>'
        for x, y in line.points
    )
    return f'<g class="{escape(line.css_class)}"><polyline points="{path}"/>{dots}</g>'


def _end_labels(lines: Sequence[Line], x_top: float, y_top: float) -> list[str]:
    """Each line's name and last value at its end, pushed apart where two ends lie close together, and up where they would leave it."""
    labels: list[str] = []
    named = sorted((line for line in lines if line.points), key=lambda line: -line.points[-1][1])
    heights: list[float] = []
    for line in named:
        heights.append(max([_y(line.points[-1][1], y_top) - 4, *(height + LABEL for height in heights[-1:])]))
    lowest = HEIGHT - LABEL / 2
    for place in reversed(range(len(heights))):
        heights[place] = min(heights[place], lowest)
        lowest = heights[place] - LABEL
    for line, y in zip(named, heights, strict=True):
        x, value = line.points[-1]
        labels.append(
            f'<text class="end {escape(line.css_class)}" x="{_x(x, x_top) + 12:.1f}" y="{y:.1f}">'
            f'<tspan class="value">{value:,.0f}</tspan><tspan x="{_x(x, x_top) + 12:.1f}" dy="16">{escape(line.name)}</tspan></text>'
        )
    return labels
