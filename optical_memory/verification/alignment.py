"""What a reading got wrong, character by character of the truth, and where in a reading a text stands.

Myers' bit-parallel distance (JACM 46, 1999): a column of the table is two long integers, which makes a page a matter of milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["LEAST_COVERED", "best_match", "faults"]

LEAST_COVERED = 0.8  # of a reading's length: so much of the truth was surely on the page, however badly it was read


def faults(truth: str, reading: str, *, whole: bool = False) -> list[int]:
    """Errors at each character of `truth`, by the alignment with the fewest errors, up to where `reading` ends, or to the end if `whole`.

    An insertion is charged to the character before it.
    """
    columns = [(plus, minus) for plus, minus, _ in _columns(truth, reading, anchored=True)]
    plus, minus = columns[-1] if columns else ((1 << len(truth)) - 1, 0)
    least = len(truth) if whole else min(len(truth), max(1, int(LEAST_COVERED * len(reading))))
    found = [0] * _best_end(plus, minus, len(truth), least=least)
    _trace(truth, reading, columns, found)
    return found


def best_match(pattern: str, text: str) -> tuple[int, int]:
    """Where in `text` something stands that is `pattern` with the fewest errors: start and end. (0, 0) where nothing is like it."""
    end = _nearest_end(pattern, text)
    before = text[max(0, end - 2 * len(pattern)) : end]
    return end - _nearest_end(pattern[::-1], before[::-1]), end


def _nearest_end(pattern: str, text: str) -> int:
    """Where the first of the matches with the fewest errors ends."""
    best = errors = len(pattern)
    end = 0
    for place, (_, _, change) in enumerate(_columns(pattern, text, anchored=False), start=1):
        errors += change
        if errors < best:
            best, end = errors, place
    return end


def _columns(truth: str, reading: str, *, anchored: bool) -> Iterator[tuple[int, int, int]]:
    """Each column of the table: where a row has one error more or one less than the row above, and how the last row's errors change.

    If not `anchored`, the truth may begin anywhere in the reading at no cost.
    """
    places: dict[str, int] = {}
    for at, char in enumerate(truth):
        places[char] = places.get(char, 0) | 1 << at
    full, last = (1 << len(truth)) - 1, len(truth) - 1
    plus, minus = full, 0
    for char in reading:
        match = places.get(char, 0)
        diagonal = (((match & plus) + plus) ^ plus) | match | minus
        up, down = minus | ~(diagonal | plus) & full, plus & diagonal
        change = (up >> last & 1) - (down >> last & 1) if truth else 0
        up, down = (up << 1 | anchored) & full, (down << 1) & full
        plus, minus = down | ~(diagonal | up) & full, up & diagonal
        yield plus, minus, change


def _best_end(plus: int, minus: int, size: int, *, least: int) -> int:
    """How much of the truth the reading covers: where the last column is lowest, but not before `least`."""
    best, lowest, here = least, size + 1, 0
    for at in range(size + 1):
        if at >= least and here < lowest:
            best, lowest = at, here
        here += (plus >> at & 1) - (minus >> at & 1)
    return best


def _trace(truth: str, reading: str, columns: Sequence[tuple[int, int]], found: list[int]) -> None:
    """Walk back from the end and count each error where it happened."""
    row, column = len(found), len(reading)
    while row and column:
        if columns[column - 1][0] >> (row - 1) & 1:
            row -= 1
            found[row] += 1
            continue
        column -= 1
        if column and columns[column - 1][1] >> (row - 1) & 1:
            found[row - 1] += 1
        else:
            row -= 1
            found[row] += truth[row] != reading[column]
    for at in range(row):
        found[at] += 1
    if column and found:
        found[0] += column
