"""Show contexts and pages in a notebook: small HTML without scripts, every string escaped."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from ..text.plurals import counted

if TYPE_CHECKING:
    from .context import Context, PagePart

__all__ = ["context_html", "part_html"]

MOST_PAGES = 12  # embedded in one output; a notebook keeps its outputs in its file
MOST_TURNS = 20
LONGEST = 160  # characters of a turn
WIDTH = 220  # CSS pixels of a page beside others


def context_html(context: Context) -> str:
    """Return a context as HTML: its cost, its newest pages, and the beginnings of its newest turns."""
    pages, turns = context.pages, context.turns
    items = "".join(_figure(part, WIDTH) for part in pages[-MOST_PAGES:])
    more = f"<p>Not shown here: {counted(len(pages) - MOST_PAGES, 'older page')}.</p>" if len(pages) > MOST_PAGES else ""
    rows = "".join(f"<li value={turn.number}><b>{turn.role}</b> {_beginning(turn.text)}</li>" for turn in turns[-MOST_TURNS:])
    hidden = len(turns) - MOST_TURNS
    above = f"<p>Not shown here: {counted(hidden, 'older turn')} of the text.</p>" if hidden > 0 else ""
    shown = f'<div style="display:flex;flex-wrap:wrap;gap:8px">{items}</div>'
    return f"<div><p>{escape(str(context.usage))}</p>{more}{shown}{above}<ol>{rows}</ol></div>"


def _beginning(text: str) -> str:
    flat = " ".join(text[: 2 * LONGEST].split())
    return escape(flat if len(flat) <= LONGEST else flat[: LONGEST - 1] + "…")


def part_html(part: PagePart) -> str:
    """Return a page of a context as HTML, at its own size."""
    return _figure(part, None)


def _figure(part: PagePart, width: int | None) -> str:
    page = part.page
    data = base64.b64encode(part.image()).decode("ascii")
    size = f' width="{width}"' if width else ""
    return (
        f'<figure style="margin:0"><img{size} style="background:#fff" alt="Page {page.index}" src="data:image/png;base64,{data}">'
        f"<figcaption>page {page.index}, #{page.first_turn} to #{page.last_turn}, {part.tier.label}, {part.tokens:,} tokens</figcaption>"
        "</figure>"
    )
