"""The jobs, each a plain function over a source: it runs to the end, or is run again and goes on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..pages.tiers import Tier, tiers_of
from ..renderers.base import renderer_path
from .encoding import EncodePages
from .items import Item
from .manifest import DEAD_LETTERS, Done, Manifest, Receipt, new_run
from .outputs import Nothing, WriteMarkdown, WritePages, WriteReadings, WriteTokens, arrow
from .page_making import MakePages, WarmCache
from .pairs import MakePairs, WritePairs
from .pool import receipts_here, receipts_of_pool
from .reading import ReadPages
from .sources import Source, StoreSessions, open_source
from .stages import Batch, Part, Place, Stage, Writer

__all__ = [
    "Job",
    "Running",
    "Summary",
    "encode",
    "encode_job",
    "pairs",
    "pairs_job",
    "parse",
    "parse_job",
    "render",
    "render_job",
    "run",
    "transcribe",
    "transcribe_job",
]

Told = Callable[[Receipt], None]

BATCH = 16  # items; what a worker that is killed has to do again


def _quiet(receipt: Receipt) -> None:
    """Told of each batch where nobody asked to be."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is done to every item.

    Attributes:
        name: as the command has it.
        parts: with Ray each is a pool of processes of its own; else all of them run in one.
        writer: of the last part.
        about: what determines the outputs, as plain JSON; a folder belongs to one of these.
    """

    name: str
    parts: tuple[Part, ...]
    writer: Writer
    about: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Running:
    """How a job is run. None of it changes what comes out.

    Attributes:
        workers: processes; 0 works in this one.
        address: of a Ray cluster (`ray://host:10001`, `auto`), or `local` for one that is started here and stopped afterwards; by default
            a process pool without Ray.
        batch: items that go together, and that a killed worker's successor does again.
        attempts: workers that may die at one item.
        limit: seconds for a batch, in the process pool.
        retry_failed: try the items again that failed in an earlier run.
        gpu_workers: processes of a part that needs a GPU, with Ray.
        object_store: bytes of memory that Ray shares pages in, where it is started here.
    """

    workers: int = 0
    address: str | None = None
    batch: int = BATCH
    attempts: int = 3
    limit: float | None = None
    retry_failed: bool = False
    gpu_workers: int = 1
    object_store: int = 512 * 2**20

    def __post_init__(self) -> None:
        for name, least in (("workers", 0), ("batch", 1), ("attempts", 1), ("gpu_workers", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more; got {getattr(self, name)!r}")
        if self.limit is not None and self.limit <= 0:
            raise ValueError(f"limit must be more than 0 seconds; got {self.limit!r}")
        if self.limit is not None and (self.address or not self.workers):
            raise ValueError("limit works with the process pool: pass workers=1 or more, and no address")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run has done, and what all runs into the folder have.

    Attributes:
        items: items done in this run.
        failed: items that failed in this run.
        skipped: items that were done, or had failed, before it.
        pages: pages in this run.
        seconds: of this run.
        done, dead: items done and failed, all runs together.
        dead_letters: file with a line for each failed item.
    """

    items: int
    failed: int
    skipped: int
    pages: int
    bytes: int
    seconds: float
    done: int
    dead: int
    folder: str
    dead_letters: str

    @property
    def pages_per_second(self) -> float:
        """Pages a second, the start of workers included."""
        return self.pages / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self) | {"seconds": round(self.seconds, 3), "pages_per_second": round(self.pages_per_second, 2)}


def run(
    job: Job,
    source: str | Path | Source | Iterable[Item],
    out: str | os.PathLike[str],
    running: Running | None = None,
    *,
    tenant: str = "",
    advance: Told = _quiet,
) -> Summary:
    """Do a job to every item of a source that is not done yet.

    Args:
        source: see `open_source`, or any items.
        out: the folder for outputs and manifest, made if missing. On a cluster one that all machines see.
        advance: called for each batch that is done.

    Raises `ValueError` for a folder with outputs of another job, `FolderBusy`, `Outage`, `MissingExtra`, and what opening the source or a
    stage raises. What was done until then is kept.
    """
    running = running or Running()
    opened, folder, began = open_source(source, tenant=tenant), Path(out), time.perf_counter()
    manifest = Manifest(folder, {"job": job.name, "source": opened.name, **job.about})
    try:
        if running.retry_failed:
            manifest.forget_failures()
        tally = _Tally(manifest)
        place = Place(new_run(folder).resolve(), running.attempts)
        for receipt in _receipts(job, opened, running, place, manifest, tally):
            if manifest.commit(receipt):
                tally.add(receipt)
                advance(receipt)
        return tally.summary(folder, time.perf_counter() - began)
    finally:
        manifest.close()


