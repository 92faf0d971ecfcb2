"""What verifiers say of real pages, tier by tier, and how long they take: what `verification.reading.FLOOR` was chosen by.

`python -m benchmarks.verifying [FILE.json ...] [--pages N] [--renderer NAME]`; by default the demo's and the tests' conversations, one page
of each. A page is at the middle of its conversation, or N of them are spread over it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from optical_memory import OpticalMemory, Page
from optical_memory.pages.tiers import Tier
from optical_memory.readers.tesseract import has_language
from optical_memory.turns.chat_files import read_chat
from optical_memory.verification import Verification
from optical_memory.verification.density import ByDensity
from optical_memory.verification.reading import ByReading

from ._console import open_console
from .fill import FILES

TIERS = (Tier.BASE, Tier.SMALL, Tier.TINY)


def spread(pages: Sequence[Page], count: int) -> list[Page]:
    """`count` of the pages, from the middle of as many equal parts."""
    count = min(count, len(pages))
    return [pages[(2 * place + 1) * len(pages) // (2 * count)] for place in range(count)]


def row(found: Verification, expected: Verification, page: Page, seconds: float) -> list[str]:
    strings, segments = f"{found.strings_read} of {found.strings_asked}", f"{found.segments_read} of {found.segments_asked}"
    scores = [f"{each.score:.2f}{'' if each.passed else ' refused'}" for each in (found, expected)]
    page_and_tier = [str(page.index), f"{page.text_tokens:,}", found.tier.label]
    return [*page_and_tier, strings, segments, f"{found.error_rate:.1%}", scores[0], f"{seconds:.1f}", scores[1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", type=Path, default=list(FILES))
    parser.add_argument("--pages", type=int, default=1)
    parser.add_argument("--renderer", default="auto")
    options = parser.parse_args()
    if not has_language():
        print("no Tesseract with English here: apt install tesseract-ocr")
        return
    table = Table("conversation", "page", "tokens", "at", "strings", "segments", "wrong", "score", "seconds", "density")
    reading, density = ByReading(), ByDensity()
    for file in options.files:
        memory = OpticalMemory(file.stem, store="memory://", renderer=options.renderer)
        memory.extend(read_chat(file.read_bytes(), file.name))
        memory.context()
        for page in spread(memory.pages(), options.pages):
            turns = memory.turns(page.first_turn, page.last_turn + 1)
            for tier in TIERS:
                page.image(tier)  # so that the time is that of reading alone
                began = time.perf_counter()
                found = reading.verify(page, turns, tier)
                seconds = time.perf_counter() - began
                table.add_row(file.stem, *row(found, density.verify(page, turns, tier), page, seconds))
    open_console().print(table)


if __name__ == "__main__":
    main()
