"""The commands `serve`, `run`, `switch`, `stats` (the proxy between clients and their providers) and `inspect`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import MISUSED, AsJson, StoreUrl, print_json, stop

__all__ = ["inspect", "run", "serve", "stats", "switch"]

ADDRESS = "http://127.0.0.1:8723"

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default="8723")]
Upstream = Annotated[
    list[str] | None, typer.Option("--upstream", metavar="NAME=URL", help="Base URL of a provider or gateway; repeatable.")
]
Budget = Annotated[int | None, typer.Option(help="Most tokens of a request's messages; older turns are left out. No limit by default.")]
DrawWait = Annotated[float | None, typer.Option(help="Seconds a request may wait for its pages.", show_default="0")]
Models = Annotated[
    list[str] | None, typer.Option("--model", metavar="PATTERN[=READER]", help="Draw for these models too, whatever their profile says.")
]
RendererName = Annotated[
    str | None, typer.Option("--renderer", envvar="OPTICAL_MEMORY_RENDERER", help="chromium, pillow, bitmap, or auto.", show_default="auto")
]
SettingsFile = Annotated[Path | None, typer.Option("--settings", envvar="OPTICAL_MEMORY_SERVER", help="A TOML file with these settings.")]
Recall = Annotated[
    bool | None, typer.Option("--recall", help="Offer the model recall_memory, and answer its calls here; the client does not see them.")
]
Probe = Annotated[
    bool | None,
    typer.Option("--probe/--no-probe", help="Ask Anthropic's free count_tokens what pages replace, once for each change of pages."),
]
KeepTurns = Annotated[
    bool | None, typer.Option("--keep-turns/--no-keep-turns", help="Keep the turns of conversations in the store, word for word.")
]
Otel = Annotated[bool | None, typer.Option("--otel", help="Export each call as an OpenTelemetry span, without content. Extra: otel.")]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option("--allow-origin", metavar="ORIGIN", help="Let pages of this site (https://HOST) use the proxy; repeatable."),
]
Url = Annotated[str, typer.Option("--url", help="Address of the proxy.")]


def serve(
    host: Host = None,
    port: Port = None,
    store: StoreUrl = None,
    upstream: Upstream = None,
    budget: Budget = None,
    draw_wait: DrawWait = None,
    model: Models = None,
    renderer: RendererName = None,
    recall: Recall = None,
    probe: Probe = None,
    keep_turns: KeepTurns = None,
    otel: Otel = None,
    allow_origin: AllowOrigin = None,
    settings: SettingsFile = None,
    off: Annotated[bool, typer.Option("--off", help="Start switched off: every request passes as it came.")] = False,
    log: Annotated[bool, typer.Option("--log", help="Log each call as a line of JSON on standard error, without content.")] = False,
) -> None:
    """Serve optical memory to any client: a proxy that sends the old turns of a request as pages. Its first line is its address."""
    from ..server.proxy.serve import serve as serve_proxy

    given = _settings(settings, host, port, store, upstream, budget, draw_wait, model, renderer, recall, probe, keep_turns, otel)
    _log(log)
    given = given.changed(origins=allow_origin or None, on=False if off else None)
    serve_proxy(given, ready=lambda address: print(address, flush=True))


def _settings(
    path: Path | None,
    host: str | None,
    port: int | None,
    store: str | None,
    upstream: list[str] | None,
    budget: int | None,
    draw_wait: float | None,
    model: list[str] | None,
    renderer: str | None,
    recall: bool | None,
    probe: bool | None,
    keep_turns: bool | None,
    otel: bool | None,
) -> Any:
    from ..server.proxy.settings import ProxySettings

    upstreams = dict(_pair(each) for each in upstream or ())
    models = {name: reader for name, _, reader in (each.partition("=") for each in model or ())}
    return ProxySettings.read(path).changed(
        host=host,
        port=port,
        store=store,
        upstreams=upstreams or None,
        budget=budget,
        draw_wait=draw_wait,
        models=models or None,
        renderer=renderer,
        recall=recall,
        probe=probe,
        keep_turns=keep_turns,
        otel=otel,
    )


def _pair(given: str) -> tuple[str, str]:
    name, equals, url = given.partition("=")
    if not equals:
        stop(f"an upstream is NAME=URL; got {given!r}", MISUSED)
    return name, url


def _log(calls: bool) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if calls:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger = logging.getLogger("optical_memory.server.proxy")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(handler)


def run(
    context: typer.Context,
    port: Port = None,
    store: StoreUrl = None,
    upstream: Upstream = None,
    budget: Budget = None,
    draw_wait: DrawWait = None,
    model: Models = None,
    renderer: RendererName = None,
    recall: Recall = None,
    probe: Probe = None,
    keep_turns: KeepTurns = None,
    otel: Otel = None,
    settings: SettingsFile = None,
) -> None:
    """Run a client through the proxy: `optical-memory run -- claude`. Starts the proxy if none runs, and ends it with the client."""
    from ..server.proxy.client import run_client

    if not context.args:
        stop("name the client to run: optical-memory run -- claude", MISUSED)
    given = _settings(settings, None, port, store, upstream, budget, draw_wait, model, renderer, recall, probe, keep_turns, otel)
    raise SystemExit(run_client(context.args, given))


def switch(
    on: Annotated[str, typer.Argument(metavar="on|off|default")],
    model: Annotated[str | None, typer.Option(help="For this model only.")] = None,
    conversation: Annotated[str | None, typer.Option(help="For this conversation only.")] = None,
    url: Url = ADDRESS,
) -> None:
    """Switch a running proxy on or off: for all, for a model, or for a conversation. Takes effect at the next request."""
    from ..server.proxy.client import post

    values = {"on": True, "off": False, "default": None}
    if on not in values:
        stop(f"expected on, off or default; got {on!r}", MISUSED)
    print_json(post(f"{url}/api/switch", {"on": values[on], "model": model, "conversation": conversation}))


def stats(store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Print what each conversation and model has cost through the proxy, and what it would have cost as text. Reads the store alone."""
    from ..server.proxy.statistics import statistics
    from .tables import statistics_tables

    found = statistics(store)
    print_json(found) if as_json else statistics_tables(found)


def inspect(
    store: StoreUrl = None,
    host: Annotated[str, typer.Option(help="Address to listen on. Any but this machine's own asks for a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8724,
    token: Annotated[
        str | None, typer.Option(envvar="OPTICAL_MEMORY_TOKEN", help="What a browser must show.", show_default="made up")
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Do not let anything be erased.")] = False,
) -> None:
    """Look at any store in a browser: sessions, pages at their tiers, the words behind them. Its first line is the address to open."""
    from ..server.inspector.serve import serve_inspector

    serve_inspector(store, host=host, port=port, token=token, may_erase=not read_only, ready=lambda address: print(address, flush=True))
