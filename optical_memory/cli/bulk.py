"""`optical-memory bulk`: sessions and pages by the million, into a folder with a manifest; run again, a job goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import FAILED, AsJson, Redact, Renderer, Tenant, print_json

if TYPE_CHECKING:
    from ..bulk import Running, Summary

__all__ = ["app"]

app = typer.Typer(name="bulk", help="Sessions and pages by the million, in processes or on a Ray cluster.", no_args_is_help=True)

Source = Annotated[
    str, typer.Argument(help="A store's URL, lines of JSON, Parquet (also s3://...), a folder of pictures, or another program's export.")
]
Out = Annotated[Path, typer.Option(help="Folder for outputs and manifest. Run again into it, a job goes on.", file_okay=False)]
Workers = Annotated[int | None, typer.Option(help="Processes; 0 works in this one.", min=0, show_default="as many as there are cores")]
Address = Annotated[str | None, typer.Option(help="A Ray cluster: ray://host:10001, auto, or local to start one here.")]
BatchSize = Annotated[int, typer.Option("--batch", help="Items that go together; a killed worker's are done again.", min=1)]
Attempts = Annotated[int, typer.Option(help="Workers that may die at one item, and tries of a reader that fails.", min=1)]
Limit = Annotated[float | None, typer.Option(help="Seconds for a batch; a worker that takes longer is killed. Not with --address.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try again what failed in an earlier run.")]
TierName = Annotated[str, typer.Option(help="tiny, small, base, large, or gundam.")]
Weights = Annotated[str | None, typer.Option(help="Folder or hub id of DeepSeek-OCR's weights.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, or auto.")]
GpuWorkers = Annotated[int, typer.Option(help="Processes on GPUs, with --address.", min=1)]
ReaderName = Annotated[str, typer.Option("--reader", help="tesseract, rapidocr, deepseek-ocr, vllm, openai, transformers.")]
ReaderOptions = Annotated[
    list[str] | None, typer.Option("--option", help="Of the reader, as NAME=VALUE: language=deu, weights=FOLDER, device=cuda, url=...")
]


@app.command()
def render(
    source: Source,
    out: Out,
    to: Annotated[str, typer.Option(help="parquet: all turns as pages; cache: into the store, what contexts will need.")] = "parquet",
    tier: Annotated[str | None, typer.Option(help="Tier of the pictures.", show_default="as drawn")] = None,
    reader: Annotated[str, typer.Option(help="The reader that the pages are for.")] = "deepseek-ocr",
    budget: Annotated[int | None, typer.Option(help="Of the contexts, with --to cache.")] = None,
    renderer: Renderer = "auto",
    redact: Redact = False,
    tenant: Tenant = "",
    workers: Workers = None,
    address: Address = None,
    batch: BatchSize = 16,
    attempts: Attempts = 3,
    limit: Limit = None,
    retry_failed: RetryFailed = False,
    as_json: AsJson = False,
) -> None:
    """Draw sessions: Parquet with pages and boxes, or the page cache of their store."""
    from ..bulk import render as work

    running = _running(workers, address, batch, attempts, limit, retry_failed)
    settings: dict[str, Any] = {"to": to, "tier": tier, "reader": reader, "renderer": renderer, "redact": redact, "budget": budget}
    _done("drawing, pages", as_json, lambda told: work(source, out, running, tenant=tenant, advance=told, **settings))


@app.command()
def encode(
    source: Source,
    out: Out,
    weights: Weights = None,
    tier: TierName = "base",
    device: Device = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16, or auto.")] = "auto",
    at_once: Annotated[int, typer.Option(help="Pages on the device together.", min=1)] = 8,
    threads: Annotated[int, typer.Option(help="Of the processor for each worker; 0 leaves torch's choice.", min=0)] = 0,
    renderer: Renderer = "auto",
    redact: Redact = False,
    tenant: Tenant = "",
    workers: Workers = None,
    gpu_workers: GpuWorkers = 1,
    address: Address = None,
    batch: BatchSize = 16,
    attempts: Attempts = 3,
    limit: Limit = None,
    retry_failed: RetryFailed = False,
    as_json: AsJson = False,
) -> None:
    """Encode pages to vision tokens with DeepSeek-OCR's encoder: safetensors with an index. Sessions are drawn first."""
    from ..bulk import encode as work

    running = _running(workers, address, batch, attempts, limit, retry_failed, gpu_workers)
    drawing = {"renderer": renderer, "redact": redact}
    settings = {"weights": weights, "tier": tier, "device": device, "dtype": dtype, "at_once": at_once, "threads": threads, **drawing}
    _done("encoding, pages", as_json, lambda told: work(source, out, running, tenant=tenant, advance=told, **settings))


