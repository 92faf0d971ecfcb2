"""What agent sessions are billed through the proxy and without it, call by call, by a local provider with the documented prompt caches.

`python -m benchmarks.proxy_replay [--data FOLDER] [--messages N] [model ...]`. FOLDER holds conversations: `*agent*.json` with `messages`
in OpenAI's shape; by default the demo's is replayed. Before each of the assistant's turns the conversation so far is sent, with markers
where Claude Code sets them. Two ways: at once, so that every cache is warm; and with an hour's pause after each quarter, which no cache
outlives. Costs are in tokens of uncached input at the model's cache prices. The share read is that of all input tokens.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
from rich.table import Table

from optical_memory.profiles.registry import profile_of
from optical_memory.server.local_upstream.app import LocalUpstream
from optical_memory.server.local_upstream.prompt_cache import AutomaticCache, Bill, MarkedCache
from optical_memory.server.local_upstream.serving import Serving
from optical_memory.server.proxy.accounting import cost_of
from optical_memory.server.proxy.serve import Proxy
from optical_memory.server.proxy.settings import ProxySettings
from optical_memory.server.proxy.usage import Billed

from ._console import open_console

MODELS = ("claude-sonnet-4-5", "claude-opus-4-8", "gpt-5", "gpt-5.4", "gemini-3.5-pro")
PAUSES = 4
HOUR = 3_600.0
COLUMNS = ("session", "model", "pauses", "calls", "with pages", "pages", "text", "proxy", "text / proxy", "read, proxy", "read, text")
PATHS = {"anthropic": "/v1/messages", "chat": "/v1/chat/completions", "gemini": "/v1beta/models/{}:generateContent"}


@dataclass
class Clock:
    """The provider's clock, which pauses move on."""

    now: float = 0.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


@dataclass
class Sum:
    """What all calls of a session are billed."""

    calls: int = 0
    cost: float = 0.0
    tokens: int = 0
    read: int = 0
    with_pages: int = 0
    pages: list[int] = field(default_factory=list)


