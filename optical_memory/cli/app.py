"""The command `optical-memory`.

Exit codes: 0 done; 1 something failed (the store, the browser, a file); 2 the command or its input was wrong; 3 no such session, turn or
page, or nothing found. Results go to standard output; progress, notes and errors to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from .bulk import app as bulk_app
from .calibrate import calibrate
from .cost import cost
from .evaluation import eval_, eval_exact, eval_identifiers, eval_needs
from .export_pages import export_pages
from .hook import hook
from .mcp import mcp
from .models import app as models_app
from .options import FAILED, MISUSED, NOT_FOUND, AsJson, Renderer, StoreUrl, print_json, stop
from .redis import app as redis_app
from .report import report
from .server import inspect, run, serve, stats, switch
from .sessions import append, context, erase, import_, pages, recall, sessions, show
from .transfer import copy, export

__all__ = ["app", "main"]

app = typer.Typer(
    name="optical-memory",
    help="Optical memory for LLM agents: the past as pages whose resolution fades with age, and every word of it kept.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(models_app)
app.add_typer(bulk_app)
app.add_typer(redis_app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code. Expected errors become one line on standard error."""
    from ..errors import OpticalMemoryError, TurnNotFound

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # half a surrogate pair in a turn must not stop the output
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="optical-memory")
    except TurnNotFound as exc:
        stop(str(exc), NOT_FOUND)
    except ValueError as exc:
        stop(str(exc), MISUSED)
    except (OpticalMemoryError, OSError) as exc:
        stop(str(exc), FAILED)
    sys.exit(0)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"optical-memory {version('optical-memory')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


app.command()(append)
app.command("import")(import_)
app.command()(export)
app.command()(copy)
app.command()(cost)
app.command()(context)
app.command()(show)
app.command()(report)
app.command()(recall)
app.command()(pages)
app.command()(erase)
app.command()(sessions)


@app.command()
def doctor(store: StoreUrl = None, renderer: Renderer = "auto", as_json: AsJson = False) -> None:
    """Say what was found on this machine, and what to install. Fails if the renderer cannot draw a page."""
    from .doctor import can_render, examine
    from .output import as_plain
    from .tables import findings_table

    findings = examine(store if store and store.startswith("redis") else None, renderer)
    print_json([as_plain(finding) for finding in findings]) if as_json else findings_table(findings)
    if not can_render(findings, renderer):
        stop(f"the renderer {renderer!r} cannot draw a page here; see above for what to install", FAILED)


app.command("eval")(eval_)
app.command()(eval_identifiers)
app.command()(eval_exact)
app.command()(eval_needs)
app.command()(calibrate)
app.command()(serve)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(run)
app.command()(switch)
app.command()(stats)
app.command()(inspect)
app.command()(mcp)
app.command()(hook)
app.command()(export_pages)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report and the demo's store.", file_okay=False)] = Path("demo-output"),
    renderer: Renderer = "auto",
    picture: Annotated[Path | None, typer.Option(help="Also write a picture of the report (needs a browser).", dir_okay=False)] = None,
) -> None:
    """A real conversation of hundreds of turns becomes pages that fade: a table here, and an HTML report."""
    from ..demo.demo import MARKS, conversation, photograph, run
    from .output import demo_closing, progress
    from .tables import growth_table

    talk = conversation()
    with progress(f"{len(talk.messages)} turns, page by page", len(talk.messages)) as advance:
        result = run(talk, out, renderer=renderer, advance=advance)
    growth_table([point for point in result.report.growth if point.turns in MARKS or point is result.report.growth[-1]])
    demo_closing(result)
    if picture:
        photograph(result.path, picture)