@app.command()
def transcribe(
    source: Source,
    out: Out,
    reader: ReaderName = "tesseract",
    option: ReaderOptions = None,
    tier: TierName = "base",
    renderer: Renderer = "auto",
    redact: Redact = False,
    tenant: Tenant = "",
    workers: Workers = None,
    gpu_workers: GpuWorkers = 1,
    address: Address = None,
    batch: BatchSize = 16,
    attempts: Attempts = 3,
    limit: Limit = None,
    retry_failed: RetryFailed = False,
    as_json: AsJson = False,
) -> None:
    """Read pages: Parquet with the words that a reader reads. Sessions are drawn first."""
    from ..bulk import transcribe as work

    running = _running(workers, address, batch, attempts, limit, retry_failed, gpu_workers)
    settings = {"reader": reader, "options": _options(option), "tier": tier, "renderer": renderer, "redact": redact}
    _done("reading, pages", as_json, lambda told: work(source, out, running, tenant=tenant, advance=told, **settings))


@app.command()
def parse(
    source: Source,
    out: Out,
    reader: ReaderName = "tesseract",
    option: ReaderOptions = None,
    tier: TierName = "base",
    workers: Workers = None,
    gpu_workers: GpuWorkers = 1,
    address: Address = None,
    batch: BatchSize = 16,
    attempts: Attempts = 3,
    limit: Limit = None,
    retry_failed: RetryFailed = False,
    as_json: AsJson = False,
) -> None:
    """Read a folder of page pictures back to Markdown, a file each; a reader that cannot tell structure gives the words."""
    from ..bulk import parse as work

    running = _running(workers, address, batch, attempts, limit, retry_failed, gpu_workers)
    settings: dict[str, Any] = {"reader": reader, "options": _options(option), "tier": tier}
    _done("parsing, pages", as_json, lambda told: work(source, out, running, advance=told, **settings))


@app.command()
def pairs(
    source: Annotated[
        str, typer.Argument(help="words, for random conversations in many languages; or a source of sessions, as for render.")
    ],
    out: Out,
    count: Annotated[int, typer.Option(help="Conversations, of words.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="Of words: the same seed gives the same conversations.")] = 0,
    languages: Annotated[str, typer.Option(help="Of words: codes like en,zh,ar, or all.")] = "all",
    renderers: Annotated[str, typer.Option(help="Renderers, each of which draws every conversation.")] = "chromium,pillow",
    tiers: Annotated[str, typer.Option(help="Tiers, or all.")] = "all",
    tenant: Tenant = "",
    workers: Workers = None,
    address: Address = None,
    batch: BatchSize = 16,
    attempts: Attempts = 3,
    limit: Limit = None,
    retry_failed: RetryFailed = False,
    as_json: AsJson = False,
) -> None:
    """Make training data for a reader of pages: each page at each tier, with its words and boxes, in Parquet."""
    from ..bulk import LANGUAGES, RandomTalks
    from ..bulk import pairs as work
    from ..pages.tiers import Tier

    running = _running(workers, address, batch, attempts, limit, retry_failed)
    given = RandomTalks(count, seed, LANGUAGES if languages == "all" else tuple(_items(languages))) if source == "words" else source
    settings = {"renderers": _items(renderers), "tiers": list(Tier) if tiers == "all" else _items(tiers)}
    _done("making pairs, pages", as_json, lambda told: work(given, out, running, tenant=tenant, advance=told, **settings))


def _items(given: str) -> list[str]:
    return [item.strip() for item in given.split(",") if item.strip()]


def _running(
    workers: int | None, address: str | None, batch: int, attempts: int, limit: float | None, retry_failed: bool, gpu_workers: int = 1
) -> Running:
    from ..bulk import Running

    count = (os.cpu_count() or 1) if workers is None else workers
    return Running(count, address, batch, attempts, limit, retry_failed, gpu_workers)


def _options(given: list[str] | None) -> dict[str, Any]:
    """Options of a reader: values that are JSON are taken as such, others as text."""
    options: dict[str, Any] = {}
    for each in given or []:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise ValueError(f"--option {each!r} is not NAME=VALUE; write it like --option language=deu")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def _done(label: str, as_json: bool, work: Callable[[Callable[[Any], None]], Summary]) -> None:
    """Run a job with a bar of its pages, print its summary, and exit with 1 if items have failed."""
    from .output import note, progress

    with progress(label, None) as advance:
        summary = work(lambda receipt: advance(receipt.pages))
    if as_json:
        print_json(summary.as_dict())
    else:
        print(_sentence(summary))
    if summary.dead:
        note(f"failed so far: {summary.dead:,}; {summary.dead_letters} says what, why and what to do")
        raise SystemExit(FAILED)


def _sentence(summary: Summary) -> str:
    from ..text.plurals import counted

    begun = f"{counted(summary.items, 'item')} done, {summary.failed:,} failed, {summary.skipped:,} done before"
    rate = f"{counted(summary.pages, 'page')} in {summary.seconds:.1f} s ({summary.pages_per_second:.1f} a second)"
    return f"{begun}; {rate}, {summary.bytes / 1e6:.1f} MB in {summary.folder}"
