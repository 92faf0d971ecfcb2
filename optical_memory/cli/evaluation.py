"""`optical-memory eval`, `eval-identifiers` and `eval-exact`: how much of a conversation a memory still offers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..text.excerpts import excerpt
from .options import API_KEY, FAILED, AsJson

if TYPE_CHECKING:
    from ..evaluation.answering import Request
    from ..evaluation.legibility import ReadPicture

__all__ = ["eval_", "eval_exact", "eval_identifiers", "eval_needs"]


def eval_(
    files: Annotated[list[Path], typer.Argument(help="Conversations with questions: JSON with `messages` and `questions`.", exists=True)],
    budgets: Annotated[str, typer.Option(help="Tokens that the memory may spend, separated by commas.")] = "1000,2000,4000,8000,16000",
    policies: Annotated[str, typer.Option(help="Ways to fit into them, separated by commas; by default all but aged + verified.")] = "",
    categories: Annotated[str, typer.Option(help="Only questions of these categories, where questions have one.")] = "4",
    out: Annotated[Path, typer.Option(help="Folder for the raw results, the table and the plot.", file_okay=False)] = Path("eval-output"),
    reader: Annotated[str, typer.Option("--reader", help="Whose prices count.")] = "deepseek-ocr",
    renderer: Annotated[str, typer.Option("--renderer", help="chromium, pillow, bitmap, or auto.")] = "auto",
    ocr: Annotated[str, typer.Option("--ocr", help="The engine that reads pages back: tesseract or rapidocr.")] = "tesseract",
    ask: Annotated[str | None, typer.Option("--ask", help="URL of an OpenAI-compatible API: its model answers the questions too.")] = None,
    model: Annotated[str | None, typer.Option(help="The model at that URL.")] = None,
    questions: Annotated[int, typer.Option(help="Questions of each conversation that it is asked, at most, spread over it.", min=1)] = 20,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what asking would cost, and ask nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure, without a model, which share of the evidence is still legible or can be recalled, for each way to forget, at equal budgets.

    A question counts as legible if every turn that holds its evidence is in the context as text, or stands on a page where the OCR engine
    reads it back with at most 5 % wrong characters and every critical word exact. Words that stand in the page's sidecar may be misread.

    Its facts count if the sentences that hold the answer's words come back as exactly, and those words too, whatever happened to the rest.
    Questions whose answer is no quotation from the evidence are left out of that column.

    With --ask, a model answers over each policy's context; answers are kept in the folder, and none is asked for twice. The key of the API
    is taken from the environment variable OPTICAL_MEMORY_API_KEY.
    """
    import json
    from dataclasses import asdict

    from ..evaluation.conversations import read_conversation
    from ..evaluation.harness import Evaluation, evaluate, requests_of, save_results
    from ..evaluation.policies import chosen
    from ..evaluation.summary import plot_of, rows_of
    from ..renderers.base import open_renderer
    from ..stores import open_store
    from .output import progress
    from .tables import evaluation_table

    wanted, limits = chosen(policies), _numbers(budgets, "--budgets")
    talks = [read_conversation(path, categories=_numbers(categories, "--categories")) for path in files]
    if ask is not None and model is None:
        raise ValueError("--ask needs --model, the name of the model there")
    engine, drawing, store = _engine(ocr), open_renderer(renderer), open_store("memory://")

    opened = [Evaluation(talk, store, drawing, reader, engine) for talk in talks]
    book, requests = out / "answers.jsonl", requests_of(opened, wanted, limits, questions) if ask or dry_run else []
    if dry_run:
        _print_price(requests, book, model)
        return
    answers = _asked(requests, ask, model, reader, book) if ask and model else {}
    out_lines = []
    with progress("reading pages back", len(talks) * len(wanted) * len(limits)) as advance:
        for result in evaluate(opened, wanted, limits, answers=answers, questions=questions, advance=advance):
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
    renderer: Annotated[str, typer.Option("--renderer", help="chromium, pillow, bitmap, or auto.")] = "auto",
    ocr: Annotated[str, typer.Option("--ocr", help="The engine that reads pages back: tesseract or rapidocr.")] = "tesseract",
    as_json: AsJson = False,
) -> None:
    """Measure, without a model, whether exact strings that an agent uses again are still there when it does."""
    import json

    from ..evaluation.identifiers import PLACES, cut_offers, probe, probes_of
    from ..evaluation.legibility import Legibility
    from ..evaluation.policies import cost_of
    from ..memory.optical_memory import OpticalMemory
    from ..renderers.base import open_renderer
    from ..stores import open_store
    from ..turns.chat_files import read_chat
    from .output import progress
    from .tables import identifiers_table

    limits, engine, drawing, store = _numbers(budgets, "--budgets"), _engine(ocr), open_renderer(renderer), open_store("memory://")
    rows: list[dict[str, object]] = []
    with progress("probing", len(files) * len(limits) * most) as advance:
        for path in files:
            whole = OpticalMemory(f"{path} whole", store=store, renderer=drawing, reader=reader)
            whole.extend(read_chat(path.read_bytes(), path.name))
            turns = whole.turns()
            probes = probes_of(turns, gap)
            probes = probes[:: -(-len(probes) // most)] if probes else []
            legibility = Legibility(engine, whole.profile.page_style())
            for budget in limits:
                memory = OpticalMemory(f"{path} {budget}", store=store, renderer=drawing, reader=reader)
                found = probe(memory, turns, probes, budget, legibility, advance)
                cut = cut_offers(turns, probes, budget, cost_of(whole))
                rows.append({"session": path.stem, "budget": budget, "probes": len(probes), "cut": cut, **{at: found[at] for at in PLACES}})
    print(json.dumps(rows)) if as_json else identifiers_table(rows)


def eval_exact(
    files: Annotated[list[Path], typer.Argument(help="Sessions: JSON with `messages`.", exists=True)],
    reader: Annotated[str, typer.Option("--reader", help="Whose rungs are tried.")] = "deepseek-ocr",
    renderer: Annotated[str, typer.Option("--renderer", help="chromium, pillow, bitmap, or auto.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Count, tier by tier, where the exact strings of sessions are to be had: as text, in a sidecar, by a number that is named, by search.

    Exit code 1 if one is nowhere, or search does not find one.
    """
    import json

    from ..evaluation.exact_strings import PLACES, found_by_search, places_of, strings_of
    from ..evaluation.policies import AtOneTier
    from ..memory.optical_memory import OpticalMemory
    from ..renderers.base import open_renderer
    from ..stores import open_store
    from ..turns.chat_files import read_chat
    from .tables import exact_table

    drawing, store = open_renderer(renderer), open_store("memory://")
    rows: list[dict[str, object]] = []
    for path in files:
        memory = OpticalMemory(str(path), store=store, renderer=drawing, reader=reader)
        memory.extend(read_chat(path.read_bytes(), path.name))
        strings = strings_of(memory.turns())
        count, searched = sum(map(len, strings.values())), found_by_search(memory, strings)
        for tier in memory.profile.ladder:
            at_one = OpticalMemory(str(path), store=store, renderer=drawing, reader=reader, forgetting=AtOneTier(tier))
            context = at_one.context()
            found, pages = places_of(at_one, context, strings), sum(part.tier == tier for part in context.pages)
            places = {at: found[at] for at in PLACES}
            rows.append({"session": path.stem, "tier": tier.label, "pages": pages, "strings": count, **places, "found by search": searched})
    print(json.dumps(rows)) if as_json else exact_table(rows)
    if any(row["nowhere"] or row["found by search"] != row["strings"] for row in rows):
        raise typer.Exit(FAILED)


def eval_needs(
    files: Annotated[list[Path], typer.Argument(help="Sessions: JSON with `messages`.", exists=True)],
    as_json: AsJson = False,
) -> None:
    """Count how often later turns use what stood in a turn of some age, and fit how fast that falls: `fall` of the policy `BestUse`."""
    import json

    from ..evaluation.needs import ages_of_uses, bins_of, fall_of
    from ..memory.optical_memory import OpticalMemory
    from ..stores import open_store
    from ..turns.chat_files import read_chat
    from .tables import needs_table

    logs: list[tuple[int, list[int]]] = []
    store = open_store("memory://")
    for path in files:
        memory = OpticalMemory(str(path), store=store)
        memory.extend(read_chat(path.read_bytes(), path.name))
        logs.append((len(memory), ages_of_uses(memory.turns())))
    bins = bins_of(logs)
    fall = fall_of(bins)
    if as_json:
        rows = [{"first": each.first, "last": each.last, "uses": each.uses, "pairs": each.pairs, "rate": each.rate} for each in bins]
        print(json.dumps({"fall": fall, "ages": rows}))
    else:
        needs_table(bins, fall)


def _engine(name: str) -> ReadPicture:
    """Return the function with which an OCR engine reads an image."""
    from ..errors import UnknownName
    from ..readers.rapidocr import RapidOcrReader
    from ..readers.tesseract import OcrReader

    engines: dict[str, type[OcrReader | RapidOcrReader]] = {"tesseract": OcrReader, "rapidocr": RapidOcrReader}
    if name not in engines:
        raise UnknownName("OCR engine", name, list(engines))
    engine = engines[name]()
    return lambda png, letter: engine.read_picture(png, letter=letter)


def _asked(requests: Sequence[Request], url: str, model: str, reader: str, path: Path) -> dict[str, str]:
    """Answers of the model behind a URL, by request key."""
    from ..evaluation.answering import ask_all
    from ..profiles.registry import profile_for_model
    from ..readers.base import open_reader
    from .output import progress

    like = None if profile_for_model(model) else reader  # an unknown model gets the reader's profile
    options = {"profile": like, "api_key": os.environ.get(API_KEY), "options": {"temperature": 0}}
    opened = open_reader("openai", url=url, model=model, **options)
    with closing(opened), progress(f"asking {model}", len({request.key for request in requests})) as advance:
        return ask_all(requests, opened, model, path, advance=advance)


def _print_price(requests: Sequence[Request], path: Path, model: str | None) -> None:
    from ..evaluation.answering import price_of, read_answers

    price = price_of(requests, read_answers(path, model) if model else {})
    print(f"requests        {price.requests:>12,}")
    print(f"answered before {price.answered:>12,}")
    print(f"prompt tokens   {price.prompt_tokens:>12,}")
    print(f"answer tokens   {price.answer_tokens:>12,}  at most")


def _numbers(text: str, option: str) -> list[int]:
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise ValueError(f"{excerpt(text)} in {option} is no list of numbers; write it like 1000,4000") from None
    if not numbers or numbers[0] < 1:
        raise ValueError(f"{excerpt(text)} in {option}: numbers begin at 1")
    return numbers
