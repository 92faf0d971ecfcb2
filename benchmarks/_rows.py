"""Draw a conversation with the build in the current folder, this one's or an older one's, and print what its rows hold, as JSON.

`python benchmarks/_rows.py RENDERER FILE`: pages, rows, and the breaks inside words, by kind.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SEPARATORS = ",;:=/&?|)]}._-@+#%~<>([{*!$^\"'`\\↵…—–"
MARK = "⇢"
FIRST_IDEOGRAPH = "\u0e00"  # from here on lines break between characters
# For each block the text of its rows; "\x01" stands for a break inside a word, "\x02" for one with a mark.
ROWS_OF_PAGE = """() => {
  const found = [];
  for (const block of document.querySelectorAll("p,pre,h1,h2,h3,h4,h5,h6,td,th")) {
    let text = "", low = null, space = true, marked = false;
    const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.parentElement.closest("math")) continue;
      for (let at = 0; at < node.length; at++) {
        const char = node.data[at];
        if (char === "\\u00ad") { marked = true; continue; }
        if ("\\u200b\\u2060".includes(char)) continue;
        if (char.trim() === "") { space = true; text += " "; continue; }
        const range = document.createRange();
        range.setStart(node, at); range.setEnd(node, at + 1);
        const boxes = range.getClientRects();  // at a soft hyphen, the end of the line before too
        if (!boxes.length) continue;
        const box = boxes[boxes.length - 1];
        const middle = (box.top + box.bottom) / 2;
        if (low !== null && middle > low + 9) text += space ? "\\n" : marked ? "\\x02" : "\\x01";
        low = middle; space = false; marked = false;
        text += char;
      }
    }
    found.push(text);
  }
  return found;
}"""


def imported(*names: str) -> Any:
    """The first module of these that the build has."""
    for name in names:
        try:
            return importlib.import_module(f"optical_memory.{name}")
        except ImportError:
            continue
    raise ImportError(f"the build in {Path.cwd()} has none of {names!r}")


def exchanges(file: Path) -> list[Any]:
    """The exchanges of a conversation."""
    turn_of = imported("turns.from_messages", "parsing").turn_of
    messages = json.loads(file.read_text("utf-8"))["messages"]
    turns = [turn_of(message).model_copy(update={"number": number}) for number, message in enumerate(messages, start=1)]
    found: list[Any] = imported("turns.exchanges", "exchanges").exchanges_of(turns)
    return found


def breaks_in(text: str) -> Iterator[str]:
    """The kind of each break inside a word: marked, after a separator, or in the middle."""
    for place, char in enumerate(text):
        if char == "\x02":
            yield "marked"
        elif char == "\x01" and max(text[place - 1], text[place + 1]) < FIRST_IDEOGRAPH:
            yield "separator" if text[place - 1] in SEPARATORS else "middle"


class PillowRows:
    """Records the rows that the embedded renderer sets, with the breaks between them as in `ROWS_OF_PAGE`."""

    def __init__(self) -> None:
        words = imported("renderers.typography.word_masks", "renderers.words").WordBook
        typesetter = imported("renderers.pillow.typesetting", "renderers.typesetting").Typesetter
        self.texts: list[str] = []
        self._names: dict[int, tuple[Any, str]] = {}
        self._lines: list[str] = []
        word, row, rows = words.word, typesetter._row, typesetter.rows

        def named_word(book: Any, text: str, *rest: Any) -> Any:
            found = word(book, text, *rest)
            self._names[id(found)] = (found, text)
            return found

        def named_row(setter: Any, line: Any, *rest: Any) -> Any:
            self._lines.append("".join(self._names[id(placed.word)][1] for placed in line))
            return row(setter, line, *rest)

        def named_rows(setter: Any, runs: Any, box: Any, head: Any = ()) -> Any:
            runs, head = list(runs), list(head)
            self._lines = []
            found = rows(setter, runs, box, head)
            self.texts.append(_broken("".join(text for text, _ in (*head, *runs)), self._lines))
            return found

        words.word, typesetter._row, typesetter.rows = named_word, named_row, named_rows


class BitmapRows:
    """Records the rows that the pixel renderer sets."""

    def __init__(self) -> None:
        flow = imported("renderers.bitmap.renderer")
        self.texts: list[str] = []
        rows_of = flow.rows_of

        def named_rows(text: str, width: int) -> list[str]:
            found = list(rows_of(text, width))
            self.texts.append(_broken(text, [row.replace(" ", "") for row in found]))
            return found

        flow.rows_of = named_rows


def _broken(source: str, lines: Sequence[str]) -> str:
    """The source with the breaks that its rows show."""
    shown, place = [], 0
    for number, line in enumerate(lines):
        letters = len(line.replace("\u00a0", ""))
        after = _skipped(source, place, letters)
        marked = line.endswith(MARK) and number + 1 < len(lines) and source[max(0, after - 1) : after] != MARK
        if marked:
            after = _skipped(source, place, letters - 1)
        shown.append(source[place:after])
        inside = after < len(source) and not source[after].isspace()
        shown.append(("\x02" if marked else "\x01") if inside and number + 1 < len(lines) else "\n")
        place = after
    return "".join(shown)


def _skipped(source: str, place: int, letters: int) -> int:
    """The place after so many characters that are no spaces."""
    while letters and place < len(source):
        letters -= not source[place].isspace()
        place += 1
    return place


def browser_rows(given: Sequence[Any], style: Any) -> list[str]:
    """The blocks of a conversation as the browser breaks them, all in one column."""
    from playwright.sync_api import sync_playwright

    html, sheet = imported("renderers.chromium.html", "renderers.html"), imported("renderers.chromium.stylesheet", "renderers.stylesheet")
    canvas = imported("renderers.geometry").Canvas(style)
    path = str(imported("renderers.chromium.finding", "renderers.finding").require_browser(None).path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        texts: list[str] = []
        for exchange in given:
            units = "".join(html.unit_html(exchange, canvas))
            page.set_content(
                f'<meta charset="utf-8"><style>{sheet.style_sheet(canvas)}</style>'
                f'<div class="flow measure" style="width:{canvas.column_width}px">{units}</div>'
            )
            texts += page.evaluate(ROWS_OF_PAGE)
        browser.close()
    return texts


def main(name: str, file: Path) -> None:
    """Draw, count, print."""
    style = imported("pages.page", "pages").PageStyle()
    recorders: dict[str, type[BitmapRows] | type[PillowRows]] = {"bitmap": BitmapRows, "pillow": PillowRows}
    recorded = recorders[name]() if name in recorders else None
    given = exchanges(file)
    renderer = imported("renderers.base").open_renderer(name)
    began = time.process_time()
    pages = renderer.render(given, style)
    seconds = time.process_time() - began
    renderer.close()
    kinds: Counter[str] = Counter()
    texts = recorded.texts if recorded else browser_rows(given, style)
    for text in texts:
        kinds.update(breaks_in(text))
    print(json.dumps({"pages": len(pages), "filled": sum(page.fill for page in pages), "seconds": seconds, **kinds}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main(sys.argv[1], Path(sys.argv[2]))
