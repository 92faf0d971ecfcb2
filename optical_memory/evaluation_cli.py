"""`optical-memory eval`: what a memory still offers of conversations whose questions have known evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .transfer_cli import AsJson

__all__ = ["eval_", "eval_identifiers"]


def eval_(
    files: Annotated[list[Path], typer.Argument(help="Conversations with questions: JSON with `messages` and `questions`.", exists=True)],
    budgets: Annotated[str, typer.Option(help="Tokens that the memory may spend, separated by commas.")] = "1000,2000,4000,8000,16000",
    policies: Annotated[str, typer.Option(help="Ways to fit into them, separated by commas; all by default.")] = "",
    categories: Annotated[str, typer.Option(help="Only questions of these categories, where questions have one.")] = "4",
    out: Annotated[Path, typer.Option(help="Folder for the raw results, the table and the plot.", file_okay=False)] = Path("eval-output"),
    reader: Annotated[str, typer.Option("--reader", help="Whose prices count.")] = "deepseek-ocr",
    renderer: Annotated[str, typer.Option("--renderer", help="chromium, pillow, or auto.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure, without a model, which share of the evidence is still legible or can be recalled, for each way to forget, at equal budgets.

    A question counts as legible if every turn that holds its evidence is in the context as text, or stands on a page where Tesseract reads
    it back with at most 5 % wrong characters and every critical word exact. Words that stand in the page's sidecar may be misread.

    Its facts count if the sentences that hold the answer's words come back as exactly, and those words too, whatever happened to the rest.
    Questions whose answer is no quotation from the evidence are left out of that column.
    """
    import json
    from dataclasses import asdict

    from .display import evaluation_table, progress
    from .evaluation.conversations import read_conversation
    from .evaluation.policies import chosen
    from .evaluation.running import evaluate, save_results
    from .evaluation.summary import plot_of, rows_of
    from .readers.ocr import OcrReader
    from .renderers.base import open_renderer
    from .stores import open_store

    wanted, limits = chosen(policies), _numbers(budgets, "--budgets")
    talks = [read_conversation(path, categories=_numbers(categories, "--categories")) for path in files]
    engine, out_lines = OcrReader(), []
    with progress("reading pages back", len(talks) * len(wanted) * len(limits)) as advance:
        for result in evaluate(
            talks,
            wanted,
            limits,
            store=open_store("memory://"),
            renderer=open_renderer(renderer),
            reader=reader,
            read=lambda png, letter: engine.read_picture(png, letter=letter),
            advance=advance,
        ):
            out_lines.append(result)
    if not out_lines:
        raise ValueError("no policy fits into any of these budgets; raise --budgets")
    rows = rows_of(out_lines)
    out.mkdir(parents=True, exist_ok=True)
    save_results(out / "results.jsonl", out_lines)
    (out / "plot.svg").write_text(plot_of(rows), "utf-8")
    print(json.dumps([asdict(row) for row in rows])) if as_json else evaluation_table(rows)
    typer.echo(f"results.jsonl and plot.svg are in {out}", err=True)


def eval_identifiers(
    files: Annotated[list[Path], typer.Argument(help="Agent sessions with tool calls: JSON with `messages`.", exists=True)],
    gap: Annotated[int, typer.Option(help="Messages since the value was last seen, at least.", min=1)] = 8,
    budgets: Annotated[str, typer.Option(help="Tokens that the memory may spend, separated by commas.")] = "2000,4000",
    most: Annotated[int, typer.Option(help="Probes of each file, at most, spread over it.", min=1)] = 100,
    reader: Annotated[str, typer.Option("--reader", help="Whose prices count.")] = "deepseek-ocr",
    renderer: Annotated[str, typer.Option("--renderer", help="chromium, pillow, or auto.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure, without a model, whether exact strings that an agent uses again are still there when it does."""
    import json

    from .chatfile import read_chat
    from .display import identifiers_table, progress
    from .evaluation.identifiers import PLACES, cut_offers, probe, probes_of
    from .evaluation.legibility import Legibility
    from .evaluation.policies import cost_of
    from .memory import OpticalMemory
    from .pages import PageStyle
    from .readers.ocr import OcrReader
    from .renderers.base import open_renderer
    from .stores import open_store

    limits, engine, drawing, store = _numbers(budgets, "--budgets"), OcrReader(), open_renderer(renderer), open_store("memory://")
    rows: list[dict[str, object]] = []
    with progress("probing", len(files) * len(limits) * most) as advance:
        for path in files:
            whole = OpticalMemory(f"{path} whole", store=store, renderer=drawing, reader=reader)
            whole.extend(read_chat(path.read_bytes(), path.name))
            turns = whole.turns()
            probes = probes_of(turns, gap)
            probes = probes[:: -(-len(probes) // most)] if probes else []
            legibility = Legibility(lambda png, letter: engine.read_picture(png, letter=letter), PageStyle())
            for budget in limits:
                memory = OpticalMemory(f"{path} {budget}", store=store, renderer=drawing, reader=reader)
                found = probe(memory, turns, probes, budget, legibility, advance)
                cut = cut_offers(turns, probes, budget, cost_of(whole))
                rows.append({"session": path.stem, "budget": budget, "probes": len(probes), "cut": cut, **{at: found[at] for at in PLACES}})
    print(json.dumps(rows)) if as_json else identifiers_table(rows)


def _numbers(text: str, option: str) -> list[int]:
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise ValueError(f"{text!r} in {option} is no list of numbers; write it like 1000,4000") from None
    if not numbers or numbers[0] < 1:
        raise ValueError(f"{text!r} in {option}: numbers begin at 1")
    return numbers
