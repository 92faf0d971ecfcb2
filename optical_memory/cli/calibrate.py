"""`optical-memory calibrate`: measure which text a reader can read, and write its profile."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import API_KEY

if TYPE_CHECKING:
    from ..calibration import Bounds, Price, Settings, Verdict
    from ..readers.base import Reader

__all__ = ["calibrate"]

SIZES = (0.8, 1.0, 1.3)  # times the font of the reader's pages


def calibrate(
    out: Annotated[Path, typer.Option(help="Folder for results.jsonl, forgetting.svg and profile.toml.", file_okay=False)],
    reader: Annotated[str, typer.Option(help="tesseract, rapidocr, deepseek-ocr, or the URL of an OpenAI-compatible API.")] = "tesseract",
    model: Annotated[str | None, typer.Option(help="The model at that URL.")] = None,
    profile: Annotated[str | None, typer.Option(help="What the model charges: a known reader, or a profile.toml.")] = None,
    weights: Annotated[str | None, typer.Option(help="Folder or hub id of a model that runs here.")] = None,
    language: Annotated[str, typer.Option(help="Tesseract's languages: eng, eng+chi_sim.")] = "eng",
    kinds: Annotated[str, typer.Option(help="Kinds of text, or all.")] = "all",
    tiers: Annotated[str, typer.Option(help="Rungs, or all of the reader's ladder.")] = "all",
    sizes: Annotated[str, typer.Option(help="Font sizes of the page in pixels; by default around that of the reader's pages.")] = "",
    charts: Annotated[int, typer.Option(help="Charts of each kind, rung and size.", min=1)] = 4,
    probes: Annotated[int, typer.Option(help="Texts asked for on each chart.", min=1)] = 24,
    target: Annotated[float, typer.Option(help="Exact rate, at the lower end of its interval.", min=0.01, max=0.999)] = 0.95,
    max_requests: Annotated[int | None, typer.Option(help="Most requests, earlier runs into the folder included.", min=0)] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Most tokens, earlier runs into the folder included.", min=0)] = None,
    price_in: Annotated[float, typer.Option(help="Dollars a million tokens given, for --dry-run.", min=0)] = 0.0,
    price_out: Annotated[float, typer.Option(help="Dollars a million tokens answered, for --dry-run.", min=0)] = 0.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what it would cost, and ask nothing.")] = False,
    seed: Annotated[int, typer.Option(help="Of the charts.")] = 0,
    renderer: Annotated[str, typer.Option(help="chromium, pillow, bitmap, or auto.")] = "pillow",
) -> None:
    """Measure what a reader reads: charts of random text at every rung and size, a forgetting curve, and a profile. Run again, it goes on.

    The key of an API is taken from the environment variable OPTICAL_MEMORY_API_KEY.
    """
    from ..calibration import Bounds, Settings, asker_for, price_of, usable_kinds
    from ..calibration.eye_charts import KINDS
    from ..pages.tiers import Tier
    from ..renderers.base import open_renderer
    from .output import note

    opened, drawn = _reader(reader, model, profile, weights, language), open_renderer(renderer)
    try:
        asker = asker_for(opened)
        usable, left_out = usable_kinds(list(KINDS) if kinds == "all" else _items(kinds), drawn, opened)
        for kind, why in left_out.items():
            note(f"{kind} is left out: {why}")
        rungs = asker.profile.ladder if tiers == "all" else tuple(sorted(Tier.parse(item) for item in _items(tiers)))
        name = model or opened.profile.name
        fonts = _sizes(sizes) or tuple(float(round(asker.profile.page_style().font_size * size)) for size in SIZES)
        settings = Settings(name, usable, rungs, fonts, rounds=charts, probes=probes, seed=seed)
        price = price_of(settings, asker)
        if dry_run:
            _print_price(price, price_in, price_out)
            return
        verdict = _test(settings, asker, drawn, out, Bounds(max_requests, max_tokens), target)
        shown = f"--kinds {','.join(usable)} --tiers {','.join(tier.label for tier in rungs)}"
        shown += f" --sizes {','.join(f'{font:g}' for font in fonts)}"
        by = f"optical-memory calibrate --reader {reader} {shown} --charts {charts} --probes {probes} --seed {seed}"
        _write(out, verdict, asker.profile, name, by)
    finally:
        opened.close()
        drawn.close()


def _reader(reader: str, model: str | None, profile: str | None, weights: str | None, language: str) -> Reader:
    from ..errors import UnknownName
    from ..readers.base import open_reader

    if reader == "tesseract":
        return open_reader(reader, language=language)
    if not reader.startswith(("http://", "https://")):
        return open_reader(reader, **({"weights": weights} if weights else {}))
    if model is None:
        raise ValueError("--reader with a URL needs --model, the name of the model there")
    options: dict[str, Any] = {"url": reader, "model": model, "profile": profile, "api_key": os.environ.get(API_KEY)}
    try:
        return open_reader("openai", **options, options={"temperature": 0})
    except UnknownName as exc:
        advice = "pass --profile with the name of a reader like it, or a file"
        raise ValueError(f"what {model!r} charges is not known; {advice} ({exc})") from exc


def _test(settings: Settings, asker: Any, renderer: Any, out: Path, bounds: Bounds, target: float) -> Verdict:
    from ..calibration import run, verdict_of
    from .output import note, progress

    with progress(f"reading charts with {settings.reader}", len(list(settings.names()))) as advance:
        outcome = run(settings, asker, renderer, out / "results.jsonl", bounds=bounds, advance=advance)
    if outcome.stopped:
        note(f"stopped after {len(outcome.records)} charts: {outcome.stopped}. Run it again with a larger one to go on")
    malformed = sum(record.malformed for record in outcome.records)
    if malformed:
        note(f"{malformed} replies held no answer at all; their texts count as abstained")
    return verdict_of(outcome.records, asker.profile, target)


def _write(out: Path, verdict: Verdict, profile: Any, name: str, by: str) -> None:
    from ..calibration import plot, profile_with, write_profile
    from .tables import calibration_table

    measured = profile_with(profile, verdict, name=name, by=by)
    write_profile(out / "profile.toml", measured)
    (out / "forgetting.svg").write_text(plot(verdict), encoding="utf-8")
    calibration_table(verdict)
    letters = f"{verdict.letter:.1f} px as shown" if verdict.letter else "none"
    print(f"smallest letters that reach {verdict.target:.0%} with every kind: {letters}")
    print(f"faintest rung of {verdict.font_size:g}-px pages that does: {verdict.floor.label if verdict.floor else 'none'}")
    print(f"results, curve and profile: {out}")


def _print_price(price: Price, dollars_in: float, dollars_out: float) -> None:
    print(f"requests        {price.requests:>12,}")
    print(f"picture tokens  {price.picture_tokens:>12,}")
    print(f"text tokens     {price.text_tokens:>12,}")
    print(f"answer tokens   {price.answer_tokens:>12,}  at most")
    print(f"all tokens      {price.tokens:>12,}  at most")
    if dollars_in or dollars_out:
        given = (price.picture_tokens + price.text_tokens) * dollars_in
        print(f"dollars         {(given + price.answer_tokens * dollars_out) / 1e6:>12,.2f}  at most")
    sys.stdout.flush()


def _items(given: str) -> list[str]:
    return [item.strip() for item in given.split(",") if item.strip()]


def _sizes(given: str) -> tuple[float, ...]:
    try:
        return tuple(sorted({float(item) for item in _items(given)}))
    except ValueError:
        raise ValueError(f"--sizes {given!r} is not a list of pixels; write it like 11,14,18") from None
