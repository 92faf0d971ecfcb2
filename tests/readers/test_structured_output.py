from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optical_memory.errors import UnknownName
from optical_memory.pages.page import Box
from optical_memory.readers.structured_output import TAG, TASKS, ParsedPage, Task, parse_output, tables_of, task_of
from tests.sampling import examples

MARKDOWN, BOXES = TASKS["markdown"], TASKS["ocr-boxes"]
PAGE = (999, 999)  # coordinates are pixels


def read(output: str, task: Task = MARKDOWN, size: tuple[int, int] = PAGE) -> ParsedPage:
    return parse_output(output, size, task)


def test_a_document() -> None:
    parsed = read(
        "<|ref|>title<|/ref|><|det|>[[100, 50, 900, 90]]<|/det|>\n# Invoice 7\n\n"
        "<|ref|>table<|/ref|><|det|>[[100, 200, 900, 500]]<|/det|>\n<table><tr><td>Train</td><td>7:40</td></tr></table>\n"
    )
    assert parsed.text == "# Invoice 7\n\n\n<table><tr><td>Train</td><td>7:40</td></tr></table>"
    assert [(box.label, box.box, box.text) for box in parsed.boxes] == [
        ("title", Box(100, 50, 800, 40), "# Invoice 7"),
        ("table", Box(100, 200, 800, 300), "<table><tr><td>Train</td><td>7:40</td></tr></table>"),
    ]
    assert parsed.tables == ((("Train", "7:40"),),)
    assert parsed.warnings == ()


def test_boxes_of_words() -> None:
    parsed = read("<|ref|>Lyon<|/ref|><|det|>[[0, 0, 100, 10], [0, 20, 100, 30]]<|/det|>\n", BOXES)
    assert parsed.text == "Lyon"
    assert [(box.label, box.box.top) for box in parsed.boxes] == [("Lyon", 0), ("Lyon", 20)]


@pytest.mark.parametrize(("size", "box"), [((999, 999), Box(0, 0, 999, 999)), ((640, 480), Box(0, 0, 640, 480)), ((1, 1), Box(0, 0, 1, 1))])
def test_999_is_the_far_edge(size: tuple[int, int], box: Box) -> None:
    assert read("<|ref|>all<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|>", size=size).boxes[0].box == box


@pytest.mark.parametrize(
    ("output", "boxes", "warning"),
    [
        ("<|ref|>a<|/ref|><|det|>[1, 2, 3, 4]<|/det|>", 1, None),
        ("<|ref|>a<|/ref|><|det|>[[1.5, 2.25, 3, 4]<|/det|>", 1, None),
        ("<|ref|>a<|/ref|><|det|>1 2 3 4; 5 6 7 8<|/det|>", 2, None),
        ("<|ref|>a<|/ref|><|det|>[[30, 40, 10, 20]]<|/det|>", 1, None),
        ("<|ref|>a<|/ref|><|det|>[[1, 2, 3]]<|/det|>", 0, "3 coordinates are not four"),
        ("<|ref|>a<|/ref|><|det|>[[1, 2, 3, 4, 5]]<|/det|>", 1, "5 coordinates are not four"),
        ("<|ref|>a<|/ref|><|det|>[[-5, 2, 3, 1000]]<|/det|>", 1, "coordinate -5 is outside"),
        ("<|ref|>a<|/ref|><|det|>[[1, 2, 3, 4", 1, "ends inside <|det|>"),
        ("<|ref|>a", 0, "ends inside <|ref|>"),
        ("<|ref|>a<|ref|>b<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>", 1, "<|ref|> is not closed"),
        ("<|ref|>a<|/ref|>words", 0, "<|ref|> without a <|det|>"),
        ("<|det|>[[1, 2, 3, 4]]<|/det|>", 1, "<|det|> without a <|ref|>"),
        ("x<|/det|>", 0, "closes nothing"),
        ("<|ref|>a<|/ref|><|det|>[[__import__('os').abort(), 1, 2, 3, 4]]<|/det|>", 1, None),
        (f"<|ref|>a<|/ref|><|det|>[[{'9' * 9999}, 1, 2, 3]]<|/det|>", 1, "is outside"),
    ],
)
def test_malformed_output(output: str, boxes: int, warning: str | None) -> None:
    parsed = read(output)
    assert len(parsed.boxes) == boxes
    assert any(warning in said for said in parsed.warnings) if warning else not parsed.warnings


