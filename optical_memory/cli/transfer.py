"""`optical-memory export` and `copy`, and the part of `import` that restores a file written by `export`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from ..text.plurals import counted
from .options import MISUSED, NOT_FOUND, AsJson, Session, StoreUrl, Tenant, print_json, stop

if TYPE_CHECKING:
    from ..stores import SessionId, Store
    from ..stores.transfer import ImportReport

__all__ = ["copy", "export", "is_export", "restore"]

Pages = Annotated[bool, typer.Option("--pages", help="With the drawn pages, so that they need not be drawn again.")]


def export(
    out: Annotated[Path | None, typer.Option(help="The file to write; standard output without it.", dir_okay=False)] = None,
    pages: Pages = False,
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
) -> None:
    """Write a session as JSON lines, word for word; `optical-memory import` takes them back. What was erased is not in it."""
    from ..stores import SessionId, open_store
    from ..stores.transfer import export_session
    from .output import note, progress

    id, count = SessionId(session, tenant), 0
    with closing(open_store(store)) as opened, _missing_session_stops():
        lines = export_session(opened, id, pages=pages)
        with _writing(out) as file, progress("exporting", opened.length(id)) as advance:
            for line in _counted(lines, advance):
                file.write(f"{line}\n".encode())
                count += 1
    note(f"session {session!r} exported: {count} lines")


def copy(
    target: Annotated[str, typer.Argument(help="The URL of the store to copy to.", metavar="TARGET_URL")],
    as_name: Annotated[str | None, typer.Option("--as", help="The copy's name; by default the same.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All sessions of the tenant.")] = False,
    pages: Pages = False,
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Copy a session to another store. Copying again adds what is new; another session of that name there is left alone."""
    from ..stores import SessionId, open_store
    from ..stores.transfer import copy_session

    if everything and as_name is not None:
        raise ValueError("pass either --all or --as: all sessions cannot get one name")
    with closing(open_store(store)) as source, closing(open_store(target)) as opened:
        if everything:
            _copy_all(source, opened, tenant, pages, as_json)
            return
        named = None if as_name is None else SessionId(as_name, tenant)
        with _missing_session_stops():
            report = copy_session(source, opened, SessionId(session, tenant), as_session=named, pages=pages)
        counts = _counts(opened, report)
    print_json(counts) if as_json else print(_sentence(counts))


def is_export(first_line: str) -> bool:
    """Whether this is the first line of a file written by `export`, complete or not. No chat file begins like this."""
    return re.match(r'\s*\{\s*"optical_memory"\s*:', first_line) is not None


def restore(
    lines: Iterable[bytes], *, session: str | None = None, tenant: str | None = None, store: str | None = None, as_json: bool = False
) -> None:
    """Import a file written by `export` and print the counts. Session and tenant default to those of the file.

    Raises what `import_session` raises.
    """
    from ..stores import open_store
    from ..stores.transfer import import_session
    from .output import progress

    texts = (line.decode("utf-8", "surrogateescape") for line in lines)  # invalid UTF-8 fails as a damaged line
    first = next(texts, "").removeprefix("\ufeff")
    header = _header(first)
    with closing(open_store(store)) as opened, progress("importing", header.get("length", 0)) as advance:
        report = import_session(opened, _counted(chain([first], texts), advance), session=_target(header, session, tenant))
        counts = _counts(opened, report)
    print_json(counts) if as_json else print(_sentence(counts))


def _copy_all(source: Store, target: Store, tenant: str, pages: bool, as_json: bool) -> None:
    """Copy every session of a tenant. Failures are named on standard error; the exit code is then `MISUSED`."""
    from ..errors import SessionCorrupted
    from ..stores.transfer import copy_session
    from .output import note, progress

    ids = [info.id for info in source.sessions(tenant)]
    done: list[dict[str, Any]] = []
    failed = False
    with progress("copying", len(ids)) as advance:
        for id in ids:
            try:
                done.append(_counts(target, copy_session(source, target, id, pages=pages)))
            except (ValueError, LookupError, SessionCorrupted) as exc:
                note(f"optical-memory: session {id.name!r} was not copied: {exc}")
                failed = True
            advance(1)
    if as_json:
        print_json(done)
    else:
        print("\n".join([*map(_sentence, done), f"{len(done)} of {counted(len(ids), 'session')} copied"]))
    if failed:
        raise typer.Exit(MISUSED)


def _counts(store: Store, report: ImportReport) -> dict[str, Any]:
    session = report.session
    counts = {"new": report.turns, "known": report.known, "cached": report.cached, "last": store.length(session)}
    return {"session": session.name, "tenant": session.tenant, **counts}


def _sentence(counts: dict[str, Any]) -> str:
    cached = f", {counted(counts['cached'], 'cache entry')}" if counts["cached"] else ""
    new = counted(counts["new"], "new turn")
    return f"{new}, {counts['known']} already there{cached}; session {counts['session']!r} ends at #{counts['last']}"


def _header(first_line: str) -> dict[str, Any]:
    """Session, tenant and length from the first line; empty if it is damaged, which the import then reports."""
    try:
        header = json.loads(first_line)
    except (ValueError, RecursionError):
        return {}
    kinds = {"session": str, "tenant": str, "length": int}
    return header if isinstance(header, dict) and all(isinstance(header.get(key), kind) for key, kind in kinds.items()) else {}


def _target(header: dict[str, Any], session: str | None, tenant: str | None) -> SessionId | None:
    from ..stores import SessionId

    if not header:
        return None
    return SessionId(header["session"] if session is None else session, header["tenant"] if tenant is None else tenant)


def _counted(lines: Iterable[str], advance: Callable[[int], None]) -> Iterator[str]:
    for line in lines:
        yield line
        advance(1)


@contextmanager
def _missing_session_stops() -> Iterator[None]:
    try:
        yield
    except LookupError as exc:
        if type(exc) is not LookupError:  # KeyError and IndexError are bugs, not missing sessions
            raise
        stop(str(exc), NOT_FOUND)


@contextmanager
def _writing(out: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that gets its name only when complete."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif out.exists() and not out.is_file():  # write to a device or pipe; never replace it
        with out.open("wb") as file:
            yield file
    else:
        part = out.with_name(f"{out.name}.part")
        try:
            with part.open("wb") as file:
                yield file
            os.replace(part, out)
        finally:
            part.unlink(missing_ok=True)
