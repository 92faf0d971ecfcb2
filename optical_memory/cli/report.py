"""`optical-memory report`: a session as an HTML file, to look at in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Reader, Redact, Renderer, Session, StoreUrl, Tenant
from .sessions import need_turns, open_memory

__all__ = ["report"]


def report(
    out: Annotated[Path, typer.Option(help="The file to write.", dir_okay=False)] = Path("report.html"),
    budget: Annotated[int | None, typer.Option(help="Most tokens that the context may cost the reader.", min=1)] = None,
    sealed: Annotated[bool, typer.Option("--sealed", help="Also every page as it was drawn: a file of megabytes.")] = False,
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
    redact: Redact = False,
    renderer: Renderer = "auto",
    reader: Reader = "deepseek-ocr",
) -> None:
    """Write an HTML file of what a model would be given: every page at its tier, and the cost."""
    from ..demo.report import to_html
    from ..demo.session_report import session_report
    from .output import note

    with open_memory(session, store, tenant, renderer=renderer, reader=reader, redact=redact) as memory:
        need_turns(memory, session)
        built = memory.context(budget=budget)
        html = to_html(session_report(memory, built, sealed=sealed))
    out.write_text(html, "utf-8")
    note(str(built.usage))
    print(out)
