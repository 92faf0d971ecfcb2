"""Whether turns' numbers are read off their pages, and where the bar before a number may stand.

`python -m benchmarks.heads [--against FOLDER] [--pages N] [--costs]`: how many heads Tesseract reads, by renderer and tier, on shrunk
pages (Tiny) and abridged ones (Tiny, abridged); side by side with another checkout, whose public names are those of this one. Then, on
pages without bars, bars of other widths, distances and heights drawn before the numbers, shown at Tiny. Last, what the bars cost: pages,
rows and tokens of the same conversations on a canvas that keeps no room for them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PIL import Image

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.pages.tiers import Tier
from optical_memory.profiles.registry import profile_of
from optical_memory.readers import open_reader
from optical_memory.renderers import open_renderer
from optical_memory.renderers.geometry import Canvas
from optical_memory.turns.exchanges import exchanges_of
from optical_memory.turns.from_messages import turn_of
from optical_memory.turns.turn import Turn

HERE = Path(__file__).parent.parent
FILES = (
    (HERE / "tests/data/assistant-chats.json", 80),
    (HERE / "tests/data/office-agent.json", 120),
    (HERE / "tests/data/coding-agent.json", 60),
)
RENDERERS = ("chromium", "pillow")
FIRST = 137  # number of the first turn: three digits, as on most pages
READ = 60  # pixels of a turn's box, of a sealed page, in which its head is
ROW = 16  # pixels of a line of prose
TIERS = (Tier.BASE, Tier.TINY)
TEXT = 14.0  # pixels of a letter on a sealed page
BARS = ((0, 0, 16), (2, 2, 16), (3, 1, 16), (2, 4, 13), (2, 4, 16), (3, 5, 16), (2, 8, 16))  # width, distance, height


def memory_of(file: Path, count: int, renderer: str, *, abridged: bool) -> OpticalMemory:
    """A conversation whose past is on pages, its first turns erased so that numbers have three digits."""
    view: dict[str, Any] = {} if abridged else {"shape": ()}
    memory = OpticalMemory(file.stem, store="memory://", renderer=renderer, marks=WaterMarks(high=300, low=100), **view)
    memory.extend([("user", "x")] * (FIRST - 1))
    memory.erase(range(1, FIRST))
    memory.extend(json.loads(file.read_text("utf-8"))["messages"][:count])
    memory.context()
    return memory


def pieces(memory: OpticalMemory, tier: str, pages: int) -> Iterator[tuple[int, bytes, float]]:
    """The first lines of the turns that begin on the first pages: number, picture, letter size."""
    for page in memory.pages()[:pages]:
        image = Image.open(io.BytesIO(page.image(tier))).convert("L")
        ratio = image.width / page.width
        for segment in page.segments:
            box = segment.boxes[0]
            if not segment.continued:
                edges = (box.left, box.top, box.left + box.width, box.top + min(box.height, READ))
                yield segment.turn, _framed(image.crop(tuple(round(edge * ratio) for edge in edges))), TEXT * ratio  # type: ignore[arg-type]


def _framed(cut: Image.Image) -> bytes:
    framed, file = Image.new("L", (cut.width + 20, cut.height + 20), 255), io.BytesIO()
    framed.paste(cut, (10, 10))
    framed.save(file, "PNG")
    return file.getvalue()


def read(found: Sequence[tuple[int, bytes, float]]) -> tuple[int, int]:
    """How many numbers are read, and of how many."""
    reader: Any = open_reader("tesseract")
    with ThreadPoolExecutor(2) as pool:
        texts = list(pool.map(lambda piece: reader.read_picture(piece[1], letter=piece[2]), found))
    right = sum(re.search(rf"#\s?{piece[0]}(?!\d)", text[:40]) is not None for piece, text in zip(found, texts, strict=True))
    return right, len(found)


def abridged_read(memory: OpticalMemory, pages: int) -> tuple[int, int]:
    """How many numbers are read on whole abridged pages: their boxes are not kept."""
    reader: Any = open_reader("tesseract")
    right = total = 0
    for page in memory.pages()[:pages]:
        text = reader.read_picture(page.image("tiny"), letter=TEXT * 8 / 7 / 2)
        numbers = [segment.turn for segment in page.segments if not segment.continued]
        named = [number for number in numbers if re.search(rf"#\s?{number}(?!\d)", text)]
        right, total = right + len(named), total + len(numbers)
    return right, total


def measure(pages: int) -> None:
    """Print a line for each renderer and tier."""
    for renderer in RENDERERS:
        shrunk = [memory_of(file, count, renderer, abridged=False) for file, count in FILES]
        for tier in ("base", "small", "tiny"):
            right, total = read([piece for memory in shrunk for piece in pieces(memory, tier, pages)])
            print(f"{renderer:9} {tier:15} {right} of {total}", flush=True)
        found = [abridged_read(memory_of(file, count, renderer, abridged=True), pages) for file, count in FILES]
        print(f"{renderer:9} {'tiny, abridged':15} {sum(right for right, _ in found)} of {sum(total for _, total in found)}", flush=True)


def bars(pages: int) -> None:
    """Print how many numbers are read at Tiny behind bars of each kind."""
    sealed_pages = [page for file, count in FILES for page in memory_of(file, count, "pillow", abridged=False).pages()[:pages]]
    for width, distance, height in BARS:
        found = []
        for page in sealed_pages:
            sealed = Image.open(io.BytesIO(page.image("base"))).convert("L")
            for segment in page.segments:
                box = segment.boxes[0]
                if segment.continued or box.left > page.width / 4:
                    continue
                cut = Image.new("L", (box.width + 16, min(box.height, READ)), 255)
                text = sealed.crop((box.left + 6, box.top, box.left + box.width - 5, box.top + cut.height))  # without the lanes
                cut.paste(text, (16, 0))
                cut.paste(0, (16 - distance - width, 0, 16 - distance, height))
                small = cut.resize((cut.width // 2, cut.height // 2), Image.Resampling.BICUBIC)
                found.append((segment.turn, _framed(small), TEXT / 2))
        right, total = read(found)
        print(f"{width} px wide, {distance} px off, {height} px high: {right} of {total}", flush=True)


LANES: dict[str, Callable[[Any], int]] = {  # those of a canvas without bars
    "lane": lambda canvas: 0,
    "right_lane": lambda canvas: 0,
    "left": lambda canvas: int(canvas.margin),
    "right_margin": lambda canvas: int(canvas.margin),
    "gutter": lambda canvas: round(canvas.style.gutter * canvas.scale),
}


def costs() -> None:
    """Print what the lanes of the bars cost: the same turns on pages with and without them."""
    profile = profile_of("deepseek-ocr")
    chats = [json.loads(file.read_text("utf-8"))["messages"] for file, _ in FILES]
    for renderer in RENDERERS:
        found = []
        for lanes in (True, False):
            with ExitStack() as changed:
                for name, value in {} if lanes else LANES.items():
                    changed.enter_context(patch.object(Canvas, name, property(value)))
                drawing = open_renderer(renderer)
                pages = [page for chat in chats for page in drawing.render(exchanges_of(_turns(chat)), profile.page_style())]
            rows = sum(box.height for page in pages for segment in page.segments for box in segment.boxes) / ROW
            tokens = [sum(profile.page_tokens(page.width, page.height, tier, page.canvas) for page in pages) for tier in TIERS]
            found.append((len(pages), rows, tokens))
        for (count, rows, tokens), of in zip(found, ("with bars", "without"), strict=True):
            print(f"{renderer:9} {of:10} {count} pages, {rows:,.0f} rows, tokens at Base {tokens[0]:,}, at Tiny {tokens[1]:,}", flush=True)


def _turns(messages: Sequence[dict[str, Any]]) -> list[Turn]:
    return [turn_of(message).model_copy(update={"number": number}) for number, message in enumerate(messages, 1)]


def main() -> None:
    """Measure this build, then the other one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="a checkout of another build")
    parser.add_argument("--pages", type=int, default=2, help="of each conversation")
    parser.add_argument("--costs", action="store_true", help="measure nothing but what the bars cost")
    parser.add_argument("--only", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.costs:
        costs()
        return
    measure(chosen.pages)
    if chosen.against:
        print("\nthe other build")
        environment = {**os.environ, "PYTHONPATH": str(chosen.against)}
        command = [sys.executable, __file__, "--only", "--pages", str(chosen.pages)]
        subprocess.run(command, cwd=chosen.against, env=environment, check=True)
    if not chosen.only:
        print()
        bars(chosen.pages)
        print()
        costs()


if __name__ == "__main__":
    main()
