"""Align a reading with the truth: errors per character, and the position of a text in a reading.

Myers' bit-parallel distance (JACM 46, 1999): a column of the table is two long integers, so a page takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["LEAST_COVERED", "best_match", "faults"]

LEAST_COVERED = 0.8  # of a reading's length: at least this much of the truth is taken to be on the page


def faults(truth: str, reading: str, *, whole: bool = False) -> list[int]:
    """Count the errors at each character of `truth`, by the best alignment, up to where `reading` ends, or to the end if `whole`.

    An insertion counts at the character before it.
    """
    columns = [(plus, minus) for plus, minus, _ in _columns(truth, reading, anchored=True)]
    plus, minus = columns[-1] if columns else ((1 << len(truth)) - 1, 0)
    least = len(truth) if whole else min(len(truth), max(1, int(LEAST_COVERED * len(reading))))
    found = [0] * _best_end(plus, minus, len(truth), least=least)
    _trace(truth, reading, columns, found)
    return found


def best_match(pattern: str, text: str) -> tuple[int, int]:
    """Return start and end of the best approximate match of `pattern` in `text`; (0, 0) without one."""
    end = _nearest_end(pattern, text)
    before = text[max(0, end - 2 * len(pattern)) : end]
    return end - _nearest_end(pattern[::-1], before[::-1]), end


def _nearest_end(pattern: str, text: str) -> int:
    """Return the end of the first match with the fewest errors."""
    best = errors = len(pattern)
    end = 0
    for place, (_, _, change) in enumerate(_columns(pattern, text, anchored=False), start=1):
        errors += change
        if errors < best:
            best, end = errors, place
    return end


def _columns(truth: str, reading: str, *, anchored: bool) -> Iterator[tuple[int, int, int]]:
    """Yield each column of the table: bit sets of rows with one error more or one less than the row above, and the change in the last row.

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
    """Return how much of the truth the reading covers: the minimum of the last column, not before `least`."""
    best, lowest, here = least, size + 1, 0
    for at in range(size + 1):
        if at >= least and here < lowest:
            best, lowest = at, here
        here += (plus >> at & 1) - (minus >> at & 1)
    return best


def _trace(truth: str, reading: str, columns: Sequence[tuple[int, int]], found: list[int]) -> None:
    """Trace back from the end and count each error at its character."""
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