def _receipts(job: Job, source: Source, running: Running, place: Place, manifest: Manifest, tally: _Tally) -> Iterator[Receipt]:
    if running.address:
        from .ray_data import receipts_of_ray

        known = place.folder / "done.sqlite3"
        manifest.copy_of_done(known)
        stream = ItemStream(source, running.batch, manifest.next_number(), known)
        return receipts_of_ray(job.parts, job.writer, stream, place, running, skipped=tally.skip)
    batches = _batches(source.items(), running.batch, manifest, tally)
    if not running.workers:
        return receipts_here(job.parts, job.writer, batches, place)
    return receipts_of_pool(job.parts, job.writer, batches, place, workers=running.workers, limit=running.limit)


def _batches(items: Iterable[Item], size: int, manifest: Manifest, tally: _Tally) -> Iterator[Batch]:
    number, held = manifest.next_number(), list[Item]()
    for item in items:
        if manifest.is_done(item.key):
            tally.skip(1)
            continue
        held.append(item)
        if len(held) == size:
            yield Batch(number, tuple(held))
            number, held = number + 1, []
    if held:
        yield Batch(number, tuple(held))


@dataclass(frozen=True, slots=True)
class ItemStream:
    """Batches of the items that are not in a copy of a manifest, for a reader in another process.

    Attributes:
        done: the file of `Manifest.copy_of_done`.
    """

    source: Source
    size: int
    first: int
    done: Path

    def batches(self) -> Iterator[tuple[Batch, int]]:
        """Each batch with the number of items that were skipped before it; the last may be empty."""
        number, held, skipped = self.first, list[Item](), 0
        with Done(self.done) as done:
            for item in self.source.items():
                if item.key in done:
                    skipped += 1
                    continue
                held.append(item)
                if len(held) == self.size:
                    yield Batch(number, tuple(held)), skipped
                    number, held, skipped = number + 1, [], 0
        yield Batch(number, tuple(held)), skipped


class _Tally:
    """Counts of this run."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.items = self.failed = self.pages = self.bytes = self.skipped = 0

    def add(self, receipt: Receipt) -> None:
        self.items += len(receipt.done)
        self.failed += len(receipt.failed)
        self.pages += receipt.pages
        self.bytes += receipt.bytes

    def skip(self, count: int) -> None:
        self.skipped += count

    def summary(self, folder: Path, seconds: float) -> Summary:
        counts = self._manifest.counts()
        return Summary(
            items=self.items,
            failed=self.failed,
            skipped=self.skipped,
            pages=self.pages,
            bytes=self.bytes,
            seconds=seconds,
            done=counts["done"],
            dead=counts["failed"],
            folder=str(folder),
            dead_letters=str(folder / DEAD_LETTERS),
        )


# -- the jobs ------------------------------------------------------------------------------------------------------------------------------


def render_job(
    *,
    to: str = "parquet",
    reader: str = "deepseek-ocr",
    renderer: str = "auto",
    tier: Tier | str | None = None,
    redact: bool = False,
    budget: int | None = None,
) -> Job:
    """Sessions to pages: `to="parquet"` writes all turns of each as pages, `to="cache"` makes in a store what its contexts will need.

    Raises `ValueError` for another `to`, and `MissingExtra`.
    """
    if to == "cache":
        warm = WarmCache(reader, renderer, redact, budget)
        return Job("render", (Part((warm,)),), Nothing(), _about(to=to, **asdict(warm)))
    if to != "parquet":
        raise ValueError(f"unknown output {to!r}; known: parquet, cache")
    arrow()
    make = MakePages(reader, renderer, Tier.parse(tier) if tier else None, redact)
    return Job("render", (Part((make,)),), WritePages(make.tier.label if make.tier else "sealed"), _about(to=to, **asdict(make)))


def encode_job(
    *,
    weights: str | None = None,
    tier: Tier | str = Tier.BASE,
    device: str = "auto",
    dtype: str = "auto",
    at_once: int = 8,
    threads: int = 0,
    renderer: str = "auto",
    redact: bool = False,
) -> Job:
    """Pages to vision tokens of DeepSeek-OCR's encoder; sessions are drawn first. Raises `MissingExtra`."""
    arrow()
    make = MakePages(renderer=renderer, redact=redact)
    stage = EncodePages(weights, Tier.parse(tier), device, dtype, at_once, threads)
    about = _about(weights=weights or "published", tier=stage.tier, dtype=dtype, renderer=renderer, redact=redact)
    return Job("encode", _parts(make, stage, device), WriteTokens(), about)


