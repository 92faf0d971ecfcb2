"""The command `mcp`: sessions of a store as tools for any MCP client."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from .options import Reader, Redact, Renderer, Session, StoreUrl, Tenant

__all__ = ["mcp"]


def mcp(
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
    reader: Reader = "deepseek-ocr",
    renderer: Renderer = "auto",
    redact: Redact = False,
    allow_erase: Annotated[bool, typer.Option("--allow-erase", help="Offer the tool that deletes for ever.")] = False,
    result_tokens: Annotated[int, typer.Option(help="Most tokens of text in a result.", min=400)] = 8_000,
    context_tokens: Annotated[int, typer.Option(help="Budget of `context` where the caller names none.", min=1)] = 16_000,
    port: Annotated[
        int | None, typer.Option(help="Serve HTTP on this port of this machine instead; 0 takes a free one.", show_default=False)
    ] = None,
) -> None:
    """Serve the sessions of a store to an MCP client on standard input and output: recall, zoom, remember, context, sessions."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    from ..server.mcp.serve import serve_http, serve_stdio

    options = {
        "default": session,
        "tenant": tenant,
        "reader": reader,
        "renderer": renderer,
        "redact": redact,
        "may_erase": allow_erase,
        "result_tokens": result_tokens,
        "context_tokens": context_tokens,
    }
    if port is None:
        serve_stdio(store, **options)
    else:
        serve_http(store, port=port, ready=lambda address: print(address, flush=True), **options)
