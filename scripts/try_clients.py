"""Real coding agents in front of the local provider, with and without the proxy: what they print has to be the same.

`python scripts/try_clients.py [--folder FOLDER] [--rounds N] [--faults] [client ...]` installs the clients into the folder, from npm and
PyPI, then runs itself again without any network but loopback (`unshare`, as root). Each client plays a tool loop of N rounds with 23 kB
of output each. With `--faults` the provider answers some calls with 529, a cut stream, and 400 to pages. Set-ups: November 2026.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from optical_memory.server.local_upstream.app import LocalUpstream
from optical_memory.server.local_upstream.serving import Serving
from optical_memory.server.proxy.serve import Proxy
from optical_memory.server.proxy.settings import ProxySettings

FAULTS = {7: "529", 9: "cut", 11: "no pages"}  # by call of a run
SECONDS = 900
ISOLATED = "OPTICAL_MEMORY_ISOLATED"


@dataclass(frozen=True)
class Client:
    """How a client is installed and run.

    Attributes:
        package: on npm, or `pypi:NAME`.
        command: its arguments; `{url}` is the provider's address, `{prompt}` what to do.
        environment: its variables.
        files: written into its home first.
    """

    package: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def _json(value: object) -> str:
    return json.dumps(value).replace("@@", "{url}")


CODEX = 'model_providers.local={name="local",base_url="{url}/v1",env_key="OPENAI_API_KEY",wire_api="responses"}'
OPENCODE = {"npm": "@ai-sdk/anthropic", "options": {"baseURL": "@@/v1", "apiKey": "k"}, "models": {"claude-opus-4-8": {}}}
PI = {"api": "anthropic-messages", "baseUrl": "@@", "apiKey": "k", "models": [{"id": "claude-opus-4-8"}]}
CLIENTS = {
    "claude": Client(
        "@anthropic-ai/claude-code@2.1.197",
        ("claude", "-p", "{prompt}", "--dangerously-skip-permissions"),
        {
            "ANTHROPIC_BASE_URL": "{url}",
            "ANTHROPIC_API_KEY": "k",
            "IS_SANDBOX": "1",
            **dict.fromkeys(("DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING", "DISABLE_AUTOUPDATER"), "1"),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
    ),
    "codex": Client(
        "@openai/codex@0.171.0",
        (
            *("codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
            *("-m", "gpt-5.4", "-c", "model_provider=local", "-c", CODEX, "{prompt}"),
        ),
        {"OPENAI_API_KEY": "k"},
    ),
    "gemini": Client(
        "@google/gemini-cli@0.61.0",
        ("gemini", "--yolo", "-p", "{prompt}"),
        {"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": "{url}", "GEMINI_SANDBOX": "false", "GEMINI_CLI_TRUST_WORKSPACE": "true"},
        {
            ".gemini/settings.json": _json(
                {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
            )
        },
    ),
    "opencode": Client(
        "opencode-ai@1.18.33",
        ("opencode", "run", "--model", "local/claude-opus-4-8", "{prompt}"),
        {"OPENCODE_DISABLE_AUTOUPDATE": "1"},
        {"work/opencode.json": _json({"provider": {"local": OPENCODE}, "permission": {"bash": "allow", "edit": "allow"}})},
    ),
    "qwen": Client(
        "@qwen-code/qwen-code@0.15.10",
        ("qwen", "--auth-type", "openai", "--yolo", "-p", "{prompt}"),
        {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "{url}/v1", "OPENAI_MODEL": "gpt-5.4"},
    ),
    "pi": Client(
        "@mariozechner/pi-coding-agent@0.73.1",
        ("pi", "-p", "{prompt}", "--provider", "local", "--model", "claude-opus-4-8"),
        {"PI_OFFLINE": "1"},
        {".pi/agent/models.json": _json({"providers": {"local": PI}})},
    ),
    "mini": Client(
        "pypi:mini-swe-agent==2.4.6",
        ("mini", "-m", "openai/gpt-5.4", "-y", "--exit-immediately", "-t", "{prompt}"),
        {"OPENAI_API_BASE": "{url}/v1", "OPENAI_API_KEY": "k", "MSWEA_CONFIGURED": "true", "MSWEA_COST_TRACKING": "ignore_errors"},
    ),
}


def install(client: Client, folder: Path) -> None:
    """Install a client. Raises `CalledProcessError`."""
    kind, _, name = client.package.rpartition("pypi:")
    if not kind and name == client.package:
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), name], check=True)
        return
    if not (folder / "venv").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    subprocess.run([str(folder / "venv/bin/pip"), "install", "-q", name], check=True)


@contextmanager
def provider(*, through_proxy: bool, faults: bool) -> Iterator[tuple[str, LocalUpstream]]:
    """Serve the local provider, and the proxy in front of it; yield the address for the client."""
    upstream = LocalUpstream()
    if faults:
        upstream.faults.extend(FAULTS.get(call, "") for call in range(max(FAULTS) + 1))
    with ExitStack() as stack:
        address = stack.enter_context(Serving(upstream)).address
        if through_proxy:
            base = dict.fromkeys(("anthropic", "openai", "gemini"), address)
            proxy = Proxy.of(ProxySettings(store="memory://", renderer="pillow", draw_wait=300, upstreams=base))
            address = stack.enter_context(Serving(proxy.app, close=proxy.close)).address
        yield address, upstream


def run(client: Client, folder: Path, address: str, prompt: str) -> tuple[int, str]:
    """Run a client in a home of its own; return its exit code and what it has printed."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "work").mkdir()
        for name, content in client.files.items():
            path = Path(home) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content.replace("{url}", address), "utf-8")
        places = f"{folder}/node_modules/.bin:{folder}/venv/bin:{os.environ['PATH']}"
        own = {name: value.replace("{url}", address) for name, value in client.environment.items()}
        given = {"PATH": places, "HOME": home, "TERM": "dumb", "NO_COLOR": "1", **own}
        command = [part.replace("{url}", address).replace("{prompt}", prompt) for part in client.command]
        done = subprocess.run(
            command, env=given, cwd=Path(home) / "work", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
        )
        return done.returncode, done.stdout or done.stderr


