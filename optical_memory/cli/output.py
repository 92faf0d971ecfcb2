"""What the command line prints: tables, progress, turns and pages as text.

Conversations are not trusted with a terminal: on one, control characters are shown as pictures. Into a pipe or a file a turn goes word
for word.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ..calibration import Verdict
    from ..context.context import Context
    from ..demo.demo import Demo
    from ..demo.report import Growth
    from ..evaluation.summary import Row
    from ..memory.erasure import ErasureProof
    from ..pages.page import Page
    from ..pages.tiers import Tier
    from ..stores.base import SessionInfo
    from ..stores.redis.health_check import Problem
    from ..turns.turn import Turn
    from ..verification import Verification
    from .doctor import Finding

__all__ = [
    "as_plain",
    "context_as",
    "demo_closing",
    "evaluation_table",
    "eyetest_table",
    "findings_table",
    "growth_table",
    "identifiers_table",
    "note",
    "page_as_dict",
    "page_as_text",
    "pages_table",
    "printable",
    "problems_table",
    "progress",
    "proof_table",
    "rungs_table",
    "save_pictures",
    "sessions_table",
    "turns_as_text",
]

SESSION_NAME = 20  # characters of a name in a wide table
CONTROL_PICTURES = (
    {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
)
WIDE = 120  # columns of a table that goes into a pipe


def printable(text: str) -> str:
    """`text` as it may be printed: word for word, but on a terminal without the characters that would steer it."""
    return text.translate(CONTROL_PICTURES) if sys.stdout.isatty() else text


def note(text: str) -> None:
    """A line on standard error."""
    print(text, file=sys.stderr)


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while the block runs; call what it gives with the steps done. Nothing is drawn where nobody looks."""
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal or not total) as bar:
        task = bar.add_task(label, total=total)
        yield lambda steps: bar.advance(task, steps)


def turns_as_text(turns: Sequence[Turn]) -> str:
    """Each turn under a line with its number, speaker and time."""
    return "".join(f"{_head(turn)}\n{printable(turn.text)}\n\n" for turn in turns)


def _head(turn: Turn) -> str:
    when = f" · {turn.created_at:%Y-%m-%d %H:%M}" if turn.created_at else ""
    who = printable(f"{turn.role} {turn.name}" if turn.name else turn.role)
    return f"#{turn.number} {who}{when}{' · pinned' if turn.pinned else ''}"


def context_as(given: Context, form: str) -> str:
    """A context as `text`, as messages for `openai` or `anthropic`, or as `json`. Raises `ValueError` for another form."""
    if form == "text":
        return _context_text(given)
    if form == "json":
        return json.dumps(_context_dict(given), ensure_ascii=False)
    if form in ("openai", "anthropic"):
        from ..context.messages import openai_anthropic as messages

        convert = messages.to_openai if form == "openai" else messages.to_anthropic
        return json.dumps(convert(given), ensure_ascii=False)
    raise ValueError(f"unknown format {form!r}; known: text, openai, anthropic, json")


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
    """What is known of a page, without its picture. `verified` may be of other pages too."""
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


def pages_table(pages: Sequence[Page], verified: Sequence[Verification] = ()) -> None:
    """Print the pages of a session, and what verifiers found of them, if any did."""
    from ..pages.tiers import Tier

    table = _table("page", "turns", "tokens as text", *(tier.label for tier in sorted(Tier, reverse=True)), "fill", "key")
    if verified:
        table.add_column("verified", justify="left")
    for page in pages:
        tokens = [f"{page.tokens(tier):,}" for tier in sorted(Tier, reverse=True)]
        table.add_row(
            str(page.index),
            f"#{page.first_turn}-#{page.last_turn}",
            f"{page.text_tokens:,}",
            *tokens,
            f"{page.fill:.0%}",
            _short_key(page.key),
            *([Text(_verdicts(page, verified))] if verified else []),
        )
    _print(table) if pages else note("no pages yet: they are drawn when a context asks for them, as `optical-memory context` does")


def _verdicts(page: Page, verified: Sequence[Verification]) -> str:
    """One line for each verifier: `ocr: tiny 0.14 no, small 0.86`."""
    found: dict[str, list[str]] = {}
    for each in (each for each in verified if each.key == page.key):
        found.setdefault(each.verifier, []).append(f"{each.tier.label} {each.score:.2f}{'' if each.passed else ' no'}")
    return "\n".join(f"{verifier}: {', '.join(verdicts)}" for verifier, verdicts in found.items())


def rungs_table(rows: Sequence[Sequence[str]], *, compared: bool) -> None:
    """Print what a picture costs at every rung; the fifth column only if there is a text to compare it with."""
    heads = ("at", "sent as", "seen as", "tokens", "beside text", "used", "")
    wanted = [place for place in range(len(heads)) if compared or place != 4]
    table = _table(*(heads[place] for place in wanted[:-1]), left=1)
    table.add_column("", justify="left", overflow="fold")
    for row in rows:
        table.add_row(*(row[place] for place in wanted))
    _print(table)


def _short_key(key: str) -> str:
    """The first digits, and which page of its run it is: the pages of one run share the rest."""
    digits, _, place = key.partition("-")
    return f"{digits[:12]}-{place}" if place else digits[:12]


def sessions_table(sessions: Sequence[SessionInfo]) -> None:
    """Print the sessions of a store."""
    table = _table("session", "turns", "last append", left=1)
    for info in sessions:
        last = f"{info.last_append:%Y-%m-%d %H:%M}" if info.last_append else ""
        table.add_row(Text(printable(info.id.name)), f"{info.turns:,}", last)
    _print(table)


