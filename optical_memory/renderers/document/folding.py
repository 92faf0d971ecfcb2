"""Fold lines that say nothing new, in listings and program output: repeats, and the underlining of tracebacks.

- Lines that come three times or more are drawn once, with their count: `line  ×37`. So are up to four lines that repeat in turn, after the
  last of them: `×37 (2 lines)`; blank lines between them are not drawn. A line of the text that ends in such a count has its `×` twice.
- A `~~~~^^^` line of a Python traceback goes. If it underlined only a part of the line above, that part gets marks: `a = »b« + c`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["fold_repeats", "fold_underlines"]

LEAST_REPEATS = 3
LONGEST_CYCLE = 4  # lines

_COUNT = re.compile(r"  ×(?=×*\d+(?: \(\d lines\))?$)")
_FRAME = re.compile(r"([\s|]*)File \".*\", line \d+")
_UNDERLINE = re.compile(r"[\s|]*[~^][~^ ]*")


def fold_repeats(lines: Sequence[str]) -> list[str]:
    """Return lines, repeats folded. Linear in their number."""
    names: dict[str, int] = {}
    ids = [names.setdefault(line, len(names)) for line in lines]
    escaped = [_COUNT.sub("  ××", line) if "×" in line else line for line in lines]
    if len(names) == len(lines):
        return escaped
    runs = [_run_lengths(ids, period) for period in range(1, LONGEST_CYCLE + 1)]
    folded: list[str] = []
    place = 0
    while place < len(lines):
        period, count, size = _best(lines, runs, place) if lines[place] else (1, 1, 1)
        cycle = [line for line in escaped[place : place + period] if line or count == 1]
        folded += [*cycle[:-1], f"{cycle[-1]}{_mark(count, len(cycle)) if count > 1 else ''}"]
        place += size
    return folded


def _run_lengths(ids: Sequence[int], period: int) -> list[int]:
    """Return at each place how many lines from there on are the same as the one `period` lines later."""
    lengths = [0] * (len(ids) + 1)
    for place in range(len(ids) - period - 1, -1, -1):
        lengths[place] = lengths[place + 1] + 1 if ids[place] == ids[place + period] else 0
    return lengths


def _best(lines: Sequence[str], runs: Sequence[Sequence[int]], place: int) -> tuple[int, int, int]:
    """Return the period, count and lines of the repeats at a place that save most; (1, 1, 1) if none save anything."""
    best, most = (1, 1, 1), 0
    for period, run in enumerate(runs, start=1):
        count, size = run[place] // period + 1, run[place] + period - run[place] % period
        if run[place] % period == period - 1 and not lines[place + period - 1]:
            count, size = count + 1, size + period - 1  # the last repeat, without the blank line after it
        if count < LEAST_REPEATS:
            continue
        length = sum(len(line) + 1 for line in lines[place : place + period])
        saved = (count - 1) * length - len(_mark(count, period))
        if saved > most:
            best, most = (period, count, size), saved
    return best


def _mark(count: int, lines: int) -> str:
    return f"  ×{count}" if lines == 1 else f"  ×{count} ({lines} lines)"


def fold_underlines(lines: Sequence[str]) -> list[str]:
    """Return lines without those that underline the source line above in a Python traceback."""
    folded: list[str] = []
    inside: int | None = None  # the indentation of the frame's `File` line
    for line in lines:
        frame = _FRAME.match(line)
        if frame:
            inside = len(frame[1])
        elif inside is not None and "^" in line and folded and not _FRAME.match(folded[-1]) and _UNDERLINE.fullmatch(line):
            folded[-1] = _marked(folded[-1], len(line) - len(line.lstrip(" |")), len(line))
            continue
        elif len(line) - len(line.lstrip(" |")) <= (inside or 0):
            inside = None
        folded.append(line)
    return folded


def _marked(line: str, start: int, end: int) -> str:
    """Put marks around the underlined part of a source line, unless that is all of it."""
    first = len(line) - len(line.lstrip(" |"))
    if (start <= first and end >= len(line)) or "»" in line or "«" in line:
        return line
    return f"{line[:start].ljust(start)}»{line[start:end]}«{line[end:]}"
