"""Tables in a model's output: HTML, also one inside another, and Markdown's pipes. Malformed ones give a best effort, in linear time."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

__all__ = ["Table", "tables_of"]

Table = tuple[tuple[str, ...], ...]

MOST_CELLS = 50_000  # of one table, spans written out; more are dropped
DEEPEST = 20  # tables inside each other; what is deeper is text of the cell around it

CELL_TAG = re.compile(r"<(/?)(table|tr|td|th)\b([^<>]*)>", re.IGNORECASE)
SPAN = re.compile(r"(rowspan|colspan)\s*=\s*[\"']?(\d{1,3})", re.IGNORECASE)
POWER = re.compile(r"<sup\b[^<>]*>([^<>]*)</sup\s*>", re.IGNORECASE)
INLINE = re.compile(r"</?(?:b|i|u|s|em|strong|span|sub|sup|small|font|a|code|mark)\b[^<>]*>", re.IGNORECASE)
ANY_TAG = re.compile(r"<[^<>]*>")
DELIMITERS = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?")
PIPE = re.compile(r"(?<!\\)(?:\\\\)*\|")


def tables_of(text: str) -> Iterator[Table]:
    """Rows of cells of every table, as text, in the order in which the tables begin.

    A cell that spans rows or columns stands in each of them. A table inside a cell comes after the one around it, whose cell has its words.
    """
    found: list[tuple[int, _TableReading]] = []
    rest = 0
    for start, stop, table in _html_tables(text):
        if start >= rest:
            found += _pipe_tables(text[rest:start], rest)
            rest = stop
        rest = max(rest, stop)
        found.append((start, table))
    found += _pipe_tables(text[rest:], rest)
    yield from (table.rectangle() for _, table in sorted(found, key=lambda each: each[0]) if table.rows)


def _html_tables(text: str) -> list[tuple[int, int, _TableReading]]:
    """Return HTML tables with their first and last offset, by where they begin."""
    done: list[tuple[int, int, _TableReading]] = []
    open_: list[_Open] = []
    for match in CELL_TAG.finditer(text):
        closing, name, attributes = match[1], match[2].lower(), match[3]
        inner = open_[-1] if open_ else None
        if name == "table" and not closing:
            if inner and (inner.cell is None or len(open_) == DEEPEST):  # not in a cell: the one before was not closed
                done.append((inner.start, match.start(), inner.end(text, match.start())))
                open_.pop()
            open_.append(_Open(match.start()))
        elif inner is None:
            continue
        elif name == "table":
            done.append((inner.start, match.end(), inner.end(text, match.start())))
            open_.pop()
        elif name == "tr":
            inner.close_cell(text, match.start())
            if not closing:
                inner.table.begin_row()
        else:
            inner.close_cell(text, match.start())
            if not closing:
                inner.cell = match.end(), attributes
    done += [(each.start, len(text), each.end(text, len(text))) for each in open_]  # the output was cut off
    return sorted(done, key=lambda each: each[0])


class _Open:
    """An HTML table that is not closed yet: `cell` is where the text of the open one begins, and its attributes."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.table = _TableReading()
        self.cell: tuple[int, str] | None = None

    def close_cell(self, text: str, place: int) -> None:
        if self.cell:
            self.table.add(_plain(text[self.cell[0] : place]), attributes=self.cell[1])
        self.cell = None

    def end(self, text: str, place: int) -> _TableReading:
        self.close_cell(text, place)
        return self.table


def _pipe_tables(text: str, offset: int) -> Iterator[tuple[int, _TableReading]]:
    """Yield Markdown's tables: a header, a row of dashes with as many cells, and rows up to a line without a pipe."""
    lines = text.split("\n")
    starts = [offset]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    place = 1
    while place < len(lines):
        header = _cells(lines[place - 1])
        if not ("|" in lines[place] and DELIMITERS.fullmatch(lines[place].strip()) and header and len(header) == len(_cells(lines[place]))):
            place += 1
            continue
        table = _TableReading()
        first = place - 1
        rows = [header]
        place += 1
        while place < len(lines) and "|" in lines[place] and lines[place].strip():
            rows.append(_cells(lines[place])[: len(header)])
            place += 1
        for row in rows:
            table.begin_row()
            for cell in row:
                table.add(_plain(cell), attributes="")
        yield starts[first], table
        place += 1


def _cells(line: str) -> list[str]:
    """Return the cells of a row; none if the line has no pipe. An escaped pipe is part of its cell."""
    if "|" not in line:
        return []
    stripped = line.strip().removeprefix("|")
    stripped = stripped[:-1] if stripped.endswith("|") and not stripped.endswith("\\|") else stripped
    cells, start = [], 0
    for match in PIPE.finditer(stripped):
        cells.append(stripped[start : match.end() - 1])
        start = match.end()
    return [cell.replace("\\|", "|") for cell in (*cells, stripped[start:])]


class _TableReading:
    """Rows as they are said, spans written out."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self._hanging: dict[int, tuple[int, str]] = {}  # column -> rows below that a cell still reaches, its text
        self._room = MOST_CELLS

    def begin_row(self) -> None:
        self._fill()
        self.rows.append([])

    def add(self, said: str, *, attributes: str) -> None:
        if not self.rows:
            self.rows.append([])
        spans = {name.lower(): max(1, int(count)) for name, count in SPAN.findall(attributes)}
        for _ in range(spans.get("colspan", 1)):
            self._fill()
            if (down := spans.get("rowspan", 1) - 1) > 0:
                self._hanging[len(self.rows[-1])] = (down, said)
            self._put(said)

    def rectangle(self) -> Table:
        self._fill()
        rows = [row for row in self.rows if row]
        width = min(max(map(len, rows), default=0), MOST_CELLS // max(1, len(rows)))
        return tuple(tuple(row[:width] + [""] * (width - len(row))) for row in rows)

    def _fill(self) -> None:
        """The places of this row that cells of earlier rows reach down to."""
        while self.rows and self._hanging.get(len(self.rows[-1]), (0, ""))[0] > 0 and self._room > 0:
            column = len(self.rows[-1])
            down, said = self._hanging[column]
            self._hanging[column] = (down - 1, said)
            self._put(said)

    def _put(self, said: str) -> None:
        if self._room > 0:
            self.rows[-1].append(said)
            self._room -= 1


def _plain(cell: str) -> str:
    """Return a cell's words: a power as `10^5`, an index beside its letter, tags inside a word without a space."""
    powers = POWER.sub(lambda match: f"^{_exponent(match[1].strip())}" if match[1].strip() else "", cell)
    return " ".join(html.unescape(ANY_TAG.sub(" ", INLINE.sub("", powers))).split())


def _exponent(said: str) -> str:
    return said if re.fullmatch(r"[+\-−–]?\w+", said) else f"({said})"