def plain(printed: str) -> str:
    """Return what was printed without what differs from run to run: colours, ids, times, sums of tokens."""
    printed = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed)
    printed = re.sub(r"(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|/tmp/tmp\w+|\$\d[\d.,]*|\b\d+(\.\d+)?m?s\b", "*", printed)
    printed = re.sub(r"This answers [0-9a-f]{12}", "This answers *", printed)
    return "\n".join(
        line.rstrip() for line in printed.splitlines() if line.strip() and not re.search(r"(?i)tokens|cost|127\.0\.0\.1", line)
    )


def compare(name: str, folder: Path, rounds: int, *, faults: bool) -> bool:
    """Run a client without and with the proxy; print a line; return whether it has seen the same."""
    prompt = f"ROUND 0 OF {rounds}"
    found = []
    for through_proxy in (False, True):
        with provider(through_proxy=through_proxy, faults=faults) as (address, upstream):
            began = time.monotonic()
            try:
                code, printed = run(CLIENTS[name], folder, address, prompt)
            except (OSError, subprocess.TimeoutExpired) as exc:
                code, printed = -1, f"{type(exc).__name__}: {exc}"
            time.sleep(0.5)
            calls = [seen for seen in upstream.seen if seen.bill]
            pages = sum(bool(seen.pages) for seen in calls)
            told = httpx.get(f"{address}/api/requests?limit=1000").json() if through_proxy else []
            reasons = sorted({call["reason"] for call in told})
            found.append((code if calls else "no calls", plain(printed)))
            way = "proxy" if through_proxy else "direct"
            size = max((len(seen.body) for seen in upstream.seen), default=0)
            print(f"{name:9} {way:6} exit {code} calls {len(calls)} with pages {pages} largest {size:,} B", end=" ")
            print(f"{time.monotonic() - began:.0f} s", *(f"[{reason}]" for reason in reasons if reason), flush=True)
    same = found[0] == found[1] and found[0][0] != "no calls"
    print(f"{name:9} {'SAME' if same else 'DIFFERENT'}", flush=True)
    if not same:
        for code, printed in found:
            print(f"--- exit {code}\n{printed[-1_500:]}", flush=True)
    return same


def main() -> int:
    """Install, cut off the network, run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "optical-memory-clients")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--installed", action="store_true", help="the clients are in the folder already")
    parser.add_argument("clients", nargs="*", default=list(CLIENTS))
    given = parser.parse_args()
    if ISOLATED not in os.environ:
        given.folder.mkdir(parents=True, exist_ok=True)
        for name in given.clients if not given.installed else ():
            install(CLIENTS[name], given.folder)
        if shutil.which("unshare") is None or os.geteuid() != 0:
            print("not root: the clients are not cut off from the network", flush=True)
            os.environ[ISOLATED] = "no"
        else:
            os.environ[ISOLATED] = "yes"
            inside = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, *sys.argv]
            os.execvp("unshare", ["unshare", "-n", *inside])
    return 0 if all([compare(name, given.folder, given.rounds, faults=given.faults) for name in given.clients]) else 1


if __name__ == "__main__":
    sys.exit(main())
