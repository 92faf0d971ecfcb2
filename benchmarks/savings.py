"""What a memory saves, reader by reader: tokens as text for one token as sent, on pages laid out for the reader.

The conversations are the demo's and the tests', without a budget: what forgetting by age and the rule that no page is dearer than its text
come to. `python -m benchmarks.savings [reader ...]`; by default every reader that shows pages.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from optical_memory import OpticalMemory
from optical_memory.profiles.registry import profile_of, shipped_profiles
from optical_memory.renderers.base import open_renderer
from optical_memory.stores import open_store

from ._console import open_console
from .fill import FILES


def saved(reader: str, file: Path) -> float:
    """Tokens as text for one token as sent, when the whole conversation is in the memory."""
    memory = OpticalMemory(store=open_store("memory://"), renderer=open_renderer("pillow"), reader=reader)
    memory.extend(json.loads(file.read_text("utf-8"))["messages"])
    return memory.context().usage.compression_ratio


def main(names: Sequence[str] = ()) -> None:
    """Print a row for each reader."""
    table = Table("reader", "page", "font", *(file.stem for file in FILES), title="tokens as text for one as sent")
    for name in names or [name for name, profile in shipped_profiles().items() if profile.ladder]:
        style = profile_of(name).page_style()
        ratios = (f"{saved(name, file):.1f}" for file in FILES)
        table.add_row(name, f"{style.width} x {style.height}", f"{style.font_size:g} px", *ratios)
    open_console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
