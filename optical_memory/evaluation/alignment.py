"""What a reading got wrong, character by character of the truth."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LEAST_COVERED", "faults"]

LEAST_COVERED = 0.8  # of a reading's length: so much of the truth was surely on the page, however badly it was read


def faults(truth: str, reading: str, *, whole: bool = False) -> list[int]:
    """Errors at each character of `truth`, by the alignment with the fewest errors, up to where `reading` ends, or to the end if `whole`.

    Myers' bit-parallel distance (JACM 46, 1999): a column of the table is two long integers, which makes a page a matter of milliseconds.
    An insertion is charged to the character before it.
    """
    places: dict[str, int] = {}
    for at, char in enumerate(truth):
        places[char] = places.get(char, 0) | 1 << at
    full = (1 << len(truth)) - 1
    plus, minus = full, 0
    columns: list[tuple[int, int]] = []
    for char in reading:
        match = places.get(char, 0)
        diagonal = (((match & plus) + plus) ^ plus) | match | minus
        up, down = minus | ~(diagonal | plus) & full, plus & diagonal
        up, down = (up << 1 | 1) & full, (down << 1) & full
        plus, minus = down | ~(diagonal | up) & full, up & diagonal
        columns.append((plus, minus))
    least = len(truth) if whole else min(len(truth), max(1, int(LEAST_COVERED * len(reading))))
    found = [0] * _best_end(plus, minus, len(truth), least=least)
    _trace(truth, reading, columns, found)
    return found


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
