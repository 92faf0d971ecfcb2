"""Maths on pages: what a formula says is drawn, or its source is."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from itertools import groupby
from xml.etree import ElementTree

import pytest
from PIL import Image

from optical_memory.pages.page import PageStyle
from optical_memory.renderers.chromium.finding import find_browser
from optical_memory.renderers.chromium.mathml import to_mathml
from optical_memory.renderers.chromium.renderer import ChromiumRenderer
from optical_memory.turns.exchanges import exchanges_of
from optical_memory.turns.turn import Turn

pytest.importorskip("playwright", reason="the chromium extra is not installed")

STYLE = PageStyle(width=480, height=480, scale=2.0)
HEAD = 53  # pixels above the formula: the head of its turn


@pytest.fixture(scope="module")
def renderer() -> Iterator[ChromiumRenderer]:
    if find_browser() is None:
        pytest.skip("no Chromium on this machine")
    opened = ChromiumRenderer()
    yield opened
    opened.close()


def tree(tex: str) -> ElementTree.Element:
    return ElementTree.fromstring(to_mathml(tex, display=True))


def rows(tex: str) -> list[list[str]]:
    """Return the cells of the first table of a formula, as text."""
    table = tree(tex).find(".//mtable")
    assert table is not None
    return [["".join(cell.itertext()) for cell in row] for row in table]


@pytest.mark.parametrize(
    ("tex", "cells"),
    [
        (r"\begin{aligned} a &= b \\ d &= e \end{aligned}", [["a", "=b"], ["d", "=e"]]),
        (r"\begin{aligned}[t] a &= b \\[2pt] d &= e \end{aligned}", [["a", "=b"], ["d", "=e"]]),
        (r"\begin{alignedat}{2} a &= b \\ d &= e \end{alignedat}", [["a", "=b"], ["d", "=e"]]),
        (r"\begin{align} a &= b \\* d &= e \end{align}", [["a", "=b"], ["d", "=e"]]),
        (r"\begin{eqnarray} a &=& b \\ d &=& e \end{eqnarray}", [["a", "=", "b"], ["d", "=", "e"]]),
        (r"\begin{gathered} p = q \\ r = s \end{gathered}", [["p=q"], ["r=s"]]),
        (r"\begin{gather*} p \\ r \end{gather*}", [["p"], ["r"]]),
        (r"\begin{multline} p \\ +r \end{multline}", [["p"], ["+r"]]),
        (r"x = 1 \\ y = 2", [["x=1"], ["y=2"]]),
        (r"x &= 1 \\ y &= 2", [["x", "=1"], ["y", "=2"]]),
        (r"\begin{equation} x = {1 + 2} \\ y \end{equation}", [["x=1+2"], ["y"]]),
        (r"\begin{dcases} a & b \\ c & d \end{dcases}", [["a", "b"], ["c", "d"]]),
    ],
)
def test_rows_are_rows_of_a_table(tex: str, cells: list[list[str]]) -> None:
    assert rows(tex) == cells


def test_breaks_inside_an_environment_are_its_own() -> None:
    found = tree(r"A = \begin{pmatrix}a&b\\c&d\end{pmatrix} x \leftarrow y")
    assert len(found.findall(".//mtable")) == 1
    assert "".join(found.itertext()).replace(" ", "") == "A=(abcd)x←y"


@pytest.mark.parametrize(
    "tex",
    [
        r"\begin{rcases} a \\ b \end{rcases} z",  # no environment that the converter knows
        r"\cancelto{0}{x}",
        r"\unknown{x} + 1",
        r"{a \\ b}",
        r"a & b",
        r"\begin{array}{|cc|} a & b \\ c & d \end{array}",  # bars at the edge: perhaps a determinant
    ],
)
def test_what_cannot_be_drawn_truly_is_its_source(tex: str) -> None:
    assert to_mathml(tex).startswith('<code dir="ltr">')


def test_lines_between_rows_and_columns_and_around_a_table() -> None:
    cells = tree(r"\left[\begin{array}{cc|c}1&2&3\\4&5&6\end{array}\right]").findall(".//mtd")
    assert [cell.get("class") for cell in cells] == [None, None, "vl"] * 2
    framed = tree(r"\begin{array}{|c|c|} \hline p & q \\ \hline 1 & 0 \\ 0 & 1 \\ \hline \end{array}")
    assert framed.find(".//menclose[@notation='box']//mtable") is not None
    assert [cell.get("class") for cell in framed.findall(".//mtd")] == [None, "vl", "hl", "vl hl", None, "vl"]


# -- as drawn ----------------------------------------------------------------------------------------------------------------------------


def ink(renderer: ChromiumRenderer, tex: str) -> Image.Image:
    """Return what is drawn of a formula, black on white, cropped."""
    turn = Turn(number=1, role="user", content=f"x\n\n$$\n{tex}\n$$")
    (page,) = renderer.render(exchanges_of([turn]), STYLE)
    drawn = Image.open(BytesIO(page.png)).convert("L").point(lambda grey: 255 if grey < 128 else 0)
    below = drawn.crop((8, HEAD, drawn.width, drawn.height))
    return below.crop(below.getbbox())


def bands(image: Image.Image) -> int:
    """Count the groups of lines with ink that blank lines separate."""
    lines = [image.crop((0, y, image.width, y + 1)).getbbox() is not None for y in range(image.height)]
    return sum(filled for filled, _ in groupby(lines))


@pytest.mark.parametrize(
    ("tex", "lines"),
    [
        ("m", 1),
        (r"\begin{aligned} m & n \\ mmm & n \end{aligned}", 2),
        (r"\begin{gathered} m \\ n \\ u \end{gathered}", 3),
        (r"m \\ n", 2),
        (r"\frac{\frac{m}{n}}{\frac{u}{v}}", 7),  # four letters and three bars, apart
    ],
)
def test_rows_stand_below_each_other(renderer: ChromiumRenderer, tex: str, lines: int) -> None:
    assert bands(ink(renderer, tex)) == lines


def test_right_aligned_cells_end_at_one_place(renderer: ChromiumRenderer) -> None:
    drawn = ink(renderer, r"\begin{aligned} m &= n \\ mmmmmm &= n \end{aligned}")
    upper = drawn.crop((0, 0, drawn.width, drawn.height // 2)).getbbox()
    assert upper is not None and upper[0] > drawn.width * 0.4


@pytest.mark.parametrize("command", ["boxed", "cancel", "bcancel", "xcancel", "sout"])
def test_an_enclosure_is_drawn(renderer: ChromiumRenderer, command: str) -> None:
    plain, marked = (sum(ink(renderer, tex).histogram()[255:]) for tex in ("mnu", rf"\{command}{{mnu}}"))
    assert marked > plain * 1.2


def test_a_subscript_stands_lower_than_its_letter(renderer: ChromiumRenderer) -> None:
    assert ink(renderer, "m_m").height > ink(renderer, "mm").height * 1.2


def test_fences_grow_with_what_they_hold_and_no_further(renderer: ChromiumRenderer) -> None:
    matrix = ink(renderer, r"\begin{pmatrix}m&n\\u&v\end{pmatrix}").height
    beside = ink(renderer, r"\begin{pmatrix}m&n\\u&v\end{pmatrix} \left(\frac{\frac{\frac{m}{m}}{m}}{\frac{u}{v}}\right)")
    left = beside.crop((0, 0, beside.width // 4, beside.height))
    assert left.crop(left.getbbox()).height == pytest.approx(matrix, abs=6)
