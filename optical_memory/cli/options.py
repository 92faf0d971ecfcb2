"""Options, exit codes and output helpers that several commands share."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, NoReturn

import typer

__all__ = [
    "API_KEY",
    "FAILED",
    "MISUSED",
    "NOT_FOUND",
    "AsJson",
    "Reader",
    "Redact",
    "Renderer",
    "Session",
    "StoreUrl",
    "Tenant",
    "given",
    "print_json",
    "stop",
]

FAILED, MISUSED, NOT_FOUND = 1, 2, 3
API_KEY = "OPTICAL_MEMORY_API_KEY"  # the environment variable with the key of a hosted API; it is never printed or written

Session = Annotated[str, typer.Option("--session", "-s", envvar="OPTICAL_MEMORY_SESSION", help="The session's name.")]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="OPTICAL_MEMORY_STORE", help="sqlite:///path, redis://..., memory://.", show_default="a file in your data folder"
    ),
]
Tenant = Annotated[str, typer.Option("--tenant", envvar="OPTICAL_MEMORY_TENANT", help="Sessions of different tenants never meet.")]
Renderer = Annotated[str, typer.Option("--renderer", envvar="OPTICAL_MEMORY_RENDERER", help="chromium, pillow, bitmap, or auto.")]
Reader = Annotated[str, typer.Option("--reader", envvar="OPTICAL_MEMORY_READER", help="The model that looks at the pages.")]
Redact = Annotated[bool, typer.Option("--redact/--no-redact", envvar="OPTICAL_MEMORY_REDACT", help="Mask secrets, in the log too.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


def given(command: typer.Context, name: str) -> str | None:
    """The value of an option set on the command line or by the environment; None where it has its default."""
    source = command.get_parameter_source(name)
    return None if source is None or source.name.startswith("DEFAULT") else str(command.params[name])


def print_json(value: Any) -> None:
    """Print a value as one line of JSON on standard output, characters beyond ASCII as they are."""
    print(json_line(value))


def json_line(value: Any) -> str:
    """Return a value as one line of JSON, characters beyond ASCII as they are; all escaped if half a surrogate pair is among them."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return line


def stop(message: str, code: int) -> NoReturn:
    """Print one line on standard error and exit with `code`."""
    print(f"optical-memory: {message}", file=sys.stderr)
    raise SystemExit(code)
