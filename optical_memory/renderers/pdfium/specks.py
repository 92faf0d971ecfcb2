"""Letters on a picture, by connected specks of ink: how many there may be, and how high they are. For pages without a text layer.

Nothing is read. Text is many specks of about one height; photographs and rules are few large ones, dust is many tiny ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import median

from PIL import Image, ImageOps

__all__ = ["SPECK_SIDE", "letters_on"]

SPECK_SIDE = 2048  # px; the longer side of the picture that is looked at: at 1280 letters of a newspaper run together
LOWEST, HIGHEST = 4, 128  # px; specks of other heights are dust, or no letters
WIDEST = 4.0  # times its height that a speck of a letter, or of a few that touch, is wide
LINE_OF_SPECK = 2.55  # a line box in heights of a speck, most of which are small letters: 2.54 to 2.57 on printed pages (docs/documents.md)
ONE_LETTER = 1.6  # heights of a speck up to which it is one letter; wider ones are letters that touch, one for each height
DARK = 0.5  # of the way from the page's darkest grey to its lightest
FEWEST = 20  # specks; fewer are no text

Run = tuple[int, int]  # columns start <= x < stop of ink in one row


def letters_on(image: Image.Image) -> tuple[int, float]:
    """Return about how many letters a page shows, and the height of their line boxes as a share of the longer side; (0, 0.0) for none.

    Args:
        image: the page, dark on light, of any mode and size.
    """
    grey = ImageOps.autocontrast(image.convert("L"), cutoff=1)
    grey.thumbnail((SPECK_SIDE, SPECK_SIDE))
    ink = grey.point([255 * (value < 255 * DARK) for value in range(256)])
    found = [(width, height) for width, height in _specks(ink) if LOWEST <= height <= HIGHEST and width <= WIDEST * height]
    if len(found) < FEWEST:
        return 0, 0.0
    letters = sum(1 if width <= ONE_LETTER * height else round(width / height) for width, height in found)
    return letters, LINE_OF_SPECK * median(height for _, height in found) / max(grey.size)


def _specks(ink: Image.Image) -> Iterator[tuple[int, int]]:
    """Yield width and height of each speck: runs of ink that touch the runs of the row above, also at a corner."""
    found = _Boxes()
    above: list[tuple[Run, int]] = []
    for row, runs in enumerate(_runs(ink)):
        place, here = 0, list[tuple[Run, int]]()
        for run in runs:
            while place < len(above) and above[place][0][1] < run[0]:
                place += 1
            at, joined = place, -1
            while at < len(above) and above[at][0][0] <= run[1]:
                joined = found.join(joined, above[at][1])
                at += 1
            here.append((run, found.add(joined, run, row)))
        above = here
    yield from found.sizes()


def _runs(ink: Image.Image) -> Iterator[list[Run]]:
    """Yield the runs of ink of each row."""
    width, data = ink.width, ink.tobytes()
    blank = bytes(width)
    for start in range(0, len(data), width):
        row = data[start : start + width]
        yield [] if row == blank else list(_runs_of(row))


def _runs_of(row: Sequence[int]) -> Iterator[Run]:
    at = 0
    for value, group in groupby(row):
        length = sum(1 for _ in group)
        if value:
            yield at, at + length
        at += length


class _Boxes:
    """Boxes of specks that grow and join: a union-find over their numbers."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._box: list[list[int]] = []  # left, right, top, bottom

    def add(self, speck: int, run: Run, row: int) -> int:
        """Add a run to a speck, or to a new one for -1; return its number."""
        if speck < 0:
            self._parent.append(len(self._parent))
            self._box.append([run[0], run[1], row, row + 1])
            return self._parent[-1]
        root = self._root(speck)
        box = self._box[root]
        box[0], box[1], box[3] = min(box[0], run[0]), max(box[1], run[1]), row + 1
        return root

    def join(self, one: int, other: int) -> int:
        """Make two specks one; return its number. -1 is none."""
        if one < 0:
            return self._root(other)
        one, other = self._root(one), self._root(other)
        if one != other:
            mine, theirs = self._box[one], self._box[other]
            self._parent[other] = one
            self._box[one] = [min(mine[0], theirs[0]), max(mine[1], theirs[1]), min(mine[2], theirs[2]), max(mine[3], theirs[3])]
        return one

    def sizes(self) -> Iterator[tuple[int, int]]:
        for speck, (left, right, top, bottom) in enumerate(self._box):
            if self._parent[speck] == speck:
                yield right - left, bottom - top

    def _root(self, speck: int) -> int:
        while self._parent[speck] != speck:
            self._parent[speck] = self._parent[self._parent[speck]]
            speck = self._parent[speck]
        return speck