def findings_table(findings: Sequence[Finding]) -> None:
    """Print what `doctor` found."""
    marks = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "missing": "[red]missing[/]"}
    table = _table("what", "", "found", "advice", left=4)
    for finding in findings:
        table.add_row(Text(finding.topic), marks.get(finding.status, finding.status), Text(finding.detail), Text(finding.advice))
    _print(table)


def evaluation_table(rows: Sequence[Row]) -> None:
    """Print what policies offer at their budgets, with 95 % intervals."""
    asked = any(row.f1 is not None for row in rows)
    scores = ("answer F1", "exact answers") if asked else ()
    table = _table("policy", "budget", "tokens", "evidence legible", "facts", "with recall", "found by search", *scores, "seconds", left=1)
    for row in rows:
        shares = [row.legible, row.facts, row.offered, row.recallable, *([row.f1, row.exact] if asked else [])]
        cells = ("-" if share is None else str(share) for share in shares)
        table.add_row(row.policy, f"{row.budget:,}", f"{row.tokens:,.0f}", *cells, f"{row.seconds:.2f}")
    _print(table)


def identifiers_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print where exact strings are offered, and how many are left if the oldest turns are cut."""
    places = [key for key in rows[0] if key not in ("session", "budget", "probes", "cut")] if rows else []
    table = _table("session", "budget", "probes", "offered", *places, "cut the oldest", left=1)
    for row in rows:
        offered = row["probes"] - row["nowhere"] - row["budget too small"]
        counts = (str(row[place]) for place in places)
        name = row["session"] if len(row["session"]) <= SESSION_NAME else row["session"][: SESSION_NAME - 1] + "…"
        table.add_row(Text(printable(name)), f"{row['budget']:,}", str(row["probes"]), str(offered), *counts, str(row["cut"]))
    _print(table)


def exact_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print where exact strings are to be had, tier by tier."""
    table = _table(*(rows[0] if rows else ()), left=2)
    for row in rows:
        name, tier, *counts = row.values()
        table.add_row(Text(printable(name[:SESSION_NAME])), tier, *(f"{count:,}" for count in counts))
    _print(table)


def problems_table(problems: Sequence[Problem]) -> None:
    """Print what a check of a store found wrong."""
    if not problems:
        print("nothing is wrong")
        return
    marks = {"warning": "[yellow]warning[/]", "error": "[red]error[/]"}
    table = _table("", "session", "what is wrong", "what to do", left=4)
    for problem in problems:
        session = printable(problem.session.name) if problem.session else "(server)"
        table.add_row(marks[problem.level], Text(session), Text(printable(problem.what)), Text(problem.advice))
    _print(table)


def proof_table(proof: ErasureProof) -> None:
    """Print where erased turns were looked for."""
    marks = {True: "[green]clean[/]", False: "[red]still there[/]", None: "[yellow]not known[/]"}
    table = _table("place", "", "found", left=3)
    for trace in proof.traces:
        table.add_row(Text(trace.place), marks[trace.clean], Text(printable(trace.details)))
    _print(table)


def growth_table(growth: Sequence[Growth]) -> None:
    """Print tokens as text against tokens as sent while a conversation grows, and the pages in the context by tier."""
    from ..pages.tiers import Tier

    tiers = sorted(Tier, reverse=True)
    table = _table("turns", "tokens as text", "as sent", "of it pictures", "times fewer", "left out", *(tier.label for tier in tiers))
    for point in growth:
        tokens = [f"{number:,}" for number in (point.turns, point.text_tokens, point.sent_tokens, point.vision_tokens)]
        ratio = f"{point.text_tokens / max(1, point.sent_tokens):.1f}"
        table.add_row(*tokens, ratio, f"{point.turns_left_out:,}", *(str(point.pages_by_tier.get(tier, "")) for tier in tiers))
    _print(table)


def eyetest_table(verdict: Verdict) -> None:
    """Print an eye test: each kind of text at each rung and size, sharpest first; wrong answers apart from abstentions."""
    table = _table(
        "text", "rung", "font", "letters shown", "texts", "exact", "95 % interval", "wrong", "abstained", "wrong characters", left=2
    )
    for place in sorted(verdict.scores, key=lambda place: (verdict.kinds.index(place.kind), -place.tier, -place.font_size)):
        found = verdict.scores[place]
        low, high = found.interval
        shown = f"{verdict.letter_shown(place):.1f} px"
        counts = [f"{found.exact_rate:.1%}", f"{low:.1%} to {high:.1%}", str(found.wrong), str(found.abstained), f"{found.error_rate:.1%}"]
        table.add_row(place.kind, place.tier.label, f"{place.font_size:g} px", shown, str(found.probes), *counts)
    _print(table)


def demo_closing(demo: Demo) -> None:
    """Print the demo's recalls, briefly, and where to look further."""
    for recalled in demo.report.recalls:
        print(recalled.question)
        for number, speaker, text in recalled.turns:
            print(f"  #{number} {speaker}: {_shortened(printable(text))}")
    print(f"\n{demo.usage}")
    print(f"\nThe report: {demo.path} (open it in a browser). It took {demo.seconds:.1f} s.")
    renderer = "" if demo.renderer == "auto" else f" --renderer {demo.renderer}"
    print(f"Look around: optical-memory pages --session demo --store {demo.store}{renderer}")


def _shortened(text: str, limit: int = 150) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def save_pictures(folder: Path, pictures: Iterable[tuple[int, Tier, bytes]], advance: Callable[[int], None] = lambda steps: None) -> None:
    """Write pages, each an index, a tier and a PNG, into a folder, which is made if it is not there."""
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


def _table(*heads: str, left: int = 0) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place < left else "right", overflow="fold")
    return table


def _print(table: Table) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    console.print(table)