def transcribe_job(
    *,
    reader: str = "tesseract",
    options: dict[str, Any] | None = None,
    tier: Tier | str = Tier.BASE,
    renderer: str = "auto",
    redact: bool = False,
) -> Job:
    """Pages to the words that a reader reads on them; sessions are drawn first. Raises `MissingExtra`."""
    arrow()
    stage = ReadPages(reader, _json(options), Tier.parse(tier))
    about = _about(reader=reader, options=stage.options, tier=stage.tier, renderer=renderer, redact=redact)
    return Job("transcribe", _parts(MakePages(renderer=renderer, redact=redact), stage, _device(options)), WriteReadings(), about)


def parse_job(*, reader: str = "tesseract", options: dict[str, Any] | None = None, tier: Tier | str = Tier.BASE) -> Job:
    """Pictures of pages to a Markdown file each."""
    stage = ReadPages(reader, _json(options), Tier.parse(tier), markdown=True)
    about = _about(reader=reader, options=stage.options, tier=stage.tier)
    return Job("parse", _parts(MakePages(renderer="pillow"), stage, _device(options)), WriteMarkdown(), about)


def pairs_job(
    *, renderers: Sequence[str] = ("chromium", "pillow"), tiers: Iterable[Tier | str] = tuple(Tier), reader: str = "deepseek-ocr"
) -> Job:
    """Sessions to training data: each page at each tier, with its words and boxes. Raises `MissingExtra`, `UnknownName`."""
    arrow()
    for name in renderers:
        renderer_path(name)
    make = MakePairs(tuple(renderers), tiers_of(tiers), reader)
    about = _about(renderers=list(make.renderers), tiers=[tier.label for tier in make.tiers], reader=reader)
    return Job("pairs", (Part((make,)),), WritePairs(), about)


def render(
    source: Any, out: str | os.PathLike[str], running: Running | None = None, *, tenant: str = "", advance: Told = _quiet, **options: Any
) -> Summary:
    """Draw sessions: `render_job` run by `run`."""
    if options.get("to") == "cache" and not isinstance(open_source(source, tenant=tenant), StoreSessions):
        raise ValueError(f"to='cache' puts pages into the store that holds the sessions; the source {str(source)!r} is no store's URL")
    return run(render_job(**options), source, out, running, tenant=tenant, advance=advance)


def encode(
    source: Any, out: str | os.PathLike[str], running: Running | None = None, *, tenant: str = "", advance: Told = _quiet, **options: Any
) -> Summary:
    """Encode pages: `encode_job` run by `run`."""
    return run(encode_job(**options), source, out, running, tenant=tenant, advance=advance)


def transcribe(
    source: Any, out: str | os.PathLike[str], running: Running | None = None, *, tenant: str = "", advance: Told = _quiet, **options: Any
) -> Summary:
    """Read pages: `transcribe_job` run by `run`."""
    return run(transcribe_job(**options), source, out, running, tenant=tenant, advance=advance)


def parse(
    source: Any, out: str | os.PathLike[str], running: Running | None = None, *, tenant: str = "", advance: Told = _quiet, **options: Any
) -> Summary:
    """Parse pages to Markdown: `parse_job` run by `run`."""
    return run(parse_job(**options), source, out, running, tenant=tenant, advance=advance)


def _parts(make: MakePages, stage: Stage, device: str) -> tuple[Part, ...]:
    """Pages are made on CPUs; what reads them has processes of its own, on GPUs if it needs them."""
    return Part((make,)), Part((stage,), gpus=1.0 if device.startswith("cuda") else 0.0)


def _device(options: dict[str, Any] | None) -> str:
    return str((options or {}).get("device", "cpu"))


def _json(options: dict[str, Any] | None) -> str:
    return json.dumps(options or {}, sort_keys=True)


def _about(**settings: Any) -> dict[str, Any]:
    return {name: value.label if isinstance(value, Tier) else value for name, value in settings.items()}


def pairs(
    source: Any, out: str | os.PathLike[str], running: Running | None = None, *, tenant: str = "", advance: Told = _quiet, **options: Any
) -> Summary:
    """Make training data: `pairs_job` run by `run`. `vocabulary.RandomTalks` is a source in a hundred languages."""
    return run(pairs_job(**options), source, out, running, tenant=tenant, advance=advance)
