"""Structure in a model's output: Markdown, boxes and tables, for the tasks that DeepSeek-OCR was published with.

Output is parsed by patterns and never evaluated. Malformed output gives a best effort and warnings. Time is linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ..errors import UnknownName
from ..pages.page import Box
from ..text.excerpts import excerpt
from .tables import Table, tables_of

__all__ = ["TASKS", "GroundedBox", "ParsedPage", "Table", "Task", "parse_output", "tables_of", "task_of"]

SCALE = 999  # coordinates run from 0 to this, whatever the picture's size (published inference code: `x / 999 * width`)
TAG = re.compile(r"<\|(/?)(ref|det)\|>")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Task:
    """A published prompt, after `<image>` and a line feed.

    Attributes:
        before, ref, after: the prompt, the part between being the caller's.
        refs: what stands between `<|ref|>` and `<|/ref|>` in the output: a `label` (title, table, image, ...) or the `text` itself.
    """

    name: str
    before: str
    ref: str = ""
    after: str = ""
    refs: Literal["label", "text"] = "label"


# github.com/deepseek-ai/DeepSeek-OCR, README and `config.py`. Charts, chemical formulas and plane geometry share one prompt
# (arXiv 2510.18234, section 4.3).
TASKS = {
    task.name: task
    for task in (
        Task("ocr", "Free OCR."),
        Task("ocr-boxes", "<|grounding|>OCR this image.", refs="text"),
        Task("markdown", "<|grounding|>Convert the document to markdown."),
        Task("figure", "Parse the figure."),
        Task("formula", "Parse the figure."),
        Task("describe", "Describe this image in detail."),
        Task("locate", "Locate <|ref|>", after="<|/ref|> in the image.", refs="text"),
    )
}


@dataclass(frozen=True, slots=True)
class GroundedBox:
    """Something on a page, and where.

    Attributes:
        label: its kind (title, table, ...), or its words.
        box: in pixels of the page as it was shown.
        text: the output after it, up to the next box.
    """

    label: str
    box: Box
    text: str = ""


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """A page parsed from a model's output.

    Attributes:
        text: the output without its grounding tags; Markdown for the task `markdown`.
        boxes: in the order of the output.
        tables: rows of cells of each table, in HTML or Markdown, spans written out.
        warnings: one for each malformed part.
        raw: the output, unchanged.
    """

    text: str
    boxes: tuple[GroundedBox, ...] = ()
    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()
    raw: str = field(default="", repr=False)


def task_of(task: str | Task, *, ref: str = "") -> Task:
    """A task by name. Raises `UnknownName`, and `ValueError` for `locate` without `ref`, or another task with it."""
    found = task if isinstance(task, Task) else TASKS.get(task)
    if found is None:
        raise UnknownName("task", str(task), list(TASKS))
    if found.name == "locate" and not (ref or found.ref):
        raise ValueError("the task 'locate' needs to know what to look for: pass ref='the total'")
    if ref and found.name != "locate":
        raise ValueError(f"ref={excerpt(ref)} is for the task 'locate', not for {found.name!r}")
    return replace(found, ref=ref) if ref else found


def parse_output(output: str, size: tuple[int, int], task: Task) -> ParsedPage:
    """Read a model's output.

    Args:
        size: width and height in pixels of the page as it was shown; boxes are in these.
    """
    reading = _Reading(size, task)
    for kind, content in _tokens(output):
        reading.take(kind, content)
    reading.end()
    text = "".join(reading.text).strip("\n")
    return ParsedPage(text, tuple(reading.boxes), tuple(tables_of(text)), tuple(dict.fromkeys(reading.warnings)), output)


def _tokens(output: str) -> Iterator[tuple[str, str]]:
    """`text`, and the four tags, in order; together they are the output."""
    place = 0
    for match in TAG.finditer(output):
        if match.start() > place:
            yield "text", output[place : match.start()]
        yield match[1] + match[2], match[0]
        place = match.end()
    if place < len(output):
        yield "text", output[place:]


class _Reading:
    """The state between two tokens: outside, inside a reference, or inside its coordinates."""

    def __init__(self, size: tuple[int, int], task: Task) -> None:
        self._size, self._refs = size, task.refs
        self.text: list[str] = []
        self.boxes: list[GroundedBox] = []
        self.warnings: list[str] = []
        self._inside = ""
        self._content: list[str] = []
        self._label: str | None = None
        self._gap = ""  # white space after a label whose coordinates may still come
        self._open: list[int] = []  # boxes that the current text belongs to
        self._after: list[str] = []

    def take(self, kind: str, content: str) -> None:
        if kind == "text":
            self._said(content)
        elif kind in ("ref", "det"):
            if self._inside:
                self._warn(f"<|{self._inside}|> is not closed")
                self._close()
            if kind == "ref":
                self._give_up_label()
            self._inside = kind
        elif kind[1:] == self._inside:
            self._close()
        else:
            self._warn(f"<|{kind}|> closes nothing")

    def end(self) -> None:
        if self._inside:
            self._warn(f"the output ends inside <|{self._inside}|>")
            self._close()
        self._give_up_label()
        self._finish_boxes()

    def _said(self, content: str) -> None:
        if self._inside:
            self._content.append(content)
            return
        if self._label is not None and not content.strip():
            self._gap += content
            return
        self._give_up_label()
        self.text.append(content)
        self._after.append(content)

    def _close(self) -> None:
        content, kind = "".join(self._content), self._inside
        self._content, self._inside = [], ""
        if kind == "ref":
            self._label = content
            return
        label, self._label = self._label, None
        self._finish_boxes()
        if label is None:
            self._warn("<|det|> without a <|ref|>")
        found = self._coordinates(content)
        self._open = list(range(len(self.boxes), len(self.boxes) + len(found)))
        self.boxes += [GroundedBox((label or "").strip(), box) for box in found]
        self.text += [label] if self._refs == "text" and label else []
        self.text.append(self._gap)
        self._gap = ""

    def _give_up_label(self) -> None:
        """A reference that no coordinates follow: its words stay words."""
        if self._label is not None:
            self._warn("<|ref|> without a <|det|>")
            self.text.append(self._label + self._gap)
            self._after.append(self._label + self._gap)
            self._label, self._gap = None, ""

    def _finish_boxes(self) -> None:
        said = "".join(self._after).strip()
        for place in self._open:
            self.boxes[place] = replace(self.boxes[place], text=said)
        self._open, self._after = [], []

    def _coordinates(self, content: str) -> list[Box]:
        """All numbers, four by four: whatever brackets are missing."""
        numbers = [self._clamped(found) for found in NUMBER.findall(content)]
        if len(numbers) % 4 or not numbers:
            self._warn(f"{len(numbers)} coordinates are not four for each box")
        return [_pixels(numbers[at : at + 4], self._size) for at in range(0, len(numbers) - 3, 4)]

    def _clamped(self, written: str) -> float:
        value = float(written) if len(written) < 16 else (-1.0 if written.startswith("-") else SCALE + 1.0)
        if not 0 <= value <= SCALE:
            self._warn(f"coordinate {written[:16]} is outside 0..{SCALE}")
        return min(max(value, 0.0), float(SCALE))

    def _warn(self, warning: str) -> None:
        if len(self.warnings) < 100:
            self.warnings.append(warning)


def _pixels(corners: Sequence[float], size: tuple[int, int]) -> Box:
    """A box of whole pixels around two opposite corners, in any order; at least one pixel, inside the page."""
    width, height = size
    left, right = (int(value / SCALE * width) for value in sorted(corners[0::2]))
    top, bottom = (int(value / SCALE * height) for value in sorted(corners[1::2]))
    left, top = min(left, width - 1), min(top, height - 1)
    return Box(left, top, max(1, right - left), max(1, bottom - top))
