"""The report's line chart."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.line_chart import HEIGHT, WIDTH, Line, line_chart

SVG = "{http://www.w3.org/2000/svg}"
amounts = st.floats(min_value=0, max_value=1e9, allow_nan=False)
lines_of_points = st.lists(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=8), min_size=1, max_size=3)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


@given(lines_of_points)
def test_every_point_stands_inside_the_picture(series: list[list[tuple[float, float]]]) -> None:
    lines = [Line(f"line {place}", "a", tuple(sorted(points))) for place, points in enumerate(series)]
    circles = list(parsed(line_chart("t", lines, x_label="x", y_label="y")).iter("circle"))
    assert len(circles) == sum(len(points) for points in series)
    assert all(0 <= float(circle.attrib["cx"]) <= WIDTH and 0 <= float(circle.attrib["cy"]) <= HEIGHT for circle in circles)


def test_the_axes_start_at_nought_and_reach_the_largest_value() -> None:
    svg = line_chart("t", [Line("a", "a", ((10, 870), (950, 62_700)))], x_label="turns", y_label="tokens")
    ticks = [text.text for text in parsed(svg).iter("text") if text.attrib["class"] == "tick"]
    assert ticks == ["0", "20,000", "40,000", "60,000", "80,000", "0", "200", "400", "600", "800"]


def test_labels_of_lines_that_end_together_do_not_overlap() -> None:
    svg = line_chart("t", [Line("a", "a", ((1, 100),)), Line("b", "b", ((1, 100),))], x_label="x", y_label="y")
    tops = sorted(float(text.attrib["y"]) for text in parsed(svg).iter("text") if text.attrib["class"].startswith("end"))
    assert tops[1] - tops[0] >= 38


@given(st.lists(amounts, min_size=1, max_size=6))
def test_labels_stay_inside_the_picture(ends: list[float]) -> None:
    lines = [Line(f"line {place}", "a", ((1, end),)) for place, end in enumerate(ends)]
    svg = line_chart("t", [*lines[:5], Line("high", "a", ((1, 1e9),))], x_label="x", y_label="y")
    tops = sorted(float(text.attrib["y"]) for text in parsed(svg).iter("text") if text.attrib["class"].startswith("end"))
    assert tops[0] > 0 and tops[-1] + 16 < HEIGHT
    assert all(lower - upper >= 38 - 0.11 for upper, lower in itertools.pairwise(tops))


def test_axes_as_asked_for() -> None:
    svg = line_chart("t", [Line("a", "a", ((512, 12),))], x_label="px", y_label="%", top=100, x_ticks=[512])
    ticks = [text.text for text in parsed(svg).iter("text") if text.attrib["class"] == "tick"]
    assert ticks == ["0", "20", "40", "60", "80", "100", "512"]


def test_names_are_escaped() -> None:
    svg = line_chart('<t"', [Line("<script>", "a", ((1, 1),))], x_label="<b>", y_label="&")
    assert "<script>" not in svg
    assert parsed(svg).attrib["aria-label"] == '<t"'


def test_a_chart_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        line_chart("t", [], x_label="x", y_label="y")
