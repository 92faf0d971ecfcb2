"""Turns, pages and contexts as text and JSON; notes and progress.

Conversations are not trusted with a terminal: there, control characters are replaced by visible ones. Pipes and files get every turn word
for word.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..text.labels import label_text
from .options import json_line

if TYPE_CHECKING:
    from ..context.context import Context
    from ..demo.demo import Demo
    from ..pages.page import Page
    from ..pages.tiers import Tier
    from ..turns.turn import Turn
    from ..verification import Verification

__all__ = [
    "as_plain",
    "context_as",
    "demo_closing",
    "note",
    "page_as_dict",
    "page_as_text",
    "printable",
    "progress",
    "save_pictures",
    "turns_as_text",
]

CONTROL_PICTURES = (
    {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
    | {0x7F: 0x2421}
    | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
    | {code: f"‹U+{code:04X}›" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}  # overrides of direction
)


def printable(text: str) -> str:
    """`text` word for word; on a terminal, control characters are replaced by visible ones."""
    return text.translate(CONTROL_PICTURES) if sys.stdout.isatty() else text


def note(text: str) -> None:
    """A line on standard error."""
    print(text, file=sys.stderr)


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar while the block runs; call the value with the steps done. Draws nothing unless standard error is a terminal.

    Args:
        total: steps in all; None if they are not known.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(),) if total is not None else ("{task.description}", MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal or total == 0) as bar:
        task = bar.add_task(label, total=total)
        yield lambda steps: bar.advance(task, steps)


def turn_line(turn: Turn) -> str:
    """A turn as one line of JSON."""
    try:
        return turn.model_dump_json()
    except ValueError:  # half a surrogate pair
        return json_line(turn.model_dump(mode="json"))


def turns_as_text(turns: Sequence[Turn]) -> str:
    """Each turn under a line with its number, speaker and time."""
    return "".join(f"{_head(turn)}\n{printable(turn.text)}\n\n" for turn in turns)


def _head(turn: Turn) -> str:
    when = f" · {turn.said_at:%Y-%m-%d %H:%M}" if turn.said_at else ""
    who = f"{turn.role} {label_text(turn.name)}" if turn.name else turn.role
    marks = f"{' · failed' if turn.reports_failure else ''}{' · pinned' if turn.pinned else ''}"
    return f"#{turn.number} {who}{when}{marks}"


def context_as(given: Context, form: str) -> str:
    """A context as `text`, as messages for `openai`, `anthropic` or `gemini`, or as `json`. Raises `ValueError` for another form."""
    if form == "text":
        return _context_text(given)
    if form == "json":
        return json_line(_context_dict(given))
    if form in ("openai", "anthropic"):
        from ..context.messages import openai_anthropic as messages

        convert = messages.to_openai if form == "openai" else messages.to_anthropic
        return json_line(convert(given))
    if form == "gemini":
        from ..context.messages.gemini import to_gemini

        return json_line(to_gemini(given))
    raise ValueError(f"unknown format {form!r}; known: text, openai, anthropic, gemini, json")


def _context_text(given: Context) -> str:
    from ..context.context import PagePart

    lines = [given.framing] if given.framing else []
    for part in given.parts:
        if isinstance(part, PagePart):
            lines.append(f"{printable(part.text)}\n({part.tier.label}, {part.vision_tokens:,} vision tokens)")
        else:
            lines.append(turns_as_text(part.turns).rstrip("\n"))
    return "\n\n".join(lines)


def _context_dict(given: Context) -> dict[str, Any]:
    from ..context.context import PagePart

    parts: list[dict[str, Any]] = []
    for part in given.parts:
        if isinstance(part, PagePart):
            parts.append({"page": part.page.index, "tier": part.tier.label, "text": part.text, "tokens": part.tokens})
        else:
            parts.append({"turns": [turn.model_dump(mode="json") for turn in part.turns], "tokens": part.tokens})
    usage = as_plain(given.usage) | {"compression_ratio": round(given.usage.compression_ratio, 3)}
    return {"usage": usage, "plan": given.plan.model_dump(mode="json"), "framing": given.framing, "parts": parts}


def page_as_dict(page: Page, verified: Sequence[Verification] = ()) -> dict[str, Any]:
    """A page without its picture, as JSON can hold it. `verified` may hold results of other pages too."""
    from ..pages.tiers import Tier

    return {
        "index": page.index,
        "key": page.key,
        "turns": [page.first_turn, page.last_turn],
        "text_tokens": page.text_tokens,
        "tokens": {tier.label: page.tokens(tier) for tier in Tier},
        "width": page.width,
        "height": page.height,
        "fill": round(page.fill, 3),
        "missing_glyphs": page.missing_glyphs,
        "sidecar": list(page.sidecar),
        "segments": [as_plain(segment) for segment in page.segments],
        "verified": [as_plain(found) for found in verified if found.key == page.key],
    }


def page_as_text(page: Page, turns: Sequence[Turn]) -> str:
    """A page's label and sidecar, then its turns word for word."""
    head = f"page {page.index}: turns #{page.first_turn} to #{page.last_turn}, {page.text_tokens:,} tokens as text, key {page.key}"
    sidecar = f"\nexact: {printable(' | '.join(page.sidecar))}" if page.sidecar else ""
    return f"{head}{sidecar}\n\n{turns_as_text(turns)}".rstrip("\n")


def demo_closing(demo: Demo) -> None:
    """Print the demo's recalls, shortened, and the commands that look at its session."""
    for recalled in demo.report.recalls:
        print(recalled.question)
        for number, speaker, text in recalled.turns:
            print(f"  #{number} {speaker}: {_shortened(printable(text))}")
    print(f"\n{demo.usage}")
    print(f"\nThe report: {demo.path} (open it in a browser). It took {demo.seconds:.1f} s.")
    renderer = "" if demo.renderer == "auto" else f" --renderer {demo.renderer}"
    print(f"Look at it in a browser: optical-memory inspect --store {demo.store}")
    print(f"Look around: optical-memory pages --session demo --store {demo.store}{renderer}")


def _shortened(text: str, limit: int = 150) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def save_pictures(folder: Path, pictures: Iterable[tuple[int, Tier, bytes]], advance: Callable[[int], None] = lambda steps: None) -> None:
    """Write pages, each an index, a tier and a PNG, into a folder, created if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, tier, png in pictures:
        (folder / f"page-{index:04}-{tier.label}.png").write_bytes(png)
        advance(1)


def as_plain(value: Any) -> Any:
    """Dataclasses, named tuples, tiers and times as JSON can hold them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: as_plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return {key: as_plain(item) for key, item in value._asdict().items()}
    if isinstance(value, dict):
        return {key.name.lower() if isinstance(key, Enum) else key: as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.name.lower()
    return value.isoformat() if isinstance(value, datetime) else value
