"""Tables for the terminal: pages, sessions, prices, findings, evaluations."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .output import note, printable

if TYPE_CHECKING:
    from ..calibration import Verdict
    from ..demo.report import Growth
    from ..evaluation.needs import AgeBin
    from ..evaluation.summary import Row
    from ..memory.erasure import ErasureProof
    from ..pages.page import Page
    from ..stores.base import SessionInfo
    from ..stores.redis.health_check import Problem
    from ..verification import Verification
    from .doctor import Finding

__all__ = [
    "calibration_table",
    "evaluation_table",
    "exact_table",
    "findings_table",
    "growth_table",
    "identifiers_table",
    "pages_table",
    "problems_table",
    "proof_table",
    "rungs_table",
    "sessions_table",
    "statistics_tables",
]

SESSION_NAME = 20  # characters of a name in a wide table
WIDE = 120  # columns of a table that goes into a pipe


def pages_table(pages: Sequence[Page], verified: Sequence[Verification] = ()) -> None:
    """Print the pages of a session, and what verifiers found, if any did."""
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
    """Print what a picture costs at every rung; the fifth column only if it is compared with a text."""
    heads = ("at", "sent as", "seen as", "tokens", "beside text", "used", "")
    wanted = [place for place in range(len(heads)) if compared or place != 4]
    table = _table(*(heads[place] for place in wanted[:-1]), left=1)
    table.add_column("", justify="left", overflow="fold")
    for row in rows:
        table.add_row(*(row[place] for place in wanted))
    _print(table)


def _short_key(key: str) -> str:
    """The first digits and the page's place in its run: pages of one run share the rest."""
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


def needs_table(bins: Sequence[AgeBin], fall: float) -> None:
    """Print uses of earlier turns by age, and the exponent with which they fall."""
    table = _table("turns ago", "uses", "uses in 1,000 pairs", left=1)
    for each in bins:
        ages = f"{each.first:,}" if each.first == each.last else f"{each.first:,} to {each.last:,}"
        table.add_row(ages, f"{each.uses:,}", f"{1_000 * each.rate:.2f}")
    _print(table)
    print(f"\nuses fall with age as (1 + turns) ** -{fall:.2f}: BestUse(fall={fall:.2f})")


def exact_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print where exact strings are offered, tier by tier."""
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


def calibration_table(verdict: Verdict) -> None:
    """Print a calibration: each kind of text at each rung and size, sharpest first; wrong answers apart from abstentions."""
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


def _table(*heads: str, left: int = 0) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place < left else "right", overflow="fold")
    return table


def _print(table: Table) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    console.print(table)


def statistics_tables(found: Mapping[str, Any]) -> None:
    """Print what conversations and models have cost through the proxy; costs in tokens of uncached input."""
    by_conversation = _table("conversation", "model", "messages", "calls", "with pages", "cost", "as text", "saved", "why text")
    for each in found["conversations"]:
        why = each["text_only"] or max(each["reasons"], key=each["reasons"].get, default="")
        row = (each["conversation"][:12], each["model"], f"{each['messages']:,}", *_costs(each))
        by_conversation.add_row(*row, why)
    _print(by_conversation)
    by_model = _table("model", "calls", "with pages", "cost", "as text", "saved", "text corrected by", "pages corrected by")
    for name, totals in found["models"].items():
        corrected = found["corrections"].get(name, {})
        by_model.add_row(name, *_costs(totals), f"{corrected.get('text', 1):.2f}", f"{corrected.get('pages', 1):.2f}")
    _print(by_model)


def _costs(totals: Mapping[str, Any]) -> tuple[str, ...]:
    share = totals["saved"] / totals["text_cost"] if totals["text_cost"] else 0.0
    counts = (f"{totals['calls']:,}", f"{totals['rewritten']:,}")
    return (*counts, f"{totals['cost']:,.0f}", f"{totals['text_cost']:,.0f}", f"{totals['saved']:,.0f} ({share:.0%})")
