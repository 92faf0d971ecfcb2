"""Run a client through the proxy, and speak to a proxy that runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from .settings import UPSTREAMS, ProxySettings

__all__ = ["client_environment", "is_running", "post", "run_client"]

VARIABLES = {
    "ANTHROPIC_BASE_URL": ("anthropic", ""),
    "OPENAI_BASE_URL": ("openai", "/v1"),
    "OPENAI_API_BASE": ("openai", "/v1"),
    "GOOGLE_GEMINI_BASE_URL": ("gemini", ""),
}
_direct = build_opener(ProxyHandler({}))  # this machine is never reached through a proxy


def client_environment(address: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which clients send to the proxy."""
    return {**environment, **{name: address + path for name, (_, path) in VARIABLES.items()}}


def upstreams_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the upstreams that the variables of clients name now, such as a gateway."""
    return {upstream: environment[name] for name, (upstream, _) in reversed(VARIABLES.items()) if environment.get(name)}


def run_client(command: Sequence[str], settings: ProxySettings) -> int:
    """Run a client through the proxy and return its exit code. Starts the proxy if none listens, and ends it after the client.

    Raises `OSError` if the client or the proxy cannot be started.
    """
    address = f"http://{settings.host}:{settings.port}"
    if settings.port and is_running(address):
        return _run(command, address)
    named = {name: url for name, url in upstreams_of(os.environ).items() if settings.upstreams.get(name) == UPSTREAMS[name]}
    with tempfile.TemporaryDirectory() as folder:
        server = _start(settings.changed(upstreams=named or None), Path(folder))
        try:
            return _run(command, _first_line(server))
        finally:
            server.terminate()
            server.wait()


def _run(command: Sequence[str], address: str) -> int:
    ours = client_environment(address, os.environ)
    client = subprocess.Popen([*_named(command, address)], env=ours)
    while True:
        try:
            return client.wait()
        except KeyboardInterrupt:  # the client got it too, and decides
            continue


def _named(command: Sequence[str], address: str) -> Sequence[str]:
    """Return the command; Codex is told on its command line, since its built-in provider takes no variable."""
    if Path(command[0]).name == "codex":
        return [command[0], "-c", f'openai_base_url="{address}/v1"', *command[1:]]
    return command


def _start(settings: ProxySettings, folder: Path) -> subprocess.Popen[str]:
    """Start the proxy as a process of its own, with the same settings."""
    file = folder / "server.toml"
    file.write_text(_toml(settings), "utf-8")
    arguments = [sys.executable, "-m", "optical_memory", "serve", "--settings", str(file)]
    quiet: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}  # Ctrl-C is for the client
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, **quiet)


def _first_line(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    if not address:
        raise OSError(f"the proxy did not start: exit code {server.wait()}")
    return address


def _toml(settings: ProxySettings) -> str:
    plain = {
        "host": settings.host,
        "port": settings.port,
        "store": settings.store,
        "budget": settings.budget,
        "draw_wait": settings.draw_wait,
        "renderer": settings.renderer,
        "on": settings.on,
        "keep_days": settings.keep_days,
        "recall": settings.recall,
        "probe": settings.probe,
        "keep_turns": settings.keep_turns,
        "otel": settings.otel,
        "origins": list(settings.origins),
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items() if value is not None]
    for table, values in (("upstreams", settings.upstreams), ("models", settings.models)):
        lines += [f"[{table}]", *(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in values.items())]
    return "\n".join(lines)


def is_running(address: str) -> bool:
    """Whether a proxy of this library listens at an address."""
    try:
        with _direct.open(f"{address}/api/switch", timeout=5) as answer:
            return "corrections" in json.load(answer)
    except (URLError, OSError, ValueError):
        return False


def post(url: str, value: Any) -> Any:
    """Send JSON to a proxy that runs and return its answer. Raises `OSError` if none listens, or it refuses."""
    request = Request(url, json.dumps(value).encode(), {"content-type": "application/json"})
    try:
        with _direct.open(request, timeout=10) as answer:
            return json.load(answer)
    except HTTPError as exc:
        raise OSError(f"{url}: {exc.read().decode('utf-8', 'replace')}") from exc
    except URLError as exc:
        raise OSError(f"no proxy answers at {url}: {exc.reason}. Start one with: optical-memory serve") from exc