def _sessions(folder: Path | None, most: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    sources = sorted(folder.glob("*agent*.json")) if folder else [Path(str(path)) for path in files("optical_memory.demo").iterdir()]
    for path in sources:
        if path.suffix == ".json":
            loaded = json.loads(path.read_text("utf-8"))["messages"]
            yield path.stem, list(itertools.islice(loaded, most))


def _wire(model: str) -> str:
    return "anthropic" if model.startswith("claude") else "gemini" if model.startswith("gemini") else "chat"


SYSTEM = "You are an agent. " + "Follow the rules of the house. " * 400
TOOLS = [{"name": f"tool{at}", "description": "what it does and when to call it. " * 20, "schema": {"type": "object"}} for at in range(20)]


def _request(wire: str, model: str, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a request of a format for messages in OpenAI's shape."""
    if wire == "chat":
        tools = [{"type": "function", "function": {"name": tool["name"], "description": tool["description"]}} for tool in TOOLS]
        return {"model": model, "tools": tools, "messages": [{"role": "system", "content": SYSTEM}, *messages]}
    if wire == "gemini":
        contents = [{"role": role, "parts": parts} for role, parts in _turns(messages, _gemini_part)]
        declared = [{"functionDeclarations": [{"name": tool["name"], "description": tool["description"]} for tool in TOOLS]}]
        return {"contents": contents, "tools": declared, "systemInstruction": {"parts": [{"text": SYSTEM}]}}
    turns: list[Any] = [{"role": role, "content": blocks} for role, blocks in _turns(messages, _anthropic_block)]
    mark: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
    turns[-1]["content"][-1] |= mark
    tools = [{"name": tool["name"], "description": tool["description"], "input_schema": tool["schema"]} for tool in TOOLS]
    return {"model": model, "max_tokens": 1_000, "tools": tools, "system": [{"type": "text", "text": SYSTEM, **mark}], "messages": turns}


def _turns(messages: Sequence[Mapping[str, Any]], part: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield roles with the parts of adjacent messages of the same side."""
    sides = itertools.groupby(messages, key=lambda message: message["role"] == "assistant")
    names: dict[str, str] = {}
    for is_assistant, group in sides:
        parts = [each for message in group for each in part(message, names)]
        yield ("model" if part is _gemini_part else "assistant") if is_assistant else "user", parts


def _anthropic_block(message: Mapping[str, Any], names: dict[str, str]) -> Iterator[dict[str, Any]]:
    text = message.get("content") or ""
    if message["role"] == "tool":
        yield {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": text or "(empty)"}
        return
    if text:
        yield {"type": "text", "text": text}
    for call in message.get("tool_calls") or ():
        yield {
            "type": "tool_use",
            "id": call["id"],
            "name": call["function"]["name"],
            "input": {"arguments": call["function"]["arguments"]},
        }


def _gemini_part(message: Mapping[str, Any], names: dict[str, str]) -> Iterator[dict[str, Any]]:
    text = message.get("content") or ""
    if message["role"] == "tool":
        yield {"functionResponse": {"name": names.get(message["tool_call_id"], "tool"), "response": {"output": text}}}
        return
    if text:
        yield {"text": text}
    for call in message.get("tool_calls") or ():
        names[call["id"]] = call["function"]["name"]
        yield {"functionCall": {"name": call["function"]["name"], "args": {"arguments": call["function"]["arguments"]}}}


def _calls(messages: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the conversation before each of the assistant's turns; call ids are made to be used once, as clients do."""
    made: list[dict[str, Any]] = []
    last: dict[str, str] = {}
    for at, message in enumerate(messages):
        if message["role"] == "assistant" and made and made[-1]["role"] != "assistant":
            yield list(made)
        made.append(_renamed(message, at, last))


def _renamed(message: dict[str, Any], at: int, last: dict[str, str]) -> dict[str, Any]:
    plain = {name: message[name] for name in ("role", "content", "tool_calls", "tool_call_id") if message.get(name)}
    plain.setdefault("content", "" if message["role"] != "assistant" else None)
    if "tool_calls" in plain:
        plain["tool_calls"] = [{**call, "id": f"call{at}x{number}"} for number, call in enumerate(plain["tool_calls"])]
        last.update({call["id"]: f"call{at}x{number}" for number, call in enumerate(message["tool_calls"])})
    if "tool_call_id" in plain:
        plain["tool_call_id"] = last.get(plain["tool_call_id"], plain["tool_call_id"])
    return plain


def replay(model: str, messages: Sequence[dict[str, Any]], *, through_proxy: bool, pauses: bool) -> Sum:
    """Send all calls of a session, and return what they were billed."""
    wire, clock, total = _wire(model), Clock(), Sum()
    upstream = LocalUpstream()
    upstream._marked, upstream._automatic = MarkedCache(clock=clock), AutomaticCache(clock=clock)
    prices = profile_of(model).cache
    with ExitStack() as stack:
        address = stack.enter_context(Serving(upstream)).address
        proxy = None
        if through_proxy:
            base = dict.fromkeys(("anthropic", "openai", "gemini"), address)
            proxy = Proxy.of(ProxySettings(store="memory://", renderer="pillow", draw_wait=300, upstreams=base, probe=False))
            address = stack.enter_context(Serving(proxy.app, close=proxy.close)).address
        client = stack.enter_context(httpx.Client(timeout=600))
        calls = list(_calls(messages))
        for number, call in enumerate(calls):
            if pauses and number and number % (len(calls) // PAUSES) == 0:
                clock.now += HOUR
                for line in proxy.rewriter.conversations.lines() if proxy else ():
                    line.record.cached_at -= HOUR
            answer = client.post(address + PATHS[wire].format(model), json=_request(wire, model, call), headers={"x-api-key": "k"})
            answer.raise_for_status()
            _count(total, upstream.seen[-1].bill or Bill(0), prices, upstream.seen[-1].pages)
            upstream.seen.clear()
    return total


def _count(total: Sum, bill: Bill, prices: Any, pages: int) -> None:
    total.calls += 1
    total.cost += cost_of(Billed(bill.input, bill.write, bill.write_long, bill.read), prices)
    total.tokens += bill.total
    total.read += bill.read
    total.with_pages += bool(pages)
    total.pages.append(pages)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--messages", type=int, default=600)
    parser.add_argument("--pauses", choices=("without", "with", "both"), default="both")
    parser.add_argument("models", nargs="*", default=MODELS)
    given = parser.parse_args()
    table = Table(title="billed through the proxy and as text")
    for at, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if at > 2 else "left")
    console = open_console()
    for name, messages in _sessions(given.data, given.messages):
        for model in given.models:
            for pauses in {"without": (False,), "with": (True,), "both": (False, True)}[given.pauses]:
                text = replay(model, messages, through_proxy=False, pauses=pauses)
                proxy = replay(model, messages, through_proxy=True, pauses=pauses)
                row = (name, model, "4 of an hour" if pauses else "none", f"{text.calls:,}", f"{proxy.with_pages:,}", f"{max(proxy.pages)}")
                costs = (f"{text.cost:,.0f}", f"{proxy.cost:,.0f}", f"{text.cost / proxy.cost:.2f}")
                table.add_row(*row, *costs, f"{proxy.read / proxy.tokens:.1%}", f"{text.read / text.tokens:.1%}")
                console.print(*row, *costs, f"{proxy.read / proxy.tokens:.1%}", f"{text.read / text.tokens:.1%}")
    console.print(table)


if __name__ == "__main__":
    main()
