"""Where benchmarks print their tables."""

from __future__ import annotations

from rich.console import Console

__all__ = ["open_console"]

PIPE_WIDTH = 160  # columns; rich takes 80 where it cannot ask a terminal, and cuts the headings


def open_console(*, stderr: bool = False) -> Console:
    """A console as wide as its terminal; without one, wide enough for every table of the benchmarks."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=PIPE_WIDTH)