TOKENS = st.sampled_from(
    ["<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "[[", "]]", "12, ", "-3.5", "999999", "word ", "\n", "<td>", "</table>", "<|", "é"]
)


@settings(max_examples=examples(300))
@given(
    st.lists(TOKENS | st.text(max_size=4), max_size=25).map("".join),
    st.sampled_from([MARKDOWN, BOXES]),
    st.integers(1, 2000),
    st.integers(1, 2000),
)
@example("<|ref|><|/ref|><|det|><|/det|>", MARKDOWN, 1, 1)
def test_anything_is_read(output: str, task: Task, width: int, height: int) -> None:
    parsed = read(output, task, (width, height))
    for found in parsed.boxes:
        box = found.box
        assert box.left >= 0 <= box.top
        assert box.width >= 1 <= box.height
        assert box.left + box.width <= width
        assert box.top + box.height <= height
    if not TAG.search(output):
        assert parsed.text == output.strip("\n"), "text without tags is text"


@given(st.lists(st.tuples(st.text("abc \n", max_size=8), st.booleans()), max_size=8))
def test_words_are_never_lost(parts: list[tuple[str, bool]]) -> None:
    """What stands outside references, and references without coordinates, come back in order."""
    output = "".join(f"<|ref|>{text}<|/ref|>" if referred else text for text, referred in parts)
    assert read(output).text == "".join(text for text, _ in parts).strip("\n")


def test_a_megabyte_of_hostility_takes_a_bounded_number_of_steps() -> None:
    """Steps of Python are counted, not seconds: four times the input, about four times the steps."""
    import sys

    def steps(output: str) -> int:
        count = 0

        def tick(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(tick)
        try:
            list(tables_of(read(output).text))
        finally:
            sys.setprofile(None)
        return count

    for unit in ("<|ref|>", "<|det|>[[1,", "<table><tr><td rowspan=999>", "<td", "<|ref|>a<|/ref|>", "[[[[", "1 "):
        small, large = (unit * (size // len(unit)) for size in (20_000, 80_000))
        assert steps(large) <= 6 * steps(small) + 1000, unit


# -- tables -------------------------------------------------------------------------------------------------------------------------------


def test_spans_are_written_out() -> None:
    head = '<tr><th colspan="2">When</th><td rowspan=2>x &amp; <b>y</b></td></tr>'
    assert list(tables_of(f"<table>{head}<tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>")) == [
        (("When", "When", "x & y"), ("a", "b", "x & y"), ("c", "", ""))
    ]


def test_tables_that_are_not_closed_or_empty() -> None:
    assert list(tables_of("<table></table> <table><tr><td>1<td>2<tr><td>3</td>")) == [(("1", "2"), ("3", ""))]


def test_a_span_of_a_million_is_no_table_of_a_million() -> None:
    (table,) = tables_of("<table>" + "<tr><td colspan=999 rowspan=999>x</td></tr>" * 300 + "</table>")
    assert 0 < sum(map(len, table)) <= 50_000


# -- tasks --------------------------------------------------------------------------------------------------------------------------------


def test_tasks_by_name() -> None:
    assert task_of("ocr").before == "Free OCR."
    assert task_of("locate", ref="the total").ref == "the total"
    assert {"ocr", "ocr-boxes", "markdown", "figure", "formula", "describe", "locate"} == set(TASKS)
    with pytest.raises(UnknownName, match="unknown task 'read'; known: describe, figure"):
        task_of("read")
    with pytest.raises(ValueError, match="what to look for"):
        task_of("locate")
    with pytest.raises(ValueError, match="not for 'ocr'"):
        task_of("ocr", ref="x")


@pytest.mark.parametrize(
    ("output", "tables"),
    [
        ("| A | B |\n|---|---|\n| 1 | 2 |\n", [(("A", "B"), ("1", "2"))]),
        ("A | B\n:-- | --:\n1 | a\\|b | dropped\n2\n", [(("A", "B"), ("1", "a|b"))]),
        ("|a|\n|-|\n|1|", [(("a",), ("1",))]),
        ("a | b\nno table\n", []),
        ("|a|b|\n|-|\n", []),
        (
            "<table><tr><td>a<table><tr><td>x</td><td>y</td></tr></table></td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>",
            [(("a x y", "b"), ("c", "d")), (("x", "y"),)],
        ),
        ("|A|\n|-|\n|1|\n<table><tr><td>2</td></tr></table>\n|B|\n|-|\n", [(("A",), ("1",)), (("2",),), (("B",),)]),
        (
            "<table><tr><td>10<sup>5</sup> m<sup>n+1</sup></td><td>H<sub>2</sub>O <b>b</b>old</td></tr></table>",
            [(("10^5 m^(n+1)", "H2O bold"),)],
        ),
        ("<table><tr><td>1</td></tr><table><tr><td>2</td></tr></table>", [(("1",),), (("2",),)]),
        ("<table><tr><td>a<br>b<table><tr><td>cut", [(("a b cut",),), (("cut",),)]),
    ],
)
def test_tables_of_markdown_tables_inside_tables_and_powers(output: str, tables: Any) -> None:
    assert list(tables_of(output)) == tables


@pytest.mark.parametrize("output", ["<table><tr><td>" * 20_000, "|" * 100_000 + "\n" + "|-" * 50_000, "|" + " " * 100_000 + "|x\n" * 5])
def test_hostile_tables_take_linear_time(output: str) -> None:
    list(tables_of(output))
