"""`optical-memory models`: fetch the weights of local readers, list them, or make tiny ones to try things with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson

__all__ = ["app"]

app = typer.Typer(name="models", help="Weights of the readers that run on this machine.", no_args_is_help=True)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="deepseek-ocr, unlimited-ocr, deepseek-ocr-2, or a hub id.")],
    revision: Annotated[str | None, typer.Option(help="A commit, tag or branch of the model; the newest by default.")] = None,
) -> None:
    """Fetch a model. A broken connection is taken up again, whole files are kept, and all are compared with the hub's checksums."""
    from ..deepseek_ocr.hub import pull as fetch

    print(fetch(name, revision=revision, report=lambda what: typer.echo(what, err=True)))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Models on this machine."""
    from ..deepseek_ocr.hub import list_models

    models = list_models()
    if as_json:
        fields = ("name", "repository", "revision", "folder", "bytes")
        print(
            json.dumps(
                [{field: str(value) if isinstance(value := getattr(model, field), Path) else value for field in fields} for model in models]
            )
        )
        return
    for model in models:
        print(f"{model.name or '-':16} {model.bytes / 1e9:6.2f} GB  {model.repository}  {model.folder}")
    if not models:
        typer.echo("no models here yet. Fetch one with: optical-memory models pull deepseek-ocr", err=True)


@app.command("make-tiny")
def make_tiny(
    folder: Annotated[Path, typer.Argument(help="Where to write it.", file_okay=False)],
    seed: Annotated[int, typer.Option(help="Of the random weights; the same seed gives the same bytes.")] = 0,
    family: Annotated[str, typer.Option(help="deepseek-ocr or unlimited-ocr.")] = "deepseek-ocr",
) -> None:
    """Write a tiny model with RANDOM weights in the released format. It reads nothing; programs can be tried with it."""
    from ..deepseek_ocr.tiny import make_tiny as make

    if family not in ("deepseek-ocr", "unlimited-ocr"):
        raise ValueError(f"unknown family {family!r}; known: deepseek-ocr, unlimited-ocr")
    try:
        print(make(folder, seed=seed, family=family))  # type: ignore[arg-type]  # compared above
    except FileExistsError as exc:
        raise ValueError(str(exc)) from exc
    typer.echo("its weights are random: it reads nothing", err=True)
