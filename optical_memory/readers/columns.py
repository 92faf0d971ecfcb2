"""Columns and letters of this library's pages, as an OCR engine needs them: each column is read by itself, with letters enlarged."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from PIL import Image

from ..pages.page import PageStyle

__all__ = ["BAR", "INK", "letter_size", "strips", "text_columns"]

INK = 215  # greys darker than this are letters
EDGE = 0.03  # of the height, left out above and below where a column rule is looked for
PAPER = 251  # the mean grey of a row without ink, at least
LEAST_INK, INK_HEIGHT = 4, 0.95  # px of a line, not of a rule; em from its highest ascender to its lowest descender
LEAST_WHITE = 0.15  # share of white rows from which lines are surely apart
LEFT_PART = 0.4  # of a column's width, by which its lines are found
STRONG = 0.4  # of what the strongest twentieth of rows loses in ink: a base line
NEARER, LONGER = 0.6, 0.8  # least distance of two lines, of a line's height; share of distances that are shorter than a line
LEAST_PITCH = 5  # px between two lines
BAR = re.compile(r"^[|¦\[\](){}!Il1][ \t]*(?=#\s?\d)", re.MULTILINE)  # as the bar before a turn's number is read; it is no text


def strips(column: Image.Image, most: int) -> list[tuple[int, int]]:
    """Cut a column into strips of whole lines, top and bottom edge of each, at most `most` px high where a white row allows it.

    A strip without a white row in its lower half is cut at `most`, through a line: a picture, or text without leading.
    """
    rows = column.resize((1, column.height), Image.Resampling.BOX).tobytes()
    edges = [0]
    while column.height - edges[-1] > most:
        begin, end = edges[-1] + most // 2, edges[-1] + most
        edges.append(max(range(begin, end + 1), key=lambda row: (rows[row], row)))
    return list(itertools.pairwise([*edges, column.height]))


def text_columns(image: Image.Image) -> list[tuple[int, int]]:
    """The columns of a page of this library, left and right edge: parted by hairlines from the top of the page to its end."""
    edge = max(1, round(image.height * EDGE))
    band = image.crop((0, edge, image.width, max(edge + 1, image.height - edge)))
    quiet = [x for x in range(image.width) if _is_rule(band, x)]
    cuts = [0, *(x for x in quiet if x - 1 not in quiet), image.width]
    columns = [(left + bool(left), right) for left, right in itertools.pairwise(cuts)]
    return [(left, right) for left, right in columns if left < right]  # nothing stands beside a rule at the very edge


def letter_size(image: Image.Image) -> float:
    """The font size of the text in a column, in pixels: by the height of its lines' ink or, where no white parts them, by their distance.

    Only the left part is looked at, where the short lines have ink too. A guess by the column's height where no lines show.
    """
    left_part = image.crop((0, 0, max(1, round(image.width * LEFT_PART)), image.height))
    profile = left_part.resize((1, image.height), Image.Resampling.BOX).tobytes()
    return _by_ink(profile) or _by_distance(profile) or PageStyle().font_size * image.height / PageStyle().height


def _by_ink(profile: bytes) -> float | None:
    """From the middle height of runs of rows with ink; None unless enough rows between the first and the last are white."""
    runs = [(has_ink, len(list(rows))) for has_ink, rows in itertools.groupby(grey < PAPER for grey in profile)]
    inner = runs[not runs[0][0] : len(runs) - (not runs[-1][0])]  # from the first row with ink to the last
    heights = sorted(height for has_ink, height in inner if has_ink and height >= LEAST_INK)
    white = sum(height for has_ink, height in inner if not has_ink)
    if len(heights) < 2 or white < LEAST_WHITE * sum(height for _, height in inner):
        return None
    return heights[(len(heights) - 1) // 2] / INK_HEIGHT


def _by_distance(profile: bytes) -> float | None:
    """From the middle distance between base lines, so that gaps between turns do not count. A base line is where much ink ends."""
    drops = [below - above for above, below in itertools.pairwise(profile)]
    pitch = float(LEAST_PITCH)
    for _ in range(2):  # the first pass also finds descenders and bars of letters
        rows = _base_lines(drops, NEARER * pitch)
        pitches = sorted(below - above for above, below in itertools.pairwise(rows))
        if len(pitches) < 2:
            return None
        pitch = max(LEAST_PITCH, pitches[int(LONGER * (len(pitches) - 1))])
    return pitches[(len(pitches) - 1) // 2] / PageStyle().line_height


def _base_lines(drops: Sequence[int], nearest: float) -> list[int]:
    """Rows where much ink ends, the strongest of those that lie nearer to each other than `nearest`."""
    strong = max(1.0, STRONG * sorted(drops)[-max(1, len(drops) // 20)])
    rows: list[int] = []
    for row in sorted((row for row, drop in enumerate(drops) if drop >= strong), key=lambda row: -drops[row]):
        if all(abs(row - other) >= nearest for other in rows):
            rows.append(row)
    return sorted(rows)


def _is_rule(band: Image.Image, x: int) -> bool:
    """Whether column `x` of pixels is nowhere white. Not of one grey: in a small picture it takes some from the bars near it."""
    return band.crop((x, 0, x + 1, band.height)).getextrema()[1] < 250  # type: ignore[operator]  # one band, so two numbers
